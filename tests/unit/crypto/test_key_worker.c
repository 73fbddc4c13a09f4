#include "crypto/key_worker.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "keys.h"

enum { DELAY_NS = 2 * HBK_POLL_DELAY_NS_MIN, FLUSHES_MAX = 1000 };

static const struct hbk_key_provider_options provider_cases[] = {
    {.kind = HBK_KEY_PROVIDER_BATCHER},
    {.kind = HBK_KEY_PROVIDER_SOFTWARE},
    {.kind = HBK_KEY_PROVIDER_CRYPTOMB, .poll_delay_ns = DELAY_NS},
};

static const char message[] = "what is to be signed";

struct bench {
    struct hbk_batcher *batcher;
    struct hbk_key_worker *worker;
    struct hbk_key_provider *provider;
};

static struct bench bench_open(const struct hbk_key_provider_options *options, unsigned queued_max)
{
    struct bench bench = {0};
    struct hbk_batcher_options batcher_options;
    hbk_batcher_options_init(&batcher_options);
    batcher_options.queued_max = queued_max;
    assert_int_equal(hbk_batcher_new(&batcher_options, &bench.batcher), HBK_OK);
    assert_int_equal(hbk_key_worker_new(bench.batcher, &bench.worker), HBK_OK);
    assert_int_equal(hbk_key_provider_new(options, &bench.provider, NULL), HBK_OK);
    return bench;
}

/* cryptomb takes few keys, and none where there are no kernels. */
static bool takes(const struct bench *bench, enum key_name name)
{
    struct hbk_error error = {0};
    return hbk_key_provider_check(bench->provider, key_pkeys[name], &error) == HBK_OK;
}

static void bench_close(struct bench *bench)
{
    hbk_key_worker_free(bench->worker);
    hbk_batcher_free(bench->batcher);
    hbk_key_provider_unref(bench->provider);
}

/* An operation with what the tests want to know of it. */
struct tracked {
    struct hbk_key_operation operation;
    uint8_t output[HBK_KEY_OUTPUT_BYTES_MAX];
    int completions;
    struct hbk_key_worker *worker;
    struct tracked *victim;   /* cancelled by the completion */
    struct tracked *follower; /* submitted by the completion */
    bool is_own;              /* freed by the completion */
};

static int freed; /* operations that freed themselves */

static void on_complete(struct hbk_key_operation *operation)
{
    struct tracked *tracked = HBK_CONTAINER(operation, struct tracked, operation);
    tracked->completions++;
    if (tracked->victim != NULL) {
        hbk_key_cancel(tracked->worker, &tracked->victim->operation);
    }
    if (tracked->follower != NULL) {
        assert_int_equal(hbk_key_submit(tracked->worker, &tracked->follower->operation, 0), HBK_OK);
    }
    if (tracked->is_own) {
        freed++;
        free(tracked);
    }
}

static void init_sign(struct tracked *tracked, struct hbk_private_key *key,
                      enum hbk_sign_scheme scheme)
{
    memset(tracked, 0, sizeof(*tracked));
    tracked->operation.key = key;
    tracked->operation.action = HBK_KEY_SIGN;
    tracked->operation.scheme = scheme;
    tracked->operation.input = HBK_SLICE(message);
    tracked->operation.output =
        hbk_span_of(tracked->output, hbk_private_key_output_bytes(key)); /* and not one byte more */
    tracked->operation.complete = on_complete;
}

static enum hbk_sign_scheme first_scheme(const struct hbk_private_key *key)
{
    enum hbk_sign_scheme schemes[HBK_KEY_SCHEMES_MAX];
    assert_true(hbk_private_key_schemes(key, schemes) > 0);
    return schemes[0];
}

static void submit(struct bench *bench, struct tracked *tracked, uint64_t now_ns)
{
    tracked->worker = bench->worker;
    assert_int_equal(hbk_key_submit(bench->worker, &tracked->operation, now_ns), HBK_OK);
    assert_int_equal(tracked->completions, 0);
}

/* Flushes until nothing is due. */
static void run(struct bench *bench, uint64_t now_ns)
{
    int flushes = 0;
    while (hbk_key_worker_flush(bench->worker, now_ns)) {
        assert_true(++flushes < FLUSHES_MAX);
    }
}

