/*
 * Each step sets its verdict from what it saw. A step that could not even look (an agent did not
 * start) fails with that reason, and the steps behind it do not run.
 *
 * A capture proves nothing by silence alone: the same capture is therefore first shown to find the
 * marker while there is no mesh, it must see packets, and it must not have lost one.
 */
#include "bench/demo.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/certificate.h"
#include "bench/demo_report.h"

static const char certificate_ttl[] = "20s";
static const uint64_t steady_duration_ns = 23 * HBK_NS_PER_S;
static const uint64_t short_load_ns = 1500 * HBK_NS_PER_MS;
static const uint64_t look_interval_ns = 500 * HBK_NS_PER_MS;
static const uint64_t answer_timeout_ns = 3 * HBK_NS_PER_S;
static const uint64_t service_timeout_ns = 10 * HBK_NS_PER_S;
static const uint64_t log_timeout_ns = 3 * HBK_NS_PER_S;

enum {
    STEADY_RPS = 200,
    STEADY_CONNECTIONS = 8,
    SHORT_RPS = 200,
    SHORT_CONNECTIONS = 4,
    ROTATIONS_MIN = 2,
    AGENT_WORKERS = 2,
};

static const char *const titles[HBK_DEMO_STEPS] = {
    "front reaches cart without a mesh",
    "front reaches cart with the mesh",
    "cart's agent names the caller from its certificate",
    "nothing of the requests can be read on the wire, nor inside a host",
    "intruder is refused by policy, and the log names the policy",
    "plain text straight to cart is refused (mode STRICT)",
    "certificates that live 20 s rotate and no request fails",
};

const char *hbk_demo_title(unsigned step)
{
    return titles[step];
}

typedef hbk_status step_fn(struct hbk_demo *demo, struct hbk_demo_step *step,
                           struct hbk_error *error);

HBK_PRINTF(3, 4)
static void judge(struct hbk_demo_step *step, bool is_true, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(step->detail, sizeof step->detail, format, values);
    va_end(values);
    step->verdict = is_true ? HBK_DEMO_PASSED : HBK_DEMO_FAILED;
}

static int netns_of(const struct hbk_demo *demo, enum hbk_place place)
{
    return demo->scene.topology.places[place].netns_fd;
}

/* Steps 1 and 2: timed loads. */

static hbk_status start_captures(struct hbk_demo *demo, struct hbk_capture *captures[2],
                                 struct hbk_error *error)
{
    struct hbk_slice marker = hbk_slice_text(demo->marker);
    int alpha = netns_of(demo, HBK_PLACE_ALPHA);
    const struct hbk_topology_place *places = demo->scene.topology.places;
    HBK_TRY(
        hbk_capture_start(alpha, places[HBK_PLACE_ALPHA].host_link, marker, &captures[0], error));
    return hbk_capture_start(alpha, places[HBK_PLACE_NEIGHBOUR].host_link, marker, &captures[1],
                             error);
}

static struct hbk_bench_load_plan plan_to(const struct hbk_demo *demo, enum hbk_place to,
                                          const char *name, char header[static 64])
{
    (void)snprintf(header, 64, "X-Marker: %s", demo->marker);
    return (struct hbk_bench_load_plan){
        .name = name,
        .from = HBK_PLACE_FRONT,
        .cpu = -1,
        .to = hbk_topology_address(&demo->scene.topology, to, HBK_SCENE_PORT),
        .path = "/",
        .header = header,
        .connections = SHORT_CONNECTIONS,
        .rate_rps = SHORT_RPS,
        .duration_ns = short_load_ns,
    };
}

struct cpu_reading {
    uint64_t server_ns;
    uint64_t agent_ns[2];
};

/* CPU of everything but the load generator, so far; what does not run reads 0. */
static struct cpu_reading read_cpu(const struct hbk_demo *demo)
{
    struct cpu_reading reading = {0};
    (void)!hbk_process_cpu(demo->services[0].process.pid, &reading.server_ns);
    for (size_t i = 0; i < 2; i++) {
        if (demo->scene.agents[i].process.pid != 0) {
            (void)!hbk_process_cpu(demo->scene.agents[i].process.pid, &reading.agent_ns[i]);
        }
    }
    return reading;
}

