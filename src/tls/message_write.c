/*
 * The handshake messages, written. Extensions stand in the order of the traces of RFC 8448, so that
 * those can be repeated to the byte.
 */
#include "base/assert.h"
#include "tls/extension.h"

static const uint16_t legacy_version = HBK_TLS_1_2;

size_t hbk_writer_message(struct hbk_writer *writer, enum hbk_message_type type)
{
    hbk_writer_number(writer, type, 1);
    return hbk_writer_open(writer, 3);
}

static size_t open_extension(struct hbk_writer *writer, enum hbk_extension_type type)
{
    hbk_writer_number(writer, type, 2);
    return hbk_writer_open(writer, 2);
}

static void close_extension(struct hbk_writer *writer, size_t mark)
{
    hbk_writer_close(writer, mark, 2);
}

/* A whole extension: `list` behind a length of that many bytes. */
static void put_list(struct hbk_writer *writer, enum hbk_extension_type type, struct hbk_slice list,
                     size_t length_bytes)
{
    size_t mark = open_extension(writer, type);
    hbk_writer_prefixed(writer, list, length_bytes);
    close_extension(writer, mark);
}

static void put_numbers(struct hbk_writer *writer, const uint16_t *numbers, size_t count)
{
    size_t mark = hbk_writer_open(writer, 2);
    for (size_t i = 0; i < count; i++) {
        hbk_writer_number(writer, numbers[i], 2);
    }
    hbk_writer_close(writer, mark, 2);
}

static void put_number_list(struct hbk_writer *writer, enum hbk_extension_type type,
                            const uint16_t *numbers, size_t count)
{
    if (count > 0) {
        size_t mark = open_extension(writer, type);
        put_numbers(writer, numbers, count);
        close_extension(writer, mark);
    }
}

static void put_record_size_limit(struct hbk_writer *writer, uint16_t limit)
{
    if (limit > 0) {
        size_t mark = open_extension(writer, HBK_EXTENSION_RECORD_SIZE_LIMIT);
        hbk_writer_number(writer, limit, 2);
        close_extension(writer, mark);
    }
}

/* ---- ClientHello ---- */

static void put_server_name(struct hbk_writer *writer, struct hbk_slice name)
{
    enum { TYPE_HOST_NAME = 0 };
    if (name.size > 0) {
        size_t mark = open_extension(writer, HBK_EXTENSION_SERVER_NAME);
        size_t list = hbk_writer_open(writer, 2);
        hbk_writer_number(writer, TYPE_HOST_NAME, 1);
        hbk_writer_prefixed(writer, name, 2);
        hbk_writer_close(writer, list, 2);
        close_extension(writer, mark);
    }
}

/* Also with an empty list if there are groups: it asks for a HelloRetryRequest (RFC 8446, 9.2). */
static void put_client_shares(struct hbk_writer *writer,
                              const struct hbk_client_hello_content *content)
{
    if (content->share_count == 0 && content->group_count == 0) {
        return;
    }
    size_t mark = open_extension(writer, HBK_EXTENSION_SHARES);
    size_t list = hbk_writer_open(writer, 2);
    for (size_t i = 0; i < content->share_count; i++) {
        hbk_writer_number(writer, content->shares[i].group, 2);
        hbk_writer_prefixed(writer, content->shares[i].key, 2);
    }
    hbk_writer_close(writer, list, 2);
    close_extension(writer, mark);
}

static void put_versions(struct hbk_writer *writer, bool offers_tls12)
{
    size_t mark = open_extension(writer, HBK_EXTENSION_VERSIONS);
    hbk_writer_number(writer, offers_tls12 ? 4 : 2, 1);
    hbk_writer_number(writer, HBK_TLS_1_3, 2);
    if (offers_tls12) {
        hbk_writer_number(writer, HBK_TLS_1_2, 2);
    }
    close_extension(writer, mark);
}

static void put_psk_modes(struct hbk_writer *writer)
{
    enum { MODE_PSK_DHE_KE = 1 };
    size_t mark = open_extension(writer, HBK_EXTENSION_PSK_MODES);
    hbk_writer_number(writer, 1, 1);
    hbk_writer_number(writer, MODE_PSK_DHE_KE, 1);
    close_extension(writer, mark);
}

