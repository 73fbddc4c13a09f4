/* The client's half of the native handshake: RFC 8446, 4 and appendix A.1. */
#include <stdlib.h>

#include "base/address.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/secret.h"
#include "tls/alert.h"
#include "tls/certificate.h"
#include "tls/native.h"
#include "tls/protocol.h"
#include "tls/server_name.h"
#include "tls/ticket_parts.h"

enum { TLS_1_2_SENTINEL_BYTES = 8 };

/* ---- the hello ---- */

static bool resumes(const struct hbk_native *handshake)
{
    return handshake->setup->ticket != NULL && (handshake->offered & HBK_HAS_PSK) != 0;
}

/* Addresses are not sent as server_name (RFC 6066, 3). */
static bool is_host_name(struct hbk_slice name)
{
    struct hbk_ip ip;
    return hbk_server_name_is_valid(name) && !hbk_ip_parse(name, &ip);
}

static hbk_status make_share(struct hbk_native *handshake, uint16_t group)
{
    HBK_TRY(hbk_tls_share_take(&handshake->setup->worker->shares, (enum hbk_tls_group)group,
                               &handshake->shares[handshake->share_count]));
    handshake->share_count++;
    return HBK_OK;
}

/* HBK_HAS_... of the hello that this content makes. */
static uint32_t offered_by(const struct hbk_client_hello_content *content)
{
    uint32_t offered = HBK_HAS_GROUPS | HBK_HAS_SCHEMES | HBK_HAS_CERTIFICATE_SCHEMES |
                       HBK_HAS_VERSIONS | HBK_HAS_SHARES;
    offered |= content->server_name.size > 0 ? HBK_HAS_SERVER_NAME : 0u;
    offered |= content->protocols.size > 0 ? HBK_HAS_PROTOCOLS : 0u;
    offered |= content->asks_staple ? HBK_HAS_STATUS_REQUEST : 0u;
    offered |= content->record_size_limit > 0 ? HBK_HAS_RECORD_SIZE_LIMIT : 0u;
    offered |= content->cookie.size > 0 ? HBK_HAS_COOKIE : 0u;
    offered |= content->offers_psk_dhe ? HBK_HAS_PSK_MODES : 0u;
    offered |= content->psk_identity.size > 0 ? HBK_HAS_PSK : 0u;
    return offered;
}

/* A ticket may be offered while it lives, for a hash that a retry has not ruled out. */
static bool may_offer_ticket(const struct hbk_native *handshake)
{
    const struct hbk_tls_ticket *ticket = handshake->setup->ticket;
    return ticket != NULL && hbk_tls_ticket_is_usable(ticket, handshake->setup) &&
           (!handshake->was_retried || hbk_cipher_suite_hash_bytes(ticket->suite) ==
                                           hbk_cipher_suite_hash_bytes(handshake->result.suite));
}

/* Signs the hello with the PSK: over everything before the binders (4.2.11.2), behind what a retry
 * left in the transcript. */
static void bind(const struct hbk_native *handshake, struct hbk_span hello)
{
    const struct hbk_tls_ticket *ticket = handshake->setup->ticket;
    struct hbk_tls_schedule schedule;
    struct hbk_tls_transcript transcript = handshake->transcript;
    uint8_t key[HBK_TLS_HASH_BYTES_MAX];
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    size_t binder_bytes = hbk_cipher_suite_hash_bytes(ticket->suite);
    size_t list_bytes = 2 + 1 + binder_bytes;
    if (!handshake->was_retried) {
        hbk_tls_transcript_init(&transcript, ticket->suite);
    }
    hbk_tls_transcript_add(&transcript, hbk_slice_of(hello.bytes, hello.size - list_bytes));
    (void)hbk_tls_transcript_hash(&transcript, hash);
    hbk_tls_schedule_init(&schedule, ticket->suite, hbk_slice_of(ticket->psk, binder_bytes));
    hbk_tls_schedule_binder_key(&schedule, key);
    hbk_tls_finished(ticket->suite, key, hash, hello.bytes + hello.size - binder_bytes);
    hbk_secret_wipe(&schedule, sizeof schedule);
    hbk_secret_wipe(key, sizeof key);
}

