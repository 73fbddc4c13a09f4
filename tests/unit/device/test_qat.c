#include "device/qat.h"

#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/key_worker.h"
#include "crypto/keys.h"
#include "device/double.h"
#include "os/poll.h"

/* The time of these workers stands still: only run_out_of_patience() finds an answer late. */
enum { NOW_NS = 1000000, WAIT_MS = 20000, OPERATIONS_MAX = 200 };

/* ---- a worker with the device ---- */

struct bench {
    struct hbk_qat *qat;
    struct hbk_key_provider *provider;
    struct hbk_batcher *batcher;
    struct hbk_key_worker *worker;
    int wake;
};

static void wake_up(void *argument)
{
    hbk_event_set((int)(intptr_t)argument);
}

static void worker_open(struct bench *bench, unsigned queued_max)
{
    struct hbk_batcher_options batcher_options;
    hbk_batcher_options_init(&batcher_options);
    batcher_options.queued_max = queued_max;
    assert_int_equal(hbk_batcher_new(&batcher_options, &bench->batcher), HBK_OK);
    assert_int_equal(hbk_key_worker_new(bench->batcher, &bench->worker), HBK_OK);
    assert_int_equal(hbk_event_open(&bench->wake), HBK_OK);
    assert_int_equal(hbk_key_worker_set_wake(bench->worker, wake_up, (void *)(intptr_t)bench->wake),
                     HBK_OK);
}

static void worker_close(struct bench *bench)
{
    hbk_key_worker_free(bench->worker);
    hbk_batcher_free(bench->batcher);
    close(bench->wake);
}

static void device_open_with(struct bench *bench, const struct qat_double_settings *settings,
                             const struct hbk_qat_options *qat_options)
{
    struct hbk_error error = {0};
    double_set(NULL);
    double_set(settings);
    if (hbk_qat_open(qat_options, &bench->qat, &error) != HBK_OK) {
        fail_msg("%s", error.text);
    }
    const struct hbk_key_provider_options provider = {
        .kind = HBK_KEY_PROVIDER_QAT,
        .device = hbk_qat_device(bench->qat),
    };
    assert_int_equal(hbk_key_provider_new(&provider, &bench->provider, &error), HBK_OK);
}

static void device_open(struct bench *bench, const struct qat_double_settings *settings)
{
    device_open_with(bench, settings, &options);
}

/* Everything that was taken from the library was given back, and nothing was called wrongly. */
static void device_close(struct bench *bench)
{
    hbk_key_provider_unref(bench->provider);
    hbk_qat_close(bench->qat);
    const struct qat_double_counts counts = double_counts();
    assert_int_equal(counts.bad_calls, 0);
    assert_int_equal(counts.pinned_blocks, 0);
    assert_int_equal(counts.stopped, counts.started);
    assert_int_equal(counts.instances_stopped, counts.instances_started);
}

static struct bench bench_open(const struct qat_double_settings *settings)
{
    struct bench bench = {0};
    device_open(&bench, settings);
    worker_open(&bench, HBK_BATCHER_QUEUED_MAX);
    return bench;
}

static void bench_close(struct bench *bench)
{
    worker_close(bench);
    device_close(bench);
}

static uint64_t count(const struct bench *bench, enum hbk_key_count index)
{
    struct hbk_key_counters counters;
    hbk_key_provider_counters(bench->provider, &counters);
    return counters.counts[index];
}

/* ---- operations ---- */

static const char message[] = "what is to be signed";

struct tracked {
    struct hbk_key_operation operation;
    uint8_t output[HBK_KEY_OUTPUT_BYTES_MAX];
    int completions;
};

static _Thread_local int completed; /* on this thread */

static void on_complete(struct hbk_key_operation *operation)
{
    HBK_CONTAINER(operation, struct tracked, operation)->completions++;
    completed++;
}