static void assert_signed(const struct tracked *tracked, enum key_name name)
{
    const struct hbk_key_operation *operation = &tracked->operation;
    assert_int_equal(tracked->completions, 1);
    assert_int_equal(operation->status, HBK_OK);
    assert_true(is_right_signature(key_pkeys[name], operation->scheme, HBK_SLICE(message),
                                   hbk_slice_of(tracked->output, operation->output_bytes)));
}

static void every_key_signs_its_schemes_with_every_provider(void **state)
{
    (void)state;
    for (size_t p = 0; p < HBK_COUNT(provider_cases); p++) {
        struct bench bench = bench_open(&provider_cases[p], 64);
        for (size_t i = 0; i < KEY_COUNT; i++) {
            if (!takes(&bench, (enum key_name)i)) {
                assert_int_equal(provider_cases[p].kind, HBK_KEY_PROVIDER_CRYPTOMB);
                continue;
            }
            enum hbk_sign_scheme schemes[HBK_KEY_SCHEMES_MAX];
            struct tracked tracked[HBK_KEY_SCHEMES_MAX];
            struct hbk_private_key *key = new_private_key((enum key_name)i, bench.provider);
            const size_t count = hbk_private_key_schemes(key, schemes);
            for (size_t k = 0; k < count; k++) {
                init_sign(&tracked[k], key, schemes[k]);
                submit(&bench, &tracked[k], 0);
            }
            run(&bench, DELAY_NS);
            for (size_t k = 0; k < count; k++) {
                assert_signed(&tracked[k], (enum key_name)i);
            }
            hbk_private_key_unref(key);
        }
        assert_int_equal(hbk_key_worker_due_ns(bench.worker), UINT64_MAX);
        bench_close(&bench);
    }
}

static void a_digest_is_signed_as_its_message_would_be(void **state)
{
    (void)state;
    struct bench bench = bench_open(&provider_cases[0], 64);
    for (size_t i = 0; i < KEY_ED25519; i++) {
        struct hbk_private_key *key = new_private_key((enum key_name)i, bench.provider);
        struct tracked tracked;
        uint8_t digest[EVP_MAX_MD_SIZE];
        unsigned digest_bytes = 0;
        init_sign(&tracked, key, first_scheme(key));
        assert_int_equal(EVP_Digest(message, sizeof(message) - 1, digest, &digest_bytes,
                                    scheme_hash(tracked.operation.scheme), NULL),
                         1);
        tracked.operation.action = HBK_KEY_SIGN_DIGEST;
        tracked.operation.input = hbk_slice_of(digest, digest_bytes);
        submit(&bench, &tracked, 0);
        memset(digest, 0, sizeof(digest)); /* the input was read */
        run(&bench, 0);
        assert_signed(&tracked, (enum key_name)i);
        hbk_private_key_unref(key);
    }
    bench_close(&bench);
}

static void decryption_gives_the_padded_block(void **state)
{
    (void)state;
    struct bench bench = bench_open(&provider_cases[0], 64);
    for (int i = KEY_RSA_1024; i <= KEY_RSA_2048_E3; i++) {
        struct hbk_private_key *key = new_private_key((enum key_name)i, bench.provider);
        uint8_t secret[48], sealed[HBK_KEY_OUTPUT_BYTES_MAX];
        size_t size = sizeof(sealed);
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key_pkeys[i], NULL);
        struct tracked tracked;
        RAND_bytes(secret, sizeof(secret));
        assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
        assert_int_equal(EVP_PKEY_encrypt(context, sealed, &size, secret, sizeof(secret)), 1);
        EVP_PKEY_CTX_free(context);

        init_sign(&tracked, key, 0);
        tracked.operation.action = HBK_KEY_DECRYPT;
        tracked.operation.input = hbk_slice_of(sealed, size);
        submit(&bench, &tracked, 0);
        run(&bench, 0);
        assert_int_equal(tracked.operation.status, HBK_OK);
        assert_int_equal(tracked.operation.output_bytes, size);
        assert_int_equal(tracked.output[0], 0);
        assert_int_equal(tracked.output[1], 2);
        assert_memory_equal(tracked.output + size - sizeof(secret), secret, sizeof(secret));

        /* Not below the modulus: it is refused in its own time, like any other result. */
        memset(sealed, 0xff, size);
        submit(&bench, (tracked.completions = 0, &tracked), 0);
        run(&bench, 0);
        assert_int_equal(tracked.completions, 1);
        assert_int_equal(tracked.operation.status, HBK_INVALID);
        assert_int_equal(tracked.operation.output_bytes, 0);
        hbk_private_key_unref(key);
    }
    bench_close(&bench);
}

