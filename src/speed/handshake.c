#include "speed/handshake.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "crypto/cpu.h"
#include "speed/handshake_end.h"
#include "speed/handshake_speaker.h"

enum {
    QUEUE_BYTES = 32 << 10, /* more than any flight here */
    ENGINES = 3,
    SIDES = 2,
    CLIENT = 0,
    SERVER = 1,
};

static const char *const engine_names[ENGINES] = {"openssl", "native", "openssl-batched"};

/* Bytes on their way to one side. */
struct queue {
    uint8_t *bytes;
    size_t size;
};

/* One pair of sessions, begun anew whenever it is done. */
struct pair {
    void *sessions[SIDES]; /* of the speakers */
    enum hbk_tls_answer answers[SIDES];
    struct queue to[SIDES];
    void *ticket; /* of the client's speaker, for the next handshake */
    bool has_greeted[SIDES];
};

struct farm {
    const struct hbk_handshake_kind *kind;
    struct hbk_handshake_end ends[SIDES];
    struct pair *pairs;
    size_t pair_count;
    uint64_t cpu_ns[SIDES];
    uint64_t done; /* handshakes, with their greetings */
    struct hbk_error *error;
};

/* ---- one side of one pair ---- */

static hbk_status begin(struct farm *farm, struct pair *pair, int side)
{
    struct hbk_handshake_end *end = &farm->ends[side];
    pair->answers[side] = HBK_TLS_WANT_ROOM;
    pair->has_greeted[side] = false;
    return end->speaker->begin(end, side == CLIENT ? pair->ticket : NULL, &pair->sessions[side]);
}

static hbk_status tell_failure(struct farm *farm, struct pair *pair, int side)
{
    return hbk_error_set(farm->error, HBK_INVALID, "%s, %s: %s", farm->kind->name,
                         side == CLIENT ? "client" : "server",
                         farm->ends[side].speaker->failure(pair->sessions[side]));
}

static void drop(struct queue *queue, size_t size)
{
    memmove(queue->bytes, queue->bytes + size, queue->size - size);
    queue->size -= size;
}

/* One step of the handshake; true when something moved. */
static hbk_status step(struct farm *farm, struct pair *pair, int side)
{
    struct queue *in = &pair->to[side];
    struct queue *out = &pair->to[1 - side];
    size_t consumed = 0;
    size_t written = 0;
    pair->answers[side] = farm->ends[side].speaker->shake(
        pair->sessions[side], hbk_span_of(in->bytes, in->size), &consumed,
        hbk_span_of(out->bytes + out->size, QUEUE_BYTES - out->size), &written);
    drop(in, consumed);
    out->size += written;
    return pair->answers[side] == HBK_TLS_FAILED ? tell_failure(farm, pair, side) : HBK_OK;
}

/* A side that is done sends a byte, and takes what has come. */
static hbk_status greet(struct farm *farm, struct pair *pair, int side)
{
    const struct hbk_handshake_speaker *speaker = farm->ends[side].speaker;
    struct queue *in = &pair->to[side];
    struct queue *out = &pair->to[1 - side];
    if (!pair->has_greeted[side]) {
        out->size += speaker->say(pair->sessions[side],
                                  hbk_span_of(out->bytes + out->size, QUEUE_BYTES - out->size));
        pair->has_greeted[side] = true;
    }
    enum hbk_tls_answer answer = HBK_TLS_DONE;
    while (answer == HBK_TLS_DONE && in->size > 0) {
        size_t consumed = 0;
        answer = speaker->hear(pair->sessions[side], hbk_span_of(in->bytes, in->size), &consumed);
        drop(in, consumed);
    }
    return answer == HBK_TLS_FAILED ? tell_failure(farm, pair, side) : HBK_OK;
}

static bool is_over(const struct pair *pair)
{
    return pair->has_greeted[CLIENT] && pair->has_greeted[SERVER] && pair->to[CLIENT].size == 0 &&
           pair->to[SERVER].size == 0;
}

/* ---- all pairs ---- */