static void submit(struct bench *bench, struct tracked *tracked, struct hbk_private_key *key,
                   enum hbk_sign_scheme scheme)
{
    memset(tracked, 0, sizeof(*tracked));
    tracked->operation.key = key;
    tracked->operation.scheme = scheme;
    tracked->operation.input = HBK_SLICE(message);
    tracked->operation.output = hbk_span_of(tracked->output, hbk_private_key_output_bytes(key));
    tracked->operation.complete = on_complete;
    assert_int_equal(hbk_key_submit(bench->worker, &tracked->operation, NOW_NS), HBK_OK);
    assert_int_equal(tracked->completions, 0);
}

/* Flushes, and waits to be woken, until `wanted` operations have completed on this thread. */
static void wait_for(struct bench *bench, int wanted)
{
    while (completed < wanted) {
        struct pollfd wake = {.fd = bench->wake, .events = POLLIN};
        if (hbk_key_worker_due_ns(bench->worker) <= NOW_NS) {
            (void)hbk_key_worker_flush(bench->worker, NOW_NS);
            continue;
        }
        if (poll(&wake, 1, WAIT_MS) != 1) {
            fail_msg("%d of %d operations completed", completed, wanted);
        }
        hbk_event_clear(bench->wake);
    }
}

/* As if so much time had passed that nobody waits for the device any more. */
static void run_out_of_patience(struct bench *bench)
{
    const uint64_t later_ns =
        (uint64_t)NOW_NS + HBK_KEY_DEVICE_PATIENCE_NS + 2 * options.poll_delay_ns + 1;
    while (hbk_key_worker_flush(bench->worker, later_ns)) {
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

static int open_double_and_keys(void **state)
{
    open_double();
    return make_key_pkeys(state);
}

static int reset(void **state)
{
    (void)state;
    completed = 0;
    return 0;
}

/* ---- what goes well ---- */

static void rsa_keys_sign_and_decrypt_at_the_device(void **state)
{
    (void)state;
    const struct qat_double_settings modes[] = {good, good_events};
    for (size_t m = 0; m < HBK_COUNT(modes); m++) {
        struct bench bench = bench_open(&modes[m]);
        assert_int_equal(hbk_qat_state(bench.qat).instances, 2);
        assert_int_equal(hbk_qat_state(bench.qat).with_descriptors, m == 0 ? 0 : 2);
        uint64_t operations = 0;
        for (int name = KEY_RSA_1024; name <= KEY_RSA_2048_E3; name++) {
            enum hbk_sign_scheme schemes[HBK_KEY_SCHEMES_MAX];
            struct tracked tracked[HBK_KEY_SCHEMES_MAX];
            struct hbk_private_key *key = new_private_key((enum key_name)name, bench.provider);
            const size_t scheme_count = hbk_private_key_schemes(key, schemes);
            completed = 0;
            for (size_t i = 0; i < scheme_count; i++) {
                submit(&bench, &tracked[i], key, schemes[i]);
            }
            wait_for(&bench, (int)scheme_count);
            for (size_t i = 0; i < scheme_count; i++) {
                assert_signed(&tracked[i], (enum key_name)name);
            }
            operations += scheme_count;
            hbk_private_key_unref(key);
        }
        assert_int_equal(count(&bench, HBK_KEY_COUNT_DEVICE), operations);
        assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), operations);
        assert_int_equal(count(&bench, HBK_KEY_COUNT_TO_BATCHER), 0);
        assert_int_equal(hbk_qat_state(bench.qat).in_flight, 0);
        bench_close(&bench);
    }
}