static void what_a_key_does_not_do_is_refused_at_once(void **state)
{
    (void)state;
    static const uint8_t bytes[1024];
    static const struct {
        const char *name;
        enum key_name key;
        enum hbk_key_action action;
        unsigned scheme;
        size_t input_bytes;
        hbk_status status;
    } cases[] = {
        {"an EC scheme with RSA", KEY_RSA_2048, HBK_KEY_SIGN, HBK_SIGN_ECDSA_P256_SHA256, 9,
         HBK_UNSUPPORTED},
        {"an RSA scheme with EC", KEY_P256, HBK_KEY_SIGN, HBK_SIGN_RSA_PSS_RSAE_SHA256, 9,
         HBK_UNSUPPORTED},
        {"the other curve", KEY_P256, HBK_KEY_SIGN, HBK_SIGN_ECDSA_P384_SHA384, 9, HBK_UNSUPPORTED},
        {"no scheme at all", KEY_RSA_2048, HBK_KEY_SIGN, 0x0201, 9, HBK_UNSUPPORTED},
        {"PSS that does not fit", KEY_RSA_1024, HBK_KEY_SIGN, HBK_SIGN_RSA_PSS_RSAE_SHA512, 9,
         HBK_UNSUPPORTED},
        {"EC that decrypts", KEY_P256, HBK_KEY_DECRYPT, 0, 32, HBK_UNSUPPORTED},
        {"Ed25519 that decrypts", KEY_ED25519, HBK_KEY_DECRYPT, 0, 32, HBK_UNSUPPORTED},
        {"a short input to decrypt", KEY_RSA_2048, HBK_KEY_DECRYPT, 0, 255, HBK_INVALID},
        {"a long input to decrypt", KEY_RSA_2048, HBK_KEY_DECRYPT, 0, 257, HBK_INVALID},
        {"a digest of the wrong size", KEY_RSA_2048, HBK_KEY_SIGN_DIGEST, HBK_SIGN_RSA_PKCS1_SHA256,
         31, HBK_INVALID},
        {"a digest for Ed25519", KEY_ED25519, HBK_KEY_SIGN_DIGEST, HBK_SIGN_ED25519, 64,
         HBK_UNSUPPORTED},
        {"a long message for Ed25519", KEY_ED25519, HBK_KEY_SIGN, HBK_SIGN_ED25519,
         HBK_KEY_ED25519_MESSAGE_BYTES_MAX + 1, HBK_LIMIT},
    };
    struct bench bench = bench_open(&provider_cases[0], 64);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_private_key *key = new_private_key(cases[i].key, bench.provider);
        struct tracked tracked;
        init_sign(&tracked, key, cases[i].scheme);
        tracked.operation.action = cases[i].action;
        tracked.operation.input = hbk_slice_of(bytes, cases[i].input_bytes);
        if (hbk_key_submit(bench.worker, &tracked.operation, 0) != cases[i].status) {
            fail_msg("%s", cases[i].name);
        }
        assert_false(hbk_key_worker_flush(bench.worker, 0));
        assert_int_equal(tracked.completions, 0);
        hbk_private_key_unref(key);
    }
    bench_close(&bench);
}

