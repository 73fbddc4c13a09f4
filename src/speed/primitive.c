#include "speed/primitive.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "crypto/aead.h"
#include "crypto/cpu.h"
#include "speed/crypto_mb.h"
#include "speed/key_schedule.h"
#include "speed/primitive_operation.h"

/* What is timed: a call that may be repeated. */
struct subject {
    void (*call)(void *state, unsigned lanes);
    void *state;
    unsigned lanes;
};

static int compare_doubles(const void *a, const void *b)
{
    double first = *(const double *)a;
    double second = *(const double *)b;
    return (first > second) - (first < second);
}

/* Calls until `slice_ns` have passed; the clock is read after every 2nd, 4th, ... call, at first.
 */
static double ns_per_call_in_slice(const struct subject *subject, uint64_t slice_ns)
{
    const uint64_t start_ns = hbk_clock_thread_cpu_ns();
    uint64_t calls = 0;
    uint64_t round = 1;

    for (;;) {
        for (uint64_t i = 0; i < round; i++) {
            subject->call(subject->state, subject->lanes);
        }
        calls += round;
        const uint64_t passed_ns = hbk_clock_thread_cpu_ns() - start_ns;
        if (passed_ns >= slice_ns) {
            return (double)passed_ns / (double)calls;
        }
        if (passed_ns < slice_ns / 16) {
            round *= 2;
        }
    }
}

static double ns_per_call(const struct subject *subject, double seconds)
{
    double slices[HBK_PRIMITIVE_SLICES];
    const uint64_t slice_ns = (uint64_t)(seconds * 1e9 / HBK_PRIMITIVE_SLICES);

    subject->call(subject->state, subject->lanes); /* builds tables, warms caches */
    for (int i = 0; i < HBK_PRIMITIVE_SLICES; i++) {
        slices[i] = ns_per_call_in_slice(subject, slice_ns);
    }
    qsort(slices, HBK_PRIMITIVE_SLICES, sizeof(slices[0]), compare_doubles);
    return slices[HBK_PRIMITIVE_SLICES / 2];
}

static bool is_wanted(const struct hbk_primitive_options *options, const char *name)
{
    return options->only == NULL || regexec(options->only, name, 0, NULL, 0) == 0;
}

/* An operation and its state, for the timer. */
struct running {
    const struct hbk_primitive_operation *operation;
    struct hbk_primitive_state state;
    enum hbk_path path;
};

static void call_libcrypto(void *state, unsigned lanes)
{
    struct running *running = state;
    (void)lanes;
    running->operation->run_libcrypto(&running->state);
}

static void call_lanes(void *state, unsigned lanes)
{
    struct running *running = state;
    running->operation->run_lanes(&running->state, running->path, lanes);
}

/* A batch takes the same time with any number of lanes: from how many on it pays. */
static unsigned break_even(double batch_ns, double twin_ns)
{
    const double lanes = batch_ns / twin_ns;
    return lanes >= HBK_LANES ? HBK_LANES + 1 : 1 + (unsigned)lanes;
}

static void measure_lanes(struct running *running, struct hbk_primitive_row *row,
                          const struct hbk_primitive_options *options, hbk_primitive_report *report,
                          void *context)
{
    const double libcrypto = row->ops_per_second;
    struct subject subject = {.call = call_lanes, .state = running, .lanes = 1};

    running->path = HBK_PATH_TWIN;
    const double twin_ns = ns_per_call(&subject, options->seconds);
    running->path = HBK_PATH_VECTOR;
    row->path = "vector";
    for (unsigned lanes = 1; lanes <= HBK_LANES; lanes *= 2) {
        subject.lanes = lanes;
        const double batch_ns = ns_per_call(&subject, options->seconds);
        row->lanes = lanes;
        row->ops_per_second = 1e9 * lanes / batch_ns;
        row->ratio = row->ops_per_second / libcrypto;
        if (lanes == HBK_LANES) {
            row->queue = hbk_batch_queue_name(running->operation->queue);
            row->twin_ops_per_second = 1e9 / twin_ns;
            row->break_even_lanes = break_even(batch_ns, twin_ns);
        }
        report(context, row);
    }
}

static void call_crypto_mb(void *state, unsigned lanes)
{
    hbk_crypto_mb_run(state, lanes);
}

static hbk_status measure_crypto_mb(struct running *running, struct hbk_crypto_mb *library,
                                    double libcrypto, const struct hbk_primitive_options *options,
                                    hbk_primitive_report *report, void *context,
                                    struct hbk_error *error)
{
    struct subject subject = {.call = call_crypto_mb, .state = library};
    struct hbk_primitive_row row = {.operation = running->operation->name, .path = "crypto_mb"};

    if (!hbk_crypto_mb_prepare(library, running->operation, &running->state)) {
        return hbk_error_set(error, HBK_IO,
                             "%s: the results of libcrypto_mb are not those of libcrypto",
                             running->operation->name);
    }
    for (unsigned lanes = 1; lanes <= HBK_LANES; lanes *= 2) {
        subject.lanes = lanes;
        row.lanes = lanes;
        row.ops_per_second = 1e9 * lanes / ns_per_call(&subject, options->seconds);
        row.ratio = row.ops_per_second / libcrypto;
        report(context, &row);
    }
    return HBK_OK;
}

