/*
 * The whole state machine replays the traces of RFC 8448, sections 3, 5, 6 and 7, in both roles.
 * What comes from outside of the protocol is injected:
 *
 *   - randoms and session ids, into the worker's random bytes; ephemeral keys, into its stock;
 *   - signatures, since ours are not those of the trace (PSS and ECDSA are salted, and the RFC
 *     keeps some of the private keys); what is to be signed is compared;
 *   - the ClientHello: ours offers other extensions;
 *   - as a server HelloRetryRequest (ours has no cookie), EncryptedExtensions (the trace's have
 *     supported_groups, which a server may send and ours does not) and CertificateRequest (the
 *     trace's lists signature algorithms that we do not speak).
 *
 * All else must be found equal: secrets, keys, Finished, records. One thing is left out of the
 * comparison: our change_cipher_spec, which we always send (D.4) and section 7 alone has.
 */
#include "tls/native.h"

#include "native_end.h"
#include "rfc8448.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

enum { HASH_BYTES = 32 };

/* ---- what is injected ---- */

/* Of the replay under way. */
static struct {
    const struct rfc8448_trace *trace;
    size_t hellos_written;
    struct hbk_key_operation *signing; /* that waits for the trace's signature */
    struct rfc8448_bytes signed_input;
} replay;

void __wrap_hbk_client_hello_write(struct hbk_writer *writer,
                                   const struct hbk_client_hello_content *content);
void __wrap_hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                           const struct hbk_encrypted_extensions_content *content);
void __wrap_hbk_certificate_request_write(struct hbk_writer *writer,
                                          const struct hbk_certificate_request_content *content);
void __real_hbk_server_hello_write(struct hbk_writer *writer,
                                   const struct hbk_server_hello_content *content);
void __wrap_hbk_server_hello_write(struct hbk_writer *writer,
                                   const struct hbk_server_hello_content *content);
hbk_status __wrap_hbk_key_submit(struct hbk_key_worker *worker, struct hbk_key_operation *operation,
                                 uint64_t now_ns);
void __wrap_hbk_key_cancel(struct hbk_key_worker *worker, struct hbk_key_operation *operation);

static struct hbk_slice behind(const struct rfc8448_bytes *read, size_t header_bytes)
{
    return hbk_slice_part(rfc8448_slice(read), header_bytes, read->size);
}

/* The message in a record in the clear. */
static void put_record(struct hbk_writer *writer, const char *record)
{
    struct rfc8448_bytes read = rfc8448_read(record);
    hbk_writer_put(writer, behind(&read, HBK_TLS_RECORD_HEADER_BYTES));
}

static void put_message(struct hbk_writer *writer, const char *message)
{
    struct rfc8448_bytes read = rfc8448_read(message);
    hbk_writer_put(writer, rfc8448_slice(&read));
}

/* Our hello would carry the same random and the same share: that much is ours. */
void __wrap_hbk_client_hello_write(struct hbk_writer *writer,
                                   const struct hbk_client_hello_content *content)
{
    const char *record =
        replay.hellos_written++ == 0 ? replay.trace->hello : replay.trace->second_hello;
    struct rfc8448_bytes read = rfc8448_read(record);
    struct hbk_client_hello hello;
    struct hbk_complaint complaint = hbk_client_hello_read(
        behind(&read, HBK_TLS_RECORD_HEADER_BYTES + HBK_MESSAGE_HEADER_BYTES), &hello);
    assert_int_equal(complaint.alert, HBK_ALERT_NONE);
    assert_slice_equal(hbk_slice_of(content->random, HBK_MESSAGE_RANDOM_BYTES), hello.random);
    assert_int_equal(content->share_count, 1);
    assert_int_equal(hello.share_count, 1);
    assert_int_equal(content->shares[0].group, hello.shares[0].group);
    assert_slice_equal(content->shares[0].key, hello.shares[0].key);
    assert_slice_equal(content->server_name, hello.server_name);
    assert_slice_equal(content->cookie, hello.cookie);
    assert_int_equal(content->record_size_limit, hello.record_size_limit);
    put_record(writer, record);
}

