/*
 * The handshake messages of TLS 1.3: the first byte chooses which, the rest is its body. What a
 * reader lends lies in the body; and what it understood is written again, in our way, and then
 * reads as the same.
 */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/cursor.h"
#include "tls/message.h"

enum {
    WRITTEN_BYTES_MAX = 1 << 18,
    BODY_BYTES_MAX = 1 << 16, /* of those that are written again */
    NUMBERS_MAX = 1 << 15,
};

static uint8_t written_bytes[WRITTEN_BYTES_MAX];
static struct hbk_slice read_body;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void require_lent(struct hbk_slice slice)
{
    require(slice.size == 0 ||
            (slice.bytes >= read_body.bytes &&
             slice.size <= read_body.size - (size_t)(slice.bytes - read_body.bytes)));
}

static void require_equal(struct hbk_slice a, struct hbk_slice b)
{
    require(hbk_slice_equal(a, b));
}

/* Whether the body was understood; if not, the complaint is a whole one. */
static bool is_good(struct hbk_complaint complaint)
{
    require(complaint.alert == HBK_ALERT_NONE ||
            (complaint.alert > 0 && complaint.alert < 256 && complaint.text != NULL));
    return complaint.alert == HBK_ALERT_NONE && read_body.size <= BODY_BYTES_MAX;
}

static struct hbk_writer start_writing(void)
{
    return hbk_writer_of(hbk_span_of(written_bytes, sizeof written_bytes));
}

/* The body of the message that was written. */
static struct hbk_slice body_written(const struct hbk_writer *writer, enum hbk_message_type type)
{
    struct hbk_cursor cursor = hbk_cursor_of(hbk_writer_written(writer));
    require(hbk_cursor_number(&cursor, 1) == type);
    struct hbk_slice body = hbk_cursor_prefixed(&cursor, 3);
    require(hbk_cursor_is_done(&cursor));
    return body;
}

static size_t numbers_of(struct hbk_slice list, uint16_t *numbers)
{
    struct hbk_cursor cursor = hbk_cursor_of(list);
    size_t count = 0;
    for (; cursor.left.size > 0; count++) {
        require(count < NUMBERS_MAX);
        numbers[count] = (uint16_t)hbk_cursor_number(&cursor, 2);
    }
    require(!cursor.has_failed);
    return count;
}

/* ---- hellos ---- */

static void require_lent_hello(const struct hbk_client_hello *hello)
{
    const struct hbk_slice slices[] = {
        hello->random,      hello->session_id, hello->suites,  hello->compression,
        hello->server_name, hello->groups,     hello->schemes, hello->certificate_schemes,
        hello->protocols,   hello->versions,   hello->cookie,  hello->authorities,
    };
    for (size_t i = 0; i < HBK_COUNT(slices); i++) {
        require_lent(slices[i]);
    }
    require(hello->share_count <= HBK_MESSAGE_SHARES_MAX);
    for (size_t i = 0; i < hello->share_count; i++) {
        require_lent(hello->shares[i].key);
    }
    for (size_t i = 0; i < hello->identity_count && i < HBK_MESSAGE_IDENTITIES_MAX; i++) {
        require_lent(hello->identities[i].identity);
        require_lent(hello->identities[i].binder);
        require(hello->identities[i].identity.size > 0 && hello->identities[i].binder.size > 0);
    }
    require(hello->binders_bytes <= read_body.size);
    require((hello->has & HBK_HAS_PSK) != 0 ? hello->binders_bytes > 2 : hello->binders_bytes == 0);
}

static void write_client_hello(const struct hbk_client_hello *hello, struct hbk_writer *writer)
{
    static uint16_t suites[NUMBERS_MAX];
    static uint16_t groups[NUMBERS_MAX];
    static uint16_t schemes[NUMBERS_MAX];
    struct hbk_client_hello_content content = {
        .random = hello->random.bytes,
        .session_id = hello->session_id,
        .suites = suites,
        .suite_count = numbers_of(hello->suites, suites),
        .groups = groups,
        .group_count = numbers_of(hello->groups, groups),
        .schemes = schemes,
        .scheme_count = numbers_of(hello->schemes, schemes),
        .shares = hello->shares,
        .share_count = hello->share_count,
        .server_name = hello->server_name,
        .protocols = hello->protocols,
        .cookie = hello->cookie,
        .record_size_limit = hello->record_size_limit,
        .asks_staple = hello->wants_ocsp,
        .offers_psk_dhe = hello->has_psk_dhe,
    };
    if (hello->identity_count > 0) {
        content.psk_identity = hello->identities[0].identity;
        content.psk_obfuscated_age = hello->identities[0].obfuscated_age;
        content.binder_bytes = hello->identities[0].binder.size;
    }
    hbk_client_hello_write(writer, &content);
}

