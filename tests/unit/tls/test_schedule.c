#include "tls/schedule.h"

#include "failing_heap.h"
#include "rfc8448.h"
#include "tls/record.h"
#include "tls/session.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

static const enum hbk_cipher_suite trace_suite = HBK_SUITE_AES_128_GCM_SHA256;

enum { HASH_BYTES = 32, KEY_BYTES = 16, IV_BYTES = 12 };

/* ---- the traces, without a handshake around them ---- */

static void add_message(struct hbk_tls_transcript *transcript, const char *message)
{
    struct rfc8448_bytes read = rfc8448_read(message);
    hbk_tls_transcript_add(transcript, rfc8448_slice(&read));
}

/* A message that travels alone in a record in the clear. */
static void add_record(struct hbk_tls_transcript *transcript, const char *record)
{
    struct rfc8448_bytes read = rfc8448_read(record);
    hbk_tls_transcript_add(
        transcript, hbk_slice_part(rfc8448_slice(&read), HBK_TLS_RECORD_HEADER_BYTES, read.size));
}

static void expect_hash(const struct hbk_tls_transcript *transcript, const char *expected)
{
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    assert_int_equal(hbk_tls_transcript_hash(transcript, hash), HASH_BYTES);
    assert_rfc8448(hbk_slice_of(hash, HASH_BYTES), expected);
}

static void add_hellos(struct hbk_tls_transcript *transcript, const struct rfc8448_trace *trace)
{
    hbk_tls_transcript_init(transcript, trace_suite);
    add_record(transcript, trace->hello);
    if (trace->retry != NULL) {
        hbk_tls_transcript_retry(transcript);
        add_record(transcript, trace->retry);
        add_record(transcript, trace->second_hello);
    }
    add_record(transcript, trace->server_hello);
}

static void every_transcript_hash_is_that_of_rfc8448(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(rfc8448_traces); i++) {
        const struct rfc8448_trace *trace = rfc8448_traces[i];
        struct hbk_tls_transcript transcript;
        add_hellos(&transcript, trace);
        expect_hash(&transcript, trace->hello_hash);
        add_message(&transcript, trace->encrypted_extensions);
        add_message(&transcript, trace->certificate_request);
        add_message(&transcript, trace->server_certificate);
        add_message(&transcript, trace->server_verify);
        expect_hash(&transcript, trace->server_finished_hash);
        add_message(&transcript, trace->server_finished);
        expect_hash(&transcript, trace->application_hash);
        add_message(&transcript, trace->client_certificate);
        add_message(&transcript, trace->client_verify);
        expect_hash(&transcript, trace->client_finished_hash);
        add_message(&transcript, trace->client_finished);
        expect_hash(&transcript, trace->resumption_hash);
    }
}

static void expect_derived(const struct hbk_tls_schedule *schedule, const char *label,
                           const char *hash, const char *expected)
{
    struct rfc8448_bytes read = rfc8448_read(hash);
    uint8_t secret[HASH_BYTES];
    assert_int_equal(read.size, HASH_BYTES);
    hbk_tls_schedule_derive(schedule, label, read.bytes, secret);
    assert_rfc8448(hbk_slice_of(secret, HASH_BYTES), expected);
}

/* The stage's secret itself is not to be had, only what is derived from it: so what the trace says
 * of it is used as a key by hand, and must lead to the same. */
static void expect_stage(const struct hbk_tls_schedule *schedule, const char *secret)
{
    struct rfc8448_bytes read = rfc8448_read(secret);
    uint8_t by_hand[HASH_BYTES];
    uint8_t by_schedule[HASH_BYTES];
    static const uint8_t hash[HASH_BYTES] = {1};
    hbk_tls_expand_label(trace_suite, read.bytes, HBK_SLICE("any"), hbk_slice_of(hash, sizeof hash),
                         hbk_span_of(by_hand, sizeof by_hand));
    hbk_tls_schedule_derive(schedule, "any", hash, by_schedule);
    assert_memory_equal(by_hand, by_schedule, HASH_BYTES);
}

