/* The writing half of message.h. */
#include "base/assert.h"
#include "tls/extension.h"
#include "tls/message.h"

void hbk_writer_put(struct hbk_writer *writer, struct hbk_slice bytes)
{
    if (writer->has_failed || bytes.size > writer->room.size - writer->used) {
        writer->has_failed = true;
        return;
    }
    if (bytes.size > 0) {
        memcpy(writer->room.bytes + writer->used, bytes.bytes, bytes.size);
        writer->used += bytes.size;
    }
}

void hbk_writer_number(struct hbk_writer *writer, uint64_t number, size_t bytes)
{
    uint8_t digits[8];
    HBK_ASSERT(bytes >= 1 && bytes <= sizeof digits && (bytes == 8 || number >> (8 * bytes) == 0));
    for (size_t i = 0; i < bytes; i++) {
        digits[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
    }
    hbk_writer_put(writer, hbk_slice_of(digits, bytes));
}

size_t hbk_writer_open(struct hbk_writer *writer, size_t length_bytes)
{
    size_t mark = writer->used;
    hbk_writer_number(writer, 0, length_bytes);
    return mark;
}

void hbk_writer_close(struct hbk_writer *writer, size_t mark, size_t length_bytes)
{
    if (writer->has_failed) {
        return;
    }
    size_t size = writer->used - mark - length_bytes;
    if (size >> (8 * length_bytes) != 0) {
        writer->has_failed = true;
        return;
    }
    for (size_t i = 0; i < length_bytes; i++) {
        writer->room.bytes[mark + i] = (uint8_t)(size >> (8 * (length_bytes - 1 - i)));
    }
}

size_t hbk_writer_message(struct hbk_writer *writer, enum hbk_message_type type)
{
    hbk_writer_number(writer, (uint64_t)type, 1);
    return hbk_writer_open(writer, 3);
}

/* ---- extensions ---- */

static size_t open_extension(struct hbk_writer *writer, enum hbk_extension type)
{
    hbk_writer_number(writer, (uint64_t)type, 2);
    return hbk_writer_open(writer, 2);
}

static void close_extension(struct hbk_writer *writer, size_t mark)
{
    hbk_writer_close(writer, mark, 2);
}

static void write_numbers(struct hbk_writer *writer, const uint16_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hbk_writer_number(writer, numbers[i], 2);
    }
}

/* An extension that is one list of numbers behind its length. */
static void write_list(struct hbk_writer *writer, enum hbk_extension type, const uint16_t *numbers,
                       size_t count)
{
    size_t extension = open_extension(writer, type);
    size_t list = hbk_writer_open(writer, 2);
    write_numbers(writer, numbers, count);
    hbk_writer_close(writer, list, 2);
    close_extension(writer, extension);
}

/* An extension that is one piece of bytes behind its length. */
static void write_piece(struct hbk_writer *writer, enum hbk_extension type, struct hbk_slice piece)
{
    size_t extension = open_extension(writer, type);
    size_t length = hbk_writer_open(writer, 2);
    hbk_writer_put(writer, piece);
    hbk_writer_close(writer, length, 2);
    close_extension(writer, extension);
}

static void write_number(struct hbk_writer *writer, enum hbk_extension type, uint16_t number)
{
    size_t extension = open_extension(writer, type);
    hbk_writer_number(writer, number, 2);
    close_extension(writer, extension);
}

/* RFC 6066, 3: one name of type host_name. */
static void write_server_name(struct hbk_writer *writer, struct hbk_slice name)
{
    size_t extension = open_extension(writer, HBK_EXTENSION_SERVER_NAME);
    size_t list = hbk_writer_open(writer, 2);
    hbk_writer_number(writer, 0, 1);
    size_t length = hbk_writer_open(writer, 2);
    hbk_writer_put(writer, name);
    hbk_writer_close(writer, length, 2);
    hbk_writer_close(writer, list, 2);
    close_extension(writer, extension);
}

/* RFC 6066, 8: OCSP, no responders, no extensions. */
static void write_status_request(struct hbk_writer *writer)
{
    size_t extension = open_extension(writer, HBK_EXTENSION_STATUS_REQUEST);
    hbk_writer_number(writer, HBK_STATUS_TYPE_OCSP, 1);
    hbk_writer_number(writer, 0, 2);
    hbk_writer_number(writer, 0, 2);
    close_extension(writer, extension);
}

static void write_share(struct hbk_writer *writer, const struct hbk_key_share *share)
{
    hbk_writer_number(writer, share->group, 2);
    size_t length = hbk_writer_open(writer, 2);
    hbk_writer_put(writer, share->key);
    hbk_writer_close(writer, length, 2);
}

static void write_shares(struct hbk_writer *writer, const struct hbk_key_share *shares,
                         size_t count)
{
    size_t extension = open_extension(writer, HBK_EXTENSION_KEY_SHARE);
    size_t list = hbk_writer_open(writer, 2);
    for (size_t i = 0; i < count; i++) {
        write_share(writer, &shares[i]);
    }
    hbk_writer_close(writer, list, 2);
    close_extension(writer, extension);
}