static hbk_status measure_operation(struct running *running, struct hbk_crypto_mb *library,
                                    const struct hbk_primitive_options *options,
                                    hbk_primitive_report *report, void *context,
                                    struct hbk_error *error)
{
    const struct subject subject = {.call = call_libcrypto, .state = running};
    struct hbk_primitive_row row = {.operation = running->operation->name,
                                    .path = "libcrypto",
                                    .lanes = 1,
                                    .ops_per_second = 1e9 / ns_per_call(&subject, options->seconds),
                                    .ratio = 1};

    report(context, &row);
    const double libcrypto = row.ops_per_second;
    if (running->operation->run_lanes != NULL && HBK_PATH_IS_VECTOR(hbk_cpu_path())) {
        measure_lanes(running, &row, options, report, context);
    }
    if (running->operation->run_lanes == NULL || library == NULL) {
        return HBK_OK;
    }
    return measure_crypto_mb(running, library, libcrypto, options, report, context, error);
}

/* One operation from its set-up to its end. */
static hbk_status set_up_and_measure(const struct hbk_primitive_operation *operation,
                                     struct hbk_crypto_mb *library,
                                     const struct hbk_primitive_options *options,
                                     hbk_primitive_report *report, void *context,
                                     struct hbk_error *error)
{
    struct running *running = calloc(1, sizeof(*running));
    hbk_status status;

    if (running == NULL || !operation->set_up(&running->state, operation->rsa_bits)) {
        status = hbk_error_set(error, HBK_NO_MEMORY, "%s: libcrypto cannot make the keys",
                               operation->name);
    } else {
        running->operation = operation;
        status = measure_operation(running, library, options, report, context, error);
    }
    if (running != NULL) {
        hbk_primitive_state_fini(&running->state);
        free(running);
    }
    return status;
}

static hbk_status measure_operations(const struct hbk_primitive_options *options,
                                     hbk_primitive_report *report, void *context,
                                     struct hbk_error *error)
{
    struct hbk_crypto_mb *library = NULL;
    hbk_status status = HBK_OK;

    if (options->crypto_mb_path != NULL) {
        HBK_TRY(hbk_crypto_mb_open(options->crypto_mb_path, &library, error));
    }
    for (const struct hbk_primitive_operation *operation = hbk_primitive_operations;
         operation->name != NULL && status == HBK_OK; operation++) {
        if (is_wanted(options, operation->name)) {
            status = set_up_and_measure(operation, library, options, report, context, error);
        }
    }
    hbk_crypto_mb_close(library);
    return status;
}

static const size_t record_sizes[] = {16, 256, 1350, 8192, 16384};

enum { RECORD_BYTES_MAX = 16384, RECORD_HEADER_BYTES = 5 };

/* One record, sealed or opened over and over. */
struct record_state {
    struct hbk_aead_key key;
    struct hbk_aead_record record;
    uint64_t sequence;
    uint8_t header[RECORD_HEADER_BYTES];
    uint8_t bytes[RECORD_BYTES_MAX + HBK_AEAD_TAG_BYTES];
};

static void call_seal(void *state, unsigned lanes)
{
    static const uint8_t iv[HBK_AEAD_NONCE_BYTES] = {0x35};
    struct record_state *record = state;
    (void)lanes;
    hbk_aead_set_nonce(&record->record, iv, record->sequence++);
    HBK_ASSERT(hbk_aead_seal(&record->key, &record->record, 1));
}

/*
 * Opening needs a record that is authentic each time: what is measured is one seal and one open,
 * less the seal, so the record is opened from where the seal has just left it.
 */
static void call_seal_and_open(void *state, unsigned lanes)
{
    struct record_state *record = state;
    call_seal(state, lanes);
    HBK_ASSERT(hbk_aead_open(&record->key, &record->record, 1) == 1);
}

struct aead_name {
    enum hbk_aead aead;
    const char *seal;
    const char *open;
};

static const struct aead_name aead_names[] = {
    {HBK_AEAD_AES_128_GCM, "aes-128-gcm-seal", "aes-128-gcm-open"},
    {HBK_AEAD_AES_256_GCM, "aes-256-gcm-seal", "aes-256-gcm-open"},
    {HBK_AEAD_CHACHA20_POLY1305, "chacha20-poly1305-seal", "chacha20-poly1305-open"},
};

static const struct {
    enum hbk_aead_backend backend;
    const char *path;
} backends[] = {
    {HBK_AEAD_LIBCRYPTO, "libcrypto"},
    {HBK_AEAD_IPSEC_MB_NARROW, "vector-no-vaes"},
    {HBK_AEAD_IPSEC_MB, "vector"},
};