static void every_secret_is_that_of_rfc8448(void **state)
{
    (void)state;
    /* The hash of nothing (FIPS 180-4). */
    static const char nothing[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (size_t i = 0; i < HBK_COUNT(rfc8448_traces); i++) {
        const struct rfc8448_trace *trace = rfc8448_traces[i];
        struct hbk_tls_schedule schedule;
        struct rfc8448_bytes shared = rfc8448_read(trace->shared_secret);

        hbk_tls_schedule_init(&schedule, trace_suite, hbk_slice_of(NULL, 0));
        expect_stage(&schedule, trace->early_secret);
        expect_derived(&schedule, "derived", nothing, trace->derived_early);

        hbk_tls_schedule_next(&schedule, rfc8448_slice(&shared));
        expect_stage(&schedule, trace->handshake_secret);
        expect_derived(&schedule, "c hs traffic", trace->hello_hash,
                       trace->client_handshake_secret);
        expect_derived(&schedule, "s hs traffic", trace->hello_hash,
                       trace->server_handshake_secret);
        expect_derived(&schedule, "derived", nothing, trace->derived_handshake);

        hbk_tls_schedule_next(&schedule, hbk_slice_of(NULL, 0));
        expect_stage(&schedule, trace->master_secret);
        expect_derived(&schedule, "c ap traffic", trace->application_hash,
                       trace->client_application_secret);
        expect_derived(&schedule, "s ap traffic", trace->application_hash,
                       trace->server_application_secret);
        expect_derived(&schedule, "exp master", trace->application_hash, trace->exporter_secret);
        expect_derived(&schedule, "res master", trace->resumption_hash, trace->resumption_secret);
    }
}

static void expect_keys(const char *secret, const char *key, const char *iv)
{
    struct rfc8448_bytes read = rfc8448_read(secret);
    uint8_t found_key[KEY_BYTES];
    uint8_t found_iv[IV_BYTES];
    hbk_tls_traffic_keys(trace_suite, read.bytes, hbk_span_of(found_key, sizeof found_key),
                         hbk_span_of(found_iv, sizeof found_iv));
    assert_rfc8448(hbk_slice_of(found_key, sizeof found_key), key);
    assert_rfc8448(hbk_slice_of(found_iv, sizeof found_iv), iv);
}

static void every_key_is_that_of_rfc8448(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(rfc8448_traces); i++) {
        const struct rfc8448_trace *trace = rfc8448_traces[i];
        expect_keys(trace->server_handshake_secret, trace->server_handshake_key,
                    trace->server_handshake_iv);
        expect_keys(trace->client_handshake_secret, trace->client_handshake_key,
                    trace->client_handshake_iv);
        expect_keys(trace->server_application_secret, trace->server_application_key,
                    trace->server_application_iv);
        expect_keys(trace->client_application_secret, trace->client_application_key,
                    trace->client_application_iv);
    }
}

/* `message` is a whole Finished: its header and the verify_data. */
static void expect_finished(const char *secret, const char *key, const char *hash,
                            const char *message)
{
    enum { HEADER_BYTES = 4 };
    struct rfc8448_bytes secret_read = rfc8448_read(secret);
    struct rfc8448_bytes hash_read = rfc8448_read(hash);
    struct rfc8448_bytes message_read = rfc8448_read(message);
    uint8_t found[HASH_BYTES];
    hbk_tls_expand_label(trace_suite, secret_read.bytes, HBK_SLICE("finished"),
                         hbk_slice_of(NULL, 0), hbk_span_of(found, sizeof found));
    assert_rfc8448(hbk_slice_of(found, sizeof found), key);
    hbk_tls_finished(trace_suite, secret_read.bytes, hash_read.bytes, found);
    assert_slice_equal(hbk_slice_of(found, sizeof found),
                       hbk_slice_part(rfc8448_slice(&message_read), HEADER_BYTES, HASH_BYTES));
}