static void a_ciphertext_comes_back_as_its_padded_block(void **state)
{
    (void)state;
    struct bench bench = bench_open(&good);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    uint8_t secret[128], sealed[256];
    size_t size = sizeof(sealed);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key_pkeys[KEY_RSA_2048], NULL);
    RAND_bytes(secret, sizeof(secret));
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, sealed, &size, secret, sizeof(secret)), 1);
    EVP_PKEY_CTX_free(context);

    struct tracked tracked = {
        .operation =
            {
                .key = key,
                .action = HBK_KEY_DECRYPT,
                .input = hbk_slice_of(sealed, size),
                .output = hbk_span_of(tracked.output, sizeof(tracked.output)),
                .complete = on_complete,
            },
    };
    assert_int_equal(hbk_key_submit(bench.worker, &tracked.operation, NOW_NS), HBK_OK);
    wait_for(&bench, 1);
    assert_int_equal(tracked.operation.status, HBK_OK);
    assert_int_equal(tracked.operation.output_bytes, 256);
    assert_memory_equal(tracked.output + 128, secret, sizeof(secret));
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void instances_are_used_in_turn(void **state)
{
    (void)state;
    struct bench bench = bench_open(&good);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked[10];
    for (int i = 0; i < 10; i++) {
        submit(&bench, &tracked[i], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    }
    wait_for(&bench, 10);
    assert_int_equal(double_counts().submitted[0], 5);
    assert_int_equal(double_counts().submitted[1], 5);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void instances_without_rsa_are_left_alone(void **state)
{
    (void)state;
    const struct qat_double_settings settings = {.instances = 4, .rsa_instances = 1 << 2};
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked[4];
    assert_int_equal(hbk_qat_state(bench.qat).instances, 1);
    for (int i = 0; i < 4; i++) {
        submit(&bench, &tracked[i], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    }
    wait_for(&bench, 4);
    assert_int_equal(double_counts().submitted[2], 4);
    assert_int_equal(double_counts().instances_started, 1);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void keys_of_several_sizes_are_checked_in_one_go(void **state)
{
    (void)state;
    static const enum key_name names[] = {KEY_RSA_2048, KEY_RSA_4096, KEY_RSA_3072, KEY_RSA_1024,
                                          KEY_RSA_2048_E3};
    enum { COUNT = 15 };
    struct qat_double_settings settings = good;
    settings.is_held = true;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *keys[HBK_COUNT(names)];
    static struct tracked tracked[COUNT];
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        keys[i] = new_private_key(names[i], bench.provider);
    }
    for (size_t i = 0; i < COUNT; i++) {
        submit(&bench, &tracked[i], keys[i % HBK_COUNT(names)], HBK_SIGN_RSA_PSS_RSAE_SHA256);
    }
    double_set(&good);
    wait_for(&bench, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_signed(&tracked[i], names[i % HBK_COUNT(names)]);
    }
    assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), COUNT);
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        hbk_private_key_unref(keys[i]);
    }
    bench_close(&bench);
}

/* ---- what goes wrong ---- */

static void a_device_that_fails_is_replaced_operation_by_operation(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct qat_double_settings settings;
        enum hbk_key_count count;
        uint64_t at_device;
    } cases[] = {
        {"it refuses", {.submit_status = -1}, HBK_KEY_COUNT_FAILED, 0},
        {"it does not know the parameters", {.submit_status = -4}, HBK_KEY_COUNT_FAILED, 0},
        {"its rings are full", {.submit_status = -2}, HBK_KEY_COUNT_OVERFLOW, 0},
        {"it has no resources", {.submit_status = -3}, HBK_KEY_COUNT_OVERFLOW, 0},
        {"it restarts", {.submit_status = -7}, HBK_KEY_COUNT_DOWN, 0},
        {"it is broken", {.submit_status = -5}, HBK_KEY_COUNT_DOWN, 0},
        {"its answer is a failure", {.answer_status = -1}, HBK_KEY_COUNT_FAILED, 1},
        {"its answer is that it restarts", {.answer_status = -7}, HBK_KEY_COUNT_FAILED, 1},
        {"its answer is wrong", {.is_wrong = true}, HBK_KEY_COUNT_WRONG, 1},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct qat_double_settings settings = cases[i].settings;
        struct bench bench = bench_open(&good);
        struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
        struct tracked tracked;
        settings.instances = good.instances;
        settings.rsa_instances = good.rsa_instances;
        double_set(&settings);
        completed = 0;
        submit(&bench, &tracked, key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
        wait_for(&bench, 1);
        assert_signed(&tracked, KEY_RSA_2048);
        if (count(&bench, cases[i].count) != 1 ||
            count(&bench, HBK_KEY_COUNT_DEVICE) != cases[i].at_device ||
            count(&bench, HBK_KEY_COUNT_ANSWERED) != 0 ||
            count(&bench, HBK_KEY_COUNT_TO_BATCHER) != 1) {
            fail_msg("%s", cases[i].name);
        }
        hbk_private_key_unref(key);
        bench_close(&bench);
    }
}

