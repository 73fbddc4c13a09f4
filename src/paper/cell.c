/*
 * One run. The load tells in its log when warm-up is over. CPU is the difference between two looks
 * from there to shortly before the end, memory is looked at in the second look, while all
 * connections are open.
 *
 *     system up, server up | load: connects, warms up | window ................ | rest | ends
 *          kernel memory --'                first look --'         second look --'
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/load_run.h"
#include "bench/request.h"
#include "paper/control.h"
#include "paper/look.h"

static const uint64_t server_timeout_ns = 10 * HBK_NS_PER_S;
static const uint64_t warm_timeout_ns = 120 * HBK_NS_PER_S;
static const uint64_t finish_timeout_ns = 60 * HBK_NS_PER_S;
static const uint64_t margin_ns = 300 * HBK_NS_PER_MS;
static const uint64_t settle_ns = 100 * HBK_NS_PER_MS;

static const uint64_t again_ns = 20 * HBK_NS_PER_MS;

enum { ARGUMENT_BYTES_MAX = 64, ANSWER_TRIES = 250 };

/* Above these a run is kept, with a doubt. */
static const double lateness_doubt_ms = 5;
static const double rate_doubt = 0.99;

struct run {
    struct hbk_paper *paper;
    const struct hbk_paper_system *system;
    const struct hbk_cell *cell;
    struct hbk_paper_agents agents;
    struct hbk_program server, load;
    char json_path[HBK_PROGRAM_PATH_BYTES_MAX];
    bool is_mtls; /* between the applications, with these files */
    char client_pem[HBK_PROGRAM_PATH_BYTES_MAX + 64], server_pem[HBK_PROGRAM_PATH_BYTES_MAX + 64];
    char ca[HBK_PROGRAM_PATH_BYTES_MAX + 64];
    struct hbk_sample *sample;
    struct hbk_error *error;
};

/* ---- the two ends ---- */

static bool is_control(const struct run *run)
{
    return run->system->kind == HBK_CONTROL;
}

static hbk_status start_server(struct run *run)
{
    char delay[ARGUMENT_BYTES_MAX], listen[ARGUMENT_BYTES_MAX];
    (void)snprintf(delay, sizeof delay, "%ums", run->cell->delay_ms);
    (void)snprintf(listen, sizeof listen, "0.0.0.0:%d", HBK_SCENE_PORT);
    /* The paper's server answers with 30 bytes. */
    const char *const arguments[] = {
        "echo",   "--listen",      listen,     "--delay",
        delay,    "--size",        "30",       run->is_mtls ? "--mtls" : NULL,
        "--cert", run->server_pem, "--cacert", run->ca,
        NULL};
    const struct hbk_program_spec spec = {
        .name = "server",
        .place = hbk_paper_server(run->cell->placement),
        .cpu = (int)run->paper->options.load_core,
        .arguments = arguments,
    };
    HBK_TRY(
        is_control(run)
            ? hbk_control_start_server(run->paper, run->system, run->cell, &run->server, run->error)
            : hbk_program_start(&run->paper->scene.topology, &spec, &run->server, run->error));
    return hbk_program_wait_for(&run->server, "listening on", server_timeout_ns, run->error);
}

/* One request all the way, before the load. */
static hbk_status check_path(struct run *run)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_request request = {
        .netns_fd = run->paper->scene.topology.places[HBK_PLACE_FRONT].netns_fd,
        .path = "/?delay=0s",
        .timeout_ns = 2 * HBK_NS_PER_S,
    };
    (void)snprintf(text, sizeof text, "%s:%d", hbk_paper_address(run->cell->placement),
                   HBK_SCENE_VIP_PORT);
    (void)!hbk_address_parse(hbk_slice_text(text), &request.to);
    struct hbk_reply reply = {0};
    if (run->is_mtls) {
        return HBK_OK; /* our request is plain; the load's warm-up tells */
    }
    for (unsigned i = 0; i < ANSWER_TRIES; i++) {
        struct hbk_arena arena;
        hbk_arena_init(&arena);
        hbk_status status = hbk_request_send(&request, &arena, &reply);
        hbk_arena_fini(&arena);
        if (status == HBK_OK && reply.outcome == HBK_REQUEST_ANSWERED && reply.status == 200) {
            return HBK_OK;
        }
        hbk_program_pause(again_ns);
    }
    return hbk_error_set(run->error, HBK_TIMEOUT, "no request comes through: %s",
                         hbk_request_outcome_text(reply.outcome));
}

/* The command as people would repeat it, without `left_out`; what does not fit is cut. */
static void keep_command(const char *const *arguments, const char *left_out,
                         char out_text[static HBK_SAMPLE_COMMAND_BYTES_MAX])
{
    size_t size = (size_t)snprintf(out_text, HBK_SAMPLE_COMMAND_BYTES_MAX, "hauberk");
    for (size_t i = 0; arguments[i] != NULL && size < HBK_SAMPLE_COMMAND_BYTES_MAX; i++) {
        if (arguments[i] != left_out) {
            size += (size_t)snprintf(out_text + size, HBK_SAMPLE_COMMAND_BYTES_MAX - size, " %s",
                                     arguments[i]);
        }
    }
}