void __wrap_hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                           const struct hbk_encrypted_extensions_content *content)
{
    /* What ours would say is what the trace's says. */
    assert_true(content->has_server_name);
    assert_int_equal(content->record_size_limit, 16385);
    assert_int_equal(content->protocol.size, 0);
    put_message(writer, replay.trace->encrypted_extensions);
}

void __wrap_hbk_certificate_request_write(struct hbk_writer *writer,
                                          const struct hbk_certificate_request_content *content)
{
    assert_int_equal(content->authorities.size, 0);
    put_message(writer, replay.trace->certificate_request);
}

void __wrap_hbk_server_hello_write(struct hbk_writer *writer,
                                   const struct hbk_server_hello_content *content)
{
    if (content->random != NULL) {
        __real_hbk_server_hello_write(writer, content);
        return;
    }
    assert_int_equal(content->group, HBK_GROUP_P256);
    put_record(writer, replay.trace->retry);
}

hbk_status __wrap_hbk_key_submit(struct hbk_key_worker *worker, struct hbk_key_operation *operation,
                                 uint64_t now_ns)
{
    (void)worker;
    (void)now_ns;
    assert_null(replay.signing);
    assert_int_equal(operation->action, HBK_KEY_SIGN);
    assert_true(operation->input.size <= sizeof replay.signed_input.bytes);
    memcpy(replay.signed_input.bytes, operation->input.bytes, operation->input.size);
    replay.signed_input.size = operation->input.size;
    replay.signing = operation;
    return HBK_OK;
}

void __wrap_hbk_key_cancel(struct hbk_key_worker *worker, struct hbk_key_operation *operation)
{
    (void)worker;
    (void)operation;
    replay.signing = NULL;
}

/* Completes the signature with that of a CertificateVerify of the trace. */
static void sign_as_traced(const char *verify)
{
    struct rfc8448_bytes read = rfc8448_read(verify);
    struct hbk_certificate_verify message;
    struct hbk_complaint complaint =
        hbk_certificate_verify_read(behind(&read, HBK_MESSAGE_HEADER_BYTES), &message);
    struct hbk_key_operation *operation = replay.signing;
    assert_int_equal(complaint.alert, HBK_ALERT_NONE);
    assert_non_null(operation);
    assert_int_equal(operation->scheme, message.scheme);
    assert_true(message.signature.size <= operation->output.size);
    memcpy(operation->output.bytes, message.signature.bytes, message.signature.size);
    operation->output_bytes = message.signature.size;
    operation->status = HBK_OK;
    replay.signing = NULL;
    operation->complete(operation);
}

/* ---- one end ---- */

/* Random bytes to come. */
static void inject_random(struct native_end *end, struct hbk_slice first, struct hbk_slice second)
{
    struct hbk_tls_worker *worker = end->worker->tls;
    worker->random_left = first.size + second.size;
    uint8_t *at = worker->random + sizeof worker->random - worker->random_left;
    memcpy(at, first.bytes, first.size);
    if (second.size > 0) {
        memcpy(at + first.size, second.bytes, second.size);
    }
}

/* A key pair to come. */
static void inject_share(struct native_end *end, uint16_t group, const char *private_key,
                         struct hbk_slice public_key)
{
    struct hbk_tls_share_stock *stock = &end->worker->tls->shares;
    struct hbk_tls_share *share = group == HBK_GROUP_P256 ? &stock->p256[0] : &stock->x25519[0];
    struct rfc8448_bytes read = rfc8448_read(private_key);
    share->group = group;
    memcpy(share->private_key, read.bytes, read.size);
    memcpy(share->public_key, public_key.bytes, public_key.size);
    *(group == HBK_GROUP_P256 ? &stock->p256_count : &stock->x25519_count) = 1;
}