static double us_per(uint64_t from_ns, uint64_t to_ns, uint64_t requests)
{
    return requests == 0 || to_ns < from_ns ? 0
                                            : (double)(to_ns - from_ns) / 1e3 / (double)requests;
}

static hbk_status time_load(struct hbk_demo *demo, const char *name, struct hbk_demo_timing *timing,
                            struct hbk_error *error)
{
    char header[64];
    struct hbk_bench_load_plan plan = plan_to(demo, HBK_PLACE_CART, name, header);
    plan.connections = demo->options.connections;
    plan.rate_rps = demo->options.rate_rps;
    plan.duration_ns = demo->options.duration_ns;
    struct cpu_reading before = read_cpu(demo);
    HBK_TRY(hbk_bench_load_run(&demo->scene.topology, &plan, &timing->load, error));
    struct cpu_reading after = read_cpu(demo);
    uint64_t requests = timing->load.requests;
    timing->server_us = us_per(before.server_ns, after.server_ns, requests);
    for (size_t i = 0; i < 2; i++) {
        struct hbk_process_usage usage = {0};
        timing->agent_us[i] = us_per(before.agent_ns[i], after.agent_ns[i], requests);
        if (demo->scene.agents[i].process.pid != 0) {
            HBK_TRY(hbk_process_usage(demo->scene.agents[i].process.pid, &usage));
        }
        timing->agent_private_bytes[i] = usage.private_dirty_bytes;
    }
    return HBK_OK;
}

/* One timed load to cart and a short one to the neighbour, under capture. */
static hbk_status
load_under_capture(struct hbk_demo *demo, const char *name, struct hbk_demo_timing *timing,
                   struct hbk_capture_counts *out_wire, struct hbk_capture_counts *out_cable,
                   struct hbk_bench_load_figures *out_neighbour, struct hbk_error *error)
{
    char header[64];
    char short_name[32];
    struct hbk_capture *captures[2];
    (void)snprintf(short_name, sizeof short_name, "%s-neighbour", name);
    HBK_TRY(start_captures(demo, captures, error));
    HBK_TRY(time_load(demo, name, timing, error));
    struct hbk_bench_load_plan plan = plan_to(demo, HBK_PLACE_NEIGHBOUR, short_name, header);
    HBK_TRY(hbk_bench_load_run(&demo->scene.topology, &plan, out_neighbour, error));
    *out_wire = hbk_capture_stop(&captures[0]);
    *out_cable = hbk_capture_stop(&captures[1]);
    return HBK_OK;
}

/* How fast is shown, not judged: the machine may be busy with other things. */
static bool has_no_failure(const struct hbk_bench_load_figures *load)
{
    return load->failed == 0 && load->requests > 0;
}

static void judge_loads(struct hbk_demo_step *step, const struct hbk_bench_load_figures *load,
                        const struct hbk_bench_load_figures *neighbour)
{
    judge(step, has_no_failure(load) && has_no_failure(neighbour),
          "%.0f requests/s offered, %.0f achieved; %llu answered, %llu failed", load->offered_rps,
          load->achieved_rps, (unsigned long long)(load->requests + neighbour->requests),
          (unsigned long long)(load->failed + neighbour->failed));
}

static hbk_status reach_without_mesh(struct hbk_demo *demo, struct hbk_demo_step *step,
                                     struct hbk_error *error)
{
    struct hbk_bench_load_figures neighbour;
    HBK_TRY(load_under_capture(demo, "load-plain", &demo->plain, &demo->plain_wire,
                               &demo->plain_cable, &neighbour, error));
    judge_loads(step, &demo->plain.load, &neighbour);
    return HBK_OK;
}

/* Starts what goes on in the background of steps 3 to 7. */
static hbk_status start_steady_load(struct hbk_demo *demo, struct hbk_error *error)
{
    char header[64];
    struct hbk_bench_load_plan plan = plan_to(demo, HBK_PLACE_CART, "load-steady", header);
    plan.connections = STEADY_CONNECTIONS;
    plan.rate_rps = STEADY_RPS;
    plan.duration_ns = steady_duration_ns;
    return hbk_bench_load_start(&demo->scene.topology, &plan, &demo->steady_load, error);
}