static void write_versions(struct hbk_writer *writer, bool offers_tls12)
{
    size_t extension = open_extension(writer, HBK_EXTENSION_SUPPORTED_VERSIONS);
    size_t list = hbk_writer_open(writer, 1);
    hbk_writer_number(writer, HBK_TLS_1_3, 2);
    if (offers_tls12) {
        hbk_writer_number(writer, HBK_TLS_1_2, 2);
    }
    hbk_writer_close(writer, list, 1);
    close_extension(writer, extension);
}

static void write_psk_modes(struct hbk_writer *writer)
{
    size_t extension = open_extension(writer, HBK_EXTENSION_PSK_MODES);
    size_t list = hbk_writer_open(writer, 1);
    hbk_writer_number(writer, HBK_PSK_MODE_DHE, 1);
    hbk_writer_close(writer, list, 1);
    close_extension(writer, extension);
}

/* One identity, and zeros where its binder will be: at the very end of the message. */
static void write_psk(struct hbk_writer *writer, const struct hbk_client_hello_content *content)
{
    static const uint8_t zeros[48];
    HBK_ASSERT(content->binder_bytes <= sizeof zeros);
    size_t extension = open_extension(writer, HBK_EXTENSION_PRE_SHARED_KEY);
    size_t identities = hbk_writer_open(writer, 2);
    size_t identity = hbk_writer_open(writer, 2);
    hbk_writer_put(writer, content->psk_identity);
    hbk_writer_close(writer, identity, 2);
    hbk_writer_number(writer, content->psk_obfuscated_age, 4);
    hbk_writer_close(writer, identities, 2);
    size_t binders = hbk_writer_open(writer, 2);
    size_t binder = hbk_writer_open(writer, 1);
    hbk_writer_put(writer, hbk_slice_of(zeros, content->binder_bytes));
    hbk_writer_close(writer, binder, 1);
    hbk_writer_close(writer, binders, 2);
    close_extension(writer, extension);
}

/* ---- messages ---- */

static void write_client_extensions(struct hbk_writer *writer,
                                    const struct hbk_client_hello_content *content)
{
    if (content->server_name.size > 0) {
        write_server_name(writer, content->server_name);
    }
    if (content->asks_staple) {
        write_status_request(writer);
    }
    write_list(writer, HBK_EXTENSION_SUPPORTED_GROUPS, content->groups, content->group_count);
    write_list(writer, HBK_EXTENSION_SIGNATURE_ALGORITHMS, content->schemes, content->scheme_count);
    if (content->protocols.size > 0) {
        write_piece(writer, HBK_EXTENSION_ALPN, content->protocols);
    }
    if (content->record_size_limit > 0) {
        write_number(writer, HBK_EXTENSION_RECORD_SIZE_LIMIT, content->record_size_limit);
    }
    write_versions(writer, content->offers_tls12);
    if (content->cookie.size > 0) {
        write_piece(writer, HBK_EXTENSION_COOKIE, content->cookie);
    }
    if (content->offers_psk_dhe) {
        write_psk_modes(writer);
    }
    write_shares(writer, content->shares, content->share_count);
    if (content->psk_identity.size > 0) {
        write_psk(writer, content); /* the last one: RFC 8446, 4.2.11 */
    }
}

void hbk_client_hello_write(struct hbk_writer *writer,
                            const struct hbk_client_hello_content *content)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_CLIENT_HELLO);
    hbk_writer_number(writer, HBK_TLS_1_2, 2); /* legacy_version */
    hbk_writer_put(writer, hbk_slice_of(content->random, HBK_MESSAGE_RANDOM_BYTES));
    hbk_writer_number(writer, content->session_id.size, 1);
    hbk_writer_put(writer, content->session_id);
    size_t suites = hbk_writer_open(writer, 2);
    write_numbers(writer, content->suites, content->suite_count);
    hbk_writer_close(writer, suites, 2);
    hbk_writer_number(writer, 0x0100, 2); /* one compression method: none */
    size_t extensions = hbk_writer_open(writer, 2);
    write_client_extensions(writer, content);
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

static void write_server_extensions(struct hbk_writer *writer,
                                    const struct hbk_server_hello_content *content)
{
    if (content->group != 0 && content->random != NULL) {
        const struct hbk_key_share share = {.group = content->group, .key = content->share_key};
        size_t extension = open_extension(writer, HBK_EXTENSION_KEY_SHARE);
        write_share(writer, &share);
        close_extension(writer, extension);
    } else if (content->group != 0) {
        write_number(writer, HBK_EXTENSION_KEY_SHARE, content->group);
    }
    if (content->cookie.size > 0) {
        write_piece(writer, HBK_EXTENSION_COOKIE, content->cookie);
    }
    write_number(writer, HBK_EXTENSION_SUPPORTED_VERSIONS, HBK_TLS_1_3);
    if (content->has_psk) {
        write_number(writer, HBK_EXTENSION_PRE_SHARED_KEY, content->psk_index);
    }
}

