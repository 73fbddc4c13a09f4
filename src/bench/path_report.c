#include "bench/path_report.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const mode_names[HBK_PATH_MODES] = {"one-core", "open-loop", "bulk", "connect"};

enum { NOT_BUSY_PERCENT = 95 };

/* What the path must reach, as ratios to two bare relays in the same run. */
static const struct goal {
    enum hbk_path_mode mode;
    unsigned connections; /* 0: any */
    double ratio;
} goals[] = {
    {HBK_PATH_ONE_CORE, 1, 1.25}, {HBK_PATH_ONE_CORE, 32, 0.9}, {HBK_PATH_ONE_CORE, 256, 0.7},
    {HBK_PATH_OPEN_LOOP, 0, 1.3}, {HBK_PATH_BULK, 0, 0.6},
};

static const struct goal *goal_of(const struct hbk_path_case *on)
{
    for (size_t i = 0; i < HBK_COUNT(goals); i++) {
        if (goals[i].mode == on->mode &&
            (goals[i].connections == 0 || goals[i].connections == on->connections)) {
            return &goals[i];
        }
    }
    return NULL;
}

void hbk_path_report_progress(const struct hbk_path *path, const struct hbk_path_case *on)
{
    if (isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[Kround %u of %u: %s", on->round_count + 1, path->options.rounds,
                on->name);
    }
}

/* What a ratio compares: the figure of a case, of the relays, and what both have without either. */
struct comparison {
    double of, relays, base;
};

/* false: there is nothing to compare. `by_clocks`: by the processes' clocks, not by the rate. */
static bool compare(const struct hbk_path *path, const struct hbk_path_case *on, bool by_clocks,
                    struct comparison *out)
{
    const struct hbk_path_case *relays = hbk_path_twin(path, on, HBK_PATH_RELAYS);
    const struct hbk_path_case *direct = hbk_path_twin(path, on, HBK_PATH_DIRECT);
    if (relays == NULL || on->round_count == 0) {
        return false;
    }
    switch (on->mode) {
    case HBK_PATH_BULK:
        *out = (struct comparison){on->bytes_per_s, relays->bytes_per_s, 0};
        return !by_clocks;
    case HBK_PATH_OPEN_LOOP:
        *out = (struct comparison){on->agent_us, relays->agent_us, 0};
        return !by_clocks;
    case HBK_PATH_ONE_CORE:
    case HBK_PATH_CONNECT:
        if (direct == NULL) {
            return false;
        }
        *out = by_clocks
                   ? (struct comparison){on->process_us, relays->process_us, direct->process_us}
                   : (struct comparison){on->total_us, relays->total_us, direct->total_us};
        return true;
    case HBK_PATH_MODES:
        break;
    }
    return false;
}

/* The ratio to two bare relays; false when there is none. */
static bool ratio_of(const struct hbk_path *path, const struct hbk_path_case *on, bool by_clocks,
                     double *out_ratio)
{
    struct comparison comparison;
    if (!compare(path, on, by_clocks, &comparison) || comparison.relays <= comparison.base) {
        return false;
    }
    *out_ratio = (comparison.of - comparison.base) / (comparison.relays - comparison.base);
    return true;
}

static bool is_one_core(const struct hbk_path_case *on)
{
    return on->mode == HBK_PATH_ONE_CORE || on->mode == HBK_PATH_CONNECT;
}

/* Whether somebody else used the core while this case was measured: then 1/rate is not its CPU. */
static bool is_disturbed(const struct hbk_path_case *on)
{
    return on != NULL && is_one_core(on) && on->busy_share * 100 < NOT_BUSY_PERCENT;
}

/* The ratio by which a goal is judged: by the rate, but by the clocks when the rate tells of
 * others, too. */
static bool judged_ratio_of(const struct hbk_path *path, const struct hbk_path_case *on,
                            double *out_ratio)
{
    bool by_clocks = is_disturbed(on) || is_disturbed(hbk_path_twin(path, on, HBK_PATH_RELAYS)) ||
                     is_disturbed(hbk_path_twin(path, on, HBK_PATH_DIRECT));
    return ratio_of(path, on, by_clocks, out_ratio);
}

/* The ratios, and for hauberk the goal beside them. */
static void print_ratio(const struct hbk_path *path, const struct hbk_path_case *on)
{
    double ratio = 0;
    const struct goal *goal = on->system == HBK_PATH_HAUBERK ? goal_of(on) : NULL;
    if (on->system == HBK_PATH_DIRECT || !ratio_of(path, on, false, &ratio)) {
        printf("         -");
        return;
    }
    printf("  %8.2f", ratio);
    if (ratio_of(path, on, true, &ratio)) {
        printf("  %8.2f", ratio);
    }
    if (goal != NULL && judged_ratio_of(path, on, &ratio)) {
        bool is_reached = goal->mode == HBK_PATH_BULK ? ratio >= goal->ratio : ratio <= goal->ratio;
        printf("  goal %s %.2f: %s", goal->mode == HBK_PATH_BULK ? ">=" : "<=", goal->ratio,
               is_reached ? "reached" : "NOT REACHED");
    }
}

