/* The server's half of the native handshake: RFC 8446, 4 and appendix A.2. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/secret.h"
#include "tls/alert.h"
#include "tls/certificate.h"
#include "tls/native.h"
#include "tls/protocol.h"
#include "tls/ticket_parts.h"

enum {
    HELLO_BYTES_MAX = 256, /* ServerHello and HelloRetryRequest of ours */
    EXTENSIONS_BYTES_MAX = 512,
    REQUEST_EXTRA_BYTES = 128,
    SSL_3_0 = 0x0300,
};

static enum hbk_native_next refuse(struct hbk_native *handshake, int alert, const char *text)
{
    return hbk_native_fail(handshake, HBK_INVALID, alert, text);
}

/* ---- judging a ClientHello ---- */

/*
 * A client that does not speak TLS 1.3. Where the context lets another engine speak TLS 1.2, its
 * hello is handed over, in a record of our own making: what is hashed are messages, not records.
 */
static enum hbk_native_next refuse_version(struct hbk_native *handshake,
                                           const struct hbk_flight_message *message)
{
    if (!handshake->setup->context->allows_tls12 || handshake->was_retried) {
        return hbk_native_fail(handshake, HBK_UNSUPPORTED, HBK_ALERT_PROTOCOL_VERSION,
                               "the client does not speak TLS 1.3");
    }
    uint8_t header[HBK_TLS_RECORD_HEADER_BYTES] = {HBK_TLS_RECORD_HANDSHAKE, 3, 1};
    struct hbk_slice left = message->whole;
    while (left.size > 0) {
        struct hbk_slice piece = hbk_slice_part(left, 0, HBK_TLS_PLAIN_BYTES_MAX);
        header[3] = (uint8_t)(piece.size >> 8);
        header[4] = (uint8_t)piece.size;
        if (hbk_buffer_append(&handshake->hello, hbk_slice_of(header, sizeof header)) != HBK_OK ||
            hbk_buffer_append(&handshake->hello, piece) != HBK_OK) {
            hbk_buffer_fini(&handshake->hello); /* a part of it is nothing to hand over */
            return hbk_native_fail_internal(handshake, HBK_NO_MEMORY);
        }
        left = hbk_slice_part(left, piece.size, left.size);
    }
    (void)hbk_native_fail(handshake, HBK_UNSUPPORTED, HBK_ALERT_NONE,
                          "the client does not speak TLS 1.3");
    handshake->failure.alert = HBK_ALERT_PROTOCOL_VERSION;
    return HBK_NATIVE_FAIL;
}

/* What every hello of TLS 1.3 must have (9.2), and what none may have. */
static enum hbk_native_next judge_hello(struct hbk_native *handshake,
                                        const struct hbk_client_hello *hello)
{
    bool has_psk = (hello->has & HBK_HAS_PSK) != 0;
    if (hello->legacy_version <= SSL_3_0) {
        return refuse(handshake, HBK_ALERT_PROTOCOL_VERSION, "a hello of SSL 3.0 or older (D.5)");
    }
    if (hello->compression.size != 1 || hello->compression.bytes[0] != 0) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER, "a hello that offers compression");
    }
    if ((hello->has & HBK_HAS_GROUPS) == 0 || (hello->has & HBK_HAS_SHARES) == 0) {
        return refuse(handshake, HBK_ALERT_MISSING_EXTENSION, "a hello without groups or shares");
    }
    if ((hello->has & HBK_HAS_SCHEMES) == 0 && !has_psk) {
        return refuse(handshake, HBK_ALERT_MISSING_EXTENSION,
                      "a hello without signature algorithms");
    }
    if (has_psk && (hello->has & HBK_HAS_PSK_MODES) == 0) {
        return refuse(handshake, HBK_ALERT_MISSING_EXTENSION,
                      "a hello with a session to resume, but without a mode for it");
    }
    for (size_t i = 0; i < hello->share_count; i++) {
        if (!hbk_native_list_has(hello->groups, hello->shares[i].group)) {
            return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                          "a key share of a group that is not among the client's groups");
        }
    }
    if (hbk_flight_has_more(&handshake->flight)) {
        return refuse(handshake, HBK_ALERT_UNEXPECTED_MESSAGE,
                      "a message behind the client's hello in one record");
    }
    return HBK_NATIVE_GO_ON;
}

