#include "bench/demo_report.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/isolation.h"

enum { TITLE_COLUMNS = 70, DETAIL_COLUMNS = 92 };

static bool has_colour(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

static const char *verdict_text(enum hbk_demo_verdict verdict)
{
    switch (verdict) {
    case HBK_DEMO_PASSED:
        return has_colour() ? "\033[1;32mOK\033[0m" : "OK";
    case HBK_DEMO_FAILED:
        return has_colour() ? "\033[1;31mFAILED\033[0m" : "FAILED";
    case HBK_DEMO_NOT_RUN:
        break;
    }
    return "not run";
}

/* Prints text in lines of a readable width, broken at blanks. */
static void print_wrapped(const char *text)
{
    while (*text != '\0') {
        size_t size = strlen(text);
        if (size > DETAIL_COLUMNS) {
            size = DETAIL_COLUMNS;
            while (size > DETAIL_COLUMNS / 2 && text[size] != ' ') {
                size--;
            }
        }
        size = size > strcspn(text, "\n") ? strcspn(text, "\n") : size;
        printf("   %.*s\n", (int)size, text);
        text += size;
        text += strspn(text, " \n");
    }
}

void hbk_demo_report_start(const struct hbk_demo *demo)
{
    if (demo->options.is_json) {
        return;
    }
    printf(
        "Two hosts (alpha, beta), pods on them (front, neighbour, intruder; cart), one agent per "
        "host.\nAll of it lives in namespaces of this process and goes with it.\n\n");
    (void)fflush(stdout);
}

static void print_row(const char *name, const char *unit, double without, double with)
{
    printf("   %-34s %10.1f %s %10.1f %s %+10.1f %s\n", name, without, unit, with, unit,
           with - without, unit);
}

static void print_agents(const struct hbk_demo_timing *mesh)
{
    static const char *const names[] = {"agent on alpha", "agent on beta"};
    for (size_t i = 0; i < 2; i++) {
        printf("   CPU per request, %-17s %13s %10.1f us %+10.1f us   private memory %.1f MiB\n",
               names[i], "-", mesh->agent_us[i], mesh->agent_us[i],
               (double)mesh->agent_private_bytes[i] / (1 << 20));
    }
}

static void print_price(const struct hbk_demo *demo)
{
    const struct hbk_demo_timing *plain = &demo->plain;
    const struct hbk_demo_timing *mesh = &demo->mesh;
    printf("   %-34s %13s %13s %13s\n", "", "without mesh", "with mesh", "difference");
    print_row("latency P50", "us", plain->load.p50_us, mesh->load.p50_us);
    print_row("latency P99", "us", plain->load.p99_us, mesh->load.p99_us);
    print_row("CPU per request, load generator", "us", plain->load.client_us, mesh->load.client_us);
    print_row("CPU per request, service", "us", plain->server_us, mesh->server_us);
    print_agents(mesh);
}

void hbk_demo_report_step(const struct hbk_demo *demo, unsigned step)
{
    if (demo->options.is_json) {
        return;
    }
    printf("%u  %-*s %s\n", step + 1, TITLE_COLUMNS, hbk_demo_title(step),
           verdict_text(demo->steps[step].verdict));
    print_wrapped(demo->steps[step].detail);
    if (step == 0 && demo->plain.load.requests > 0) {
        printf("   P50 %.1f us, P99 %.1f us; CPU per request: load generator %.1f us, service %.1f "
               "us\n",
               demo->plain.load.p50_us, demo->plain.load.p99_us, demo->plain.load.client_us,
               demo->plain.server_us);
    }
    if (step == 1 && demo->mesh.load.requests > 0) {
        print_price(demo);
    }
    if (step == 5) {
        printf(
            "   (the steady load of step 7 runs on until its certificates have changed twice)\n");
    }
    printf("\n");
    (void)fflush(stdout);
}

static json_t *json_of_timing(const struct hbk_demo_timing *timing)
{
    return json_pack("{s:f, s:f, s:I, s:I, s:f, s:f, s:f, s:f}", "offered_rps",
                     timing->load.offered_rps, "achieved_rps", timing->load.achieved_rps,
                     "requests", (json_int_t)timing->load.requests, "failed",
                     (json_int_t)timing->load.failed, "p50_us", timing->load.p50_us, "p99_us",
                     timing->load.p99_us, "load_cpu_us_per_request", timing->load.client_us,
                     "service_cpu_us_per_request", timing->server_us);
}

static json_t *json_of_agents(const struct hbk_demo_timing *mesh)
{
    static const char *const names[] = {"alpha", "beta"};
    json_t *agents = json_array();
    for (size_t i = 0; i < 2; i++) {
        (void)json_array_append_new(agents, json_pack("{s:s, s:f, s:I}", "host", names[i],
                                                      "cpu_us_per_request", mesh->agent_us[i],
                                                      "private_dirty_bytes",
                                                      (json_int_t)mesh->agent_private_bytes[i]));
    }
    return agents;
}

static json_t *json_of_capture(const struct hbk_capture_counts *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "packets", (json_int_t)counts->packets, "bytes",
                     (json_int_t)counts->bytes, "markers", (json_int_t)counts->markers, "lost",
                     (json_int_t)counts->lost);
}