static void print_flaws(const struct hbk_path_case *on)
{
    if (on->errors > 0) {
        printf("  %llu ERRORS", (unsigned long long)on->errors);
    }
    if (is_disturbed(on)) {
        printf("  (others took %.0f %% of the core)", (1 - on->busy_share) * 100);
    }
    if (on->mode == HBK_PATH_OPEN_LOOP && on->achieved_rps < 0.98 * on->rate_rps) {
        printf("  (rate not held)");
    }
}

static void print_case(const struct hbk_path *path, const struct hbk_path_case *on)
{
    if (on->round_count == 0) {
        printf("  %-12s %s\n", path->systems[on->system].name,
               on->failure[0] != '\0' ? on->failure : path->systems[on->system].reason);
        return;
    }
    if (on->mode == HBK_PATH_BULK) {
        printf("  %-12s %9.0f MiB/s %47s", path->systems[on->system].name,
               on->bytes_per_s / (1 << 20), "");
    } else {
        printf("  %-12s %10.0f %10.2f %10.2f %10.2f %10.1f %10.1f", path->systems[on->system].name,
               on->achieved_rps, on->total_us, on->process_us, on->agent_us, on->p50_us,
               on->p99_us);
    }
    print_ratio(path, on);
    print_flaws(on);
    printf("\n");
}

static void print_heading(const struct hbk_path_case *on)
{
    static const char open_columns[] = "                requests/s   total us  processes     "
                                       "agents     P50 us     P99 us     ratio\n";
    static const char columns[] = "                requests/s   total us  processes     agents     "
                                  "P50 us     P99 us     ratio"
                                  " by clocks\n";
    switch (on->mode) {
    case HBK_PATH_ONE_CORE:
        printf(
            "\nall on one core, closed loop, %u connection%s (ratio of CPU added per request)\n%s",
            on->connections, on->connections == 1 ? "" : "s", columns);
        break;
    case HBK_PATH_OPEN_LOOP:
        printf("\nagents on a core of their own, %u requests/s over %u connections (ratio of "
               "agents' CPU per request)\n%s",
               on->rate_rps, on->connections, open_columns);
        break;
    case HBK_PATH_BULK:
        printf("\none bulk stream, all on the same two cores\n");
        break;
    case HBK_PATH_CONNECT:
        printf("\nall on one core, a new connection for each request (ratio of CPU added)\n%s",
               columns);
        break;
    case HBK_PATH_MODES:
        break;
    }
}

static void print_memory(const struct hbk_path_memory *memory)
{
    static const double idle_goal_mib = 4;
    static const double connection_goal_bytes = 2048;
    if (memory->failure[0] != '\0') {
        printf("\nmemory: %s\n", memory->failure);
    }
    if (!memory->is_measured) {
        return;
    }
    double worst_mib = 0;
    double worst_bytes = 0;
    for (size_t i = 0; i < 2; i++) {
        double mib = (double)memory->idle_bytes[i] / (1 << 20);
        worst_mib = mib > worst_mib ? mib : worst_mib;
        double bytes = memory->bytes_per_connection[i];
        worst_bytes = bytes > worst_bytes ? bytes : worst_bytes;
    }
    printf("\nprivate dirty memory of an idle agent with %u workers: alpha %.2f MiB, beta %.2f MiB"
           "  goal <= %.0f: %s\n",
           memory->workers, (double)memory->idle_bytes[0] / (1 << 20),
           (double)memory->idle_bytes[1] / (1 << 20), idle_goal_mib,
           worst_mib <= idle_goal_mib ? "reached" : "NOT REACHED");
    if (memory->connections > 0) {
        printf("user memory per idle proxied connection, %u open: alpha %.0f bytes, beta %.0f bytes"
               "  goal <= %.0f: %s\n",
               memory->connections, memory->bytes_per_connection[0],
               memory->bytes_per_connection[1], connection_goal_bytes,
               worst_bytes <= connection_goal_bytes ? "reached" : "NOT REACHED");
        printf("kernel socket memory per connection, of the whole path: %.0f bytes\n",
               memory->kernel_bytes_per_connection);
    }
}

static void print_warning(const struct hbk_path *path)
{
    for (unsigned i = 0; i < path->case_count; i++) {
        if (path->cases[i].round_count > 0 && is_disturbed(&path->cases[i])) {
            printf(
                "\nOthers used the core: rates are too low, and goals are judged by the processes' "
                "clocks.\n");
            return;
        }
    }
}