static void a_wrong_result_in_one_lane_is_redone_and_the_others_are_sent(void **state)
{
    (void)state;
    struct qat_double_settings settings = good_events;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked[9];
    for (int i = 0; i < 9; i++) {
        settings.is_wrong = i == 4;
        double_set(&settings);
        submit(&bench, &tracked[i], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
        /* The answer is computed before the next one is submitted, and waits to be checked. */
        double_wait((unsigned)i + 1);
    }
    wait_for(&bench, 9);
    for (int i = 0; i < 9; i++) {
        assert_signed(&tracked[i], KEY_RSA_2048);
    }
    assert_int_equal(count(&bench, HBK_KEY_COUNT_WRONG), 1);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), 8);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_TO_BATCHER), 1);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

/* One wrong signature gives a prime away, so not even the submitter's memory gets to see it. */
static void a_wrong_result_is_never_in_the_output(void **state)
{
    (void)state;
    static const uint8_t zeros[HBK_KEY_OUTPUT_BYTES_MAX];
    struct qat_double_settings settings = good_events;
    settings.is_wrong = true;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked;
    submit(&bench, &tracked, key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    while (count(&bench, HBK_KEY_COUNT_WRONG) == 0) {
        (void)hbk_key_worker_flush(bench.worker, NOW_NS);
    }
    assert_memory_equal(tracked.output, zeros, sizeof zeros); /* it is the batcher's now */
    wait_for(&bench, 1);
    assert_signed(&tracked, KEY_RSA_2048);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void what_is_over_the_limit_in_flight_goes_elsewhere_and_no_ring_is_ever_full(void **state)
{
    (void)state;
    enum { OVER = 5, COUNT = 2 * HBK_QAT_IN_FLIGHT_MAX + OVER };
    struct qat_double_settings settings = good;
    settings.is_held = true;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked *tracked = calloc(COUNT, sizeof(*tracked));
    for (int i = 0; i < COUNT; i++) {
        submit(&bench, &tracked[i], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    }
    assert_int_equal(hbk_qat_state(bench.qat).in_flight, 2 * HBK_QAT_IN_FLIGHT_MAX);
    wait_for(&bench, OVER); /* the device still holds the others */
    assert_int_equal(count(&bench, HBK_KEY_COUNT_OVERFLOW), OVER);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_TO_BATCHER), OVER);
    double_set(&good);
    wait_for(&bench, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_signed(&tracked[i], KEY_RSA_2048);
    }
    assert_int_equal(double_counts().full, 0);
    free(tracked);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void a_full_batcher_sends_them_on_to_libcrypto(void **state)
{
    (void)state;
    struct qat_double_settings settings = good;
    settings.submit_status = -2;
    struct bench bench = {0};
    device_open(&bench, &settings);
    worker_open(&bench, 1);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked[3];
    for (int i = 0; i < 3; i++) {
        submit(&bench, &tracked[i], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    }
    wait_for(&bench, 3);
    for (int i = 0; i < 3; i++) {
        assert_signed(&tracked[i], KEY_RSA_2048);
    }
    assert_int_equal(count(&bench, HBK_KEY_COUNT_TO_BATCHER), 1);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_TO_SOFTWARE), 2);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void an_answer_that_does_not_come_is_not_waited_for(void **state)
{
    (void)state;
    struct qat_double_settings settings = good;
    settings.is_held = true;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked[3];
    submit(&bench, &tracked[0], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    submit(&bench, &tracked[1], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    assert_false(hbk_key_worker_flush(bench.worker, NOW_NS));
    assert_int_equal(completed, 0);
    run_out_of_patience(&bench);
    assert_signed(&tracked[0], KEY_RSA_2048);
    assert_signed(&tracked[1], KEY_RSA_2048);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_LATE), 2);

    /* Instances that owe an answer get nothing more ... */
    assert_int_equal(hbk_qat_state(bench.qat).up, 0);
    submit(&bench, &tracked[2], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&bench, 3);
    assert_signed(&tracked[2], KEY_RSA_2048);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_DOWN), 1);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_TO_BATCHER), 3);

    /* ... until it has come, which completes nothing twice. */
    double_set(&good);
    while (hbk_qat_state(bench.qat).up < 2) {
        (void)hbk_key_worker_flush(bench.worker, NOW_NS);
    }
    assert_int_equal(completed, 3);
    submit(&bench, &tracked[2], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&bench, 4);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), 1);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void an_answer_that_waits_for_a_slow_poll_is_not_late(void **state)
{
    (void)state;
    const struct {
        struct qat_double_settings settings;
        uint64_t poll_delay_ns, patience_ns;
    } cases[] = {
        {good, 500000000, UINT64_C(1000000000) + HBK_KEY_DEVICE_PATIENCE_NS},
        {good, 1000000, 2000000 + HBK_KEY_DEVICE_PATIENCE_NS},
        {good_events, 500000000, HBK_KEY_DEVICE_PATIENCE_NS}, /* told by a descriptor */
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct qat_double_settings settings = cases[i].settings;
        struct hbk_qat_options slow = options;
        struct bench bench = {0};
        struct tracked tracked;
        settings.is_held = true;
        slow.poll_delay_ns = cases[i].poll_delay_ns;
        completed = 0;
        device_open_with(&bench, &settings, &slow);
        worker_open(&bench, HBK_BATCHER_QUEUED_MAX);
        struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
        submit(&bench, &tracked, key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
        assert_int_equal(hbk_key_worker_due_ns(bench.worker), NOW_NS + cases[i].patience_ns);
        hbk_qat_poll_faster(bench.qat, 1000000);
        double_set(&good);
        wait_for(&bench, 1);
        assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), 1);
        hbk_private_key_unref(key);
        bench_close(&bench);
    }
}

