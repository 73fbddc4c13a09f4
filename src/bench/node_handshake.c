#include "bench/node_handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/statistics.h"
#include "bench/bare_place.h"
#include "os/file.h"
#include "os/redirect.h"

enum { PEM_BYTES_MAX = 32 << 10, PAGE_BYTES_MAX = 1 << 20 };

static const uint64_t warm_ns = 500 * HBK_NS_PER_MS;
static const uint64_t request_warm_ns = HBK_NS_PER_S;
static const uint64_t ask_timeout_ns = 2 * HBK_NS_PER_S;
static const uint64_t switch_timeout_ns = 10 * HBK_NS_PER_S;
static const uint64_t run_timeout_ns = 180 * HBK_NS_PER_S;

static const char *const engines[] = {
    [HBK_NODE_HANDSHAKE_NATIVE] = "native", [HBK_NODE_HANDSHAKE_OPENSSL] = "openssl"};

/* What children write and we read. */
struct shared {
    struct hbk_dialler_result dialler;
    struct hbk_bare_result requests;
};

/* Whom we dial as --------------------------------------------------------------------------- */

static hbk_status read_pem(const char *folder, const char *name, struct hbk_arena *arena,
                           struct hbk_slice *out_text, struct hbk_error *error)
{
    char path[HBK_PROGRAM_PATH_BYTES_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    hbk_status status = hbk_file_read(arena, path, PEM_BYTES_MAX, out_text);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
}

static hbk_status make_credential(struct hbk_node_handshake *bench, struct hbk_svid *svid,
                                  struct hbk_slice root, struct hbk_error *error)
{
    struct hbk_bundle *bundle = NULL;
    struct hbk_bundle_set *bundles = NULL;
    HBK_TRY(
        hbk_bundle_new(svid->id->parts.trust_domain, root, hbk_slice_of(NULL, 0), &bundle, error));
    hbk_status status = hbk_bundle_set_new(&bundle, 1, &bundles);
    hbk_bundle_unref(bundle);
    if (status == HBK_OK) {
        /* One engine for the one who dials, whichever the agent has. */
        status = hbk_tls_credential_new(svid, bundles, 1, HBK_TLS_ENGINE_NATIVE, &bench->credential,
                                        error);
        hbk_bundle_set_unref(bundles);
    }
    return status;
}

static hbk_status read_credential(struct hbk_node_handshake *bench, const char *folder,
                                  struct hbk_arena *arena, struct hbk_error *error)
{
    struct hbk_slice chain, key, root;
    struct hbk_svid *svid = NULL;
    HBK_TRY(read_pem(folder, "shop.front.pem", arena, &chain, error));
    HBK_TRY(read_pem(folder, "shop.front-key.pem", arena, &key, error));
    HBK_TRY(read_pem(folder, "bundle.pem", arena, &root, error));
    HBK_TRY(hbk_svid_from_pem(chain, key, &svid, error));
    hbk_status status = make_credential(bench, svid, root, error);
    hbk_svid_unref(svid);
    return status;
}

static hbk_status issue_credential(struct hbk_node_handshake *bench, struct hbk_error *error)
{
    char folder[HBK_PROGRAM_PATH_BYTES_MAX];
    (void)snprintf(folder, sizeof folder, "%s/dialler", bench->scene.topology.directory);
    const char *const arguments[] = {"ca",          "issue",
                                     "--ca",        bench->scene.ca_path,
                                     "--spiffe-id", "spiffe://cluster.local/ns/shop/sa/front",
                                     "--out",       folder,
                                     NULL};
    struct hbk_arena arena;
    HBK_TRY(hbk_scene_run(&bench->scene, "ca-issue", arguments, error));
    hbk_arena_init(&arena);
    hbk_status status = read_credential(bench, folder, &arena, error);
    hbk_arena_fini(&arena);
    return status;
}

/* The engine of the agents ------------------------------------------------------------------ */

static hbk_status get(const struct hbk_node_handshake *bench, enum hbk_place host, uint16_t port,
                      const char *path, struct hbk_arena *arena, struct hbk_slice *out_text)
{
    struct hbk_reply reply = {0};
    const struct hbk_request request = {
        .netns_fd = bench->scene.topology.places[host].netns_fd,
        .to = {.ip = {.size = 4, .bytes = {127, 0, 0, 1}}, .port = port},
        .path = path,
        .timeout_ns = ask_timeout_ns,
    };
    HBK_TRY(hbk_request_send(&request, arena, &reply));
    *out_text = reply.text;
    return reply.status == 200 ? HBK_OK : HBK_IO;
}

static bool has_engine(const struct hbk_node_handshake *bench, enum hbk_place host,
                       const char *engine)
{
    struct hbk_arena arena;
    struct hbk_slice text = {0};
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "\"cryptoProvider\": \"%s\"", engine);
    hbk_arena_init(&arena);
    bool has = get(bench, host, HBK_SCENE_ADMIN_PORT, "/config_dump", &arena, &text) == HBK_OK &&
               strstr((const char *)text.bytes, wanted) != NULL;
    hbk_arena_fini(&arena);
    return has;
}