/* Both directions at one size; the times of libcrypto come first and are the base of the ratios. */
static void measure_size(struct record_state *state, const struct aead_name *name, const char *path,
                         size_t size, double libcrypto_ns[2],
                         const struct hbk_primitive_options *options, hbk_primitive_report *report,
                         void *context)
{
    struct subject subject = {.call = call_seal, .state = state};
    struct hbk_primitive_row row = {.operation = name->seal, .path = path, .bytes = size};

    state->record.bytes = hbk_span_of(state->bytes, size);
    state->record.tag = state->bytes + size;
    const double seal_ns = ns_per_call(&subject, options->seconds);
    subject.call = call_seal_and_open;
    const double open_ns = ns_per_call(&subject, options->seconds) - seal_ns;
    if (state->key.backend == HBK_AEAD_LIBCRYPTO) {
        libcrypto_ns[0] = seal_ns;
        libcrypto_ns[1] = open_ns;
    }
    row.ns_per_record = seal_ns;
    row.ratio = libcrypto_ns[0] / seal_ns;
    if (is_wanted(options, name->seal)) {
        report(context, &row);
    }
    row.operation = name->open;
    row.ns_per_record = open_ns;
    row.ratio = libcrypto_ns[1] / open_ns;
    if (is_wanted(options, name->open)) {
        report(context, &row);
    }
}

static hbk_status measure_aead(struct record_state *state, const struct aead_name *name,
                               const struct hbk_primitive_options *options,
                               hbk_primitive_report *report, void *context)
{
    double libcrypto_ns[sizeof(record_sizes) / sizeof(record_sizes[0])][2];
    static const uint8_t secret[HBK_AEAD_KEY_BYTES_MAX] = {1, 2, 3};

    for (size_t i = 0; i < HBK_COUNT(backends); i++) {
        if (!hbk_aead_is_available(name->aead, backends[i].backend)) {
            continue;
        }
        HBK_TRY(hbk_aead_key_init(&state->key, name->aead, backends[i].backend, secret));
        state->record.header = hbk_slice_of(state->header, sizeof(state->header));
        for (size_t j = 0; j < HBK_COUNT(record_sizes); j++) {
            measure_size(state, name, backends[i].path, record_sizes[j], libcrypto_ns[j], options,
                         report, context);
        }
        hbk_aead_key_fini(&state->key);
    }
    return HBK_OK;
}

static hbk_status measure_records(const struct hbk_primitive_options *options,
                                  hbk_primitive_report *report, void *context,
                                  struct hbk_error *error)
{
    struct record_state *state = aligned_alloc(64, (sizeof(*state) + 63) / 64 * 64);
    hbk_status status = state == NULL ? HBK_NO_MEMORY : HBK_OK;

    if (state != NULL) {
        memset(state, 0, sizeof(*state));
    }
    for (size_t i = 0; i < HBK_COUNT(aead_names) && status == HBK_OK; i++) {
        if (is_wanted(options, aead_names[i].seal) || is_wanted(options, aead_names[i].open)) {
            status = measure_aead(state, &aead_names[i], options, report, context);
        }
    }
    free(state);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "records: libcrypto has no memory");
}

static void call_schedule(void *state, unsigned by_libcrypto)
{
    HBK_ASSERT(hbk_key_schedule_run(state, by_libcrypto != 0));
}

/* What a mutual handshake costs besides asymmetric operations and parsing. */
static hbk_status measure_schedule(const char *name, enum hbk_hash hash,
                                   const struct hbk_primitive_options *options,
                                   hbk_primitive_report *report, void *context,
                                   struct hbk_error *error)
{
    struct hbk_key_schedule *schedule = hbk_key_schedule_new(hash);

    if (schedule == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "%s: libcrypto has no memory", name);
    }
    struct subject subject = {.call = call_schedule, .state = schedule, .lanes = 1};
    const double libcrypto = 1e9 / ns_per_call(&subject, options->seconds);
    struct hbk_primitive_row row = {.operation = name,
                                    .path = "libcrypto",
                                    .lanes = 1,
                                    .ops_per_second = libcrypto,
                                    .ratio = 1};
    report(context, &row);
    subject.lanes = 0;
    row.path = "vector";
    row.ops_per_second = 1e9 / ns_per_call(&subject, options->seconds);
    row.ratio = row.ops_per_second / libcrypto;
    report(context, &row);
    hbk_key_schedule_free(schedule);
    return HBK_OK;
}

static hbk_status measure_schedules(const struct hbk_primitive_options *options,
                                    hbk_primitive_report *report, void *context,
                                    struct hbk_error *error)
{
    static const struct {
        const char *name;
        enum hbk_hash hash;
    } schedules[] = {
        {"tls13-key-schedule-sha256", HBK_HASH_SHA256},
        {"tls13-key-schedule-sha384", HBK_HASH_SHA384},
    };
    for (size_t i = 0; i < HBK_COUNT(schedules); i++) {
        if (is_wanted(options, schedules[i].name)) {
            HBK_TRY(measure_schedule(schedules[i].name, schedules[i].hash, options, report, context,
                                     error));
        }
    }
    return HBK_OK;
}

hbk_status hbk_primitive_run(const struct hbk_primitive_options *options,
                             hbk_primitive_report *report, void *context, struct hbk_error *error)
{
    HBK_TRY(measure_operations(options, report, context, error));
    HBK_TRY(measure_schedules(options, report, context, error));
    return measure_records(options, report, context, error);
}