static void print_text(const struct hbk_path *path)
{
    for (unsigned i = 0; i < path->case_count; i++) {
        const struct hbk_path_case *on = &path->cases[i];
        const struct hbk_path_case *before = i == 0 ? NULL : &path->cases[i - 1];
        if (before == NULL || before->mode != on->mode || before->connections != on->connections ||
            before->rate_rps != on->rate_rps) {
            print_heading(on);
        }
        print_case(path, on);
    }
    print_memory(&path->memory);
    print_warning(path);
}

static json_t *number_or_null(double number, bool is_there)
{
    return is_there ? json_real(number) : json_null();
}

static json_t *json_of_case(const struct hbk_path *path, const struct hbk_path_case *on)
{
    bool is_there = on->round_count > 0;
    bool has_requests = is_there && on->mode != HBK_PATH_BULK;
    double ratio = 0;
    json_t *object = json_object();
    (void)json_object_set_new(object, "system", json_string(path->systems[on->system].name));
    (void)json_object_set_new(object, "mode", json_string(mode_names[on->mode]));
    (void)json_object_set_new(object, "connections", json_integer(on->connections));
    (void)json_object_set_new(object, "offered_rps",
                              on->mode == HBK_PATH_OPEN_LOOP ? json_integer(on->rate_rps)
                                                             : json_null());
    (void)json_object_set_new(object, "achieved_rps",
                              number_or_null(on->achieved_rps, has_requests));
    (void)json_object_set_new(object, "agent_cpu_us_per_request",
                              number_or_null(on->agent_us, has_requests));
    (void)json_object_set_new(object, "total_cpu_us_per_request",
                              number_or_null(on->total_us, has_requests));
    (void)json_object_set_new(object, "process_cpu_us_per_request",
                              number_or_null(on->process_us, has_requests));
    (void)json_object_set_new(object, "client_cpu_us_per_request",
                              number_or_null(on->client_us, has_requests));
    (void)json_object_set_new(object, "server_cpu_us_per_request",
                              number_or_null(on->server_us, has_requests));
    (void)json_object_set_new(object, "p50_us", number_or_null(on->p50_us, has_requests));
    (void)json_object_set_new(object, "p99_us", number_or_null(on->p99_us, has_requests));
    (void)json_object_set_new(object, "rounds", json_integer(on->round_count));
    (void)json_object_set_new(object, "errors", json_integer((json_int_t)on->errors));
    (void)json_object_set_new(object, "core_share", number_or_null(on->busy_share, is_there));
    if (on->mode == HBK_PATH_BULK) {
        (void)json_object_set_new(object, "bytes_per_s", number_or_null(on->bytes_per_s, is_there));
    }
    if (on->system != HBK_PATH_DIRECT && ratio_of(path, on, false, &ratio)) {
        (void)json_object_set_new(object, "ratio_to_two_relays", json_real(ratio));
    }
    if (on->system != HBK_PATH_DIRECT && ratio_of(path, on, true, &ratio)) {
        (void)json_object_set_new(object, "ratio_by_process_clocks", json_real(ratio));
    }
    if (!is_there) {
        (void)json_object_set_new(
            object, "skipped",
            json_string(on->failure[0] != '\0' ? on->failure : path->systems[on->system].reason));
    }
    return object;
}

static json_t *json_of_memory(const struct hbk_path_memory *memory)
{
    return json_pack("{s:s, s:s, s:I, s:[I,I], s:I, s:[f,f], s:f}", "system", "hauberk", "mode",
                     "memory", "workers", (json_int_t)memory->workers,
                     "idle_private_dirty_bytes_per_agent", (json_int_t)memory->idle_bytes[0],
                     (json_int_t)memory->idle_bytes[1], "connections",
                     (json_int_t)memory->connections, "user_bytes_per_connection_and_agent",
                     memory->bytes_per_connection[0], memory->bytes_per_connection[1],
                     "kernel_socket_bytes_per_connection", memory->kernel_bytes_per_connection);
}

static void print_json(const struct hbk_path *path)
{
    json_t *root = json_array();
    for (unsigned i = 0; i < path->case_count; i++) {
        (void)json_array_append_new(root, json_of_case(path, &path->cases[i]));
    }
    if (path->memory.is_measured) {
        (void)json_array_append_new(root, json_of_memory(&path->memory));
    }
    (void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(root);
}

void hbk_path_report(const struct hbk_path *path)
{
    if (isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[K");
    }
    if (path->options.is_json) {
        print_json(path);
    } else {
        print_text(path);
    }
    (void)fflush(stdout);
}
