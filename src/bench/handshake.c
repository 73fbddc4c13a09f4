#include "bench/handshake.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "bench/handshake_end.h"
#include "tls/session.h"
#include "tls/ticket.h"

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
    struct hbk_tls_session *sessions[SIDES];
    enum hbk_tls_answer answers[SIDES];
    struct queue to[SIDES];
    struct hbk_tls_ticket *ticket; /* for the next handshake */
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
    const struct hbk_tls_options options = {
        .role = side == CLIENT ? HBK_TLS_CLIENT : HBK_TLS_SERVER,
        .worker = end->worker,
        .ticket = side == CLIENT ? pair->ticket : NULL,
    };
    pair->answers[side] = HBK_TLS_WANT_ROOM;
    pair->has_greeted[side] = false;
    return hbk_tls_session_new(end->context, &options, hbk_clock_realtime_ns(),
                               &pair->sessions[side]);
}

static hbk_status tell_failure(struct farm *farm, struct pair *pair, int side)
{
    struct hbk_tls_failure failure = hbk_tls_failure(pair->sessions[side]);
    return hbk_error_set(farm->error, HBK_INVALID, "%s, %s: %s", farm->kind->name,
                         side == CLIENT ? "client" : "server", failure.text);
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
    pair->answers[side] =
        hbk_tls_handshake(pair->sessions[side], hbk_span_of(in->bytes, in->size), &consumed,
                          hbk_span_of(out->bytes + out->size, QUEUE_BYTES - out->size), &written);
    drop(in, consumed);
    out->size += written;
    return pair->answers[side] == HBK_TLS_FAILED ? tell_failure(farm, pair, side) : HBK_OK;
}

/* A side that is done sends a byte, and takes what has come. */
static hbk_status greet(struct farm *farm, struct pair *pair, int side)
{
    static const uint8_t byte[1] = {'x'};
    struct queue *in = &pair->to[side];
    struct queue *out = &pair->to[1 - side];
    const struct hbk_slice plain = hbk_slice_of(byte, sizeof byte);
    if (!pair->has_greeted[side]) {
        size_t sealed = 0;
        size_t written = 0;
        enum hbk_tls_answer answer = hbk_tls_seal(
            pair->sessions[side], &plain, 1,
            hbk_span_of(out->bytes + out->size, QUEUE_BYTES - out->size), &sealed, &written);
        HBK_ASSERT(answer == HBK_TLS_DONE && sealed == 1);
        out->size += written;
        pair->has_greeted[side] = true;
    }
    enum hbk_tls_answer answer = HBK_TLS_DONE;
    while (answer == HBK_TLS_DONE && in->size > 0) {
        size_t consumed = 0;
        struct hbk_slice got;
        answer =
            hbk_tls_open(pair->sessions[side], hbk_span_of(in->bytes, in->size), &consumed, &got);
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
    const uint64_t start_ns = hbk_clock_thread_cpu_ns();
    for (size_t i = 0; i < farm->pair_count; i++) {
        struct pair *pair = &farm->pairs[i];
        if (!is_over(pair)) {
            continue;
        }
        if (side == CLIENT && farm->kind->resumes) {
            hbk_tls_ticket_unref(pair->ticket);
            pair->ticket = hbk_tls_take_ticket(pair->sessions[CLIENT]);
        }
        hbk_tls_session_free(pair->sessions[side]);
        pair->sessions[side] = NULL;
    }
    farm->cpu_ns[side] += hbk_clock_thread_cpu_ns() - start_ns;
}

/* Ends pairs that are over; both sides' time counts. */
static void end_pairs(struct farm *farm)
{
    for (size_t i = 0; i < farm->pair_count; i++) {
        farm->done += is_over(&farm->pairs[i]) ? 1 : 0;
    }
    end_side(farm, CLIENT);
    end_side(farm, SERVER);
    for (size_t i = 0; i < farm->pair_count; i++) {
        struct pair *pair = &farm->pairs[i];
        if (pair->sessions[CLIENT] == NULL) {
            pair->has_greeted[CLIENT] = pair->has_greeted[SERVER] = false;
        }
    }
}

/* ---- a farm ---- */

static void farm_fini(struct farm *farm)
{
    for (size_t i = 0; farm->pairs != NULL && i < farm->pair_count; i++) {
        struct pair *pair = &farm->pairs[i];
        for (int side = 0; side < SIDES; side++) {
            hbk_tls_session_free(pair->sessions[side]);
            free(pair->to[side].bytes);
        }
        hbk_tls_ticket_unref(pair->ticket);
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
        end_pairs(farm);
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
        for (size_t i = 0; i < farm.pair_count; i++) {
            hbk_tls_rest(farm.pairs[i].sessions[side]);
        }
        size_t before = heap_bytes();
        for (size_t i = 0; i < farm.pair_count; i++) {
            hbk_tls_session_free(farm.pairs[i].sessions[side]);
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

static void tell(const struct hbk_handshake_kind *kind, struct figures figures[static ENGINES],
                 hbk_handshake_report *report, void *context)
{
    double base_ns[SIDES] = {0};
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!figures[engine].is_measured) {
            continue;
        }
        for (int side = SERVER; side >= CLIENT; side--) {
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
        if (hbk_handshake_kind_has(kind, (enum hbk_handshake_engine)engine)) {
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