static void try_client_hello(void)
{
    struct hbk_client_hello hello;
    if (!is_good(hbk_client_hello_read(read_body, &hello))) {
        return;
    }
    require_lent_hello(&hello);
    struct hbk_writer writer = start_writing();
    write_client_hello(&hello, &writer);
    if (writer.has_failed) {
        require(read_body.size > BODY_BYTES_MAX / 2); /* the extensions' length has two bytes */
        return;
    }
    struct hbk_client_hello again;
    require(hbk_client_hello_read(body_written(&writer, HBK_MESSAGE_CLIENT_HELLO), &again).alert ==
            HBK_ALERT_NONE);
    require_equal(again.random, hello.random);
    require_equal(again.session_id, hello.session_id);
    require_equal(again.suites, hello.suites);
    require_equal(again.groups, hello.groups);
    require_equal(again.schemes, hello.schemes);
    require_equal(again.server_name, hello.server_name);
    require_equal(again.protocols, hello.protocols);
    require_equal(again.cookie, hello.cookie);
    require(again.record_size_limit == hello.record_size_limit);
    require(again.has_psk_dhe == hello.has_psk_dhe && again.wants_ocsp == hello.wants_ocsp);
    require(again.share_count == hello.share_count);
    for (size_t i = 0; i < hello.share_count; i++) {
        require(again.shares[i].group == hello.shares[i].group);
        require_equal(again.shares[i].key, hello.shares[i].key);
    }
    require(again.identity_count == (hello.identity_count > 0));
    if (hello.identity_count > 0) {
        require_equal(again.identities[0].identity, hello.identities[0].identity);
        require(again.identities[0].obfuscated_age == hello.identities[0].obfuscated_age);
        require(again.identities[0].binder.size == hello.identities[0].binder.size);
    }
}

static void try_server_hello(void)
{
    struct hbk_server_hello hello;
    if (!is_good(hbk_server_hello_read(read_body, &hello))) {
        return;
    }
    require_lent(hello.random);
    require_lent(hello.session_id);
    require_lent(hello.share_key);
    require_lent(hello.cookie);
    require(hello.version == HBK_TLS_1_3 || (hello.share_key.size == 0 && hello.cookie.size == 0));
    struct hbk_server_hello_content content = {
        .random = hello.is_retry ? NULL : hello.random.bytes,
        .session_id = hello.session_id,
        .suite = hello.suite,
        .group = hello.share_group,
        .share_key = hello.share_key,
        .cookie = hello.cookie,
    };
    if (hello.version == HBK_TLS_1_3 && (hello.has & HBK_HAS_PSK) != 0) {
        content.has_psk = true;
        content.psk_index = hello.psk_index;
    }
    if (content.group == 0) {
        content.share_key = (struct hbk_slice){0}; /* zero leaves the extension out */
    }
    struct hbk_writer writer = start_writing();
    hbk_server_hello_write(&writer, &content);
    if (writer.has_failed) {
        require(read_body.size > BODY_BYTES_MAX / 2);
        return;
    }
    struct hbk_server_hello again;
    require(hbk_server_hello_read(body_written(&writer, HBK_MESSAGE_SERVER_HELLO), &again).alert ==
            HBK_ALERT_NONE);
    require(again.is_retry == hello.is_retry && again.suite == hello.suite);
    require(again.version == HBK_TLS_1_3 && again.share_group == hello.share_group);
    require_equal(again.random, hello.random);
    require_equal(again.session_id, hello.session_id);
    require_equal(again.share_key, content.share_key);
    require_equal(again.cookie, hello.cookie);
    require(again.psk_index == hello.psk_index);
}

/* ---- what follows, encrypted ---- */

static void try_encrypted_extensions(uint32_t offered)
{
    struct hbk_encrypted_extensions message;
    if (!is_good(hbk_encrypted_extensions_read(read_body, offered, &message))) {
        return;
    }
    require((message.has & ~offered) == 0);
    require_lent(message.protocol);
    struct hbk_writer writer = start_writing();
    hbk_encrypted_extensions_write(&writer,
                                   &(struct hbk_encrypted_extensions_content){
                                       .protocol = message.protocol,
                                       .record_size_limit = message.record_size_limit,
                                       .has_server_name = (message.has & HBK_HAS_SERVER_NAME) != 0,
                                   });
    struct hbk_encrypted_extensions again;
    require(hbk_encrypted_extensions_read(body_written(&writer, HBK_MESSAGE_ENCRYPTED_EXTENSIONS),
                                          offered, &again)
                .alert == HBK_ALERT_NONE);
    require(again.has == (message.has & ~(uint32_t)(HBK_HAS_GROUPS | HBK_HAS_EARLY_DATA)));
    require_equal(again.protocol, message.protocol);
    require(again.record_size_limit == message.record_size_limit);
}