static hbk_status start_load(struct run *run)
{
    const struct hbk_cell *cell = run->cell;
    static const char *const arrivals[] = {"fortio", "uniform", "poisson", "uniform"};
    char connections[16], rate[16], duration[24], url[64], json[HBK_PROGRAM_PATH_BYTES_MAX + 8];
    (void)snprintf(connections, sizeof connections, "%u", cell->connections);
    (void)snprintf(rate, sizeof rate, "%u", cell->rate_rps);
    (void)snprintf(duration, sizeof duration, "%ums", cell->duration_ms);
    (void)snprintf(url, sizeof url, "%s://%s:%d/", run->is_mtls ? "https" : "http",
                   hbk_paper_address(cell->placement), HBK_SCENE_VIP_PORT);
    (void)snprintf(json, sizeof json, "--json=%s", run->json_path);
    const char *const arguments[] = {"load",       "--arrival", arrivals[cell->arrivals],
                                     "-c",         connections, "-qps",
                                     rate,         "-t",        duration,
                                     "-timeout",   "10s",       "-allow-initial-errors",
                                     json,         url,         run->is_mtls ? "-cacert" : NULL,
                                     run->ca,      "-cert",     run->client_pem,
                                     "--any-name", NULL};
    const struct hbk_program_spec spec = {
        .name = "load",
        .place = HBK_PLACE_FRONT,
        .cpu = (int)run->paper->options.load_core,
        .arguments = arguments,
    };
    keep_command(arguments, json, run->sample->command);
    return hbk_program_start(&run->paper->scene.topology, &spec, &run->load, run->error);
}

/* ---- looking ---- */

static struct hbk_look_groups groups_of(const struct run *run)
{
    struct hbk_look_groups groups = {0};
    hbk_look_add(&groups, HBK_PARTY_CLIENT, run->load.process.pid);
    hbk_look_add(&groups, HBK_PARTY_SERVER, run->server.process.pid);
    hbk_look_add_agents(&groups, &run->agents);
    return groups;
}

/* Whatever ended meanwhile should not have. */
static hbk_status check_alive(const struct run *run, const struct hbk_look *second)
{
    if (second->has_ended[HBK_PARTY_SERVER]) {
        return hbk_program_fail(&run->server, HBK_CLOSED, "the server ended", run->error);
    }
    for (unsigned side = 0; side < HBK_SIDES; side++) {
        if (second->has_ended[HBK_PARTY_CLIENT_AGENT + side]) {
            return hbk_error_set(run->error, HBK_CLOSED, "the %s side's process ended",
                                 side == HBK_SIDE_CLIENT ? "client" : "server");
        }
    }
    return HBK_OK;
}

static double seconds_since(uint64_t began_ns)
{
    return (double)(hbk_clock_monotonic_ns() - began_ns) / (double)HBK_NS_PER_S;
}

static hbk_status watch_load(struct run *run)
{
    struct hbk_look first, second;
    uint64_t kernel_before = hbk_gauge_machine().kernel_bytes;
    HBK_TRY(is_control(run) ? hbk_control_start_load(run->paper, run->system, run->cell, &run->load,
                                                     run->sample->command, run->error)
                            : start_load(run));
    uint64_t began_ns = hbk_clock_monotonic_ns();
    HBK_TRY(is_control(run)
                ? hbk_control_wait_warm(&run->load, run->cell, warm_timeout_ns, run->error)
                : hbk_program_wait_for(&run->load, "started over", warm_timeout_ns, run->error));
    const struct hbk_look_groups groups = groups_of(run);
    hbk_look_take(&groups, false, &first);
    run->sample->values[HBK_WARM_S] = seconds_since(began_ns);
    uint64_t rest_ns = (uint64_t)run->cell->duration_ms * HBK_NS_PER_MS;
    hbk_program_pause(rest_ns > 2 * margin_ns ? rest_ns - margin_ns : rest_ns / 2);
    hbk_look_take(&groups, true, &second);
    hbk_look_keep(&groups, &first, &second, kernel_before, run->sample);
    HBK_TRY(check_alive(run, &second));
    int exit_status = 0;
    hbk_status status = hbk_process_wait(&run->load.process, finish_timeout_ns, &exit_status);
    return status == HBK_OK
               ? HBK_OK
               : hbk_program_fail(&run->load, status, "the load did not end", run->error);
}

/* ---- the load's own figures ---- */

static double number_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void doubt(struct hbk_sample *sample, const char *reason)
{
    if (sample->why[0] == '\0') {
        (void)snprintf(sample->why, sizeof sample->why, "%s", reason);
    }
}