static hbk_status reach_with_mesh(struct hbk_demo *demo, struct hbk_demo_step *step,
                                  struct hbk_error *error)
{
    struct hbk_bench_load_figures neighbour;
    struct hbk_scene_agents agents = {
        .certificate_ttl = certificate_ttl,
        .workers = AGENT_WORKERS,
        .cpu = -1,
    };
    HBK_TRY(hbk_scene_start_agents(&demo->scene, &agents, error));
    HBK_TRY(load_under_capture(demo, "load-mesh", &demo->mesh, &demo->mesh_wire, &demo->mesh_cable,
                               &neighbour, error));
    judge_loads(step, &demo->mesh.load, &neighbour);
    return start_steady_load(demo, error);
}

/* Steps 3 to 6: what the agents say and refuse. */

/* The value of a field of an access log line: `name="value"`; empty when it is not there. */
static struct hbk_slice field_of(const char *line, const char *name)
{
    char start[64];
    (void)snprintf(start, sizeof start, "%s=\"", name);
    const char *found = line == NULL ? NULL : strstr(line, start);
    if (found == NULL) {
        return HBK_SLICE("");
    }
    const char *value = found + strlen(start);
    return hbk_slice_of(value, strcspn(value, "\""));
}

static hbk_status name_the_caller(struct hbk_demo *demo, struct hbk_demo_step *step,
                                  struct hbk_error *error)
{
    (void)error;
    static const char *const wanted[] = {"access",
                                         "src.identity=\"spiffe://cluster.local/ns/shop/sa/front\"",
                                         "dst.workload=\"cart\"", "direction=\"inbound\"", NULL};
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    const char *line =
        hbk_program_find_line(&demo->scene.agents[HBK_PLACE_BETA], &arena, wanted, log_timeout_ns);
    struct hbk_slice caller = field_of(line, "src.identity");
    judge(step, line != NULL, "beta's access log: caller %.*s",
          HBK_SLICE_ARGS(line != NULL ? caller : HBK_SLICE("is nowhere front")));
    hbk_arena_fini(&arena);
    return HBK_OK;
}

static hbk_status show_nothing_on_wires(struct hbk_demo *demo, struct hbk_demo_step *step,
                                        struct hbk_error *error)
{
    (void)error;
    const struct hbk_capture_counts *wire = &demo->mesh_wire;
    const struct hbk_capture_counts *cable = &demo->mesh_cable;
    bool has_control = demo->plain_wire.markers > 0 && demo->plain_cable.markers > 0;
    bool has_seen_all = wire->packets > 0 && cable->packets > 0 && wire->lost == 0 &&
                        cable->lost == 0 && demo->plain_wire.lost == 0 &&
                        demo->plain_cable.lost == 0;
    judge(step, has_control && has_seen_all && wire->markers == 0 && cable->markers == 0,
          "marker seen without / with mesh: between hosts %llu / %llu, inside alpha %llu / %llu; "
          "%llu packets searched, %llu lost",
          (unsigned long long)demo->plain_wire.markers, (unsigned long long)wire->markers,
          (unsigned long long)demo->plain_cable.markers, (unsigned long long)cable->markers,
          (unsigned long long)(wire->packets + cable->packets),
          (unsigned long long)(wire->lost + cable->lost));
    return HBK_OK;
}

static hbk_status ask(const struct hbk_demo *demo, enum hbk_place from, enum hbk_place to,
                      struct hbk_reply *out_reply, struct hbk_error *error)
{
    struct hbk_arena arena;
    struct hbk_request request = {
        .netns_fd = netns_of(demo, from),
        .to = hbk_topology_address(&demo->scene.topology, to, HBK_SCENE_PORT),
        .path = "/",
        .timeout_ns = answer_timeout_ns,
    };
    hbk_arena_init(&arena);
    hbk_status status = hbk_request_send(&request, &arena, out_reply);
    out_reply->text = (struct hbk_slice){0}; /* goes with the arena */
    hbk_arena_fini(&arena);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot send a request: %s", hbk_status_text(status));
    }
    return HBK_OK;
}