/* Writes a hello into the flight; the first one is kept, too, until the hash is known. */
static enum hbk_native_next send_hello(struct hbk_native *handshake)
{
    const struct hbk_tls_setup *setup = handshake->setup;
    const struct hbk_tls_context *context = setup->context;
    struct hbk_key_share shares[HBK_TLS_SHARES_MAX];
    for (size_t i = 0; i < handshake->share_count; i++) {
        const struct hbk_tls_share *share = &handshake->shares[i];
        size_t size = hbk_tls_group_share_bytes((enum hbk_tls_group)share->group);
        shares[i].group = share->group;
        shares[i].key = hbk_slice_of(share->public_key, size);
    }
    struct hbk_client_hello_content content = {
        .random = handshake->random,
        .session_id = hbk_slice_of(handshake->session_id, handshake->session_id_bytes),
        .suites = context->suites.items,
        .suite_count = context->suites.count,
        .groups = context->groups.items,
        .group_count = context->groups.count,
        .schemes = context->verify_schemes.items,
        .scheme_count = context->verify_schemes.count,
        .certificate_schemes = hbk_native_chain_schemes,
        .certificate_scheme_count = HBK_NATIVE_CHAIN_SCHEMES,
        .shares = shares,
        .share_count = handshake->share_count,
        .server_name =
            is_host_name(setup->server_name) ? setup->server_name : hbk_slice_of(NULL, 0),
        .protocols = context->protocols,
        .cookie = hbk_buffer_slice(&handshake->cookie),
        .record_size_limit = context->record_size_limit,
        .asks_staple = context->asks_staple,
        .offers_psk_dhe = context->resumes,
    };
    bool has_ticket = may_offer_ticket(handshake);
    if (has_ticket) {
        content.offers_psk_dhe = true;
        content.psk_identity = setup->ticket->identity;
        content.psk_obfuscated_age = hbk_tls_ticket_age(setup->ticket, setup->now_ns);
        content.binder_bytes = hbk_cipher_suite_hash_bytes(setup->ticket->suite);
    }
    struct hbk_span room;
    hbk_status status = hbk_flight_reserve(
        &handshake->flight, HBK_NATIVE_HELLO_BYTES_MAX + content.psk_identity.size, &room);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    struct hbk_writer writer = hbk_writer_of(room);
    hbk_client_hello_write(&writer, &content);
    HBK_ASSERT(!writer.has_failed);
    handshake->offered = offered_by(&content);
    if (has_ticket) {
        bind(handshake, hbk_span_of(room.bytes, writer.used));
    }
    hbk_buffer_commit(&handshake->flight.plain, writer.used);
    struct hbk_slice hello = hbk_slice_of(room.bytes, writer.used);
    if (handshake->was_retried) {
        hbk_tls_transcript_add(&handshake->transcript, hello);
    } else {
        status = hbk_buffer_append(&handshake->hello, hello);
    }
    if (status == HBK_OK) {
        status = hbk_flight_seal(&handshake->flight);
    }
    handshake->state = HBK_NATIVE_CLIENT_SERVER_HELLO;
    return status == HBK_OK ? HBK_NATIVE_GO_ON : hbk_native_fail_internal(handshake, status);
}

enum hbk_native_next hbk_native_client_begin(struct hbk_native *handshake)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    struct hbk_tls_worker *worker = handshake->setup->worker;
    handshake->session_id_bytes = sizeof handshake->session_id; /* middleboxes: D.4 */
    handshake->flight.allows_ccs = true;
    hbk_status status =
        hbk_tls_worker_random(worker, hbk_span_of(handshake->random, sizeof handshake->random));
    if (status == HBK_OK) {
        status = hbk_tls_worker_random(
            worker, hbk_span_of(handshake->session_id, sizeof handshake->session_id));
    }
    for (size_t i = 0; i < context->shares.count && status == HBK_OK; i++) {
        status = make_share(handshake, context->shares.items[i]);
    }
    return status == HBK_OK ? send_hello(handshake) : hbk_native_fail_internal(handshake, status);
}

/* ---- ServerHello and HelloRetryRequest ---- */

static enum hbk_native_next refuse(struct hbk_native *handshake, int alert, const char *text)
{
    return hbk_native_fail(handshake, HBK_INVALID, alert, text);
}

