/*
 * The same load over more pods of a node: so many clients on alpha, each of which calls the service
 * of one server on beta, with its share of the connections and of the rate. Every pod has an
 * identity of its own, and one agent on each node serves them all, beside the scene's own pods,
 * which carry nothing.
 *
 *     agents up, servers up | loads: connect, warm up | window ......... | told to end
 *                                       last is warm --'
 *
 * The loads begin one after the other, each with those before it under way, so each goes on until
 * it is told to end: SIGINT, at which it says what it has. Latency is of all that time.
 *
 * What is measured stands in the columns of one pod: applications are the sum of theirs, P50 and
 * P99 those of the slowest pod.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "bench/load_run.h"
#include "paper/look.h"

static const uint64_t server_timeout_ns = 20 * HBK_NS_PER_S;
static const uint64_t warm_timeout_ns = 60 * HBK_NS_PER_S;
static const uint64_t margin_ns = 300 * HBK_NS_PER_MS;
static const uint64_t longest_ns = 2 * 3600 * HBK_NS_PER_S; /* of a load that nobody ends */

enum { NAME_BYTES_MAX = 32 };

static const double lateness_doubt_ms = 5, rate_doubt = 0.99;

struct pods_run {
    struct hbk_paper *paper;
    const struct hbk_cell *cell;
    struct hbk_paper_agents agents;
    struct hbk_program servers[HBK_PAIRS_MAX], loads[HBK_PAIRS_MAX];
    struct hbk_bench_load_plan plans[HBK_PAIRS_MAX];
    char names[HBK_PAIRS_MAX][NAME_BYTES_MAX];
    struct hbk_sample *sample;
    struct hbk_error *error;
};

/* ---- the ends ---- */

static hbk_status start_servers(struct pods_run *run)
{
    char delay[24], listen[24];
    (void)snprintf(delay, sizeof delay, "%ums", run->cell->delay_ms);
    (void)snprintf(listen, sizeof listen, "0.0.0.0:%d", HBK_SCENE_PORT);
    const char *const arguments[] = {"echo", "--listen", listen, "--delay",
                                     delay,  "--size",   "30",   NULL};
    for (unsigned pair = 0; pair < run->cell->pods; pair++) {
        char name[NAME_BYTES_MAX];
        (void)snprintf(name, sizeof name, "pod-server-%u", pair);
        const struct hbk_program_spec spec = {.name = name,
                                              .place = hbk_place_server(pair),
                                              .cpu = (int)run->paper->options.load_core,
                                              .arguments = arguments};
        HBK_TRY(
            hbk_program_start(&run->paper->scene.topology, &spec, &run->servers[pair], run->error));
    }
    for (unsigned pair = 0; pair < run->cell->pods; pair++) {
        HBK_TRY(hbk_program_wait_for(&run->servers[pair], "listening on", server_timeout_ns,
                                     run->error));
    }
    return HBK_OK;
}

/* Share `index` of `count` that differ by one at most and make `whole` together. */
static unsigned share(unsigned whole, unsigned count, unsigned index)
{
    return whole / count + (index < whole % count ? 1 : 0);
}

static hbk_status start_loads(struct pods_run *run)
{
    for (unsigned pair = 0; pair < run->cell->pods; pair++) {
        char vip[HBK_SCENE_VIP_BYTES_MAX];
        struct hbk_bench_load_plan *plan = &run->plans[pair];
        (void)snprintf(run->names[pair], sizeof run->names[pair], "pod-load-%u", pair);
        *plan = (struct hbk_bench_load_plan){
            .name = run->names[pair],
            .from = hbk_place_client(pair),
            .cpu = (int)run->paper->options.load_core,
            .to = {.port = HBK_SCENE_VIP_PORT},
            .path = "/",
            .connections = share(run->cell->connections, run->cell->pods, pair),
            .rate_rps = share(run->cell->rate_rps, run->cell->pods, pair),
            .duration_ns = longest_ns,
            .is_telling = true,
        };
        (void)!hbk_ip_parse(hbk_slice_text(hbk_scene_vip_of_pair(pair, vip)), &plan->to.ip);
        HBK_TRY(
            hbk_bench_load_start(&run->paper->scene.topology, plan, &run->loads[pair], run->error));
    }
    (void)snprintf(run->sample->command, sizeof run->sample->command,
                   "in each of %u pods, until all were warm and %u ms more: hauberk load -c %u "
                   "-qps %u -t 2h -timeout 10s -allow-initial-errors http://10.96.5.N/",
                   run->cell->pods, run->cell->duration_ms, run->plans[0].connections,
                   run->plans[0].rate_rps);
    return HBK_OK;
}

/* ---- looking ---- */

static struct hbk_look_groups groups_of(const struct pods_run *run)
{
    struct hbk_look_groups groups = {0};
    for (unsigned pair = 0; pair < run->cell->pods; pair++) {
        hbk_look_add(&groups, HBK_PARTY_CLIENT, run->loads[pair].process.pid);
        hbk_look_add(&groups, HBK_PARTY_SERVER, run->servers[pair].process.pid);
    }
    hbk_look_add_agents(&groups, &run->agents);
    return groups;
}

static double seconds_since(uint64_t began_ns)
{
    return (double)(hbk_clock_monotonic_ns() - began_ns) / (double)HBK_NS_PER_S;
}