/* The place of a suite in the client's list; its size: none. */
static size_t rank_of(struct hbk_slice offered, uint16_t suite)
{
    size_t at = 0;
    while (at + 1 < offered.size && (offered.bytes[at] << 8 | offered.bytes[at + 1]) != suite) {
        at += 2;
    }
    return at + 1 < offered.size ? at : offered.size;
}

/* The first of our suites that the client offers, or the first of its suites that we speak. */
static enum hbk_native_next choose_suite(struct hbk_native *handshake,
                                         const struct hbk_client_hello *hello)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    const struct hbk_tls_list *suites = &context->suites;
    size_t best = hello->suites.size;
    for (size_t i = 0; i < suites->count; i++) {
        size_t rank = rank_of(hello->suites, suites->items[i]);
        if (rank < best) {
            best = rank;
            handshake->result.suite = (enum hbk_cipher_suite)suites->items[i];
        }
        if (best < hello->suites.size && !context->prefers_client_suites) {
            break;
        }
    }
    if (best < hello->suites.size) {
        return HBK_NATIVE_GO_ON;
    }
    return refuse(handshake, HBK_ALERT_HANDSHAKE_FAILURE, "no cipher suite in common");
}

static const struct hbk_key_share *find_share(const struct hbk_client_hello *hello, uint16_t group)
{
    for (size_t i = 0; i < hello->share_count; i++) {
        if (hello->shares[i].group == group) {
            return &hello->shares[i];
        }
    }
    return NULL;
}

/* The first of our groups of which the client sent a share, since that saves a round trip; else the
 * first that it offers, for which a share is asked. */
static enum hbk_native_next choose_group(struct hbk_native *handshake,
                                         const struct hbk_client_hello *hello)
{
    const struct hbk_tls_list *groups = &handshake->setup->context->groups;
    handshake->group = 0;
    for (size_t i = 0; i < groups->count; i++) {
        uint16_t group = groups->items[i];
        if (!hbk_native_list_has(hello->groups, group)) {
            continue;
        }
        if (find_share(hello, group) != NULL) {
            handshake->group = group;
            return HBK_NATIVE_GO_ON;
        }
        handshake->group = handshake->group == 0 ? group : handshake->group;
    }
    return handshake->group != 0
               ? HBK_NATIVE_GO_ON
               : refuse(handshake, HBK_ALERT_HANDSHAKE_FAILURE, "no group in common");
}

static enum hbk_native_next choose_protocol(struct hbk_native *handshake,
                                            const struct hbk_client_hello *hello)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    handshake->result.protocol = hbk_tls_choose_protocol(context->protocols, hello->protocols);
    return handshake->result.protocol.size > 0 || !context->requires_protocol
               ? HBK_NATIVE_GO_ON
               : hbk_native_fail(handshake, HBK_UNSUPPORTED, HBK_ALERT_NO_APPLICATION_PROTOCOL,
                                 context->protocol_failure);
}

static struct hbk_tls_wish wish_of(const struct hbk_native *handshake,
                                   const struct hbk_client_hello *hello)
{
    /* A hello that only resumes may say nothing of signatures (9.2). */
    static const uint8_t all_schemes[] = {0x04, 0x03, 0x05, 0x03, 0x08, 0x07,
                                          0x08, 0x04, 0x08, 0x05, 0x08, 0x06};
    return (struct hbk_tls_wish){
        .server_name = hello->server_name,
        .schemes = (hello->has & HBK_HAS_SCHEMES) != 0
                       ? hello->schemes
                       : hbk_slice_of(all_schemes, sizeof all_schemes),
        .authorities = hello->authorities,
        .wants_staple = hello->wants_ocsp,
        .now_ns = handshake->setup->now_ns,
    };
}

const struct hbk_tls_certificate *hbk_native_own_certificate(const void *argument)
{
    const struct hbk_native *handshake = argument;
    return handshake->setup->role == HBK_TLS_SERVER ? handshake->certificate : NULL;
}