/* The dump goes round the workers behind the new credentials: whoever shows it, has it. */
static hbk_status change_engine(struct hbk_node_handshake *bench, const char *engine,
                                struct hbk_error *error)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + switch_timeout_ns;
    HBK_TRY(hbk_scene_set_engine(&bench->scene, engine, error));
    while (!has_engine(bench, HBK_PLACE_ALPHA, engine) ||
           !has_engine(bench, HBK_PLACE_BETA, engine)) {
        if (hbk_clock_monotonic_ns() > end_ns) {
            return hbk_error_set(error, HBK_TIMEOUT, "the agents do not change to engine %s",
                                 engine);
        }
        hbk_program_pause(20 * HBK_NS_PER_MS);
    }
    return HBK_OK;
}

/* Handshakes of each engine that beta's agent has counted as a server. */
static hbk_status read_counts(const struct hbk_node_handshake *bench, uint64_t counts[static 2])
{
    struct hbk_arena arena;
    struct hbk_slice text = {0};
    hbk_arena_init(&arena);
    hbk_status status =
        get(bench, HBK_PLACE_BETA, HBK_SCENE_METRICS_PORT, "/metrics", &arena, &text);
    for (size_t i = 0; i < HBK_COUNT(engines) && status == HBK_OK; i++) {
        char name[96];
        (void)snprintf(name, sizeof name,
                       "hauberk_tls_handshakes_total{side=\"server\",engine=\"%s\"} ", engines[i]);
        const char *found = strstr((const char *)text.bytes, name);
        counts[i] = found == NULL ? 0 : strtoull(found + strlen(name), NULL, 10);
    }
    hbk_arena_fini(&arena);
    return status;
}

/* Runs ---------------------------------------------------------------------------------------- */

static hbk_status start_dialler(const struct hbk_node_handshake *bench, struct hbk_dialler *dialler,
                                struct hbk_process *out_process, struct hbk_error *error)
{
    dialler->plan.to =
        hbk_topology_address(&bench->scene.topology, HBK_PLACE_CART, HBK_SCENE_HBONE_PORT);
    dialler->plan.credential = bench->credential;
    dialler->plan.mark = HBK_REDIRECT_MARK_AGENT;
    dialler->plan.watched[0] = bench->scene.agents[HBK_PLACE_BETA].process.pid;
    return hbk_bare_start_client(&bench->scene.topology, HBK_PLACE_FRONT,
                                 (int)bench->options.load_core, hbk_dialler_run, dialler,
                                 out_process, error);
}

/* Waits for a child's end and tells its failures as one. */
static hbk_status finish(struct hbk_process *process, const char *what, uint64_t errors,
                         const char *failure, struct hbk_error *error)
{
    int exit_status = 0;
    hbk_status status = hbk_process_wait(process, run_timeout_ns, &exit_status);
    if (status != HBK_OK) {
        hbk_process_stop(process, 0);
        return hbk_error_set(error, status, "%s did not end", what);
    }
    if (exit_status != 0) {
        return hbk_error_set(error, HBK_IO, "%s measured nothing", what);
    }
    return errors == 0 ? HBK_OK
                       : hbk_error_set(error, HBK_IO, "%s: %llu failed: %s", what,
                                       (unsigned long long)errors, failure);
}

static hbk_status check_counts(const struct hbk_node_handshake *bench,
                               enum hbk_node_handshake_kind kind, const uint64_t before[static 2],
                               uint64_t handshakes, struct hbk_error *error)
{
    uint64_t after[2];
    hbk_status status = read_counts(bench, after);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "the agent shows no metrics");
    }
    enum hbk_node_handshake_kind other =
        kind == HBK_NODE_HANDSHAKE_NATIVE ? HBK_NODE_HANDSHAKE_OPENSSL : HBK_NODE_HANDSHAKE_NATIVE;
    if (after[kind] - before[kind] < handshakes || after[other] != before[other]) {
        return hbk_error_set(error, HBK_INVALID,
                             "the agent counted %llu handshakes with %s and %llu with %s",
                             (unsigned long long)(after[kind] - before[kind]), engines[kind],
                             (unsigned long long)(after[other] - before[other]), engines[other]);
    }
    return HBK_OK;
}