static void cryptomb_waits_for_eight_or_for_its_delay(void **state)
{
    (void)state;
    if (path_count() < 2) {
        skip(); /* no kernels, no cryptomb */
    }
    static const enum key_name names[] = {KEY_RSA_2048, KEY_P256};
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        struct bench bench = bench_open(&provider_cases[2], 64);
        struct hbk_private_key *key = new_private_key(names[i], bench.provider);
        struct tracked tracked[HBK_LANES + 1];
        for (int k = 0; k <= HBK_LANES; k++) {
            init_sign(&tracked[k], key, first_scheme(key));
        }
        submit(&bench, &tracked[0], 500);
        assert_int_equal(hbk_key_worker_due_ns(bench.worker), 500 + (uint64_t)DELAY_NS);
        run(&bench, 500 + (uint64_t)DELAY_NS - 1);
        assert_int_equal(tracked[0].completions, 0);
        run(&bench, 500 + (uint64_t)DELAY_NS);
        assert_signed(&tracked[0], names[i]);

        for (int k = 1; k <= HBK_LANES; k++) {
            submit(&bench, &tracked[k], 5000);
        }
        run(&bench, 5000); /* the eighth does not wait */
        for (int k = 1; k <= HBK_LANES; k++) {
            assert_signed(&tracked[k], names[i]);
        }
        assert_int_equal(hbk_batcher_counters(bench.batcher)->vector_jobs, 0); /* not its work */
        assert_int_equal(hbk_key_worker_counters(bench.worker)->vector_jobs +
                             hbk_key_worker_counters(bench.worker)->twin_jobs,
                         HBK_LANES + 1);
        hbk_private_key_unref(key);
        bench_close(&bench);
    }
}

static void a_lone_operation_of_the_default_waits_for_nobody_and_for_no_batch(void **state)
{
    (void)state;
    static const enum key_name names[] = {KEY_RSA_2048, KEY_RSA_3072, KEY_P256};
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        struct bench bench = bench_open(&provider_cases[0], 64);
        struct hbk_private_key *key = new_private_key(names[i], NULL);
        struct tracked tracked;
        init_sign(&tracked, key, first_scheme(key));
        submit(&bench, &tracked, 700);
        assert_int_equal(hbk_key_worker_due_ns(bench.worker), 0);
        assert_false(hbk_key_worker_flush(bench.worker, 700));
        assert_signed(&tracked, names[i]);
        assert_int_equal(hbk_batcher_counters(bench.batcher)->twin_jobs, 1);
        hbk_private_key_unref(key);
        bench_close(&bench);
    }
}

/* As certificates are replaced: whoever began with the old key holds it until the end. */
static void keys_are_replaced_while_operations_of_the_old_ones_are_under_way(void **state)
{
    (void)state;
    enum { ROUNDS = 20 };
    for (size_t p = 0; p < HBK_COUNT(provider_cases); p++) {
        struct bench bench = bench_open(&provider_cases[p], 64);
        static struct tracked tracked[ROUNDS];
        struct hbk_private_key *held[ROUNDS];
        struct hbk_private_key *newest = NULL;
        for (int i = 0; i < ROUNDS && takes(&bench, KEY_P256); i++) {
            hbk_private_key_unref(newest);
            newest = new_private_key(i % 2 == 0 ? KEY_P256 : KEY_RSA_2048, bench.provider);
            held[i] = hbk_private_key_ref(newest);
            init_sign(&tracked[i], held[i], first_scheme(held[i]));
            submit(&bench, &tracked[i], 0);
            if (i % 5 == 4) {
                (void)hbk_key_worker_flush(bench.worker, 0);
            }
        }
        hbk_private_key_unref(newest);
        run(&bench, DELAY_NS);
        for (int i = 0; i < ROUNDS && takes(&bench, KEY_P256); i++) {
            assert_signed(&tracked[i], i % 2 == 0 ? KEY_P256 : KEY_RSA_2048);
            hbk_private_key_unref(held[i]);
        }
        bench_close(&bench);
    }
}

static void keys_of_one_waiting_time_fill_one_batch(void **state)
{
    (void)state;
    if (path_count() < 2) {
        skip(); /* no kernels, no cryptomb */
    }
    struct bench bench = bench_open(&provider_cases[2], 64);
    struct hbk_key_provider *twin = NULL; /* another provider with the same waiting time */
    assert_int_equal(hbk_key_provider_new(&provider_cases[2], &twin, NULL), HBK_OK);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct hbk_private_key *other = new_private_key(KEY_RSA_2048, twin);
    struct tracked tracked[HBK_LANES];
    for (int k = 0; k < HBK_LANES; k++) {
        init_sign(&tracked[k], k % 2 == 0 ? key : other, HBK_SIGN_RSA_PSS_RSAE_SHA256);
        submit(&bench, &tracked[k], 0);
    }
    assert_ptr_equal(tracked[0].operation.batcher, tracked[1].operation.batcher);
    assert_int_equal(hbk_key_worker_due_ns(bench.worker), 0);
    run(&bench, DELAY_NS);
    for (int k = 0; k < HBK_LANES; k++) {
        assert_signed(&tracked[k], KEY_RSA_2048);
    }
    hbk_private_key_unref(key);
    hbk_private_key_unref(other);
    hbk_key_provider_unref(twin);
    bench_close(&bench);
}