static bool is_refusal(const struct hbk_reply *reply)
{
    return reply->outcome == HBK_REQUEST_REFUSED || reply->outcome == HBK_REQUEST_CLOSED;
}

static hbk_status refuse_the_intruder(struct hbk_demo *demo, struct hbk_demo_step *step,
                                      struct hbk_error *error)
{
    static const char *const wanted[] = {"spiffe://cluster.local/ns/shop/sa/intruder",
                                         HBK_SCENE_POLICY, NULL};
    struct hbk_reply reply;
    struct hbk_arena arena;
    HBK_TRY(ask(demo, HBK_PLACE_INTRUDER, HBK_PLACE_CART, &reply, error));
    hbk_arena_init(&arena);
    const char *line =
        hbk_program_find_line(&demo->scene.agents[HBK_PLACE_BETA], &arena, wanted, log_timeout_ns);
    struct hbk_slice reason = field_of(line, "error");
    judge(step, is_refusal(&reply) && line != NULL,
          "intruder's request: %s; beta's access log: %.*s",
          hbk_request_outcome_text(reply.outcome),
          HBK_SLICE_ARGS(line != NULL ? reason : HBK_SLICE("nothing names " HBK_SCENE_POLICY)));
    hbk_arena_fini(&arena);
    return HBK_OK;
}

static hbk_status refuse_plain_text(struct hbk_demo *demo, struct hbk_demo_step *step,
                                    struct hbk_error *error)
{
    struct hbk_reply plain;
    struct hbk_reply meshed;
    HBK_TRY(ask(demo, HBK_PLACE_ALPHA, HBK_PLACE_CART, &plain, error));
    HBK_TRY(ask(demo, HBK_PLACE_FRONT, HBK_PLACE_CART, &meshed, error));
    judge(step, is_refusal(&plain) && meshed.status == 200,
          "from host alpha, outside the mesh: %s; from front at the same moment: status %u",
          hbk_request_outcome_text(plain.outcome), meshed.status);
    return HBK_OK;
}

/* Step 7: rotation. */

static void note_serial(struct hbk_demo_serials *serials, const char *serial)
{
    for (unsigned i = 0; i < serials->count; i++) {
        if (strcmp(serials->seen[i], serial) == 0) {
            return;
        }
    }
    if (serials->count < HBK_DEMO_SERIALS_MAX) {
        (void)snprintf(serials->seen[serials->count++], sizeof serials->seen[0], "%s", serial);
    }
}

/* Looks from the other host, where nothing is captured. */
static void look_at_certificates(struct hbk_demo *demo)
{
    static const struct {
        enum hbk_place from, to;
    } looks[] = {{HBK_PLACE_ALPHA, HBK_PLACE_CART}, {HBK_PLACE_BETA, HBK_PLACE_FRONT}};
    for (size_t i = 0; i < HBK_COUNT(looks); i++) {
        struct hbk_certificate_seen seen;
        struct hbk_address to =
            hbk_topology_address(&demo->scene.topology, looks[i].to, HBK_SCENE_HBONE_PORT);
        if (hbk_certificate_look(netns_of(demo, looks[i].from), &to, &seen, NULL) == HBK_OK) {
            note_serial(&demo->serials[i], seen.serial);
        }
    }
}

static hbk_status rotate(struct hbk_demo *demo, struct hbk_demo_step *step, struct hbk_error *error)
{
    while (hbk_process_is_running(&demo->steady_load.process)) {
        struct hbk_reply reply;
        look_at_certificates(demo);
        HBK_TRY(ask(demo, HBK_PLACE_FRONT, HBK_PLACE_CART, &reply, error));
        demo->fresh_requests++;
        demo->fresh_failed += reply.status != 200;
        hbk_program_pause(look_interval_ns);
    }
    HBK_TRY(hbk_bench_load_finish(&demo->steady_load, &demo->steady, error));
    bool have_rotated =
        demo->serials[0].count > ROTATIONS_MIN && demo->serials[1].count > ROTATIONS_MIN;
    judge(step, have_rotated && demo->steady.failed == 0 && demo->fresh_failed == 0,
          "certificates seen: cart %u, front %u; %llu requests over standing connections, %llu "
          "failed; %u over new ones, %u failed",
          demo->serials[0].count, demo->serials[1].count, (unsigned long long)demo->steady.requests,
          (unsigned long long)demo->steady.failed, demo->fresh_requests, demo->fresh_failed);
    return HBK_OK;
}