static hbk_status measure_handshakes(const struct hbk_node_handshake *bench,
                                     enum hbk_node_handshake_kind kind, struct shared *shared,
                                     struct hbk_node_handshake_figures *figures,
                                     struct hbk_error *error)
{
    struct hbk_dialler dialler = {
        .plan = {.in_flight = HBK_NODE_HANDSHAKE_IN_FLIGHT,
                 .warm_ns = warm_ns,
                 .measure_ns = bench->options.measure_ns},
        .result = &shared->dialler,
    };
    const struct hbk_dialler_result *result = &shared->dialler;
    struct hbk_process process = hbk_process_none();
    uint64_t before[2];
    memset(shared, 0, sizeof *shared);
    hbk_status status = read_counts(bench, before);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "the agent shows no metrics");
    }
    HBK_TRY(start_dialler(bench, &dialler, &process, error));
    HBK_TRY(finish(&process, "the one who dials", result->errors, result->failure, error));
    HBK_TRY(check_counts(bench, kind, before, result->handshakes, error));
    double window_s = (double)result->window_ns / 1e9;
    double cpu_s = (double)result->cpu_ns[0] / 1e9;
    double handshakes = (double)result->handshakes;
    if (handshakes == 0 || cpu_s == 0) {
        return hbk_error_set(error, HBK_IO, "no handshake ended in the window");
    }
    figures->per_second = handshakes / window_s;
    figures->per_core_second = handshakes / cpu_s;
    figures->cpu_us = cpu_s * 1e6 / handshakes;
    figures->agent_share = cpu_s / window_s;
    figures->client_share = (double)result->client_cpu_ns / 1e9 / window_s;
    figures->handshake_p50_us = result->p50_us;
    figures->handshake_p99_us = result->p99_us;
    return HBK_OK;
}

/* The dialler begins before the requests' window and ends behind it. */
static hbk_status run_requests(const struct hbk_node_handshake *bench, bool is_quiet,
                               struct shared *shared, struct hbk_error *error)
{
    const struct hbk_topology *topology = &bench->scene.topology;
    int cpu = (int)bench->options.load_core;
    struct hbk_bare_client client = {
        .plan = {.mode = HBK_BARE_OPEN,
                 .to = hbk_topology_address(topology, HBK_PLACE_CART, HBK_SCENE_PORT),
                 .connections = HBK_NODE_HANDSHAKE_CONNECTIONS,
                 .rate_rps = HBK_NODE_HANDSHAKE_REQUESTS,
                 .warm_ns = request_warm_ns,
                 .measure_ns = bench->options.measure_ns},
        .result = &shared->requests,
    };
    struct hbk_dialler dialler = {
        .plan = {.in_flight = HBK_DIALLER_IN_FLIGHT_MAX,
                 .rate = HBK_NODE_HANDSHAKE_RATE,
                 .warm_ns = warm_ns,
                 .measure_ns = bench->options.measure_ns + request_warm_ns},
        .result = &shared->dialler,
    };
    struct hbk_process requesting = hbk_process_none();
    struct hbk_process dialling = hbk_process_none();
    if (!is_quiet) {
        HBK_TRY(start_dialler(bench, &dialler, &dialling, error));
    }
    hbk_status status = hbk_bare_start_client(topology, HBK_PLACE_FRONT, cpu, hbk_bare_client_run,
                                              &client, &requesting, error);
    if (status == HBK_OK) {
        status = finish(&requesting, "the one who asks", shared->requests.errors,
                        "connections ended", error);
    }
    if (!is_quiet) {
        hbk_status dialled = finish(&dialling, "the one who dials", shared->dialler.errors,
                                    shared->dialler.failure, error);
        status = status == HBK_OK ? dialled : status;
    }
    return status;
}