static void a_cancelled_operation_does_not_complete(void **state)
{
    (void)state;
    static const enum key_name names[] = {KEY_RSA_2048, KEY_RSA_4096, KEY_P256, KEY_ED25519};
    for (size_t p = 0; p < HBK_COUNT(provider_cases); p++) {
        for (size_t i = 0; i < HBK_COUNT(names); i++) {
            struct bench bench = bench_open(&provider_cases[p], 64);
            if (!takes(&bench, names[i])) {
                bench_close(&bench);
                continue;
            }
            struct hbk_private_key *key = new_private_key(names[i], bench.provider);
            struct tracked *tracked = malloc(sizeof(*tracked));
            struct tracked other;
            init_sign(tracked, key, first_scheme(key));
            init_sign(&other, key, first_scheme(key));
            hbk_key_cancel(bench.worker, &tracked->operation); /* not submitted: nothing happens */
            submit(&bench, tracked, 0);
            submit(&bench, &other, 0);
            if (names[i] == KEY_RSA_4096) {
                (void)hbk_key_worker_flush(bench.worker, DELAY_NS); /* its batch is under way */
            }
            hbk_key_cancel(bench.worker, &tracked->operation);
            hbk_key_cancel(bench.worker, &tracked->operation);
            if (tracked->completions == 0) {
                memset(tracked, 0xa5, sizeof(*tracked));
            }
            free(tracked);
            run(&bench, DELAY_NS);
            assert_signed(&other, names[i]);
            hbk_private_key_unref(key);
            bench_close(&bench);
        }
    }
}

static void a_completion_may_cancel_submit_and_free(void **state)
{
    (void)state;
    for (size_t p = 0; p < HBK_COUNT(provider_cases); p++) {
        struct bench bench = bench_open(&provider_cases[p], 64);
        if (!takes(&bench, KEY_P256)) {
            bench_close(&bench);
            continue;
        }
        struct hbk_private_key *key = new_private_key(KEY_P256, bench.provider);
        struct tracked *first = malloc(sizeof(*first));
        struct tracked victim, follower;
        init_sign(first, key, HBK_SIGN_ECDSA_P256_SHA256);
        init_sign(&victim, key, HBK_SIGN_ECDSA_P256_SHA256);
        init_sign(&follower, key, HBK_SIGN_ECDSA_P256_SHA256);
        first->victim = &victim;
        first->follower = &follower;
        first->is_own = true;
        freed = 0;
        submit(&bench, first, 0);
        submit(&bench, &victim, 0);
        run(&bench, DELAY_NS);
        run(&bench, DELAY_NS);
        assert_int_equal(freed, 1);
        assert_int_equal(victim.completions, 0);
        assert_signed(&follower, KEY_P256);
        hbk_private_key_unref(key);
        bench_close(&bench);
    }
}