/* Everything that a side can do now, its batches included. */
static hbk_status turn(struct farm *farm, int side)
{
    struct hbk_handshake_end *end = &farm->ends[side];
    const uint64_t start_ns = hbk_clock_thread_cpu_ns();
    for (size_t i = 0; i < farm->pair_count; i++) {
        struct pair *pair = &farm->pairs[i];
        if (pair->sessions[side] == NULL) {
            HBK_TRY(begin(farm, pair, side));
        }
        if (pair->answers[side] != HBK_TLS_DONE) {
            HBK_TRY(step(farm, pair, side));
        }
        if (pair->answers[side] == HBK_TLS_DONE) {
            HBK_TRY(greet(farm, pair, side));
        }
    }
    hbk_handshake_end_flush(end);
    farm->cpu_ns[side] += hbk_clock_thread_cpu_ns() - start_ns;
    return HBK_OK;
}

static void end_side(struct farm *farm, int side)
{
    const struct hbk_handshake_speaker *speaker = farm->ends[side].speaker;
    const uint64_t start_ns = hbk_clock_thread_cpu_ns();
    for (size_t i = 0; i < farm->pair_count; i++) {
        struct pair *pair = &farm->pairs[i];
        if (!is_over(pair)) {
            continue;
        }
        void *used = NULL;
        if (side == CLIENT && farm->kind->resumes) {
            used = pair->ticket;
            pair->ticket = speaker->take_ticket(pair->sessions[CLIENT]);
        }
        speaker->free(pair->sessions[side]);
        pair->sessions[side] = NULL;
        if (used != NULL) {
            speaker->free_ticket(used);
        }
    }
    farm->cpu_ns[side] += hbk_clock_thread_cpu_ns() - start_ns;
}

/* A figure under a wrong name is worse than none. */
static hbk_status check_kind(struct farm *farm, const struct pair *pair)
{
    const struct hbk_handshake_kind *kind = farm->kind;
    for (int side = 0; side < SIDES; side++) {
        const struct hbk_handshake_speaker *speaker = farm->ends[side].speaker;
        const void *session = pair->sessions[side];
        if (speaker->was_resumed(session) != (pair->ticket != NULL) ||
            speaker->is_tls12(session) != kind->is_tls12) {
            return hbk_error_set(farm->error, HBK_INVALID, "%s: it was another kind of handshake",
                                 kind->name);
        }
    }
    return HBK_OK;
}

/* Ends pairs that are over; both sides' time counts. */
static hbk_status end_pairs(struct farm *farm)
{
    for (size_t i = 0; i < farm->pair_count; i++) {
        if (is_over(&farm->pairs[i])) {
            HBK_TRY(check_kind(farm, &farm->pairs[i]));
            farm->done++;
        }
    }
    end_side(farm, CLIENT);
    end_side(farm, SERVER);
    for (size_t i = 0; i < farm->pair_count; i++) {
        struct pair *pair = &farm->pairs[i];
        if (pair->sessions[CLIENT] == NULL) {
            pair->has_greeted[CLIENT] = pair->has_greeted[SERVER] = false;
        }
    }
    return HBK_OK;
}

/* ---- a farm ---- */

static void farm_fini(struct farm *farm)
{
    for (size_t i = 0; farm->pairs != NULL && i < farm->pair_count; i++) {
        struct pair *pair = &farm->pairs[i];
        for (int side = 0; side < SIDES; side++) {
            if (pair->sessions[side] != NULL) {
                farm->ends[side].speaker->free(pair->sessions[side]);
            }
            free(pair->to[side].bytes);
        }
        if (pair->ticket != NULL) {
            farm->ends[CLIENT].speaker->free_ticket(pair->ticket);
        }
    }
    free(farm->pairs);
    hbk_handshake_end_fini(&farm->ends[CLIENT]);
    hbk_handshake_end_fini(&farm->ends[SERVER]);
}

static hbk_status farm_init(struct farm *farm, const struct hbk_handshake_scene *scene,
                            const struct hbk_handshake_kind *kind, enum hbk_handshake_engine engine,
                            size_t pair_count, struct hbk_error *error)
{
    *farm = (struct farm){.kind = kind, .pair_count = pair_count, .error = error};
    farm->pairs = calloc(pair_count, sizeof farm->pairs[0]);
    hbk_status status = farm->pairs == NULL ? HBK_NO_MEMORY : HBK_OK;
    for (int side = 0; side < SIDES && status == HBK_OK; side++) {
        status =
            hbk_handshake_end_init(&farm->ends[side], scene, kind, engine, side == SERVER, error);
    }
    for (size_t i = 0; i < pair_count && status == HBK_OK; i++) {
        for (int side = 0; side < SIDES; side++) {
            farm->pairs[i].to[side].bytes = malloc(QUEUE_BYTES);
            status = farm->pairs[i].to[side].bytes == NULL ? HBK_NO_MEMORY : status;
        }
    }
    if (status != HBK_OK) {
        farm_fini(farm);
    }
    return status;
}