struct refusal {
    struct bench bench;
    struct hbk_private_key *key;
    pthread_t thread;
};

/* A worker whose operation the device refuses; the batcher computes it. */
static void *be_refused(void *argument)
{
    struct refusal *refusal = argument;
    struct tracked tracked;
    completed = 0;
    submit(&refusal->bench, &tracked, refusal->key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&refusal->bench, 1);
    return NULL;
}

static void an_operation_beside_a_refused_one_is_collected_without_an_event(void **state)
{
    (void)state;
    struct qat_double_settings settings = {
        .instances = 1, .rsa_instances = 1, .submit_status = -2, .is_gated = true};
    struct hbk_qat_options patient = options;
    struct bench bench = {0};
    struct refusal refusal;
    struct tracked tracked;
    patient.events_ns = UINT64_C(3600000000000); /* what does not wake the thread does not come */
    device_open_with(&bench, &settings, &patient);
    worker_open(&bench, HBK_BATCHER_QUEUED_MAX);
    refusal.bench = bench;
    worker_open(&refusal.bench, HBK_BATCHER_QUEUED_MAX);
    refusal.key = new_private_key(KEY_RSA_2048, bench.provider);

    /* The first one counts as away while the library refuses it; the second one is taken then, and
     * is not the one that found nothing away. */
    assert_int_equal(pthread_create(&refusal.thread, NULL, be_refused, &refusal), 0);
    double_refused(1);
    settings.submit_status = 0;
    double_set(&settings);
    submit(&bench, &tracked, refusal.key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    settings.is_gated = false;
    double_set(&settings);
    wait_for(&bench, 1);
    assert_int_equal(pthread_join(refusal.thread, NULL), 0);
    assert_signed(&tracked, KEY_RSA_2048);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_OVERFLOW), 1);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), 1);
    worker_close(&refusal.bench);
    hbk_private_key_unref(refusal.key);
    bench_close(&bench);
}

static void an_instance_that_restarts_is_left_out_until_it_is_back(void **state)
{
    (void)state;
    struct bench bench = bench_open(&good);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked[4];
    double_event(0, 0); /* restarting */
    assert_int_equal(hbk_qat_state(bench.qat).up, 1);
    submit(&bench, &tracked[0], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    submit(&bench, &tracked[1], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&bench, 2);
    assert_int_equal(double_counts().submitted[0], 0);
    assert_int_equal(double_counts().submitted[1], 2);

    double_event(1, 2); /* a fatal error: removed */
    submit(&bench, &tracked[2], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&bench, 3);
    assert_signed(&tracked[2], KEY_RSA_2048);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_DOWN), 1);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_TO_BATCHER), 1);

    double_event(0, 1); /* restarted */
    submit(&bench, &tracked[3], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&bench, 4);
    assert_int_equal(double_counts().submitted[0], 1);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), 3);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