static void more_waiting_times_than_places_share_the_workers_batcher(void **state)
{
    (void)state;
    if (path_count() < 2) {
        skip(); /* no kernels, no cryptomb */
    }
    enum { TIMES = HBK_KEY_WORKER_BATCHERS_MAX + 1 };
    struct bench bench = bench_open(&provider_cases[0], 64);
    struct hbk_key_provider *providers[TIMES];
    struct hbk_private_key *keys[TIMES];
    struct tracked *tracked = calloc(TIMES, sizeof(*tracked));
    for (uint64_t i = 0; i < TIMES; i++) {
        const struct hbk_key_provider_options options = {
            .kind = HBK_KEY_PROVIDER_CRYPTOMB,
            .poll_delay_ns = DELAY_NS + i,
        };
        assert_int_equal(hbk_key_provider_new(&options, &providers[i], NULL), HBK_OK);
        keys[i] = new_private_key(KEY_P256, providers[i]);
        init_sign(&tracked[i], keys[i], HBK_SIGN_ECDSA_P256_SHA256);
        submit(&bench, &tracked[i], 0);
        assert_int_equal(tracked[i].operation.batcher == bench.batcher, i == TIMES - 1);
    }
    run(&bench, 0);
    assert_signed(&tracked[TIMES - 1], KEY_P256);
    run(&bench, 2 * DELAY_NS);
    for (uint64_t i = 0; i < TIMES; i++) {
        assert_signed(&tracked[i], KEY_P256);
    }
    /* Now they are idle, and one makes room; also for an operation that a completion submits,
     * which must not free the batcher that is completing. */
    init_sign(&tracked[0], keys[0], HBK_SIGN_ECDSA_P256_SHA256);
    init_sign(&tracked[1], keys[TIMES - 1], HBK_SIGN_ECDSA_P256_SHA256);
    tracked[0].follower = &tracked[1];
    tracked[1].worker = bench.worker;
    submit(&bench, &tracked[0], 0);
    run(&bench, 2 * DELAY_NS);
    assert_true(tracked[1].operation.batcher != bench.batcher);
    assert_signed(&tracked[1], KEY_P256);
    for (uint64_t i = 0; i < TIMES; i++) {
        hbk_private_key_unref(keys[i]);
        hbk_key_provider_unref(providers[i]);
    }
    free(tracked);
    bench_close(&bench);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct bench bench = bench_open(&provider_cases[0], 1);
    struct hbk_private_key *key = new_private_key(KEY_P256, bench.provider);
    struct tracked first, second;
    init_sign(&first, key, HBK_SIGN_ECDSA_P256_SHA256);
    init_sign(&second, key, HBK_SIGN_ECDSA_P256_SHA256);
    submit(&bench, &first, 0);
    assert_int_equal(hbk_key_submit(bench.worker, &second.operation, 0), HBK_LIMIT);
    run(&bench, 0);
    assert_signed(&first, KEY_P256);
    assert_int_equal(second.completions, 0);
    submit(&bench, &second, 0);
    run(&bench, 0);
    assert_signed(&second, KEY_P256);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void a_flush_runs_at_most_one_batch(void **state)
{
    (void)state;
    if (path_count() < 2) {
        skip(); /* no kernels, no cryptomb */
    }
    struct bench bench = bench_open(&provider_cases[2], 64);
    struct hbk_private_key *keys[] = {
        new_private_key(KEY_P256, NULL),
        new_private_key(KEY_ED25519, NULL),
        new_private_key(KEY_P256, bench.provider),
    };
    struct tracked tracked[HBK_COUNT(keys)];
    for (size_t i = 0; i < HBK_COUNT(keys); i++) {
        init_sign(&tracked[i], keys[i], first_scheme(keys[i]));
        submit(&bench, &tracked[i], 0);
    }
    for (int done = 1; done <= (int)HBK_COUNT(keys); done++) {
        int completions = 0;
        assert_int_equal(hbk_key_worker_flush(bench.worker, DELAY_NS), done < (int)HBK_COUNT(keys));
        for (size_t i = 0; i < HBK_COUNT(keys); i++) {
            completions += tracked[i].completions;
        }
        assert_int_equal(completions, done);
    }
    for (size_t i = 0; i < HBK_COUNT(keys); i++) {
        hbk_private_key_unref(keys[i]);
    }
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_signs_its_schemes_with_every_provider),
        cmocka_unit_test(a_digest_is_signed_as_its_message_would_be),
        cmocka_unit_test(decryption_gives_the_padded_block),
        cmocka_unit_test(what_a_key_does_not_do_is_refused_at_once),
        cmocka_unit_test(cryptomb_waits_for_eight_or_for_its_delay),
        cmocka_unit_test(a_lone_operation_of_the_default_waits_for_nobody_and_for_no_batch),
        cmocka_unit_test(keys_are_replaced_while_operations_of_the_old_ones_are_under_way),
        cmocka_unit_test(keys_of_one_waiting_time_fill_one_batch),
        cmocka_unit_test(a_cancelled_operation_does_not_complete),
        cmocka_unit_test(a_completion_may_cancel_submit_and_free),
        cmocka_unit_test(more_waiting_times_than_places_share_the_workers_batcher),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_flush_runs_at_most_one_batch),
    };
    return cmocka_run_group_tests(tests, make_key_pkeys, free_key_pkeys);
}