void hbk_server_hello_write(struct hbk_writer *writer,
                            const struct hbk_server_hello_content *content)
{
    const uint8_t *random = content->random == NULL ? hbk_retry_random : content->random;
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_SERVER_HELLO);
    hbk_writer_number(writer, HBK_TLS_1_2, 2); /* legacy_version */
    hbk_writer_put(writer, hbk_slice_of(random, HBK_MESSAGE_RANDOM_BYTES));
    hbk_writer_number(writer, content->session_id.size, 1);
    hbk_writer_put(writer, content->session_id);
    hbk_writer_number(writer, content->suite, 2);
    hbk_writer_number(writer, 0, 1); /* no compression */
    size_t extensions = hbk_writer_open(writer, 2);
    write_server_extensions(writer, content);
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

void hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                    const struct hbk_encrypted_extensions_content *content)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_ENCRYPTED_EXTENSIONS);
    size_t extensions = hbk_writer_open(writer, 2);
    if (content->has_server_name) {
        close_extension(writer, open_extension(writer, HBK_EXTENSION_SERVER_NAME));
    }
    if (content->protocol.size > 0) {
        size_t extension = open_extension(writer, HBK_EXTENSION_ALPN);
        size_t list = hbk_writer_open(writer, 2);
        hbk_writer_number(writer, content->protocol.size, 1);
        hbk_writer_put(writer, content->protocol);
        hbk_writer_close(writer, list, 2);
        close_extension(writer, extension);
    }
    if (content->record_size_limit > 0) {
        write_number(writer, HBK_EXTENSION_RECORD_SIZE_LIMIT, content->record_size_limit);
    }
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

void hbk_certificate_request_write(struct hbk_writer *writer,
                                   const struct hbk_certificate_request_content *content)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_CERTIFICATE_REQUEST);
    hbk_writer_number(writer, 0, 1); /* no context during the handshake */
    size_t extensions = hbk_writer_open(writer, 2);
    write_list(writer, HBK_EXTENSION_SIGNATURE_ALGORITHMS, content->schemes, content->scheme_count);
    if (content->authorities.size > 0) {
        write_piece(writer, HBK_EXTENSION_AUTHORITIES, content->authorities);
    }
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

/* RFC 8446, 4.4.2.1: the extension of a certificate entry is a CertificateStatus. */
static void write_staple(struct hbk_writer *writer, struct hbk_slice staple)
{
    size_t extension = open_extension(writer, HBK_EXTENSION_STATUS_REQUEST);
    hbk_writer_number(writer, HBK_STATUS_TYPE_OCSP, 1);
    size_t length = hbk_writer_open(writer, 3);
    hbk_writer_put(writer, staple);
    hbk_writer_close(writer, length, 3);
    close_extension(writer, extension);
}

void hbk_certificate_message_write(struct hbk_writer *writer, struct hbk_slice context,
                                   const struct hbk_slice *certificates, size_t count,
                                   struct hbk_slice staple)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_CERTIFICATE);
    hbk_writer_number(writer, context.size, 1);
    hbk_writer_put(writer, context);
    size_t list = hbk_writer_open(writer, 3);
    for (size_t i = 0; i < count; i++) {
        size_t certificate = hbk_writer_open(writer, 3);
        hbk_writer_put(writer, certificates[i]);
        hbk_writer_close(writer, certificate, 3);
        size_t extensions = hbk_writer_open(writer, 2);
        if (i == 0 && staple.size > 0) {
            write_staple(writer, staple);
        }
        hbk_writer_close(writer, extensions, 2);
    }
    hbk_writer_close(writer, list, 3);
    hbk_writer_close(writer, message, 3);
}

void hbk_certificate_verify_write(struct hbk_writer *writer, uint16_t scheme,
                                  struct hbk_slice signature)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_CERTIFICATE_VERIFY);
    hbk_writer_number(writer, scheme, 2);
    size_t length = hbk_writer_open(writer, 2);
    hbk_writer_put(writer, signature);
    hbk_writer_close(writer, length, 2);
    hbk_writer_close(writer, message, 3);
}

void hbk_finished_write(struct hbk_writer *writer, struct hbk_slice verify_data)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_FINISHED);
    hbk_writer_put(writer, verify_data);
    hbk_writer_close(writer, message, 3);
}

void hbk_new_session_ticket_write(struct hbk_writer *writer,
                                  const struct hbk_new_session_ticket *ticket)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_NEW_SESSION_TICKET);
    hbk_writer_number(writer, ticket->lifetime_s, 4);
    hbk_writer_number(writer, ticket->age_add, 4);
    hbk_writer_number(writer, ticket->nonce.size, 1);
    hbk_writer_put(writer, ticket->nonce);
    size_t length = hbk_writer_open(writer, 2);
    hbk_writer_put(writer, ticket->ticket);
    hbk_writer_close(writer, length, 2);
    hbk_writer_number(writer, 0, 2); /* no extensions: no early data */
    hbk_writer_close(writer, message, 3);
}