static hbk_status watch(struct pods_run *run)
{
    uint64_t kernel_before = hbk_gauge_machine().kernel_bytes;
    uint64_t began_ns = hbk_clock_monotonic_ns();
    HBK_TRY(start_loads(run));
    for (unsigned pair = 0; pair < run->cell->pods; pair++) {
        HBK_TRY(hbk_program_wait_for(&run->loads[pair], HBK_BENCH_LOAD_STARTED, warm_timeout_ns,
                                     run->error));
    }
    const struct hbk_look_groups groups = groups_of(run);
    struct hbk_look first, second;
    hbk_look_take(&groups, false, &first);
    run->sample->values[HBK_WARM_S] = seconds_since(began_ns);
    uint64_t window_ns = (uint64_t)run->cell->duration_ms * HBK_NS_PER_MS;
    hbk_program_pause(window_ns > 2 * margin_ns ? window_ns - margin_ns : window_ns / 2);
    hbk_look_take(&groups, true, &second);
    for (unsigned party = 0; party < HBK_PARTIES; party++) {
        if (second.has_ended[party]) {
            return hbk_error_set(run->error, HBK_CLOSED,
                                 "an agent, a server or a load ended early");
        }
    }
    hbk_look_keep(&groups, &first, &second, kernel_before, run->sample);
    for (unsigned pair = 0; pair < run->cell->pods; pair++) {
        hbk_process_signal(&run->loads[pair].process, SIGINT);
    }
    return HBK_OK;
}

/* ---- what the loads say ---- */

static hbk_status read_loads(struct pods_run *run)
{
    struct hbk_sample *sample = run->sample;
    double *values = sample->values, planned = 0;
    char failures[HBK_BENCH_LOAD_FAILURES_BYTES_MAX + 40] = "";
    static const enum hbk_measure sums[] = {HBK_ACHIEVED_RPS, HBK_CALLS, HBK_FAILED};
    static const enum hbk_measure worst[] = {HBK_P50_MS, HBK_P99_MS, HBK_LATENESS_P99_MS};
    for (size_t i = 0; i < HBK_COUNT(sums); i++) {
        values[sums[i]] = values[worst[i]] = 0;
    }
    for (unsigned pair = 0; pair < run->cell->pods; pair++) {
        struct hbk_bench_load_figures figures;
        HBK_TRY(hbk_bench_load_finish(&run->loads[pair], &figures, run->error));
        /* What is under way at the end is not told: what the server's delay holds back. */
        double elapsed_s = (double)figures.requests / figures.achieved_rps;
        planned += fmax(0, elapsed_s - run->cell->delay_ms / 1000.0) * figures.offered_rps;
        values[HBK_ACHIEVED_RPS] += figures.achieved_rps;
        values[HBK_CALLS] += (double)(figures.requests + figures.failed);
        values[HBK_FAILED] += (double)figures.failed;
        if (figures.failures[0] != '\0' && failures[0] == '\0') {
            (void)snprintf(failures, sizeof failures, "in pod %u (and maybe others) %s", pair,
                           figures.failures);
        }
        values[HBK_P50_MS] = fmax(values[HBK_P50_MS], figures.p50_us / 1000);
        values[HBK_P99_MS] = fmax(values[HBK_P99_MS], figures.p99_us / 1000);
        values[HBK_LATENESS_P99_MS] = fmax(values[HBK_LATENESS_P99_MS], figures.lateness_us / 1000);
    }
    const char *doubt = failures[0] != '\0'                        ? failures
                        : values[HBK_CALLS] < planned * rate_doubt ? "did not reach the rate"
                        : values[HBK_LATENESS_P99_MS] > lateness_doubt_ms
                            ? "the load generator was late"
                            : "";
    (void)snprintf(sample->why, sizeof sample->why, "%s", doubt);
    return HBK_OK;
}

/* ---- all of it ---- */

static hbk_status perform(struct pods_run *run, const struct hbk_paper_system *system)
{
    uint64_t began_ns = hbk_clock_monotonic_ns();
    HBK_TRY(hbk_scene_set_pairs(&run->paper->scene, run->cell->pods, run->error));
    HBK_TRY(
        hbk_paper_start_system(run->paper, system, run->cell->placement, &run->agents, run->error));
    HBK_TRY(start_servers(run));
    run->sample->values[HBK_START_S] = seconds_since(began_ns);
    HBK_TRY(watch(run));
    return read_loads(run);
}

/* All are told before one is waited for. */
static void stop_all(struct hbk_program *programs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        hbk_process_signal(&programs[i].process, SIGTERM);
    }
    for (unsigned i = 0; i < count; i++) {
        hbk_program_stop(&programs[i]);
    }
}

hbk_status hbk_paper_measure_pods(struct hbk_paper *paper, const struct hbk_paper_system *system,
                                  const struct hbk_cell *cell, struct hbk_sample *sample,
                                  struct hbk_error *error)
{
    static struct pods_run run; /* too large for a stack */
    struct hbk_error ignored = {0};
    run = (struct pods_run){.paper = paper, .cell = cell, .sample = sample, .error = error};
    for (unsigned i = 0; i < HBK_PAIRS_MAX; i++) {
        run.servers[i] = run.loads[i] = hbk_program_none();
    }
    hbk_status status = perform(&run, system);
    uint64_t ended_ns = hbk_clock_monotonic_ns();
    stop_all(run.loads, cell->pods);
    stop_all(run.servers, cell->pods);
    hbk_paper_stop_system(paper, system, &run.agents);
    (void)!hbk_scene_set_pairs(&paper->scene, 0, &ignored);
    sample->values[HBK_STOP_S] = seconds_since(ended_ns);
    return status;
}