static void try_certificate_request(void)
{
    static uint16_t schemes[NUMBERS_MAX];
    struct hbk_certificate_request request;
    if (!is_good(hbk_certificate_request_read(read_body, &request))) {
        return;
    }
    require_lent(request.context);
    require_lent(request.schemes);
    require_lent(request.certificate_schemes);
    require_lent(request.authorities);
    require(request.schemes.size > 0);
    struct hbk_writer writer = start_writing();
    hbk_certificate_request_write(&writer, &(struct hbk_certificate_request_content){
                                               .schemes = schemes,
                                               .scheme_count = numbers_of(request.schemes, schemes),
                                               .authorities = request.authorities,
                                           });
    struct hbk_certificate_request again;
    require(
        hbk_certificate_request_read(body_written(&writer, HBK_MESSAGE_CERTIFICATE_REQUEST), &again)
            .alert == HBK_ALERT_NONE);
    require_equal(again.schemes, request.schemes);
    require_equal(again.authorities, request.authorities);
}

static void try_certificate(uint32_t offered)
{
    struct hbk_certificate_message message;
    if (!is_good(hbk_certificate_message_read(read_body, offered, &message))) {
        return;
    }
    size_t count =
        message.count < HBK_MESSAGE_CERTIFICATES_MAX ? message.count : HBK_MESSAGE_CERTIFICATES_MAX;
    require_lent(message.context);
    require_lent(message.staple);
    require(message.staple.size == 0 || (offered & HBK_HAS_STATUS_REQUEST) != 0);
    for (size_t i = 0; i < count; i++) {
        require_lent(message.certificates[i]);
        require(message.certificates[i].size > 0);
    }
    struct hbk_writer writer = start_writing();
    hbk_certificate_message_write(&writer, message.context, message.certificates, count,
                                  message.staple);
    struct hbk_certificate_message again;
    require(hbk_certificate_message_read(body_written(&writer, HBK_MESSAGE_CERTIFICATE), offered,
                                         &again)
                .alert == HBK_ALERT_NONE);
    require_equal(again.context, message.context);
    require_equal(again.staple, message.staple);
    require(again.count == count);
    for (size_t i = 0; i < count; i++) {
        require_equal(again.certificates[i], message.certificates[i]);
    }
}

static void try_certificate_verify(void)
{
    struct hbk_certificate_verify verify;
    if (!is_good(hbk_certificate_verify_read(read_body, &verify))) {
        return;
    }
    require_lent(verify.signature);
    struct hbk_writer writer = start_writing();
    hbk_certificate_verify_write(&writer, verify.scheme, verify.signature);
    require_equal(body_written(&writer, HBK_MESSAGE_CERTIFICATE_VERIFY), read_body);
}

static void try_new_session_ticket(void)
{
    struct hbk_new_session_ticket ticket;
    if (!is_good(hbk_new_session_ticket_read(read_body, &ticket))) {
        return;
    }
    require_lent(ticket.nonce);
    require_lent(ticket.ticket);
    struct hbk_writer writer = start_writing();
    hbk_new_session_ticket_write(&writer, &ticket);
    struct hbk_new_session_ticket again;
    require(
        hbk_new_session_ticket_read(body_written(&writer, HBK_MESSAGE_NEW_SESSION_TICKET), &again)
            .alert == HBK_ALERT_NONE);
    require(again.lifetime_s == ticket.lifetime_s && again.age_add == ticket.age_add);
    require_equal(again.nonce, ticket.nonce);
    require_equal(again.ticket, ticket.ticket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    read_body = hbk_slice_of(data + 1, size - 1);
    uint32_t offered = (data[0] & 0x80) != 0 ? 0 : UINT32_MAX;
    switch (data[0] & 0x7f) {
    case HBK_MESSAGE_CLIENT_HELLO:
        try_client_hello();
        break;
    case HBK_MESSAGE_SERVER_HELLO:
        try_server_hello();
        break;
    case HBK_MESSAGE_ENCRYPTED_EXTENSIONS:
        try_encrypted_extensions(offered);
        break;
    case HBK_MESSAGE_CERTIFICATE_REQUEST:
        try_certificate_request();
        break;
    case HBK_MESSAGE_CERTIFICATE:
        try_certificate(offered);
        break;
    case HBK_MESSAGE_CERTIFICATE_VERIFY:
        try_certificate_verify();
        break;
    case HBK_MESSAGE_NEW_SESSION_TICKET:
        try_new_session_ticket();
        break;
    default:
        break;
    }
    return 0;
}
