#include "bench/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/clock.h"
#include "bench/bare_place.h"
#include "bench/path_report.h"

enum { OPEN_LOOP_CONNECTIONS = 1600, CONNECT_CONNECTIONS = 8 };

static const uint64_t warm_ns = 300 * HBK_NS_PER_MS;
static const uint64_t warm_open_ns = HBK_NS_PER_S;
static const uint64_t case_timeout_ns = 60 * HBK_NS_PER_S;

static const char *const mode_names[HBK_PATH_MODES] = {"one-core", "open-loop", "bulk", "connect"};

bool hbk_path_is_wanted(const struct hbk_path *path, const char *name)
{
    return path->options.only == NULL || regexec(path->options.only, name, 0, NULL, 0) == 0;
}

static void add_case(struct hbk_path *path, enum hbk_path_system_name system,
                     enum hbk_path_mode mode, unsigned connections, unsigned rate_rps)
{
    HBK_ASSERT(path->case_count < HBK_PATH_CASES_MAX);
    struct hbk_path_case *added = &path->cases[path->case_count];
    unsigned number = mode == HBK_PATH_OPEN_LOOP ? rate_rps : connections;
    (void)snprintf(added->name, sizeof added->name, "%s/%s/%u", path->systems[system].name,
                   mode_names[mode], number);
    if (!hbk_path_is_wanted(path, added->name)) {
        return;
    }
    added->system = system;
    added->mode = mode;
    added->connections = connections;
    added->rate_rps = rate_rps;
    path->case_count++;
}

/* Neighbours in the list are measured one after the other: systems change fastest. */
static void list_cases(struct hbk_path *path)
{
    static const unsigned closed_connections[] = {1, 32, 256};
    static const unsigned open_rates[] = {300, 3200, 12800, 30000};
    for (size_t i = 0; i < HBK_COUNT(closed_connections); i++) {
        for (enum hbk_path_system_name system = 0; system < HBK_PATH_SYSTEMS; system++) {
            add_case(path, system, HBK_PATH_ONE_CORE, closed_connections[i], 0);
        }
    }
    for (size_t i = 0; i < HBK_COUNT(open_rates); i++) {
        for (enum hbk_path_system_name system = 0; system < HBK_PATH_SYSTEMS; system++) {
            add_case(path, system, HBK_PATH_OPEN_LOOP, OPEN_LOOP_CONNECTIONS, open_rates[i]);
        }
    }
    for (enum hbk_path_system_name system = 0; system < HBK_PATH_SYSTEMS; system++) {
        add_case(path, system, HBK_PATH_BULK, 1, 0);
    }
    for (enum hbk_path_system_name system = 0; system < HBK_PATH_SYSTEMS; system++) {
        add_case(path, system, HBK_PATH_CONNECT, CONNECT_CONNECTIONS, 0);
    }
}

/* What client and sink write and we read. */
struct shared {
    struct hbk_bare_result result;
    _Atomic uint64_t swallowed_bytes;
};

static hbk_status run_client(const struct hbk_path *path, const struct hbk_path_system *system,
                             const struct hbk_bare_client *client, int cpu, struct hbk_error *error)
{
    struct hbk_bare_client copy = *client;
    struct hbk_process process = hbk_process_none();
    HBK_TRY(hbk_bare_start_client(&path->scene.topology, system->client, cpu, hbk_bare_client_run,
                                  &copy, &process, error));
    int exit_status = 0;
    hbk_status status = hbk_process_wait(&process, case_timeout_ns, &exit_status);
    if (status != HBK_OK) {
        hbk_process_stop(&process, 0);
        return hbk_error_set(error, status, "the client did not end");
    }
    if (exit_status != 0) {
        return hbk_error_set(error, HBK_IO, "the client could not open its connections");
    }
    return HBK_OK;
}

static struct hbk_bare_plan plan_of(const struct hbk_path *path, const struct hbk_path_case *on,
                                    pid_t server, struct shared *shared)
{
    static const enum hbk_bare_mode modes[HBK_PATH_MODES] = {
        [HBK_PATH_ONE_CORE] = HBK_BARE_CLOSED,
        [HBK_PATH_OPEN_LOOP] = HBK_BARE_OPEN,
        [HBK_PATH_BULK] = HBK_BARE_BULK,
        [HBK_PATH_CONNECT] = HBK_BARE_CONNECT,
    };
    const struct hbk_path_system *system = &path->systems[on->system];
    return (struct hbk_bare_plan){
        .mode = modes[on->mode],
        .to = hbk_topology_address(&path->scene.topology, system->server, HBK_SCENE_PORT),
        .connections = on->connections,
        .rate_rps = on->rate_rps,
        .warm_ns = on->mode == HBK_PATH_OPEN_LOOP ? warm_open_ns : warm_ns,
        .measure_ns = path->options.measure_ns,
        .watched = {system->agents[0], system->agents[1], server},
        .swallowed_bytes = &shared->swallowed_bytes,
    };
}