static void put_status_request(struct hbk_writer *writer)
{
    enum { TYPE_OCSP = 1 };
    size_t mark = open_extension(writer, HBK_EXTENSION_STATUS_REQUEST);
    hbk_writer_number(writer, TYPE_OCSP, 1);
    hbk_writer_number(writer, 0, 2); /* responder_id_list */
    hbk_writer_number(writer, 0, 2); /* request_extensions */
    close_extension(writer, mark);
}

static void put_psk(struct hbk_writer *writer, const struct hbk_client_hello_content *content)
{
    size_t mark = open_extension(writer, HBK_EXTENSION_PSK);
    size_t list = hbk_writer_open(writer, 2);
    hbk_writer_prefixed(writer, content->psk_identity, 2);
    hbk_writer_number(writer, content->psk_obfuscated_age, 4);
    hbk_writer_close(writer, list, 2);
    list = hbk_writer_open(writer, 2);
    hbk_writer_number(writer, content->binder_bytes, 1);
    for (size_t i = 0; i < content->binder_bytes; i++) {
        hbk_writer_number(writer, 0, 1);
    }
    hbk_writer_close(writer, list, 2);
    close_extension(writer, mark);
}

void hbk_client_hello_write(struct hbk_writer *writer,
                            const struct hbk_client_hello_content *content)
{
    HBK_ASSERT(content->session_id.size <= HBK_MESSAGE_SESSION_ID_BYTES_MAX);
    HBK_ASSERT(content->psk_identity.size == 0 || content->binder_bytes > 0);

    size_t message = hbk_writer_message(writer, HBK_MESSAGE_CLIENT_HELLO);
    hbk_writer_number(writer, legacy_version, 2);
    hbk_writer_put(writer, hbk_slice_of(content->random, HBK_MESSAGE_RANDOM_BYTES));
    hbk_writer_prefixed(writer, content->session_id, 1);
    put_numbers(writer, content->suites, content->suite_count);
    hbk_writer_prefixed(writer, HBK_SLICE("\0"), 1); /* no compression */

    size_t extensions = hbk_writer_open(writer, 2);
    put_server_name(writer, content->server_name);
    put_number_list(writer, HBK_EXTENSION_GROUPS, content->groups, content->group_count);
    put_client_shares(writer, content);
    put_versions(writer, content->offers_tls12);
    put_number_list(writer, HBK_EXTENSION_SCHEMES, content->schemes, content->scheme_count);
    put_number_list(writer, HBK_EXTENSION_CERTIFICATE_SCHEMES, content->certificate_schemes,
                    content->certificate_scheme_count);
    if (content->cookie.size > 0) {
        put_list(writer, HBK_EXTENSION_COOKIE, content->cookie, 2);
    }
    if (content->offers_psk_dhe) {
        put_psk_modes(writer);
    }
    put_record_size_limit(writer, content->record_size_limit);
    if (content->protocols.size > 0) {
        put_list(writer, HBK_EXTENSION_PROTOCOLS, content->protocols, 2);
    }
    if (content->asks_staple) {
        put_status_request(writer);
    }
    if (content->psk_identity.size > 0) {
        put_psk(writer, content);
    }
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

/* ---- ServerHello and HelloRetryRequest ---- */

static void put_server_share(struct hbk_writer *writer, bool is_retry,
                             const struct hbk_server_hello_content *content)
{
    size_t mark = open_extension(writer, HBK_EXTENSION_SHARES);
    hbk_writer_number(writer, content->group, 2);
    if (!is_retry) {
        hbk_writer_prefixed(writer, content->share_key, 2);
    }
    close_extension(writer, mark);
}

void hbk_server_hello_write(struct hbk_writer *writer,
                            const struct hbk_server_hello_content *content)
{
    bool is_retry = content->random == NULL;
    HBK_ASSERT(content->session_id.size <= HBK_MESSAGE_SESSION_ID_BYTES_MAX);
    HBK_ASSERT(is_retry ? content->share_key.size == 0 && !content->has_psk
                        : content->cookie.size == 0);

    size_t message = hbk_writer_message(writer, HBK_MESSAGE_SERVER_HELLO);
    hbk_writer_number(writer, legacy_version, 2);
    hbk_writer_put(writer, hbk_slice_of(is_retry ? hbk_message_retry_random : content->random,
                                        HBK_MESSAGE_RANDOM_BYTES));
    hbk_writer_prefixed(writer, content->session_id, 1);
    hbk_writer_number(writer, content->suite, 2);
    hbk_writer_number(writer, 0, 1); /* no compression */

    size_t extensions = hbk_writer_open(writer, 2);
    if (content->has_psk) {
        size_t mark = open_extension(writer, HBK_EXTENSION_PSK);
        hbk_writer_number(writer, content->psk_index, 2);
        close_extension(writer, mark);
    }
    if (content->group != 0) {
        put_server_share(writer, is_retry, content);
    }
    if (content->cookie.size > 0) {
        put_list(writer, HBK_EXTENSION_COOKIE, content->cookie, 2);
    }
    size_t mark = open_extension(writer, HBK_EXTENSION_VERSIONS);
    hbk_writer_number(writer, HBK_TLS_1_3, 2);
    close_extension(writer, mark);
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

/* ---- what follows, encrypted ---- */

void hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                    const struct hbk_encrypted_extensions_content *content)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_ENCRYPTED_EXTENSIONS);
    size_t extensions = hbk_writer_open(writer, 2);
    if (content->protocol.size > 0) {
        size_t mark = open_extension(writer, HBK_EXTENSION_PROTOCOLS);
        size_t list = hbk_writer_open(writer, 2);
        hbk_writer_prefixed(writer, content->protocol, 1);
        hbk_writer_close(writer, list, 2);
        close_extension(writer, mark);
    }
    put_record_size_limit(writer, content->record_size_limit);
    if (content->has_server_name) {
        close_extension(writer, open_extension(writer, HBK_EXTENSION_SERVER_NAME));
    }
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