/* A server that does not speak TLS 1.3, or one whose hello was made to look so (4.1.3). */
static enum hbk_native_next refuse_version(struct hbk_native *handshake,
                                           const struct hbk_server_hello *hello)
{
    static const uint8_t downgraded[] = {'D', 'O', 'W', 'N', 'G', 'R', 'D'};
    struct hbk_slice end = hbk_slice_part(
        hello->random, HBK_MESSAGE_RANDOM_BYTES - TLS_1_2_SENTINEL_BYTES, sizeof downgraded);
    if (handshake->was_retried) { /* 4.1.4 */
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "another version than in the HelloRetryRequest");
    }
    if (hello->version != 0) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "the server chose a version that was not offered");
    }
    if (hbk_slice_equal(end, hbk_slice_of(downgraded, sizeof downgraded))) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "the server speaks TLS 1.3 and was made to choose an older one");
    }
    return hbk_native_fail(handshake, HBK_UNSUPPORTED, HBK_ALERT_PROTOCOL_VERSION,
                           "the server does not speak TLS 1.3");
}

static bool has_share(const struct hbk_native *handshake, uint16_t group)
{
    for (size_t i = 0; i < handshake->share_count; i++) {
        if (handshake->shares[i].group == group) {
            return true;
        }
    }
    return false;
}

/* What both kinds of hello must keep to. */
static enum hbk_native_next judge_hello(struct hbk_native *handshake,
                                        const struct hbk_server_hello *hello)
{
    struct hbk_slice session_id = hbk_slice_of(handshake->session_id, handshake->session_id_bytes);
    if (hello->version != HBK_TLS_1_3) {
        return refuse_version(handshake, hello);
    }
    if (!hbk_slice_equal(hello->session_id, session_id)) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "the server answers another session id");
    }
    if (hello->compression != 0) {
        return refuse(handshake, HBK_ALERT_DECODE_ERROR, "the server chose a compression");
    }
    if (!hbk_tls_list_has(&handshake->setup->context->suites, hello->suite) ||
        (handshake->was_retried && hello->suite != handshake->result.suite)) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "the server chose a cipher suite that was not offered");
    }
    if (hbk_flight_has_more(&handshake->flight)) {
        return refuse(handshake, HBK_ALERT_UNEXPECTED_MESSAGE,
                      "a message behind the server's hello in one record");
    }
    return HBK_NATIVE_GO_ON;
}

/* The suite is known: what was said so far goes into the transcript. */
static void begin_transcript(struct hbk_native *handshake, uint16_t suite)
{
    handshake->result.suite = (enum hbk_cipher_suite)suite;
    hbk_tls_transcript_init(&handshake->transcript, handshake->result.suite);
    hbk_tls_transcript_add(&handshake->transcript, hbk_buffer_slice(&handshake->hello));
    hbk_buffer_fini(&handshake->hello);
}

static enum hbk_native_next take_retry(struct hbk_native *handshake,
                                       const struct hbk_server_hello *hello,
                                       const struct hbk_flight_message *message)
{
    bool has_group = (hello->has & HBK_HAS_SHARES) != 0;
    if (handshake->was_retried) {
        return refuse(handshake, HBK_ALERT_UNEXPECTED_MESSAGE, "a second HelloRetryRequest");
    }
    if (!has_group && (hello->has & HBK_HAS_COOKIE) == 0) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "a HelloRetryRequest that changes nothing");
    }
    if (has_group && (!hbk_tls_list_has(&handshake->setup->context->groups, hello->share_group) ||
                      has_share(handshake, hello->share_group))) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "a HelloRetryRequest for a group that was not offered, or has its share");
    }
    begin_transcript(handshake, hello->suite);
    hbk_tls_transcript_retry(&handshake->transcript);
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    handshake->was_retried = true;
    hbk_status status = hbk_buffer_append(&handshake->cookie, hello->cookie);
    if (status == HBK_OK && has_group) {
        hbk_secret_wipe(handshake->shares, sizeof handshake->shares);
        handshake->share_count = 0;
        handshake->retry_group = hello->share_group;
        status = make_share(handshake, hello->share_group);
    }
    if (status == HBK_OK) {
        status = hbk_flight_send_ccs(&handshake->flight);
    }
    return status == HBK_OK ? send_hello(handshake) : hbk_native_fail_internal(handshake, status);
}