/* Where things run in a mode: on one core, on two, or where the kernel likes among the two. */
static hbk_status place_agents(const struct hbk_path *path, const struct hbk_path_case *on)
{
    const struct hbk_path_system *system = &path->systems[on->system];
    unsigned first = path->options.agent_core;
    unsigned other = path->options.load_core;
    for (size_t i = 0; i < HBK_COUNT(system->agents); i++) {
        if (system->agents[i] == 0) {
            continue;
        }
        if (on->mode == HBK_PATH_BULK) {
            unsigned low = first < other ? first : other;
            unsigned span = (first < other ? other : first) - low + 1;
            HBK_TRY(hbk_process_allow(system->agents[i], low, span));
        } else {
            HBK_TRY(hbk_process_allow(system->agents[i], first, 1));
        }
    }
    return HBK_OK;
}

static int load_core(const struct hbk_path *path, const struct hbk_path_case *on)
{
    switch (on->mode) {
    case HBK_PATH_ONE_CORE:
    case HBK_PATH_CONNECT:
        return (int)path->options.agent_core;
    case HBK_PATH_OPEN_LOOP:
        return (int)path->options.load_core;
    case HBK_PATH_BULK:
    case HBK_PATH_MODES:
        break;
    }
    return -1;
}

static hbk_status measure(const struct hbk_path *path, const struct hbk_path_case *on,
                          struct shared *shared, struct hbk_error *error)
{
    const struct hbk_path_system *system = &path->systems[on->system];
    int cpu = load_core(path, on);
    struct hbk_process server = hbk_process_none();
    memset(shared, 0, sizeof *shared);
    HBK_TRY(place_agents(path, on));
    HBK_TRY(hbk_bare_start_server(&path->scene.topology, system->server, cpu,
                                  on->mode == HBK_PATH_BULK ? &shared->swallowed_bytes : NULL,
                                  &server, error));
    struct hbk_bare_client client = {
        .plan = plan_of(path, on, server.pid, shared),
        .result = &shared->result,
    };
    hbk_status status = run_client(path, system, &client, cpu, error);
    hbk_process_stop(&server, 0);
    return status;
}

static void run_round(struct hbk_path *path, struct hbk_path_case *on, struct shared *shared)
{
    struct hbk_error error = {0};
    if (!path->systems[on->system].is_up) {
        return;
    }
    hbk_path_report_progress(path, on);
    hbk_status status = measure(path, on, shared, &error);
    if (status != HBK_OK) {
        (void)snprintf(on->failure, sizeof on->failure, "%.*s", HBK_PATH_REASON_BYTES_MAX - 1,
                       error.status == HBK_OK ? hbk_status_text(status) : error.text);
        return;
    }
    on->rounds[on->round_count++] = shared->result;
}

static int compare_numbers(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

double hbk_path_median(double *values, unsigned count)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof *values, compare_numbers);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Figures of one round, as they are told. */
struct figures {
    double achieved_rps, agent_us, total_us, process_us, client_us, server_us, busy_share, p50_us,
        p99_us, bytes_per_s;
};

static struct figures figures_of(const struct hbk_path_case *on,
                                 const struct hbk_bare_result *round)
{
    double window_s = (double)round->window_ns / 1e9;
    double requests = round->requests > 0 ? (double)round->requests : 1;
    double agents_ns = (double)(round->cpu_ns[0] + round->cpu_ns[1]);
    double all_ns = agents_ns + (double)round->cpu_ns[2] + (double)round->client_cpu_ns;
    bool is_one_core = on->mode == HBK_PATH_ONE_CORE || on->mode == HBK_PATH_CONNECT;
    struct figures figures = {
        .achieved_rps = window_s == 0 ? 0 : (double)round->requests / window_s,
        .agent_us = agents_ns / 1e3 / requests,
        .process_us = all_ns / 1e3 / requests,
        .client_us = (double)round->client_cpu_ns / 1e3 / requests,
        .server_us = (double)round->cpu_ns[2] / 1e3 / requests,
        .busy_share = round->window_ns == 0 ? 0 : all_ns / (double)round->window_ns,
        .p50_us = round->p50_us,
        .p99_us = round->p99_us,
        .bytes_per_s = window_s == 0 ? 0 : (double)round->bytes / window_s,
    };
    /* On one core that is never idle every nanosecond of the window belongs to some request. */
    figures.total_us = (is_one_core ? (double)round->window_ns : all_ns) / 1e3 / requests;
    return figures;
}