static json_t *json_of_steps(const struct hbk_demo *demo)
{
    static const char *const verdicts[] = {"not run", "passed", "failed"};
    json_t *steps = json_array();
    for (unsigned i = 0; i < HBK_DEMO_STEPS; i++) {
        (void)json_array_append_new(steps, json_pack("{s:I, s:s, s:s, s:s}", "step",
                                                     (json_int_t)i + 1, "claim", hbk_demo_title(i),
                                                     "verdict", verdicts[demo->steps[i].verdict],
                                                     "seen", demo->steps[i].detail));
    }
    return steps;
}

static void print_json(const struct hbk_demo *demo, bool is_all_true)
{
    json_t *root = json_object();
    (void)json_object_set_new(root, "passed", json_boolean(is_all_true));
    (void)json_object_set_new(root, "steps", json_of_steps(demo));
    (void)json_object_set_new(root, "without_mesh", json_of_timing(&demo->plain));
    (void)json_object_set_new(root, "with_mesh", json_of_timing(&demo->mesh));
    (void)json_object_set_new(root, "agents", json_of_agents(&demo->mesh));
    (void)json_object_set_new(
        root, "captures",
        json_pack("{s:o, s:o, s:o, s:o}", "wire_without_mesh", json_of_capture(&demo->plain_wire),
                  "wire_with_mesh", json_of_capture(&demo->mesh_wire), "inside_alpha_without_mesh",
                  json_of_capture(&demo->plain_cable), "inside_alpha_with_mesh",
                  json_of_capture(&demo->mesh_cable)));
    (void)json_object_set_new(root, "rotation",
                              json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "certificates_cart",
                                        (json_int_t)demo->serials[0].count, "certificates_front",
                                        (json_int_t)demo->serials[1].count, "requests",
                                        (json_int_t)demo->steady.requests, "failed",
                                        (json_int_t)demo->steady.failed, "requests_new_connection",
                                        (json_int_t)demo->fresh_requests, "failed_new_connection",
                                        (json_int_t)demo->fresh_failed));
    (void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(root);
}

void hbk_demo_report_end(const struct hbk_demo *demo, bool is_all_true)
{
    if (demo->options.is_json) {
        print_json(demo, is_all_true);
    } else {
        printf("%s\n", is_all_true ? "All seven hold." : "Not all of them hold.");
    }
    (void)fflush(stdout);
}

void hbk_demo_report_failure(const struct hbk_demo *demo, const char *text)
{
    (void)demo;
    fprintf(stderr, "hauberk demo: %s\n", text);
}

void hbk_demo_report_commands(const struct hbk_demo *demo)
{
    FILE *to = demo->options.is_json ? stderr : stdout;
    long pid = (long)hbk_isolation_outer_pid();
    const struct hbk_scene *scene = &demo->scene;
    fprintf(to, "\nEverything runs on until Ctrl-C. In another terminal, first:\n\n");
    fprintf(to,
            "  world() { nsenter %s-t %ld -m -p \"$@\"; }\n"
            "  in_place() { where=$1; shift; world nsenter --net=/run/netns/$where \"$@\"; }\n\n",
            demo->options.has_user_namespace ? "--preserve-credentials -U " : "", pid);
    fprintf(to, "enter a pod (front, neighbour, intruder, cart):\n"
                "  in_place front sh\n");
    fprintf(to,
            "ask cart, by its address and by the service's:\n"
            "  in_place front curl -si http://10.77.2.11:%d/\n"
            "  in_place front curl -si http://" HBK_SCENE_VIP "/\n",
            HBK_SCENE_PORT);
    fprintf(to,
            "see the intruder refused:\n"
            "  in_place intruder curl -si http://10.77.2.11:%d/\n",
            HBK_SCENE_PORT);
    fprintf(to,
            "read an agent's metrics and what it knows:\n"
            "  in_place alpha curl -s http://127.0.0.1:%d/metrics\n"
            "  in_place beta curl -s http://127.0.0.1:%d/config_dump\n",
            HBK_SCENE_METRICS_PORT, HBK_SCENE_ADMIN_PORT);
    fprintf(to,
            "follow an agent's log:\n"
            "  world tail -f %s\n",
            scene->agents[HBK_PLACE_BETA].log_path);
    fprintf(to, "see what captures a pod's traffic:\n"
                "  in_place cart nft list table inet hauberk\n");
    fprintf(to,
            "let the intruder in, and see it act at once (add a line to notPrincipals):\n"
            "  world sed -i 's|^\\( *\\)- {Exact: cluster.local/ns/shop/sa/front}|&\\n\\1- {Exact: "
            "cluster.local/ns/shop/sa/intruder}|' %s\n",
            scene->mesh_path);
    (void)fflush(to);
}