/* Whether the server resumes, and with what secret the schedule begins. */
static enum hbk_native_next begin_schedule(struct hbk_native *handshake,
                                           const struct hbk_server_hello *hello)
{
    const struct hbk_tls_ticket *ticket = handshake->setup->ticket;
    struct hbk_slice psk = hbk_slice_of(NULL, 0);
    if ((hello->has & HBK_HAS_PSK) != 0) {
        if (!resumes(handshake)) {
            return refuse(handshake, HBK_ALERT_UNSUPPORTED_EXTENSION,
                          "the server resumes a session that was not offered");
        }
        size_t psk_bytes = hbk_cipher_suite_hash_bytes(ticket->suite);
        if (hello->psk_index != 0 ||
            psk_bytes != hbk_cipher_suite_hash_bytes(handshake->result.suite)) {
            return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                          "the server resumes another session than the one that was offered");
        }
        handshake->is_resuming = true;
        handshake->result.peer = hbk_peer_ref(ticket->peer);
        psk = hbk_slice_of(ticket->psk, psk_bytes);
        hbk_status status = hbk_native_keep_staple(handshake, ticket->staple);
        if (status != HBK_OK) {
            return hbk_native_fail_internal(handshake, status);
        }
    }
    hbk_tls_schedule_init(&handshake->schedule, handshake->result.suite, psk);
    return HBK_NATIVE_GO_ON;
}

static enum hbk_native_next take_server_hello(struct hbk_native *handshake,
                                              const struct hbk_flight_message *message)
{
    struct hbk_server_hello hello;
    struct hbk_complaint complaint = hbk_server_hello_read(message->body, &hello);
    if (complaint.alert != HBK_ALERT_NONE) {
        return hbk_native_complain(handshake, complaint);
    }
    if (judge_hello(handshake, &hello) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (hello.is_retry) {
        return take_retry(handshake, &hello, message);
    }
    if ((hello.has & HBK_HAS_SHARES) == 0) {
        return refuse(handshake, HBK_ALERT_MISSING_EXTENSION, "a ServerHello without a key share");
    }
    if (!has_share(handshake, hello.share_group)) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "the server's key share is of a group without a share of ours");
    }
    if (hello.share_key.size != hbk_tls_group_share_bytes((enum hbk_tls_group)hello.share_group)) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER, "a key share of a wrong size");
    }
    memcpy(handshake->peer_share, hello.share_key.bytes, hello.share_key.size);
    if (!handshake->was_retried) {
        begin_transcript(handshake, hello.suite);
    }
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    if (begin_schedule(handshake, &hello) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    handshake->state = HBK_NATIVE_CLIENT_AGREE;
    return hbk_native_begin_agreement(handshake, hello.share_group);
}

/* ---- the server's encrypted flight ---- */

static enum hbk_native_next take_protocol(struct hbk_native *handshake,
                                          const struct hbk_encrypted_extensions *extensions)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    if ((extensions->has & HBK_HAS_PROTOCOLS) == 0) {
        return context->requires_protocol
                   ? hbk_native_fail(handshake, HBK_UNSUPPORTED, HBK_ALERT_NO_APPLICATION_PROTOCOL,
                                     context->protocol_failure)
                   : HBK_NATIVE_GO_ON;
    }
    handshake->result.protocol = hbk_tls_find_protocol(context->protocols, extensions->protocol);
    return handshake->result.protocol.size > 0
               ? HBK_NATIVE_GO_ON
               : refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                        "the server chose an application protocol that was not offered");
}

static enum hbk_native_next take_extensions(struct hbk_native *handshake,
                                            const struct hbk_flight_message *message)
{
    struct hbk_encrypted_extensions extensions;
    struct hbk_complaint complaint =
        hbk_encrypted_extensions_read(message->body, handshake->offered, &extensions);
    if (complaint.alert != HBK_ALERT_NONE) {
        return hbk_native_complain(handshake, complaint);
    }
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    handshake->result.record_size_limit = extensions.record_size_limit;
    hbk_flight_limit_records(&handshake->flight, extensions.record_size_limit);
    if ((extensions.has & HBK_HAS_RECORD_SIZE_LIMIT) != 0) {
        hbk_native_agree_on_limits(handshake);
    }
    handshake->state = handshake->is_resuming ? HBK_NATIVE_CLIENT_FINISHED
                                              : HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE;
    return take_protocol(handshake, &extensions);
}