/* All together. */

static hbk_status make_marker(char marker[static HBK_DEMO_MARKER_BYTES + 1])
{
    uint8_t random[HBK_DEMO_MARKER_BYTES / 2];
    if (getrandom(random, sizeof random, 0) != sizeof random) {
        return HBK_IO;
    }
    for (size_t i = 0; i < sizeof random; i++) {
        (void)snprintf(marker + 2 * i, 3, "%02x", random[i]);
    }
    return HBK_OK;
}

static hbk_status start_services(struct hbk_demo *demo, struct hbk_error *error)
{
    static const enum hbk_place places[] = {HBK_PLACE_CART, HBK_PLACE_NEIGHBOUR};
    static const char *const names[] = {"service-cart", "service-neighbour"};
    static const char *const arguments[] = {"echo", "--listen", "[::]:9000", NULL};
    for (size_t i = 0; i < HBK_COUNT(places); i++) {
        struct hbk_program_spec spec = {
            .name = names[i],
            .place = places[i],
            .cpu = -1,
            .arguments = arguments,
        };
        HBK_TRY(hbk_program_start(&demo->scene.topology, &spec, &demo->services[i], error));
        HBK_TRY(hbk_program_wait_for(&demo->services[i], "listening", service_timeout_ns, error));
    }
    return HBK_OK;
}

static hbk_status set_up(struct hbk_demo *demo, struct hbk_error *error)
{
    HBK_TRY(make_marker(demo->marker));
    HBK_TRY(hbk_scene_init(&demo->scene, HBK_PLACES_OF_MESH, error));
    return start_services(demo, error);
}

/* Runs the steps in order until one cannot look. */
static bool run_steps(struct hbk_demo *demo)
{
    static step_fn *const steps[HBK_DEMO_STEPS] = {
        reach_without_mesh,  reach_with_mesh,   name_the_caller, show_nothing_on_wires,
        refuse_the_intruder, refuse_plain_text, rotate,
    };
    bool is_all_true = true;
    for (unsigned i = 0; i < HBK_DEMO_STEPS; i++) {
        struct hbk_error error = {0};
        struct hbk_demo_step *step = &demo->steps[i];
        hbk_status status = steps[i](demo, step, &error);
        if (status != HBK_OK) {
            (void)hbk_error_set(&error, status, "%s", hbk_status_text(status));
            judge(step, false, "%s", error.text);
        }
        is_all_true = is_all_true && step->verdict == HBK_DEMO_PASSED;
        hbk_demo_report_step(demo, i);
        if (status != HBK_OK) {
            break;
        }
    }
    return is_all_true;
}

static void take_down(struct hbk_demo *demo)
{
    hbk_program_stop(&demo->steady_load);
    for (size_t i = 0; i < HBK_COUNT(demo->services); i++) {
        hbk_program_stop(&demo->services[i]);
    }
    hbk_scene_fini(&demo->scene);
}

bool hbk_demo_run(const struct hbk_demo_options *options)
{
    static struct hbk_demo demo; /* once per process, and too large for a stack */
    struct hbk_error error = {0};
    demo = (struct hbk_demo){
        .options = *options,
        .services = {hbk_program_none(), hbk_program_none()},
        .steady_load = hbk_program_none(),
    };
    hbk_demo_report_start(&demo);
    hbk_status status = set_up(&demo, &error);
    if (status != HBK_OK) {
        (void)hbk_error_set(&error, status, "%s", hbk_status_text(status));
        hbk_demo_report_failure(&demo, error.text);
        return false;
    }
    bool is_all_true = run_steps(&demo);
    hbk_demo_report_end(&demo, is_all_true);
    if (options->is_kept) {
        hbk_demo_report_commands(&demo);
        for (;;) {
            (void)pause(); /* until a signal ends this world */
        }
    }
    take_down(&demo);
    return is_all_true;
}