/* A context with the trace's certificate, in place of a forged one of the same kind of key. */
static void inject_certificate(struct hbk_tls_context *context, const char *message)
{
    struct rfc8448_bytes read = rfc8448_read(message);
    struct hbk_certificate_message certificate;
    struct hbk_complaint complaint =
        hbk_certificate_message_read(behind(&read, HBK_MESSAGE_HEADER_BYTES), 0, &certificate);
    assert_int_equal(complaint.alert, HBK_ALERT_NONE);
    assert_int_equal(certificate.count, 1);
    struct hbk_slice *leaf = (struct hbk_slice *)(uintptr_t)context->certificates[0]->chain;
    struct hbk_slice theirs = certificate.certificates[0];
    struct hbk_tls_link *copy = malloc(sizeof *copy + theirs.size);
    assert_non_null(copy);
    atomic_init(&copy->references, 1);
    memcpy(copy->bytes, theirs.bytes, theirs.size);
    free((void *)(uintptr_t)(leaf->bytes - offsetof(struct hbk_tls_link, bytes)));
    *leaf = hbk_slice_of(copy->bytes, theirs.size);
}

static struct hbk_tls_context *context_for(const struct hbk_tls_context_options *wish,
                                           const char *certificate, bool is_rsa)
{
    static const uint16_t suites[] = {HBK_SUITE_AES_128_GCM_SHA256,
                                      HBK_SUITE_CHACHA20_POLY1305_SHA256,
                                      HBK_SUITE_AES_256_GCM_SHA384};
    struct hbk_tls_context_options options = *wish;
    const struct hbk_trust_options anybody = {.rule = HBK_TRUST_ANYBODY};
    const struct hbk_trust *trust = NULL;
    struct hbk_tls_context *context = NULL;
    struct hbk_error error = {0};
    EVP_PKEY *key = is_rsa ? EVP_RSA_gen(2048) : NULL;
    struct forged forged = forge((struct forge){.key = key});
    const struct hbk_tls_certificate_options presented = {
        .chain = &forged.certificate, .chain_count = 1, .private_key = forged.key};
    assert_int_equal(hbk_trust_new(&anybody, &trust), HBK_OK);
    options.engine = HBK_TLS_ENGINE_NATIVE;
    options.trust = trust;
    options.record_size_limit = 16385;
    options.suites = suites;
    options.suite_count = HBK_COUNT(suites);
    if (certificate != NULL) {
        options.certificates = &presented;
        options.certificate_count = 1;
    }
    if (hbk_tls_context_new(&options, &context, &error) != HBK_OK) {
        fail_msg("no context: %s", error.text);
    }
    if (certificate != NULL) {
        inject_certificate(context, certificate);
    }
    hbk_trust_unref(trust);
    forged_free(&forged);
    EVP_PKEY_free(key);
    return context;
}

/* One end of the trace. The worker and the context are borrowed. */
static struct native_end *end_begin(struct pair_worker *worker, struct hbk_tls_context *context,
                                    const struct rfc8448_trace *trace, enum hbk_tls_role role)
{
    memset(&replay, 0, sizeof replay);
    replay.trace = trace;
    return native_end_new(worker, context, role, "server");
}

/* One step with an input of the trace, all of which is taken; what it sends is in `output`. */
static void end_step(struct native_end *end, const char *record)
{
    struct rfc8448_bytes read = rfc8448_read(record);
    assert_int_equal(native_end_step(end, read.bytes, read.size), read.size);
}

/* Takes our change_cipher_spec out of the output, which must be there once. */
static void drop_ccs(struct native_end *end, size_t at)
{
    static const uint8_t record[] = {20, 3, 3, 0, 1, 1};
    assert_true(at + sizeof record <= end->output_bytes);
    assert_memory_equal(end->output + at, record, sizeof record);
    end->output_bytes -= sizeof record;
    memmove(end->output + at, end->output + at + sizeof record, end->output_bytes - at);
}

/* ---- what is compared ---- */

#define assert_secret(actual, text) assert_rfc8448(hbk_slice_of((actual), HASH_BYTES), (text))

/* The stage that the schedule has reached, seen through a secret derived from it. */
static void expect_stage(const struct hbk_native *handshake, const char *secret)
{
    struct rfc8448_bytes read = rfc8448_read(secret);
    static const uint8_t hash[HASH_BYTES] = {1};
    uint8_t by_hand[HASH_BYTES];
    uint8_t by_schedule[HASH_BYTES];
    hbk_tls_expand_label(HBK_SUITE_AES_128_GCM_SHA256, read.bytes, HBK_SLICE("any"),
                         hbk_slice_of(hash, sizeof hash), hbk_span_of(by_hand, sizeof by_hand));
    hbk_tls_schedule_derive(&handshake->schedule, "any", hash, by_schedule);
    assert_memory_equal(by_hand, by_schedule, HASH_BYTES);
}