static enum hbk_native_next take_request(struct hbk_native *handshake,
                                         const struct hbk_flight_message *message)
{
    struct hbk_certificate_request request;
    struct hbk_complaint complaint = hbk_certificate_request_read(message->body, &request);
    if (complaint.alert != HBK_ALERT_NONE) {
        return hbk_native_complain(handshake, complaint);
    }
    if (request.context.size > 0) {
        return refuse(handshake, HBK_ALERT_DECODE_ERROR,
                      "a request with a context during the handshake");
    }
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    handshake->asks_peer = true;
    const struct hbk_tls_wish wish = {
        .schemes = request.schemes,
        .authorities = request.authorities,
    };
    if (hbk_native_ask(handshake, HBK_TLS_MOMENT_CERTIFICATE, &wish) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    handshake->certificate = hbk_tls_choose(handshake->setup->context, &wish);
    if (handshake->certificate != NULL) {
        handshake->scheme = hbk_tls_certificate_scheme(handshake->certificate, request.schemes);
    }
    handshake->state = HBK_NATIVE_CLIENT_CERTIFICATE;
    return HBK_NATIVE_GO_ON;
}

/* With the server's Finished the client knows all that it needs for its own flight. */
static enum hbk_native_next take_finished(struct hbk_native *handshake,
                                          const struct hbk_flight_message *message)
{
    if (hbk_native_take_finished(handshake, message, handshake->server_handshake_secret) ==
        HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    hbk_native_derive_application(handshake);
    handshake->state = HBK_NATIVE_CLIENT_ANSWER;
    if (!handshake->asks_peer) {
        return HBK_NATIVE_GO_ON;
    }
    if (hbk_native_send_certificate(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    return handshake->certificate == NULL ? HBK_NATIVE_GO_ON
                                          : hbk_native_begin_signature(handshake);
}

enum hbk_native_next hbk_native_client_take(struct hbk_native *handshake,
                                            const struct hbk_flight_message *message)
{
    switch (handshake->state) {
    case HBK_NATIVE_CLIENT_SERVER_HELLO:
        if (message->type == HBK_MESSAGE_SERVER_HELLO) {
            return take_server_hello(handshake, message);
        }
        break;
    case HBK_NATIVE_CLIENT_ENCRYPTED_EXTENSIONS:
        if (message->type == HBK_MESSAGE_ENCRYPTED_EXTENSIONS) {
            return take_extensions(handshake, message);
        }
        break;
    case HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE:
        if (message->type == HBK_MESSAGE_CERTIFICATE_REQUEST) {
            return take_request(handshake, message);
        }
        __attribute__((fallthrough));
    case HBK_NATIVE_CLIENT_CERTIFICATE:
        if (message->type == HBK_MESSAGE_CERTIFICATE) {
            handshake->state = HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY;
            return hbk_native_take_certificate(handshake, message);
        }
        break;
    case HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY:
        if (message->type == HBK_MESSAGE_CERTIFICATE_VERIFY) {
            handshake->state = HBK_NATIVE_CLIENT_FINISHED;
            return hbk_native_take_verify(handshake, message);
        }
        break;
    case HBK_NATIVE_CLIENT_FINISHED:
        if (message->type == HBK_MESSAGE_FINISHED) {
            return take_finished(handshake, message);
        }
        break;
    default:
        HBK_UNREACHABLE();
    }
    return refuse(handshake, HBK_ALERT_UNEXPECTED_MESSAGE,
                  "a handshake message that may not come here");
}

/* ---- after jobs ---- */

static enum hbk_native_next agreed(struct hbk_native *handshake)
{
    hbk_status status = hbk_flight_send_ccs(&handshake->flight);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    handshake->state = HBK_NATIVE_CLIENT_ENCRYPTED_EXTENSIONS;
    return hbk_native_derive_handshake(handshake);
}

static enum hbk_native_next answer(struct hbk_native *handshake)
{
    if (!handshake->is_resuming && hbk_native_judge_signature(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (handshake->certificate != NULL && hbk_native_send_signature(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (hbk_native_send_finished(handshake, handshake->client_handshake_secret) ==
        HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    hbk_status status = hbk_flight_seal(&handshake->flight);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    hbk_native_derive_resumption(handshake);
    handshake->state = HBK_NATIVE_DONE;
    return HBK_NATIVE_GO_ON;
}

enum hbk_native_next hbk_native_client_continue(struct hbk_native *handshake)
{
    return handshake->state == HBK_NATIVE_CLIENT_AGREE ? agreed(handshake) : answer(handshake);
}
