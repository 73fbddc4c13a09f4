#include "bench/load_run.h"

#include <stdio.h>

#include "base/clock.h"

enum { LOAD_ARGUMENTS_MAX = 16 };

static const uint64_t finish_timeout_ns = 120 * HBK_NS_PER_S;

hbk_status hbk_bench_load_start(const struct hbk_topology *topology,
                                const struct hbk_bench_load_plan *plan,
                                struct hbk_program *out_program, struct hbk_error *error)
{
    char connections[16];
    char rate[16];
    char duration[32];
    char address[HBK_ADDRESS_TEXT_BYTES_MAX];
    char url[256];
    (void)snprintf(connections, sizeof connections, "%u", plan->connections);
    (void)snprintf(rate, sizeof rate, "%u", plan->rate_rps);
    (void)snprintf(duration, sizeof duration, "%llums",
                   (unsigned long long)(plan->duration_ns / HBK_NS_PER_MS));
    (void)snprintf(url, sizeof url, "http://%s%s", hbk_address_text(&plan->to, address),
                   plan->path);
    const char *arguments[LOAD_ARGUMENTS_MAX] = {"load", "--json", "-c", connections,
                                                 "-qps", rate,     "-t", duration};
    size_t count = 8;
    if (plan->is_telling) {
        arguments[count++] = "-allow-initial-errors";
        arguments[count++] = "-timeout=10s"; /* the paper's */
    } else {
        arguments[count++] = "-quiet";
    }
    if (plan->header != NULL) {
        arguments[count++] = "-H";
        arguments[count++] = plan->header;
    }
    arguments[count++] = url;
    struct hbk_program_spec spec = {
        .name = plan->name,
        .place = plan->from,
        .cpu = plan->cpu,
        .arguments = arguments,
    };
    return hbk_program_start(topology, &spec, out_program, error);
}

static double number_at(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static size_t append_kinds(json_t *errors, const char *before, char *text, size_t size)
{
    const char *kind, *separator = before;
    json_t *count;
    json_object_foreach(errors, kind, count)
    {
        if (json_integer_value(count) > 0 && size < HBK_BENCH_LOAD_FAILURES_BYTES_MAX) {
            size +=
                (size_t)snprintf(text + size, HBK_BENCH_LOAD_FAILURES_BYTES_MAX - size, "%s%s %lld",
                                 separator, kind, (long long)json_integer_value(count));
            separator = ", ";
        }
    }
    return size;
}

const char *hbk_bench_load_failures(const json_t *ours,
                                    char out_text[static HBK_BENCH_LOAD_FAILURES_BYTES_MAX])
{
    out_text[0] = '\0';
    double failed = number_at(ours, "failed");
    if (failed > 0) {
        size_t size = (size_t)snprintf(out_text, HBK_BENCH_LOAD_FAILURES_BYTES_MAX,
                                       "%.0f requests failed", failed);
        size = append_kinds(json_object_get(ours, "errors"), ": ", out_text, size);
        (void)append_kinds(json_object_get(ours, "warm_up_errors"), "; and in warm-up: ", out_text,
                           size);
    }
    return out_text;
}

/* What it says meanwhile stands in front of its figures and has no bracket. */
static bool read_figures(struct hbk_slice log, struct hbk_bench_load_figures *out_figures)
{
    size_t start = log.size;
    (void)hbk_slice_find(log, '{', &start);
    struct hbk_slice text = hbk_slice_part(log, start, log.size);
    json_t *root = json_loadb((const char *)text.bytes, text.size, JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *ours = json_object_get(root, "hauberk");
    const json_t *response = json_object_get(ours, "response_us");
    double calls = number_at(ours, "calls");
    double failed = number_at(ours, "failed");
    *out_figures = (struct hbk_bench_load_figures){
        .offered_rps = number_at(ours, "offered_rps"),
        .achieved_rps = number_at(ours, "achieved_rps"),
        .requests = (uint64_t)(calls - failed),
        .failed = (uint64_t)failed,
        .p50_us = number_at(response, "p50"),
        .p99_us = number_at(response, "p99"),
        .lateness_us = number_at(json_object_get(ours, "lateness_us"), "p99"),
        .client_us = number_at(json_object_get(ours, "cpu"), "per_request_us"),
    };
    (void)hbk_bench_load_failures(ours, out_figures->failures);
    bool is_there = json_is_object(response);
    json_decref(root);
    return is_there;
}

hbk_status hbk_bench_load_finish(struct hbk_program *program,
                                 struct hbk_bench_load_figures *out_figures,
                                 struct hbk_error *error)
{
    int exit_status = 0;
    hbk_status status = hbk_process_wait(&program->process, finish_timeout_ns, &exit_status);
    if (status != HBK_OK) {
        hbk_program_stop(program);
        return hbk_error_set(error, status, "hauberk load did not end");
    }
    struct hbk_arena arena;
    struct hbk_slice log = {0};
    hbk_arena_init(&arena);
    status = hbk_file_read(&arena, program->log_path, HBK_PROGRAM_LOG_BYTES_MAX, &log);
    if (status == HBK_OK && !read_figures(log, out_figures)) {
        struct hbk_slice start = hbk_slice_part(log, 0, 300);
        status = hbk_error_set(error, HBK_INVALID, "hauberk load gave no figures: %.*s",
                               HBK_SLICE_ARGS(start));
    }
    hbk_arena_fini(&arena);
    return status;
}

hbk_status hbk_bench_load_run(const struct hbk_topology *topology,
                              const struct hbk_bench_load_plan *plan,
                              struct hbk_bench_load_figures *out_figures, struct hbk_error *error)
{
    struct hbk_program program = hbk_program_none();
    HBK_TRY(hbk_bench_load_start(topology, plan, &program, error));
    return hbk_bench_load_finish(&program, out_figures, error);
}