void hbk_certificate_request_write(struct hbk_writer *writer,
                                   const struct hbk_certificate_request_content *content)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_CERTIFICATE_REQUEST);
    hbk_writer_number(writer, 0, 1); /* certificate_request_context */
    size_t extensions = hbk_writer_open(writer, 2);
    put_number_list(writer, HBK_EXTENSION_SCHEMES, content->schemes, content->scheme_count);
    put_number_list(writer, HBK_EXTENSION_CERTIFICATE_SCHEMES, content->certificate_schemes,
                    content->certificate_scheme_count);
    if (content->authorities.size > 0) {
        put_list(writer, HBK_EXTENSION_AUTHORITIES, content->authorities, 2);
    }
    hbk_writer_close(writer, extensions, 2);
    hbk_writer_close(writer, message, 3);
}

static void put_staple(struct hbk_writer *writer, struct hbk_slice staple)
{
    enum { TYPE_OCSP = 1 };
    size_t mark = open_extension(writer, HBK_EXTENSION_STATUS_REQUEST);
    hbk_writer_number(writer, TYPE_OCSP, 1);
    hbk_writer_prefixed(writer, staple, 3);
    close_extension(writer, mark);
}

void hbk_certificate_message_write(struct hbk_writer *writer, struct hbk_slice context,
                                   const struct hbk_slice *certificates, size_t count,
                                   struct hbk_slice staple)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_CERTIFICATE);
    hbk_writer_prefixed(writer, context, 1);
    size_t list = hbk_writer_open(writer, 3);
    for (size_t i = 0; i < count; i++) {
        hbk_writer_prefixed(writer, certificates[i], 3);
        size_t extensions = hbk_writer_open(writer, 2);
        if (i == 0 && staple.size > 0) {
            put_staple(writer, staple);
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
    hbk_writer_prefixed(writer, signature, 2);
    hbk_writer_close(writer, message, 3);
}

void hbk_finished_write(struct hbk_writer *writer, struct hbk_slice verify_data)
{
    hbk_writer_number(writer, HBK_MESSAGE_FINISHED, 1);
    hbk_writer_prefixed(writer, verify_data, 3);
}

void hbk_new_session_ticket_write(struct hbk_writer *writer,
                                  const struct hbk_new_session_ticket *ticket)
{
    size_t message = hbk_writer_message(writer, HBK_MESSAGE_NEW_SESSION_TICKET);
    hbk_writer_number(writer, ticket->lifetime_s, 4);
    hbk_writer_number(writer, ticket->age_add, 4);
    hbk_writer_prefixed(writer, ticket->nonce, 1);
    hbk_writer_prefixed(writer, ticket->ticket, 2);
    hbk_writer_number(writer, 0, 2); /* extensions */
    hbk_writer_close(writer, message, 3);
}