static hbk_status read_load(struct run *run)
{
    struct hbk_sample *sample = run->sample;
    json_error_t why;
    json_t *root = json_load_file(run->json_path, 0, &why);
    const json_t *ours = json_object_get(root, "hauberk");
    const json_t *response = json_object_get(ours, "response_us");
    const json_t *service = json_object_get(ours, "service_us");
    const json_t *fortio = json_object_get(ours, "fortio_us");
    double *values = sample->values;
    if (!json_is_object(response)) {
        json_decref(root);
        return hbk_program_fail(&run->load, HBK_INVALID, "the load gave no figures", run->error);
    }
    values[HBK_ACHIEVED_RPS] = number_at(ours, "achieved_rps");
    values[HBK_CALLS] = number_at(ours, "calls");
    values[HBK_FAILED] = number_at(ours, "failed");
    values[HBK_P50_MS] = number_at(response, "p50") / 1000;
    values[HBK_P99_MS] = number_at(response, "p99") / 1000;
    values[HBK_SERVICE_P50_MS] = number_at(service, "p50") / 1000;
    values[HBK_SERVICE_P99_MS] = number_at(service, "p99") / 1000;
    values[HBK_FORTIO_P50_MS] = number_at(fortio, "p50") / 1000;
    values[HBK_FORTIO_P99_MS] = number_at(fortio, "p99") / 1000;
    values[HBK_LATENESS_P99_MS] = number_at(json_object_get(ours, "lateness_us"), "p99") / 1000;
    double planned = number_at(ours, "planned");
    char failures[HBK_BENCH_LOAD_FAILURES_BYTES_MAX];
    doubt(sample, hbk_bench_load_failures(ours, failures));
    json_decref(root);
    if (run->cell->rate_rps > 0 && values[HBK_CALLS] < planned * rate_doubt) {
        doubt(sample, "did not reach the rate");
    }
    if (run->cell->arrivals != HBK_BURST && values[HBK_LATENESS_P99_MS] > lateness_doubt_ms) {
        doubt(sample, "the load generator was late");
    }
    return HBK_OK;
}

/* ---- all of it ---- */

static hbk_status perform(struct run *run)
{
    uint64_t began_ns = hbk_clock_monotonic_ns();
    HBK_TRY(hbk_paper_start_system(run->paper, run->system, run->cell->placement, &run->agents,
                                   run->error));
    HBK_TRY(start_server(run));
    HBK_TRY(check_path(run));
    hbk_program_pause(settle_ns);
    run->sample->values[HBK_START_S] = seconds_since(began_ns);
    HBK_TRY(watch_load(run));
    return is_control(run) ? hbk_control_read(&run->load, run->sample, run->error) : read_load(run);
}

static hbk_status measure(struct run *run)
{
    char directory[HBK_PROGRAM_PATH_BYTES_MAX];
    struct hbk_paper *paper = run->paper;
    run->server = run->load = hbk_program_none();
    (void)snprintf(run->json_path, sizeof run->json_path, "%s/load.json",
                   paper->scene.topology.directory);
    (void)remove(run->json_path);
    hbk_paper_directory(paper, run->system, run->cell->placement, directory);
    run->is_mtls = run->system->kind == HBK_BASELINE_MTLS;
    (void)snprintf(run->client_pem, sizeof run->client_pem, "%s/client.pem", directory);
    (void)snprintf(run->server_pem, sizeof run->server_pem, "%s/server.pem", directory);
    (void)snprintf(run->ca, sizeof run->ca, "%s/bundle.pem", directory);
    hbk_status status = perform(run);
    uint64_t ended_ns = hbk_clock_monotonic_ns();
    hbk_program_stop(&run->load);
    hbk_program_stop(&run->server);
    hbk_paper_stop_system(paper, run->system, &run->agents);
    run->sample->values[HBK_STOP_S] = seconds_since(ended_ns);
    return status;
}

void hbk_paper_measure(struct hbk_paper *paper, const struct hbk_paper_system *system,
                       const struct hbk_cell *cell, unsigned block, struct hbk_sample *out_sample)
{
    struct hbk_error error = {0};
    *out_sample = (struct hbk_sample){.cell = *cell, .block = block};
    (void)snprintf(out_sample->system, sizeof out_sample->system, "%s", system->name);
    for (unsigned i = 0; i < HBK_MEASURES; i++) {
        out_sample->values[i] = NAN;
    }
    struct run run = {
        .paper = paper, .system = system, .cell = cell, .sample = out_sample, .error = &error};
    hbk_status status = cell->pods > 0
                            ? hbk_paper_measure_pods(paper, system, cell, out_sample, &error)
                            : measure(&run);
    out_sample->is_good = status == HBK_OK;
    if (status != HBK_OK) {
        (void)snprintf(out_sample->why, sizeof out_sample->why, "%.*s",
                       HBK_SAMPLE_WHY_BYTES_MAX - 1,
                       error.status == HBK_OK ? hbk_status_text(status) : error.text);
        for (char *at = out_sample->why; *at != '\0'; at++) {
            *at = *at < ' ' && *at >= 0 ? ' ' : *at; /* quoted logs have lines */
        }
    }
}