static hbk_status round_trip(struct farm *farm)
{
    HBK_TRY(turn(farm, CLIENT));
    return turn(farm, SERVER);
}

/* Handshakes until both sides together have used that time. */
static hbk_status run_slice(struct farm *farm, uint64_t slice_ns,
                            double out_ns_per_handshake[static SIDES])
{
    farm->cpu_ns[CLIENT] = farm->cpu_ns[SERVER] = farm->done = 0;
    while (farm->cpu_ns[CLIENT] + farm->cpu_ns[SERVER] < slice_ns || farm->done == 0) {
        HBK_TRY(round_trip(farm));
        HBK_TRY(end_pairs(farm));
    }
    for (int side = 0; side < SIDES; side++) {
        out_ns_per_handshake[side] = (double)farm->cpu_ns[side] / (double)farm->done;
    }
    return HBK_OK;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* What established sessions of one side hold: the heap before and after they are freed. */
static hbk_status measure_idle(const struct hbk_handshake_scene *scene,
                               const struct hbk_handshake_kind *kind,
                               enum hbk_handshake_engine engine, size_t out_bytes[static SIDES],
                               struct hbk_error *error)
{
    struct farm farm;
    HBK_TRY(farm_init(&farm, scene, kind, engine, HBK_HANDSHAKE_IDLE, error));
    hbk_status status = HBK_OK;
    bool is_open = false;
    while (status == HBK_OK && !is_open) {
        status = round_trip(&farm);
        is_open = true;
        for (size_t i = 0; i < farm.pair_count; i++) {
            is_open &= is_over(&farm.pairs[i]);
        }
    }
    for (int side = 0; side < SIDES && status == HBK_OK; side++) {
        size_t before = heap_bytes();
        for (size_t i = 0; i < farm.pair_count; i++) {
            farm.ends[side].speaker->free(farm.pairs[i].sessions[side]);
            farm.pairs[i].sessions[side] = NULL;
        }
        out_bytes[side] = (before - heap_bytes()) / farm.pair_count;
    }
    farm_fini(&farm);
    return status;
}

/* ---- all engines of one kind ---- */

static int compare_doubles(const void *a, const void *b)
{
    double first = *(const double *)a;
    double second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(double *values)
{
    qsort(values, HBK_HANDSHAKE_SLICES, sizeof values[0], compare_doubles);
    return values[HBK_HANDSHAKE_SLICES / 2];
}

struct figures {
    bool is_measured;
    double ns[SIDES][HBK_HANDSHAKE_SLICES];
    double lanes[SIDES];
    size_t idle_bytes[SIDES];
};

/* Ratios to libssl alone that a server must reach (docs/tls.md). */
static const struct {
    const char *handshake;
    enum hbk_handshake_engine engine;
    double vector, scalar; /* with and without vector kernels; 0: none */
} targets[] = {
    {"tls13-rsa2048", HBK_HANDSHAKE_NATIVE, 3.7, 0},
    {"tls13-p256", HBK_HANDSHAKE_NATIVE, 6.8, 0},
    {"tls13-p256-mutual", HBK_HANDSHAKE_NATIVE, 1.8, 0},
    {"tls13-p256-mutual-cached", HBK_HANDSHAKE_NATIVE, 12, 3},
    {"tls13-p256-mutual-alone", HBK_HANDSHAKE_NATIVE, 1, 1},
    {"tls13-resume", HBK_HANDSHAKE_NATIVE, 7, 0},
    {"tls12-ecdhe-rsa2048", HBK_HANDSHAKE_OPENSSL_BATCHED, 1.8, 0},
};

static double target_of(const char *handshake, enum hbk_handshake_engine engine)
{
    for (size_t i = 0; i < HBK_COUNT(targets); i++) {
        if (targets[i].engine == engine && strcmp(targets[i].handshake, handshake) == 0) {
            return hbk_cpu_path() == HBK_PATH_VECTOR ? targets[i].vector : targets[i].scalar;
        }
    }
    return 0;
}

static void tell(const struct hbk_handshake_kind *kind, struct figures figures[static ENGINES],
                 hbk_handshake_report *report, void *context)
{
    double base_ns[SIDES] = {0};
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!figures[engine].is_measured) {
            continue;
        }
        for (int side = SERVER; side >= CLIENT; side--) {
            const enum hbk_handshake_engine own = (enum hbk_handshake_engine)engine;
            if (!hbk_handshake_kind_has(kind, own, side == SERVER)) {
                continue; /* its peer was another engine */
            }
            double ns = median(figures[engine].ns[side]);
            base_ns[side] = engine == HBK_HANDSHAKE_OPENSSL ? ns : base_ns[side];
            const struct hbk_handshake_row row = {
                .handshake = kind->name,
                .engine = engine_names[engine],
                .side = side == SERVER ? "server" : "client",
                .handshakes_per_second = 1e9 / ns,
                .ratio = base_ns[side] / ns,
                .lanes = figures[engine].lanes[side],
                .idle_bytes = figures[engine].idle_bytes[side],
                .target = side == SERVER ? target_of(kind->name, own) : 0,
            };
            report(context, &row);
        }
    }
}