static void every_finished_is_that_of_rfc8448(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(rfc8448_traces); i++) {
        const struct rfc8448_trace *trace = rfc8448_traces[i];
        expect_finished(trace->server_handshake_secret, trace->server_finished_key,
                        trace->server_finished_hash, trace->server_finished);
        expect_finished(trace->client_handshake_secret, trace->client_finished_key,
                        trace->client_finished_hash, trace->client_finished);
    }
}

static void the_psk_of_a_ticket_is_that_of_rfc8448(void **state)
{
    (void)state;
    struct rfc8448_bytes secret = rfc8448_read(rfc8448_simple.resumption_secret);
    struct rfc8448_bytes nonce = rfc8448_read(rfc8448_simple.ticket_nonce);
    uint8_t psk[HASH_BYTES];
    hbk_tls_resumption_psk(trace_suite, secret.bytes, rfc8448_slice(&nonce), psk);
    assert_rfc8448(hbk_slice_of(psk, sizeof psk), rfc8448_simple.resumption_psk);
}

/*
 * Section 4 resumes what section 3 began. Of it only the binder is ours to check: everything behind
 * depends on early data. The hash is that of its ClientHello without the binders.
 */
static void the_binder_of_a_psk_is_that_of_rfc8448(void **state)
{
    (void)state;
    struct rfc8448_bytes psk = rfc8448_read(rfc8448_simple.resumption_psk);
    struct rfc8448_bytes hash =
        rfc8448_read("63224b2e4573f2d3454ca84b9d009a04f6be9e05711a8396473aefa01e924a14");
    struct hbk_tls_schedule schedule;
    uint8_t key[HASH_BYTES];
    uint8_t binder[HASH_BYTES];
    hbk_tls_schedule_init(&schedule, trace_suite, rfc8448_slice(&psk));
    expect_stage(&schedule, "9b2188e9b2fc6d64d71dc329900e20bb41915000f678aa839cbb797cb7d8332c");
    hbk_tls_schedule_binder_key(&schedule, key);
    assert_rfc8448(hbk_slice_of(key, sizeof key),
                   "69fe131a3bbad5d63c64eebcc30e395b9d8107726a13d074e389dbc8a4e47256");
    hbk_tls_finished(trace_suite, key, hash.bytes, binder);
    assert_rfc8448(hbk_slice_of(binder, sizeof binder),
                   "3add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d");
}

/* ---- records ---- */

struct sealed {
    enum hbk_tls_record_type type;
    const char *plain[5]; /* one behind the other; the rest are NULL */
    const char *record;
};

/* What a direction seals from its first record on. */
static void expect_records(const char *secret, const struct sealed *sealed, size_t count)
{
    struct rfc8448_bytes read = rfc8448_read(secret);
    struct hbk_tls_record_direction direction;
    hbk_tls_record_direction_init(&direction, &expanded, trace_suite, rfc8448_slice(&read));
    for (size_t i = 0; i < count; i++) {
        uint8_t out[HBK_TLS_RECORD_EXTRA_BYTES + RFC8448_BYTES_MAX];
        size_t used = 0;
        for (size_t j = 0; j < HBK_COUNT(sealed[i].plain); j++) {
            struct rfc8448_bytes plain = rfc8448_read(sealed[i].plain[j]);
            assert_true(used + plain.size <= RFC8448_BYTES_MAX);
            memcpy(out + HBK_TLS_RECORD_HEADER_BYTES + used, plain.bytes, plain.size);
            used += plain.size;
        }
        assert_true(hbk_tls_record_seal(&direction, sealed[i].type, out, used));
        assert_rfc8448(hbk_slice_of(out, used + HBK_TLS_RECORD_EXTRA_BYTES), sealed[i].record);
    }
    hbk_tls_record_direction_fini(&direction);
}