static double median_of(const struct hbk_path_case *on, size_t offset)
{
    double values[HBK_PATH_ROUNDS_MAX];
    for (unsigned i = 0; i < on->round_count; i++) {
        struct figures figures = figures_of(on, &on->rounds[i]);
        memcpy(&values[i], (const char *)&figures + offset, sizeof values[i]);
    }
    return hbk_path_median(values, on->round_count);
}

static void summarize(struct hbk_path_case *on)
{
    on->achieved_rps = median_of(on, offsetof(struct figures, achieved_rps));
    on->agent_us = median_of(on, offsetof(struct figures, agent_us));
    on->total_us = median_of(on, offsetof(struct figures, total_us));
    on->process_us = median_of(on, offsetof(struct figures, process_us));
    on->client_us = median_of(on, offsetof(struct figures, client_us));
    on->server_us = median_of(on, offsetof(struct figures, server_us));
    on->busy_share = median_of(on, offsetof(struct figures, busy_share));
    on->p50_us = median_of(on, offsetof(struct figures, p50_us));
    on->p99_us = median_of(on, offsetof(struct figures, p99_us));
    on->bytes_per_s = median_of(on, offsetof(struct figures, bytes_per_s));
    for (unsigned i = 0; i < on->round_count; i++) {
        on->errors += on->rounds[i].errors;
    }
}

const struct hbk_path_case *hbk_path_twin(const struct hbk_path *path,
                                          const struct hbk_path_case *of,
                                          enum hbk_path_system_name system)
{
    for (unsigned i = 0; i < path->case_count; i++) {
        const struct hbk_path_case *other = &path->cases[i];
        if (other->system == system && other->mode == of->mode &&
            other->connections == of->connections && other->rate_rps == of->rate_rps &&
            other->round_count > 0) {
            return other;
        }
    }
    return NULL;
}

static void measure_all(struct hbk_path *path, struct shared *shared)
{
    for (unsigned round = 0; round < path->options.rounds; round++) {
        for (unsigned i = 0; i < path->case_count; i++) {
            run_round(path, &path->cases[i], shared);
        }
    }
    for (unsigned i = 0; i < path->case_count; i++) {
        summarize(&path->cases[i]);
    }
}

/* True when whatever was asked of hauberk was measured, without a failed connection. */
static bool is_hauberk_whole(const struct hbk_path *path)
{
    bool is_whole = path->memory.failure[0] == '\0';
    for (unsigned i = 0; i < path->case_count; i++) {
        const struct hbk_path_case *on = &path->cases[i];
        bool is_good = on->round_count > 0 && on->errors == 0;
        is_whole = is_whole && (on->system != HBK_PATH_HAUBERK || is_good);
    }
    return is_whole;
}

bool hbk_path_run(const struct hbk_path_options *options)
{
    static struct hbk_path path; /* once per process, and too large for a stack */
    struct hbk_error error = {0};
    path = (struct hbk_path){
        .options = *options,
        .systems =
            {
                {.name = "direct",
                 .client = HBK_PLACE_DIRECT_CLIENT,
                 .server = HBK_PLACE_DIRECT_SERVER},
                {.name = "two-relays",
                 .client = HBK_PLACE_RELAY_CLIENT,
                 .server = HBK_PLACE_RELAY_SERVER},
                {.name = "hauberk", .client = HBK_PLACE_FRONT, .server = HBK_PLACE_CART},
                {.name = "haproxy",
                 .client = HBK_PLACE_HAPROXY_CLIENT,
                 .server = HBK_PLACE_HAPROXY_SERVER},
            },
        .programs = {hbk_program_none(), hbk_program_none()},
        .relays = {hbk_process_none(), hbk_process_none()},
    };
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        fprintf(stderr, "hauberk bench: %s\n", strerror(errno));
        return false;
    }
    list_cases(&path);
    if (path.case_count == 0 && !hbk_path_is_wanted(&path, "hauberk/memory")) {
        fputs("hauberk bench: --only matches no case; a name is such as \"hauberk/one-core/32\"\n",
              stderr);
        (void)munmap(shared, sizeof *shared);
        return false;
    }
    if (hbk_path_start_systems(&path, &error) != HBK_OK) {
        fprintf(stderr, "hauberk bench: %s\n", error.text);
        return false;
    }
    measure_all(&path, shared);
    hbk_path_measure_memory(&path);
    hbk_path_report(&path);
    hbk_path_stop_systems(&path);
    (void)munmap(shared, sizeof *shared);
    return is_hauberk_whole(&path);
}