static void expect_handshake_secrets(const struct hbk_native *handshake)
{
    const struct rfc8448_trace *trace = replay.trace;
    assert_secret(handshake->hello_hash, trace->hello_hash);
    assert_secret(handshake->client_handshake_secret, trace->client_handshake_secret);
    assert_secret(handshake->server_handshake_secret, trace->server_handshake_secret);
}

static void expect_direction(const struct hbk_tls_record_direction *direction, const char *key,
                             const char *iv)
{
    assert_rfc8448(hbk_slice_of(direction->key, 16), key);
    assert_rfc8448(hbk_slice_of(direction->iv, sizeof direction->iv), iv);
}

static void expect_application_secrets(const struct hbk_tls_result *result)
{
    const struct rfc8448_trace *trace = replay.trace;
    assert_int_equal(result->secret_bytes, HASH_BYTES);
    assert_secret(result->client_secret, trace->client_application_secret);
    assert_secret(result->server_secret, trace->server_application_secret);
    assert_secret(result->exporter_secret, trace->exporter_secret);
}

/* What is signed ends with the hash of all messages before (4.4.3). */
static void expect_signed(const char *label, const char *certificate_hash)
{
    enum { PAD_BYTES = 64, LABEL_BYTES = 34 };
    uint8_t expected[PAD_BYTES + LABEL_BYTES + HASH_BYTES];
    memset(expected, ' ', PAD_BYTES);
    memcpy(expected + PAD_BYTES, label, LABEL_BYTES);
    memcpy(expected + PAD_BYTES + LABEL_BYTES, certificate_hash, HASH_BYTES);
    assert_slice_equal(rfc8448_slice(&replay.signed_input),
                       hbk_slice_of(expected, sizeof expected));
}