static void every_record_is_that_of_rfc8448(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(rfc8448_traces); i++) {
        const struct rfc8448_trace *trace = rfc8448_traces[i];
        const struct sealed server_flight = {
            HBK_TLS_RECORD_HANDSHAKE,
            {trace->encrypted_extensions, trace->certificate_request, trace->server_certificate,
             trace->server_verify, trace->server_finished},
            trace->server_flight,
        };
        const struct sealed client_flight = {
            HBK_TLS_RECORD_HANDSHAKE,
            {trace->client_certificate, trace->client_verify, trace->client_finished},
            trace->client_flight,
        };
        expect_records(trace->server_handshake_secret, &server_flight, 1);
        expect_records(trace->client_handshake_secret, &client_flight, 1);

        /* A trace without data begins with what stands last. */
        const struct sealed from_server[] = {
            {HBK_TLS_RECORD_HANDSHAKE, {trace->ticket_message}, trace->ticket},
            {HBK_TLS_RECORD_APPLICATION_DATA, {trace->data}, trace->server_data},
            {HBK_TLS_RECORD_ALERT, {"0100"}, trace->server_close},
        };
        const struct sealed from_client[] = {
            {HBK_TLS_RECORD_APPLICATION_DATA, {trace->data}, trace->client_data},
            {HBK_TLS_RECORD_ALERT, {"0100"}, trace->client_close},
        };
        size_t server_first = trace->ticket != NULL ? 0 : 2;
        size_t client_first = trace->data != NULL ? 0 : 1;
        expect_records(trace->server_application_secret, from_server + server_first,
                       HBK_COUNT(from_server) - server_first);
        expect_records(trace->client_application_secret, from_client + client_first,
                       HBK_COUNT(from_client) - client_first);
    }
}

/* ---- the other hash ---- */

/*
 * No trace of the RFC uses SHA-384. These are OpenSSL 3.0's HKDF with the labels of RFC 8446, 7.1,
 * for a shared secret of 32 bytes 07 and transcripts of bytes 01 and 02.
 */
static void a_schedule_of_sha384_is_that_of_libcrypto(void **state)
{
    (void)state;
    uint8_t shared[32];
    uint8_t first[48];
    uint8_t second[48];
    uint8_t secret[48];
    struct hbk_tls_schedule schedule;
    memset(shared, 7, sizeof shared);
    memset(first, 1, sizeof first);
    memset(second, 2, sizeof second);
    hbk_tls_schedule_init(&schedule, HBK_SUITE_AES_256_GCM_SHA384, hbk_slice_of(NULL, 0));
    hbk_tls_schedule_next(&schedule, hbk_slice_of(shared, sizeof shared));
    hbk_tls_schedule_derive(&schedule, "c hs traffic", first, secret);
    assert_rfc8448(hbk_slice_of(secret, sizeof secret),
                   "1b0a19ec5b4b94c7c5e118c7b91d63f6ff111a2b4469a899"
                   "37ea1bd87905b00fd9f95841b7dad828503c0244bf117f4c");
    hbk_tls_schedule_next(&schedule, hbk_slice_of(NULL, 0));
    hbk_tls_schedule_derive(&schedule, "res master", second, secret);
    assert_rfc8448(hbk_slice_of(secret, sizeof secret),
                   "9f7d1dd5332a3ed0899d34ec3df1572ed1f05dcd52bfbe31"
                   "21f1febd69a1f2029e136a7153d3cbdc2b99ab7ba17e14be");
    hbk_tls_finished(HBK_SUITE_AES_256_GCM_SHA384, secret, first, secret);
    assert_rfc8448(hbk_slice_of(secret, sizeof secret),
                   "153ed6ec828b8d523a2953ef9e15b1970b9f0ea8826da2a5"
                   "ce47c106c09e48f5a7ef7160302aa488c0d1ede434f473c8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transcript_hash_is_that_of_rfc8448),
        cmocka_unit_test(every_secret_is_that_of_rfc8448),
        cmocka_unit_test(every_key_is_that_of_rfc8448),
        cmocka_unit_test(every_finished_is_that_of_rfc8448),
        cmocka_unit_test(the_psk_of_a_ticket_is_that_of_rfc8448),
        cmocka_unit_test(the_binder_of_a_psk_is_that_of_rfc8448),
        cmocka_unit_test(every_record_is_that_of_rfc8448),
        cmocka_unit_test(a_schedule_of_sha384_is_that_of_libcrypto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