static hbk_status measure(const struct hbk_handshake_scene *scene,
                          const struct hbk_handshake_kind *kind, double seconds,
                          struct figures figures[static ENGINES], struct hbk_error *error)
{
    struct farm farms[ENGINES];
    bool is_made[ENGINES] = {false};
    const uint64_t slice_ns = (uint64_t)(seconds * 1e9 / HBK_HANDSHAKE_SLICES);
    hbk_status status = HBK_OK;
    for (int engine = 0; engine < ENGINES && status == HBK_OK; engine++) {
        if (hbk_handshake_kind_has(kind, (enum hbk_handshake_engine)engine, true)) {
            double warm[SIDES];
            status = farm_init(&farms[engine], scene, kind, (enum hbk_handshake_engine)engine,
                               kind->is_alone ? 1 : HBK_HANDSHAKE_IN_FLIGHT, error);
            is_made[engine] = status == HBK_OK;
            status = status == HBK_OK ? run_slice(&farms[engine], 1, warm) : status;
        }
    }
    for (int slice = 0; slice < HBK_HANDSHAKE_SLICES; slice++) {
        for (int engine = 0; engine < ENGINES && status == HBK_OK; engine++) {
            double ns[SIDES];
            if (is_made[engine]) {
                status = run_slice(&farms[engine], slice_ns, ns);
                figures[engine].ns[CLIENT][slice] = ns[CLIENT];
                figures[engine].ns[SERVER][slice] = ns[SERVER];
            }
        }
    }
    for (int engine = 0; engine < ENGINES; engine++) {
        if (is_made[engine]) {
            figures[engine].is_measured = true;
            for (int side = 0; side < SIDES; side++) {
                figures[engine].lanes[side] = hbk_handshake_end_lanes(&farms[engine].ends[side]);
            }
            farm_fini(&farms[engine]);
            status = status == HBK_OK ? measure_idle(scene, kind, (enum hbk_handshake_engine)engine,
                                                     figures[engine].idle_bytes, error)
                                      : status;
        }
    }
    return status;
}

hbk_status hbk_handshake_run(const struct hbk_handshake_options *options,
                             hbk_handshake_report *report, void *context, struct hbk_error *error)
{
    struct hbk_handshake_scene *scene = NULL;
    HBK_TRY(hbk_handshake_scene_new(&scene, error));
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < HBK_HANDSHAKE_KINDS && status == HBK_OK; i++) {
        const struct hbk_handshake_kind *kind = &hbk_handshake_kinds[i];
        struct figures figures[ENGINES] = {0};
        if (options->only != NULL && regexec(options->only, kind->name, 0, NULL, 0) != 0) {
            continue;
        }
        status = measure(scene, kind, options->seconds, figures, error);
        if (status == HBK_OK) {
            tell(kind, figures, report, context);
        }
    }
    hbk_handshake_scene_free(scene);
    return status;
}