/* The hash of the messages up to a certificate, computed from the trace by libcrypto. */
static void hash_messages(const char *const *messages, size_t count, uint8_t out_hash[HASH_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_non_null(context);
    assert_int_equal(EVP_DigestInit_ex(context, EVP_sha256(), NULL), 1);
    const struct rfc8448_trace *trace = replay.trace;
    struct rfc8448_bytes hello = rfc8448_read(trace->hello);
    struct hbk_slice first = behind(&hello, HBK_TLS_RECORD_HEADER_BYTES);
    if (trace->retry == NULL) {
        EVP_DigestUpdate(context, first.bytes, first.size);
    } else {
        uint8_t message[4 + HASH_BYTES] = {254, 0, 0, HASH_BYTES};
        assert_int_equal(EVP_Digest(first.bytes, first.size, message + 4, NULL, EVP_sha256(), NULL),
                         1);
        EVP_DigestUpdate(context, message, sizeof message);
        const char *const records[] = {trace->retry, trace->second_hello};
        for (size_t i = 0; i < HBK_COUNT(records); i++) {
            struct rfc8448_bytes read = rfc8448_read(records[i]);
            struct hbk_slice part = behind(&read, HBK_TLS_RECORD_HEADER_BYTES);
            EVP_DigestUpdate(context, part.bytes, part.size);
        }
    }
    struct rfc8448_bytes server_hello = rfc8448_read(trace->server_hello);
    struct hbk_slice part = behind(&server_hello, HBK_TLS_RECORD_HEADER_BYTES);
    EVP_DigestUpdate(context, part.bytes, part.size);
    for (size_t i = 0; i < count; i++) {
        struct rfc8448_bytes read = rfc8448_read(messages[i]);
        EVP_DigestUpdate(context, read.bytes, read.size);
    }
    assert_int_equal(EVP_DigestFinal_ex(context, out_hash, NULL), 1);
    EVP_MD_CTX_free(context);
}

/* ---- behind the handshake ---- */

static void expect_sealed(struct hbk_tls_channel *channel, const char *plain, const char *record)
{
    struct rfc8448_bytes read = rfc8448_read(plain);
    struct hbk_slice slice = rfc8448_slice(&read);
    uint8_t output[256];
    size_t sealed = 0;
    size_t written = 0;
    assert_int_equal(
        hbk_channel_seal(channel, &slice, 1, hbk_span_of(output, sizeof output), &sealed, &written),
        HBK_TLS_DONE);
    assert_rfc8448(hbk_slice_of(output, written), record);
}

static void expect_opened(struct hbk_tls_channel *channel, const char *record, const char *plain)
{
    struct rfc8448_bytes read = rfc8448_read(record);
    struct hbk_slice opened;
    size_t consumed = 0;
    assert_int_equal(
        hbk_channel_open(channel, hbk_span_of(read.bytes, read.size), &consumed, &opened),
        HBK_TLS_DONE);
    assert_int_equal(consumed, read.size);
    assert_rfc8448(opened, plain);
}

static void expect_closed(struct hbk_tls_channel *channel, const char *record)
{
    struct rfc8448_bytes read = rfc8448_read(record);
    struct hbk_slice opened;
    size_t consumed = 0;
    assert_int_equal(
        hbk_channel_open(channel, hbk_span_of(read.bytes, read.size), &consumed, &opened),
        HBK_TLS_CLOSED);
}

static void expect_shutdown(struct hbk_tls_channel *channel, const char *record)
{
    uint8_t output[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    assert_int_equal(hbk_channel_shutdown(channel, hbk_span_of(output, sizeof output), &written),
                     HBK_TLS_DONE);
    assert_rfc8448(hbk_slice_of(output, written), record);
}

static void begin_channel(struct hbk_tls_channel *channel, enum hbk_tls_role role,
                          const struct hbk_tls_result *result)
{
    hbk_channel_init(channel, role, &expanded, result->suite,
                     hbk_slice_of(result->client_secret, HASH_BYTES),
                     hbk_slice_of(result->server_secret, HASH_BYTES), result->record_size_limit);
    const struct rfc8448_trace *trace = replay.trace;
    bool is_client = role == HBK_TLS_CLIENT;
    expect_direction(is_client ? &channel->out : &channel->in, trace->client_application_key,
                     trace->client_application_iv);
    expect_direction(is_client ? &channel->in : &channel->out, trace->server_application_key,
                     trace->server_application_iv);
}

static void result_free(struct hbk_tls_result *result)
{
    hbk_peer_unref(result->peer);
    free(result->server_name);
    free(result->staple.bytes);
}

/* ---- the client ---- */

/* The random and the session id of a hello. */
static void inject_hello(struct native_end *end)
{
    struct rfc8448_bytes read = rfc8448_read(replay.trace->hello);
    struct hbk_client_hello hello;
    assert_int_equal(
        hbk_client_hello_read(behind(&read, HBK_TLS_RECORD_HEADER_BYTES + HBK_MESSAGE_HEADER_BYTES),
                              &hello)
            .alert,
        HBK_ALERT_NONE);
    static const uint8_t zeros[HBK_MESSAGE_SESSION_ID_BYTES_MAX];
    inject_random(end, hello.random,
                  hello.session_id.size > 0 ? hello.session_id : hbk_slice_of(zeros, sizeof zeros));
    inject_share(end, HBK_GROUP_X25519, replay.trace->client_key, hello.shares[0].key);
    if (replay.trace->second_hello != NULL) {
        struct rfc8448_bytes again = rfc8448_read(replay.trace->second_hello);
        assert_int_equal(
            hbk_client_hello_read(
                behind(&again, HBK_TLS_RECORD_HEADER_BYTES + HBK_MESSAGE_HEADER_BYTES), &hello)
                .alert,
            HBK_ALERT_NONE);
        inject_share(end, HBK_GROUP_P256, replay.trace->retried_client_key, hello.shares[0].key);
    }
}

static void client_says_hello(struct native_end *end)
{
    inject_hello(end);
    end_step(end, NULL);
    assert_int_equal(end->answer, HBK_TLS_WANT_INPUT);
    assert_rfc8448(hbk_slice_of(end->output, end->output_bytes), replay.trace->hello);

    /* All traces but one have no session id, which ours never leaves empty. */
    struct rfc8448_bytes read = rfc8448_read(replay.trace->hello);
    end->handshake->session_id_bytes = read.bytes[HBK_TLS_RECORD_HEADER_BYTES + 38];
    if (replay.trace->retry != NULL) {
        end_step(end, replay.trace->retry);
        assert_int_equal(end->answer, HBK_TLS_WANT_INPUT);
        drop_ccs(end, 0);
        assert_rfc8448(hbk_slice_of(end->output, end->output_bytes), replay.trace->second_hello);
    }
}

static void client_agrees(struct native_end *end)
{
    end_step(end, replay.trace->server_hello);
    assert_int_equal(end->answer, HBK_TLS_WAITING);
    expect_stage(end->handshake, replay.trace->early_secret);
    native_end_compute(end->worker);
    end_step(end, NULL);
    assert_int_equal(end->answer, HBK_TLS_WANT_INPUT);
    if (replay.trace->retry == NULL) {
        drop_ccs(end, 0);
    }
    assert_int_equal(end->output_bytes, 0);
    expect_stage(end->handshake, replay.trace->handshake_secret);
    expect_handshake_secrets(end->handshake);
    expect_direction(&end->handshake->flight.in, replay.trace->server_handshake_key,
                     replay.trace->server_handshake_iv);
    expect_direction(&end->handshake->flight.out, replay.trace->client_handshake_key,
                     replay.trace->client_handshake_iv);
}

static void client_answers(struct native_end *end)
{
    const struct rfc8448_trace *trace = replay.trace;
    if (trace == &rfc8448_compatible) {
        end_step(end, "140303000101");
        assert_int_equal(end->answer, HBK_TLS_WANT_INPUT);
    }
    end_step(end, trace->server_flight);
    assert_int_equal(end->answer, HBK_TLS_WAITING);
    expect_stage(end->handshake, trace->master_secret);
    if (trace->client_certificate != NULL) {
        const char *const before[] = {trace->encrypted_extensions, trace->certificate_request,
                                      trace->server_certificate,   trace->server_verify,
                                      trace->server_finished,      trace->client_certificate};
        uint8_t hash[HASH_BYTES];
        hash_messages(before, HBK_COUNT(before), hash);
        expect_signed("TLS 1.3, client CertificateVerify", (const char *)hash);
        sign_as_traced(trace->client_verify);
    }
    native_end_compute(end->worker);
    end_step(end, NULL);
    assert_int_equal(end->answer, HBK_TLS_DONE);
    assert_rfc8448(hbk_slice_of(end->output, end->output_bytes), trace->client_flight);
}

static void client_goes_on(const struct hbk_tls_result *result)
{
    const struct rfc8448_trace *trace = replay.trace;
    struct hbk_tls_channel channel;
    begin_channel(&channel, HBK_TLS_CLIENT, result);
    if (trace->ticket != NULL) {
        expect_opened(&channel, trace->ticket, NULL);
        expect_sealed(&channel, trace->data, trace->client_data);
        expect_opened(&channel, trace->server_data, trace->data);
    }
    expect_shutdown(&channel, trace->client_close);
    expect_closed(&channel, trace->server_close);
    hbk_channel_fini(&channel);
}

static void a_client_replays_every_trace(void **state)
{
    /* RFC 8446 7.1: the key schedule, as a client (RFC 8448) */
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(rfc8448_traces); i++) {
        const struct rfc8448_trace *trace = rfc8448_traces[i];
        static const uint16_t groups[] = {HBK_GROUP_X25519, HBK_GROUP_P256, HBK_GROUP_P384};
        const struct hbk_tls_context_options options = {.groups = groups,
                                                        .group_count = HBK_COUNT(groups)};
        struct pair_worker worker;
        print_message("           %s\n", trace->name);
        pair_worker_init(&worker, 0);
        struct hbk_tls_context *context = context_for(&options, trace->client_certificate, true);
        struct native_end *end = end_begin(&worker, context, trace, HBK_TLS_CLIENT);
        client_says_hello(end);
        client_agrees(end);
        client_answers(end);

        struct hbk_tls_result result;
        hbk_tls_native.take_result(end->handshake, &result);
        expect_application_secrets(&result);
        assert_true(result.has_resumption_secret);
        assert_secret(result.resumption_secret, trace->resumption_secret);
        assert_int_equal(result.record_size_limit, 16385);
        assert_int_equal(result.group, trace->retry != NULL ? HBK_GROUP_P256 : HBK_GROUP_X25519);
        assert_int_equal(result.peer_scheme, trace->certificate_request != NULL
                                                 ? HBK_SIGN_ECDSA_P256_SHA256
                                                 : HBK_SIGN_RSA_PSS_RSAE_SHA256);
        client_goes_on(&result);
        result_free(&result);
        native_end_free(end);
        hbk_tls_context_unref(context);
        pair_worker_fini(&worker);
    }
}

/* ---- the server ---- */

static void inject_server(struct native_end *end)
{
    struct rfc8448_bytes read = rfc8448_read(replay.trace->server_hello);
    struct hbk_server_hello hello;
    assert_int_equal(
        hbk_server_hello_read(behind(&read, HBK_TLS_RECORD_HEADER_BYTES + HBK_MESSAGE_HEADER_BYTES),
                              &hello)
            .alert,
        HBK_ALERT_NONE);
    inject_random(end, hello.random, hbk_slice_of(NULL, 0));
    inject_share(end, hello.share_group, replay.trace->server_key, hello.share_key);
}

static void server_answers(struct native_end *end)
{
    const struct rfc8448_trace *trace = replay.trace;
    size_t hello_bytes = rfc8448_read(trace->server_hello).size;
    end_step(end, trace->hello);
    if (trace->retry != NULL) {
        assert_int_equal(end->answer, HBK_TLS_WANT_INPUT);
        drop_ccs(end, rfc8448_read(trace->retry).size);
        assert_rfc8448(hbk_slice_of(end->output, end->output_bytes), trace->retry);
        end_step(end, trace->second_hello);
    }
    /* Nothing leaves before the share was found good. */
    assert_int_equal(end->answer, HBK_TLS_WAITING);
    assert_int_equal(end->output_bytes, 0);
    expect_stage(end->handshake, trace->early_secret);

    const char *const before[] = {trace->encrypted_extensions, trace->certificate_request,
                                  trace->server_certificate};
    uint8_t hash[HASH_BYTES];
    hash_messages(before, HBK_COUNT(before), hash);
    expect_signed("TLS 1.3, server CertificateVerify", (const char *)hash);
    sign_as_traced(trace->server_verify);
    native_end_compute(end->worker);
    end_step(end, NULL);
    assert_int_equal(end->answer, HBK_TLS_WANT_INPUT);
    if (trace->retry == NULL) {
        drop_ccs(end, hello_bytes);
    }
    struct hbk_slice sent = hbk_slice_of(end->output, end->output_bytes);
    assert_rfc8448(hbk_slice_part(sent, 0, hello_bytes), trace->server_hello);
    assert_rfc8448(hbk_slice_part(sent, hello_bytes, sent.size), trace->server_flight);
    expect_stage(end->handshake, trace->master_secret);
    expect_handshake_secrets(end->handshake);
    expect_direction(&end->handshake->flight.in, trace->client_handshake_key,
                     trace->client_handshake_iv);
    expect_direction(&end->handshake->flight.out, trace->server_application_key,
                     trace->server_application_iv);
}

static void server_confirms(struct native_end *end)
{
    if (replay.trace == &rfc8448_compatible) {
        end_step(end, "140303000101");
        assert_int_equal(end->answer, HBK_TLS_WANT_INPUT);
    }
    end_step(end, replay.trace->client_flight);
    if (replay.trace->client_certificate != NULL) {
        assert_int_equal(end->answer, HBK_TLS_WAITING);
        native_end_compute(end->worker);
        end_step(end, NULL);
    }
    assert_int_equal(end->answer, HBK_TLS_DONE);
    assert_int_equal(end->output_bytes, 0);
}

/* The trace's ticket is sealed as it is: what is in it is its maker's affair. */
static void server_goes_on(const struct hbk_tls_result *result)
{
    const struct rfc8448_trace *trace = replay.trace;
    struct hbk_tls_channel channel;
    begin_channel(&channel, HBK_TLS_SERVER, result);
    if (trace->ticket != NULL) {
        uint8_t out[RFC8448_BYTES_MAX];
        struct rfc8448_bytes message = rfc8448_read(trace->ticket_message);
        memcpy(out + HBK_TLS_RECORD_HEADER_BYTES, message.bytes, message.size);
        assert_true(hbk_tls_record_seal(&channel.out, HBK_TLS_RECORD_HANDSHAKE, out, message.size));
        assert_rfc8448(hbk_slice_of(out, message.size + HBK_TLS_RECORD_EXTRA_BYTES), trace->ticket);
        expect_opened(&channel, trace->client_data, trace->data);
        expect_sealed(&channel, trace->data, trace->server_data);
    }
    expect_closed(&channel, trace->client_close);
    expect_shutdown(&channel, trace->server_close);
    hbk_channel_fini(&channel);
}

static void a_server_replays_every_trace(void **state)
{
    /* RFC 8446 7.1: the key schedule, as a server (RFC 8448) */
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(rfc8448_traces); i++) {
        const struct rfc8448_trace *trace = rfc8448_traces[i];
        bool is_mutual = trace->certificate_request != NULL;
        static const uint16_t p256_alone[] = {HBK_GROUP_P256};
        struct hbk_tls_context_options options = {
            .client_certificate =
                is_mutual ? HBK_TLS_CLIENT_CERTIFICATE_REQUIRED : HBK_TLS_CLIENT_CERTIFICATE_NONE,
            .groups = p256_alone,
            .group_count = trace->retry != NULL ? 1 : 0,
        };
        struct pair_worker worker;
        print_message("           %s\n", trace->name);
        pair_worker_init(&worker, 0);
        struct hbk_tls_context *context =
            context_for(&options, trace->server_certificate, !is_mutual);
        struct native_end *end = end_begin(&worker, context, trace, HBK_TLS_SERVER);
        inject_server(end);
        server_answers(end);
        server_confirms(end);

        struct hbk_tls_result result;
        hbk_tls_native.take_result(end->handshake, &result);
        expect_application_secrets(&result);
        assert_true(result.has_resumption_secret);
        assert_secret(result.resumption_secret, trace->resumption_secret);
        assert_string_equal(result.server_name, "server");
        assert_int_equal(result.record_size_limit, 16385);
        assert_int_equal(result.peer_scheme, is_mutual ? HBK_SIGN_RSA_PSS_RSAE_SHA256 : 0);
        server_goes_on(&result);
        result_free(&result);
        native_end_free(end);
        hbk_tls_context_unref(context);
        pair_worker_fini(&worker);
    }
}