/* ---- ends ---- */

static void a_cancelled_operation_and_its_key_may_go_while_the_device_has_them(void **state)
{
    (void)state;
    struct qat_double_settings settings = good;
    settings.is_held = true;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked *tracked = malloc(sizeof(*tracked));
    struct tracked other;
    submit(&bench, tracked, key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    hbk_key_cancel(bench.worker, &tracked->operation);
    memset(tracked, 0xa5, sizeof(*tracked));
    free(tracked);
    hbk_private_key_unref(key);
    assert_int_equal(hbk_qat_state(bench.qat).in_flight, 1);
    assert_int_equal(hbk_key_worker_due_ns(bench.worker), UINT64_MAX);

    double_set(&good);
    key = new_private_key(KEY_RSA_3072, bench.provider);
    submit(&bench, &other, key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&bench, 1);
    assert_signed(&other, KEY_RSA_3072);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void an_operation_can_be_cancelled_when_its_answer_has_come(void **state)
{
    (void)state;
    struct bench bench = bench_open(&good_events);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked;
    struct pollfd wake = {.fd = bench.wake, .events = POLLIN};
    submit(&bench, &tracked, key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    assert_int_equal(poll(&wake, 1, WAIT_MS), 1);
    hbk_key_cancel(bench.worker, &tracked.operation);
    (void)hbk_key_worker_flush(bench.worker, NOW_NS);
    assert_int_equal(tracked.completions, 0);
    assert_int_equal(count(&bench, HBK_KEY_COUNT_ANSWERED), 0);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void a_worker_may_end_before_its_answers_come(void **state)
{
    (void)state;
    struct qat_double_settings settings = good;
    settings.is_held = true;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked[2];
    submit(&bench, &tracked[0], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    submit(&bench, &tracked[1], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    hbk_key_cancel(bench.worker, &tracked[0].operation);
    hbk_key_cancel(bench.worker, &tracked[1].operation);
    worker_close(&bench);
    double_set(&good);
    while (hbk_qat_state(bench.qat).in_flight > 0) {
        sched_yield();
    }
    worker_open(&bench, 64); /* the next one finds the slots free */
    submit(&bench, &tracked[0], key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    wait_for(&bench, 1);
    assert_signed(&tracked[0], KEY_RSA_2048);
    hbk_private_key_unref(key);
    bench_close(&bench);
}

static void the_device_may_be_closed_while_it_owes_answers(void **state)
{
    (void)state;
    struct qat_double_settings settings = good;
    settings.is_held = true;
    struct bench bench = bench_open(&settings);
    struct hbk_private_key *key = new_private_key(KEY_RSA_2048, bench.provider);
    struct tracked tracked;
    submit(&bench, &tracked, key, HBK_SIGN_RSA_PSS_RSAE_SHA256);
    hbk_key_cancel(bench.worker, &tracked.operation);
    hbk_private_key_unref(key);
    bench_close(&bench); /* looks for pinned memory that was not released */
}

struct load {
    pthread_t thread;
    struct bench bench;
    struct hbk_private_key *key;
    int signatures;
};

static void *run_load(void *argument)
{
    struct load *load = argument;
    struct tracked *tracked = calloc(OPERATIONS_MAX, sizeof(*tracked));
    completed = 0;
    for (int i = 0; i < OPERATIONS_MAX; i++) {
        submit(&load->bench, &tracked[i], load->key, HBK_SIGN_RSA_PKCS1_SHA256);
    }
    wait_for(&load->bench, OPERATIONS_MAX);
    for (int i = 0; i < OPERATIONS_MAX; i++) {
        load->signatures += tracked[i].operation.status == HBK_OK;
    }
    free(tracked);
    return NULL;
}

static void workers_share_the_instances(void **state)
{
    (void)state;
    struct bench bench = {0};
    struct load loads[2] = {0};
    device_open(&bench, &good);
    struct hbk_private_key *key = new_private_key(KEY_RSA_1024, bench.provider);
    for (int i = 0; i < 2; i++) {
        loads[i].bench = bench;
        loads[i].key = key;
        worker_open(&loads[i].bench, HBK_BATCHER_QUEUED_MAX);
        assert_int_equal(pthread_create(&loads[i].thread, NULL, run_load, &loads[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(loads[i].thread, NULL);
        assert_int_equal(loads[i].signatures, OPERATIONS_MAX);
        worker_close(&loads[i].bench);
    }
    assert_int_equal(count(&bench, HBK_KEY_COUNT_DEVICE) + count(&bench, HBK_KEY_COUNT_OVERFLOW),
                     2 * OPERATIONS_MAX);
    assert_int_equal(double_counts().full, 0);
    hbk_private_key_unref(key);
    device_close(&bench);
}

/* ---- keys ---- */

static void keys_that_the_device_cannot_take_are_refused(void **state)
{
    (void)state;
    struct bench bench = bench_open(&good);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *three_primes = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(context, 3), 1);
    assert_int_equal(EVP_PKEY_keygen(context, &three_primes), 1);
    EVP_PKEY_CTX_free(context);
    const struct {
        EVP_PKEY *pkey;
        const char *text;
    } cases[] = {
        {key_pkeys[KEY_P256], "Only RSA keys are supported."},
        {key_pkeys[KEY_ED25519], "Only RSA keys are supported."},
        {three_primes, "QAT: the RSA key of 2048 bits does not consist of two primes of half its "
                       "length"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_private_key *key = NULL;
        struct hbk_error error = {0};
        assert_int_equal(hbk_private_key_new(cases[i].pkey, bench.provider, &key, &error),
                         HBK_UNSUPPORTED);
        assert_string_equal(error.text, cases[i].text);
    }
    EVP_PKEY_free(three_primes);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rsa_keys_sign_and_decrypt_at_the_device, reset),
        cmocka_unit_test_setup(a_ciphertext_comes_back_as_its_padded_block, reset),
        cmocka_unit_test_setup(instances_are_used_in_turn, reset),
        cmocka_unit_test_setup(instances_without_rsa_are_left_alone, reset),
        cmocka_unit_test_setup(keys_of_several_sizes_are_checked_in_one_go, reset),
        cmocka_unit_test_setup(a_device_that_fails_is_replaced_operation_by_operation, reset),
        cmocka_unit_test_setup(a_wrong_result_is_never_in_the_output, reset),
        cmocka_unit_test_setup(a_wrong_result_in_one_lane_is_redone_and_the_others_are_sent, reset),
        cmocka_unit_test_setup(
            what_is_over_the_limit_in_flight_goes_elsewhere_and_no_ring_is_ever_full, reset),
        cmocka_unit_test_setup(a_full_batcher_sends_them_on_to_libcrypto, reset),
        cmocka_unit_test_setup(an_answer_that_does_not_come_is_not_waited_for, reset),
        cmocka_unit_test_setup(an_answer_that_waits_for_a_slow_poll_is_not_late, reset),
        cmocka_unit_test_setup(an_operation_beside_a_refused_one_is_collected_without_an_event,
                               reset),
        cmocka_unit_test_setup(an_instance_that_restarts_is_left_out_until_it_is_back, reset),
        cmocka_unit_test_setup(a_cancelled_operation_and_its_key_may_go_while_the_device_has_them,
                               reset),
        cmocka_unit_test_setup(an_operation_can_be_cancelled_when_its_answer_has_come, reset),
        cmocka_unit_test_setup(a_worker_may_end_before_its_answers_come, reset),
        cmocka_unit_test_setup(the_device_may_be_closed_while_it_owes_answers, reset),
        cmocka_unit_test_setup(workers_share_the_instances, reset),
        cmocka_unit_test(keys_that_the_device_cannot_take_are_refused),
    };
    return cmocka_run_group_tests(tests, open_double_and_keys, free_key_pkeys);
}