static hbk_status measure_requests(const struct hbk_node_handshake *bench, bool is_quiet,
                                   struct shared *shared,
                                   struct hbk_node_handshake_figures *figures,
                                   struct hbk_error *error)
{
    struct hbk_process server = hbk_process_none();
    memset(shared, 0, sizeof *shared);
    HBK_TRY(hbk_bare_start_server(&bench->scene.topology, HBK_PLACE_CART,
                                  (int)bench->options.load_core, NULL, &server, error));
    hbk_status status = run_requests(bench, is_quiet, shared, error);
    hbk_process_stop(&server, 0);
    HBK_TRY(status);
    figures->request_rps =
        (double)shared->requests.requests / ((double)shared->requests.window_ns / 1e9);
    figures->request_p50_us = shared->requests.p50_us;
    figures->request_p99_us = shared->requests.p99_us;
    figures->beside_per_second =
        is_quiet ? 0
                 : (double)shared->dialler.handshakes / ((double)shared->dialler.window_ns / 1e9);
    return HBK_OK;
}

/* Each round begins with another kind, so that none has always the same one before it. */
static hbk_status measure_round(struct hbk_node_handshake *bench, unsigned round,
                                struct shared *shared, struct hbk_error *error)
{
    for (unsigned i = 0; i < HBK_NODE_HANDSHAKE_KINDS; i++) {
        enum hbk_node_handshake_kind kind = (round + i) % HBK_NODE_HANDSHAKE_KINDS;
        struct hbk_node_handshake_row *row = &bench->rows[kind];
        struct hbk_node_handshake_figures figures = {0};
        bool is_quiet = kind == HBK_NODE_HANDSHAKE_QUIET;
        if (!is_quiet) {
            HBK_TRY(change_engine(bench, engines[kind], error));
            HBK_TRY(measure_handshakes(bench, kind, shared, &figures, error));
        }
        HBK_TRY(measure_requests(bench, is_quiet, shared, &figures, error));
        row->rounds[row->round_count++] = figures;
    }
    return HBK_OK;
}

static hbk_status prepare(struct hbk_node_handshake *bench, struct hbk_error *error)
{
    const struct hbk_scene_agents agents = {.workers = 1, .cpu = (int)bench->options.agent_core};
    HBK_TRY(hbk_scene_init(&bench->scene, HBK_PLACES_OF_MESH, error));
    hbk_bare_ease_short_connections(&bench->scene.topology, HBK_PLACE_FRONT);
    hbk_bare_ease_short_connections(&bench->scene.topology, HBK_PLACE_CART);
    HBK_TRY(hbk_scene_start_agents(&bench->scene, &agents, error));
    return issue_credential(bench, error);
}

/* Summary ----------------------------------------------------------------------------------- */

static double median_of(const struct hbk_node_handshake_row *row, size_t offset)
{
    double values[HBK_NODE_HANDSHAKE_ROUNDS_MAX];
    for (unsigned i = 0; i < row->round_count; i++) {
        memcpy(&values[i], (const char *)&row->rounds[i] + offset, sizeof values[i]);
    }
    return row->round_count == 0 ? 0 : hbk_median(values, row->round_count);
}

void hbk_node_handshake_sum_up(struct hbk_node_handshake *bench)
{
    for (size_t i = 0; i < HBK_NODE_HANDSHAKE_KINDS; i++) {
        struct hbk_node_handshake_row *row = &bench->rows[i];
        /* All members are doubles. */
        for (size_t at = 0; at < sizeof row->median; at += sizeof(double)) {
            double median = median_of(row, at);
            memcpy((char *)&row->median + at, &median, sizeof median);
        }
    }
    double slow = bench->rows[HBK_NODE_HANDSHAKE_OPENSSL].median.per_core_second;
    double fast = bench->rows[HBK_NODE_HANDSHAKE_NATIVE].median.per_core_second;
    bench->ratio = slow == 0 ? 0 : fast / slow;
}

bool hbk_node_handshake_run(const struct hbk_node_handshake_options *options)
{
    static struct hbk_node_handshake bench; /* once per process, and too large for a stack */
    struct hbk_error error = {0};
    bench = (struct hbk_node_handshake){.options = *options};
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        bench.rows[i].engine = engines[i];
    }
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    hbk_status status = shared == MAP_FAILED ? HBK_NO_MEMORY : prepare(&bench, &error);
    for (unsigned round = 0; round < options->rounds && status == HBK_OK; round++) {
        status = measure_round(&bench, round, shared, &error);
    }
    if (status == HBK_OK) {
        hbk_node_handshake_sum_up(&bench);
        hbk_node_handshake_report(&bench);
    } else {
        (void)hbk_error_set(&error, status, "%s", hbk_status_text(status));
        fprintf(stderr, "hauberk bench: %s\n", error.text);
    }
    hbk_tls_credential_unref(bench.credential);
    hbk_scene_fini(&bench.scene);
    if (shared != MAP_FAILED) {
        (void)munmap(shared, sizeof *shared);
    }
    return status == HBK_OK;
}