/* Every bit of every record of the server counts: a client that is given one wrong never is done,
 * and never sends its own Finished. */
static void a_client_notices_every_byte_that_was_changed(void **state)
{
    /* RFC 8446 4.4.4: Finished covers every byte that was said */
    (void)state;
    const struct rfc8448_trace *trace = &rfc8448_simple;
    const struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE};
    size_t flight_bytes = rfc8448_read(trace->server_flight).size;
    struct hbk_tls_context *context = context_for(&options, NULL, true);
    for (size_t at = HBK_TLS_RECORD_HEADER_BYTES; at < flight_bytes; at++) {
        struct pair_worker worker;
        pair_worker_init(&worker, 0);
        struct native_end *end = end_begin(&worker, context, trace, HBK_TLS_CLIENT);
        client_says_hello(end);
        client_agrees(end);
        struct rfc8448_bytes flight = rfc8448_read(trace->server_flight);
        flight.bytes[at] ^= (uint8_t)(1u << (at % 8));
        (void)native_end_step(end, flight.bytes, flight.size);
        assert_int_equal(end->answer, HBK_TLS_FAILED);
        assert_int_equal(hbk_tls_native.failure(end->handshake).alert, HBK_ALERT_BAD_RECORD_MAC);
        native_end_free(end);
        pair_worker_fini(&worker);
    }
    hbk_tls_context_unref(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_replays_every_trace),
        cmocka_unit_test(a_server_replays_every_trace),
        cmocka_unit_test(a_client_notices_every_byte_that_was_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