/* The certificate that speaks for us, in this handshake or in the one that it goes back to. */
static enum hbk_native_next choose_certificate(struct hbk_native *handshake,
                                               const struct hbk_client_hello *hello)
{
    const struct hbk_tls_wish wish = wish_of(handshake, hello);
    if (hbk_native_ask(handshake, HBK_TLS_MOMENT_CERTIFICATE, &wish) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    handshake->certificate = hbk_tls_choose(handshake->setup->context, &wish);
    if (handshake->certificate == NULL) {
        return refuse(handshake, HBK_ALERT_HANDSHAKE_FAILURE,
                      "no certificate of ours signs by an algorithm that the client accepts");
    }
    handshake->scheme = hbk_tls_certificate_scheme(handshake->certificate, wish.schemes);
    return HBK_NATIVE_GO_ON;
}

static enum hbk_native_next note_server_name(struct hbk_native *handshake,
                                             const struct hbk_client_hello *hello)
{
    free(handshake->result.server_name);
    handshake->result.server_name = NULL;
    handshake->is_server_named = hello->server_name.size > 0;
    if (!handshake->is_server_named) {
        return HBK_NATIVE_GO_ON;
    }
    handshake->result.server_name = hbk_slice_to_string(hello->server_name);
    return handshake->result.server_name != NULL
               ? HBK_NATIVE_GO_ON
               : hbk_native_fail_internal(handshake, HBK_NO_MEMORY);
}

/* ---- resumption ---- */

/* The binder of a PSK: over the hello up to the binders, behind a retry's messages (4.2.11.2). */
static bool is_bound(const struct hbk_native *handshake,
                     const struct hbk_tls_ticket_content *content,
                     const struct hbk_flight_message *message, const struct hbk_client_hello *hello,
                     struct hbk_slice binder)
{
    enum hbk_cipher_suite suite = handshake->result.suite;
    struct hbk_tls_transcript transcript = handshake->transcript;
    struct hbk_tls_schedule schedule;
    uint8_t key[HBK_TLS_HASH_BYTES_MAX];
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    uint8_t expected[HBK_TLS_HASH_BYTES_MAX];
    if (!handshake->was_retried) {
        hbk_tls_transcript_init(&transcript, suite);
    }
    hbk_tls_transcript_add(
        &transcript, hbk_slice_part(message->whole, 0, message->whole.size - hello->binders_bytes));
    size_t size = hbk_tls_transcript_hash(&transcript, hash);
    hbk_tls_schedule_init(&schedule, suite, hbk_slice_of(content->psk, size));
    hbk_tls_schedule_binder_key(&schedule, key);
    hbk_tls_finished(suite, key, hash, expected);
    bool is_right = hbk_secret_equal(hbk_slice_of(expected, size), binder);
    hbk_secret_wipe(&schedule, sizeof schedule);
    hbk_secret_wipe(key, sizeof key);
    hbk_secret_wipe(expected, sizeof expected);
    return is_right;
}

/*
 * Looks for a session to resume among what the client offers: the first ticket that is ours, alive,
 * of the suite's hash, given out by the certificate that would be presented now, and whose client
 * would be judged good now. None: a full handshake. A wrong binder ends the connection (4.2.11).
 */
static enum hbk_native_next choose_session(struct hbk_native *handshake,
                                           const struct hbk_flight_message *message,
                                           const struct hbk_client_hello *hello)
{
    const struct hbk_tls_setup *setup = handshake->setup;
    handshake->is_resuming = false;
    hbk_peer_unref(handshake->result.peer);
    handshake->result.peer = NULL;
    if ((hello->has & HBK_HAS_PSK) == 0 || !hello->has_psk_dhe ||
        setup->context->ticket_keys == NULL) {
        return HBK_NATIVE_GO_ON;
    }
    for (size_t i = 0; i < hello->identity_count && i < HBK_MESSAGE_IDENTITIES_MAX; i++) {
        const struct hbk_psk_identity *offer = &hello->identities[i];
        struct hbk_tls_ticket_content content;
        if (!hbk_tls_ticket_open(setup, handshake->certificate, offer->identity,
                                 handshake->result.suite, hello->server_name, &content)) {
            continue;
        }
        if (!is_bound(handshake, &content, message, hello, offer->binder)) {
            hbk_tls_ticket_content_fini(&content);
            return refuse(handshake, HBK_ALERT_DECRYPT_ERROR,
                          "a session to resume whose binder is wrong");
        }
        handshake->is_resuming = true;
        handshake->psk_index = (uint16_t)i;
        handshake->begun_ns = content.begun_ns;
        handshake->result.peer = content.peer;
        content.peer = NULL;
        hbk_tls_schedule_init(
            &handshake->schedule, handshake->result.suite,
            hbk_slice_of(content.psk, hbk_cipher_suite_hash_bytes(handshake->result.suite)));
        hbk_tls_ticket_content_fini(&content);
        return HBK_NATIVE_GO_ON;
    }
    return HBK_NATIVE_GO_ON;
}

/* ---- our messages ---- */

static void write_retry(struct hbk_native *handshake, struct hbk_writer *writer)
{
    const struct hbk_server_hello_content content = {
        .session_id = hbk_slice_of(handshake->session_id, handshake->session_id_bytes),
        .suite = (uint16_t)handshake->result.suite,
        .group = handshake->group,
    };
    hbk_server_hello_write(writer, &content);
}

static enum hbk_native_next ask_again(struct hbk_native *handshake,
                                      const struct hbk_flight_message *message)
{
    hbk_tls_transcript_init(&handshake->transcript, handshake->result.suite);
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    hbk_tls_transcript_retry(&handshake->transcript);
    handshake->was_retried = true;
    handshake->retry_group = handshake->group;
    if (hbk_native_send(handshake, HELLO_BYTES_MAX, write_retry) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    hbk_status status = hbk_flight_seal(&handshake->flight);
    if (status == HBK_OK) {
        status = hbk_flight_send_ccs(&handshake->flight);
    }
    handshake->setup->worker->counters.retries_asked++;
    handshake->state = HBK_NATIVE_SERVER_SECOND_HELLO;
    return status == HBK_OK ? HBK_NATIVE_GO_ON : hbk_native_fail_internal(handshake, status);
}

static void write_hello(struct hbk_native *handshake, struct hbk_writer *writer)
{
    const struct hbk_tls_share *share = &handshake->shares[0];
    const struct hbk_server_hello_content content = {
        .random = handshake->server_random,
        .session_id = hbk_slice_of(handshake->session_id, handshake->session_id_bytes),
        .suite = (uint16_t)handshake->result.suite,
        .group = share->group,
        .share_key = hbk_slice_of(share->public_key,
                                  hbk_tls_group_share_bytes((enum hbk_tls_group)share->group)),
        .has_psk = handshake->is_resuming,
        .psk_index = handshake->psk_index,
    };
    hbk_server_hello_write(writer, &content);
}

static void write_extensions(struct hbk_native *handshake, struct hbk_writer *writer)
{
    const struct hbk_encrypted_extensions_content content = {
        .protocol = handshake->result.protocol,
        .record_size_limit = handshake->result.record_size_limit > 0
                                 ? handshake->setup->context->record_size_limit
                                 : 0,
        .has_server_name = handshake->is_server_named && !handshake->is_resuming,
    };
    hbk_encrypted_extensions_write(writer, &content);
}

static void write_request(struct hbk_native *handshake, struct hbk_writer *writer)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    const struct hbk_certificate_request_content content = {
        .schemes = context->verify_schemes.items,
        .scheme_count = context->verify_schemes.count,
        .certificate_schemes = hbk_native_chain_schemes,
        .certificate_scheme_count = HBK_NATIVE_CHAIN_SCHEMES,
        .authorities = context->authorities,
    };
    hbk_certificate_request_write(writer, &content);
}

/* ServerHello in the clear, and the jobs that the rest of the flight waits for. */
static enum hbk_native_next send_hello(struct hbk_native *handshake)
{
    struct hbk_tls_worker *worker = handshake->setup->worker;
    hbk_status status = hbk_tls_worker_random(
        worker, hbk_span_of(handshake->server_random, sizeof handshake->server_random));
    if (status == HBK_OK) {
        status = hbk_tls_share_take(&worker->shares, (enum hbk_tls_group)handshake->group,
                                    &handshake->shares[0]);
    }
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    handshake->share_count = 1;
    if (hbk_native_send(handshake, HELLO_BYTES_MAX, write_hello) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    status = hbk_flight_seal(&handshake->flight);
    if (status == HBK_OK) {
        status = hbk_flight_send_ccs(&handshake->flight);
    }
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    return hbk_native_begin_agreement(handshake, handshake->group);
}

/* The messages that wait for keys, up to what is to be signed. */
static enum hbk_native_next prepare_flight(struct hbk_native *handshake)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    if (hbk_native_send(handshake, EXTENSIONS_BYTES_MAX, write_extensions) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (handshake->result.record_size_limit > 0) {
        hbk_native_agree_on_limits(handshake);
    }
    if (handshake->is_resuming) {
        return HBK_NATIVE_GO_ON;
    }
    handshake->asks_peer = context->client_certificate != HBK_TLS_CLIENT_CERTIFICATE_NONE;
    if (handshake->asks_peer &&
        hbk_native_send(handshake, REQUEST_EXTRA_BYTES + context->authorities.size,
                        write_request) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (hbk_native_send_certificate(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    return hbk_native_begin_signature(handshake);
}

/* Everything was agreed on: the server speaks. */
static enum hbk_native_next answer_hello(struct hbk_native *handshake,
                                         const struct hbk_flight_message *message,
                                         const struct hbk_client_hello *hello)
{
    const struct hbk_key_share *share = find_share(hello, handshake->group);
    if (!handshake->is_resuming && (hello->has & HBK_HAS_SCHEMES) == 0) { /* 4.2.3 */
        return refuse(handshake, HBK_ALERT_MISSING_EXTENSION,
                      "a hello without signature algorithms, and no session to resume");
    }
    if (share->key.size != hbk_tls_group_share_bytes((enum hbk_tls_group)handshake->group)) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER, "a key share of a wrong size");
    }
    memcpy(handshake->peer_share, share->key.bytes, share->key.size);
    if (!handshake->is_resuming) {
        hbk_tls_schedule_init(&handshake->schedule, handshake->result.suite, hbk_slice_of(NULL, 0));
    }
    if (!handshake->was_retried) {
        hbk_tls_transcript_init(&handshake->transcript, handshake->result.suite);
    }
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    handshake->flight.skip = (hello->has & HBK_HAS_EARLY_DATA) != 0 ? HBK_FLIGHT_SKIP_UNREADABLE
                                                                    : HBK_FLIGHT_SKIP_NOTHING;
    handshake->state = HBK_NATIVE_SERVER_ANSWER;
    return send_hello(handshake) == HBK_NATIVE_FAIL ? HBK_NATIVE_FAIL : prepare_flight(handshake);
}

/* ---- ClientHello ---- */

static void note_hello(struct hbk_native *handshake, const struct hbk_client_hello *hello)
{
    memcpy(handshake->random, hello->random.bytes, sizeof handshake->random);
    memcpy(handshake->session_id, hello->session_id.bytes, hello->session_id.size);
    handshake->session_id_bytes = (uint8_t)hello->session_id.size;
    handshake->wants_staple = hello->wants_ocsp;
    handshake->wants_tickets = hello->has_psk_dhe;
    handshake->result.record_size_limit = hello->record_size_limit;
    hbk_flight_limit_records(&handshake->flight, hello->record_size_limit);
    handshake->flight.allows_ccs = true;
}

/* All of a hello that we look at and that a retry does not let change (4.1.2). */
static void hash_hello(const struct hbk_client_hello *hello, uint8_t out_hash[HBK_SHA256_BYTES])
{
    const uint32_t may_change = HBK_HAS_SHARES | HBK_HAS_EARLY_DATA | HBK_HAS_COOKIE | HBK_HAS_PSK;
    const uint32_t numbers[] = {hello->legacy_version, hello->has & ~may_change,
                                hello->record_size_limit, hello->has_psk_dhe, hello->wants_ocsp};
    const struct hbk_slice parts[] = {
        hbk_slice_of(numbers, sizeof numbers),
        hello->random,
        hello->session_id,
        hello->suites,
        hello->groups,
        hello->server_name,
        hello->schemes,
        hello->versions,
        hello->certificate_schemes,
        hello->protocols,
        hello->authorities,
    };
    struct hbk_hash_state state;
    hbk_hash_init(&state, HBK_HASH_SHA256);
    for (size_t i = 0; i < HBK_COUNT(parts); i++) {
        hbk_hash_update_part(&state, parts[i]);
    }
    hbk_hash_digest(&state, out_hash);
}

/* The second hello is the first but for what we asked (4.1.2). */
static enum hbk_native_next compare_hellos(struct hbk_native *handshake,
                                           const struct hbk_client_hello *hello)
{
    uint8_t hash[HBK_SHA256_BYTES];
    if (!handshake->was_retried) {
        return HBK_NATIVE_GO_ON;
    }
    hash_hello(hello, hash);
    return memcmp(hash, handshake->first_hello, sizeof hash) == 0
               ? HBK_NATIVE_GO_ON
               : refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                        "a second hello that is not the first one");
}

/* Reads a hello and chooses from what it offers. */
static enum hbk_native_next read_hello(struct hbk_native *handshake,
                                       const struct hbk_flight_message *message,
                                       struct hbk_client_hello *hello)
{
    struct hbk_complaint complaint = hbk_client_hello_read(message->body, hello);
    if (complaint.alert != HBK_ALERT_NONE) {
        return hbk_native_complain(handshake, complaint);
    }
    if ((hello->has & HBK_HAS_VERSIONS) == 0 ||
        !hbk_native_list_has(hello->versions, HBK_TLS_1_3)) {
        return refuse_version(handshake, message);
    }
    const struct hbk_tls_wish wish = wish_of(handshake, hello);
    bool is_good = compare_hellos(handshake, hello) == HBK_NATIVE_GO_ON &&
                   judge_hello(handshake, hello) == HBK_NATIVE_GO_ON &&
                   hbk_native_ask(handshake, HBK_TLS_MOMENT_HELLO, &wish) == HBK_NATIVE_GO_ON &&
                   choose_suite(handshake, hello) == HBK_NATIVE_GO_ON &&
                   choose_group(handshake, hello) == HBK_NATIVE_GO_ON &&
                   choose_protocol(handshake, hello) == HBK_NATIVE_GO_ON &&
                   choose_certificate(handshake, hello) == HBK_NATIVE_GO_ON &&
                   note_server_name(handshake, hello) == HBK_NATIVE_GO_ON;
    return is_good ? HBK_NATIVE_GO_ON : HBK_NATIVE_FAIL;
}

static enum hbk_native_next take_hello(struct hbk_native *handshake,
                                       const struct hbk_flight_message *message)
{
    struct hbk_client_hello hello;
    if (read_hello(handshake, message, &hello) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    note_hello(handshake, &hello);
    if (find_share(&hello, handshake->group) == NULL) {
        hash_hello(&hello, handshake->first_hello);
        handshake->flight.skip = (hello.has & HBK_HAS_EARLY_DATA) != 0 ? HBK_FLIGHT_SKIP_APPLICATION
                                                                       : HBK_FLIGHT_SKIP_NOTHING;
        return ask_again(handshake, message);
    }
    return choose_session(handshake, message, &hello) == HBK_NATIVE_FAIL
               ? HBK_NATIVE_FAIL
               : answer_hello(handshake, message, &hello);
}

/* The answer to our retry: the same hello with the share that was asked for (4.1.2). */
static enum hbk_native_next take_second_hello(struct hbk_native *handshake,
                                              const struct hbk_flight_message *message)
{
    struct hbk_client_hello hello;
    if (read_hello(handshake, message, &hello) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (hello.share_count != 1 || hello.shares[0].group != handshake->retry_group ||
        handshake->group != handshake->retry_group) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER,
                      "a second hello without the share that was asked for");
    }
    if ((hello.has & HBK_HAS_EARLY_DATA) != 0) {
        return refuse(handshake, HBK_ALERT_ILLEGAL_PARAMETER, "early data after a retry");
    }
    note_hello(handshake, &hello);
    return choose_session(handshake, message, &hello) == HBK_NATIVE_FAIL
               ? HBK_NATIVE_FAIL
               : answer_hello(handshake, message, &hello);
}

/* ---- the client's flight ---- */

static enum hbk_native_next take_finished(struct hbk_native *handshake,
                                          const struct hbk_flight_message *message)
{
    handshake->state = HBK_NATIVE_SERVER_CONFIRM;
    if (hbk_native_take_finished(handshake, message, handshake->client_handshake_secret) ==
        HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    hbk_native_derive_resumption(handshake);
    return HBK_NATIVE_GO_ON;
}

enum hbk_native_next hbk_native_server_take(struct hbk_native *handshake,
                                            const struct hbk_flight_message *message)
{
    switch (handshake->state) {
    case HBK_NATIVE_SERVER_CLIENT_HELLO:
        if (message->type == HBK_MESSAGE_CLIENT_HELLO) {
            return take_hello(handshake, message);
        }
        break;
    case HBK_NATIVE_SERVER_SECOND_HELLO:
        if (message->type == HBK_MESSAGE_CLIENT_HELLO) {
            return take_second_hello(handshake, message);
        }
        break;
    case HBK_NATIVE_SERVER_CERTIFICATE:
        if (message->type == HBK_MESSAGE_CERTIFICATE) {
            if (hbk_native_take_certificate(handshake, message) == HBK_NATIVE_FAIL) {
                return HBK_NATIVE_FAIL;
            }
            handshake->state = handshake->has_certificate ? HBK_NATIVE_SERVER_CERTIFICATE_VERIFY
                                                          : HBK_NATIVE_SERVER_FINISHED;
            return HBK_NATIVE_GO_ON;
        }
        break;
    case HBK_NATIVE_SERVER_CERTIFICATE_VERIFY:
        if (message->type == HBK_MESSAGE_CERTIFICATE_VERIFY) {
            handshake->state = HBK_NATIVE_SERVER_FINISHED;
            return hbk_native_take_verify(handshake, message);
        }
        break;
    case HBK_NATIVE_SERVER_FINISHED:
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

/* The secret is known and the signature made: the whole flight leaves. */
static enum hbk_native_next answer(struct hbk_native *handshake)
{
    if (hbk_native_derive_handshake(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (!handshake->is_resuming && hbk_native_send_signature(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (hbk_native_send_finished(handshake, handshake->server_handshake_secret) ==
        HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    hbk_native_derive_application(handshake);
    hbk_status status = hbk_flight_seal(&handshake->flight);
    hbk_flight_protect_out(&handshake->flight, handshake->result.suite,
                           handshake->result.server_secret);
    handshake->state =
        handshake->asks_peer ? HBK_NATIVE_SERVER_CERTIFICATE : HBK_NATIVE_SERVER_FINISHED;
    return status == HBK_OK ? HBK_NATIVE_GO_ON : hbk_native_fail_internal(handshake, status);
}

/* Tickets are the first records under the application key; the channel goes on counting. */
static enum hbk_native_next give_tickets(struct hbk_native *handshake)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    if (context->ticket_keys == NULL || !handshake->wants_tickets) {
        return HBK_NATIVE_GO_ON;
    }
    unsigned count = handshake->is_resuming ? 1 : context->ticket_count;
    for (unsigned i = 0; i < count; i++) {
        hbk_status status =
            hbk_tls_ticket_issue(handshake->setup, handshake->certificate, &handshake->result,
                                 handshake->begun_ns, i, &handshake->flight.plain);
        if (status != HBK_OK) {
            return hbk_native_fail_internal(handshake, status);
        }
    }
    hbk_status status = hbk_flight_seal(&handshake->flight);
    return status == HBK_OK ? HBK_NATIVE_GO_ON : hbk_native_fail_internal(handshake, status);
}

static enum hbk_native_next confirm(struct hbk_native *handshake)
{
    if (handshake->has_certificate && hbk_native_judge_signature(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    if (give_tickets(handshake) == HBK_NATIVE_FAIL) {
        return HBK_NATIVE_FAIL;
    }
    handshake->state = HBK_NATIVE_DONE;
    return HBK_NATIVE_GO_ON;
}

enum hbk_native_next hbk_native_server_continue(struct hbk_native *handshake)
{
    return handshake->state == HBK_NATIVE_SERVER_ANSWER ? answer(handshake) : confirm(handshake);
}
