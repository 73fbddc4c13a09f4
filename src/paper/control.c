/*
 * The control of the paper's cell: Fortio itself and a Go net/http server in the place of our two
 * ends, with nothing between them, so that the report can say what our own load generator and
 * server change. One program is both (tests/fortio, built by tools/peers.sh from Go modules).
 *
 * Fortio does not tell when its warm-up is over. Its connections are there by then, each has had
 * one answer, and the timed part begins with the last of them.
 */
#include "paper/control.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/gauge.h"

static const uint64_t look_again_ns = 20 * HBK_NS_PER_MS;

enum { TEXT_BYTES_MAX = 32 };

hbk_status hbk_control_start_server(const struct hbk_paper *paper,
                                    const struct hbk_paper_system *system,
                                    const struct hbk_cell *cell, struct hbk_program *out_program,
                                    struct hbk_error *error)
{
    char listen[TEXT_BYTES_MAX], delay[TEXT_BYTES_MAX];
    (void)snprintf(listen, sizeof listen, "0.0.0.0:%d", HBK_SCENE_PORT);
    (void)snprintf(delay, sizeof delay, "%ums", cell->delay_ms);
    const char *const arguments[] = {system->binary, "server", "-listen", listen,
                                     "-delay",       delay,    NULL};
    const struct hbk_program_spec spec = {
        .name = "server",
        .place = hbk_paper_server(cell->placement),
        .cpu = (int)paper->options.load_core,
        .arguments = arguments,
        .is_foreign = true,
    };
    return hbk_program_start(&paper->scene.topology, &spec, out_program, error);
}

hbk_status hbk_control_start_load(const struct hbk_paper *paper,
                                  const struct hbk_paper_system *system,
                                  const struct hbk_cell *cell, struct hbk_program *out_program,
                                  char out_command[static HBK_SAMPLE_COMMAND_BYTES_MAX],
                                  struct hbk_error *error)
{
    char connections[TEXT_BYTES_MAX], rate[TEXT_BYTES_MAX], duration[TEXT_BYTES_MAX], url[64];
    (void)snprintf(connections, sizeof connections, "%u", cell->connections);
    (void)snprintf(rate, sizeof rate, "%u", cell->rate_rps);
    (void)snprintf(duration, sizeof duration, "%ums", cell->duration_ms);
    (void)snprintf(url, sizeof url, "http://%s:%d/", hbk_paper_address(cell->placement),
                   HBK_SCENE_VIP_PORT);
    const char *const arguments[] = {system->binary, "load", "-c", connections,
                                     "-qps",         rate,   "-t", duration,
                                     "-timeout",     "10s",  url,  NULL};
    const struct hbk_program_spec spec = {
        .name = "load",
        .place = HBK_PLACE_FRONT,
        .cpu = (int)paper->options.load_core,
        .arguments = arguments,
        .is_foreign = true,
    };
    (void)snprintf(out_command, HBK_SAMPLE_COMMAND_BYTES_MAX,
                   "hbk-fortio load -c %s -qps %s -t %s -timeout 10s %s", connections, rate,
                   duration, url);
    return hbk_program_start(&paper->scene.topology, &spec, out_program, error);
}

hbk_status hbk_control_wait_warm(const struct hbk_program *load, const struct hbk_cell *cell,
                                 uint64_t timeout_ns, struct hbk_error *error)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + timeout_ns;
    while (hbk_gauge_group(load->process.pid, true).sockets < cell->connections) {
        if (!hbk_process_is_running(&load->process)) {
            return hbk_program_fail(load, HBK_CLOSED, "Fortio ended early", error);
        }
        if (hbk_clock_monotonic_ns() > end_ns) {
            return hbk_program_fail(load, HBK_TIMEOUT, "Fortio did not get its connections", error);
        }
        hbk_program_pause(look_again_ns);
    }
    hbk_program_pause((uint64_t)cell->delay_ms * HBK_NS_PER_MS); /* the warm-up's last answers */
    return HBK_OK;
}

static double percentile(const json_t *histogram, double wanted)
{
    const json_t *list = json_object_get(histogram, "Percentiles"), *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        if (json_number_value(json_object_get(entry, "Percentile")) == wanted) {
            return json_number_value(json_object_get(entry, "Value")) * 1000;
        }
    }
    return 0;
}

hbk_status hbk_control_read(const struct hbk_program *load, struct hbk_sample *sample,
                            struct hbk_error *error)
{
    struct hbk_arena arena;
    struct hbk_slice log = {0};
    hbk_arena_init(&arena);
    json_t *root = NULL;
    if (hbk_file_read(&arena, load->log_path, HBK_PROGRAM_LOG_BYTES_MAX, &log) == HBK_OK) {
        /* Behind whatever Fortio had to say. */
        const uint8_t *begin = memmem(log.bytes, log.size, "{\n", 2);
        size_t at = begin == NULL ? log.size : (size_t)(begin - log.bytes);
        struct hbk_slice text = hbk_slice_part(log, at, log.size);
        root = json_loadb((const char *)text.bytes, text.size, JSON_DISABLE_EOF_CHECK, NULL);
    }
    hbk_arena_fini(&arena);
    const json_t *all = json_object_get(root, "DurationHistogram");
    const json_t *failed = json_object_get(root, "ErrorsDurationHistogram");
    if (!json_is_object(all)) {
        json_decref(root);
        return hbk_program_fail(load, HBK_INVALID, "Fortio gave no figures", error);
    }
    double *values = sample->values;
    values[HBK_ACHIEVED_RPS] = json_number_value(json_object_get(root, "ActualQPS"));
    values[HBK_CALLS] = json_number_value(json_object_get(all, "Count"));
    values[HBK_FAILED] = json_number_value(json_object_get(failed, "Count"));
    values[HBK_FORTIO_P50_MS] = percentile(all, 50);
    values[HBK_FORTIO_P99_MS] = percentile(all, 99);
    json_decref(root);
    return HBK_OK;
}
