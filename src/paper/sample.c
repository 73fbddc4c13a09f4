/*
 * The kernel's memory for sockets belongs to no process. Its growth during a run is divided among
 * the processes by the sockets that each holds: an attribution, stated as such in the report, and
 * the same for every system.
 */
#include "paper/sample.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

static const char *const placements[] = {"intra", "inter"};
static const char *const arrivals_texts[] = {"burst", "uniform", "poisson", "closed"};

static const char *const measures[] = {
    [HBK_ACHIEVED_RPS] = "achieved_rps",
    [HBK_CALLS] = "calls",
    [HBK_FAILED] = "failed",
    [HBK_P50_MS] = "p50_ms",
    [HBK_P99_MS] = "p99_ms",
    [HBK_SERVICE_P50_MS] = "service_p50_ms",
    [HBK_SERVICE_P99_MS] = "service_p99_ms",
    [HBK_FORTIO_P50_MS] = "fortio_p50_ms",
    [HBK_FORTIO_P99_MS] = "fortio_p99_ms",
    [HBK_LATENESS_P99_MS] = "lateness_p99_ms",
    [HBK_CLIENT_CPU] = "client_cpu_cores",
    [HBK_SERVER_CPU] = "server_cpu_cores",
    [HBK_CLIENT_AGENT_CPU] = "client_agent_cpu_cores",
    [HBK_SERVER_AGENT_CPU] = "server_agent_cpu_cores",
    [HBK_SOFTIRQ_CPU] = "softirq_cpu_cores",
    [HBK_UNCHARGED_CPU] = "uncharged_cpu_cores",
    [HBK_CLIENT_MIB] = "client_private_mib",
    [HBK_SERVER_MIB] = "server_private_mib",
    [HBK_CLIENT_AGENT_MIB] = "client_agent_private_mib",
    [HBK_SERVER_AGENT_MIB] = "server_agent_private_mib",
    [HBK_CLIENT_SOCKETS] = "client_sockets",
    [HBK_SERVER_SOCKETS] = "server_sockets",
    [HBK_CLIENT_AGENT_SOCKETS] = "client_agent_sockets",
    [HBK_SERVER_AGENT_SOCKETS] = "server_agent_sockets",
    [HBK_KERNEL_MIB] = "kernel_mib",
    [HBK_WINDOW_S] = "window_s",
    [HBK_START_S] = "start_s",
    [HBK_WARM_S] = "warm_s",
    [HBK_STOP_S] = "stop_s",
};

_Static_assert(HBK_COUNT(measures) == HBK_MEASURES, "every measure has its name");

const char *hbk_placement_text(enum hbk_placement placement)
{
    return placements[placement];
}

const char *hbk_arrivals_text(enum hbk_arrivals arrivals)
{
    return arrivals_texts[arrivals];
}

const char *hbk_measure_name(enum hbk_measure measure)
{
    return measures[measure];
}

const char *hbk_cell_key(const struct hbk_cell *cell, char out_key[static HBK_SAMPLE_KEY_BYTES_MAX])
{
    char pods[24] = "";
    if (cell->pods > 0) {
        (void)snprintf(pods, sizeof pods, " %u pods", cell->pods);
    }
    (void)snprintf(out_key, HBK_SAMPLE_KEY_BYTES_MAX, "%s %s %u/s %uc %ums %ums%s",
                   placements[cell->placement], arrivals_texts[cell->arrivals], cell->rate_rps,
                   cell->connections, cell->delay_ms, cell->duration_ms, pods);
    return out_key;
}

bool hbk_cell_equal(const struct hbk_cell *a, const struct hbk_cell *b)
{
    return a->placement == b->placement && a->arrivals == b->arrivals &&
           a->rate_rps == b->rate_rps && a->connections == b->connections &&
           a->delay_ms == b->delay_ms && a->duration_ms == b->duration_ms && a->pods == b->pods;
}

/* ---- JSON ---- */

/* As it is written for people: how many there are. */
static unsigned pods_of(const struct hbk_cell *cell)
{
    return cell->pods > 0 ? cell->pods : 1;
}

hbk_status hbk_sample_write(const struct hbk_sample *sample, struct hbk_buffer *out)
{
    const struct hbk_cell *cell = &sample->cell;
    json_t *values = json_object();
    for (unsigned i = 0; i < HBK_MEASURES; i++) {
        if (!isnan(sample->values[i])) {
            json_object_set_new(values, measures[i], json_real(sample->values[i]));
        }
    }
    json_t *root = json_pack(
        "{s:s, s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:b, s:s, s:s, s:o}", "system",
        sample->system, "block", (int)sample->block, "placement", placements[cell->placement],
        "arrivals", arrivals_texts[cell->arrivals], "rate", (int)cell->rate_rps, "connections",
        (int)cell->connections, "delay_ms", (int)cell->delay_ms, "duration_ms",
        (int)cell->duration_ms, "pods", (int)pods_of(cell), "ok", (int)sample->is_good, "why",
        sample->why, "command", sample->command, "values", values);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(root);
    hbk_status status = text == NULL ? HBK_NO_MEMORY : hbk_buffer_print(out, "%s\n", text);
    free(text);
    return status;
}

static bool word_at(const json_t *root, const char *key, const char *const *words, size_t count,
                    unsigned *out_index)
{
    const char *text = json_string_value(json_object_get(root, key));
    for (unsigned i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out_index = i;
            return true;
        }
    }
    return false;
}

static bool number_at(const json_t *root, const char *key, unsigned *out_number)
{
    const json_t *value = json_object_get(root, key);
    json_int_t number = json_integer_value(value);
    *out_number = (unsigned)number;
    return json_is_integer(value) && number >= 0 && number <= INT32_MAX;
}

static bool text_at(const json_t *root, const char *key, char *out_text, size_t bytes_max)
{
    const char *text = json_string_value(json_object_get(root, key));
    (void)snprintf(out_text, bytes_max, "%s", text == NULL ? "" : text);
    return text != NULL;
}

static bool read_root(const json_t *root, struct hbk_sample *sample)
{
    unsigned placement = 0, arrivals = 0;
    struct hbk_cell *cell = &sample->cell;
    const json_t *values = json_object_get(root, "values");
    bool is_whole =
        text_at(root, "system", sample->system, sizeof sample->system) &&
        text_at(root, "why", sample->why, sizeof sample->why) &&
        text_at(root, "command", sample->command, sizeof sample->command) &&
        word_at(root, "placement", placements, HBK_COUNT(placements), &placement) &&
        word_at(root, "arrivals", arrivals_texts, HBK_COUNT(arrivals_texts), &arrivals) &&
        number_at(root, "rate", &cell->rate_rps) &&
        number_at(root, "connections", &cell->connections) &&
        number_at(root, "delay_ms", &cell->delay_ms) &&
        number_at(root, "duration_ms", &cell->duration_ms) &&
        number_at(root, "block", &sample->block) && json_is_object(values);
    /* Files from before there were more pods do not have it. */
    is_whole =
        is_whole && (json_object_get(root, "pods") == NULL || number_at(root, "pods", &cell->pods));
    cell->pods = cell->pods == 1 ? 0 : cell->pods;
    cell->placement = (enum hbk_placement)placement;
    cell->arrivals = (enum hbk_arrivals)arrivals;
    sample->is_good = json_is_true(json_object_get(root, "ok"));
    for (unsigned i = 0; i < HBK_MEASURES; i++) {
        const json_t *value = json_object_get(values, measures[i]);
        sample->values[i] = json_is_number(value) ? json_number_value(value) : NAN;
    }
    return is_whole;
}

hbk_status hbk_sample_read(struct hbk_slice line, struct hbk_sample *out_sample)
{
    struct hbk_sample sample = {0};
    json_t *root = json_loadb((const char *)line.bytes, line.size, 0, NULL);
    bool is_whole = json_is_object(root) && read_root(root, &sample);
    json_decref(root);
    if (!is_whole) {
        return HBK_INVALID;
    }
    *out_sample = sample;
    return HBK_OK;
}

/* ---- CSV ---- */

hbk_status hbk_sample_csv_head(struct hbk_buffer *out)
{
    HBK_TRY(hbk_buffer_print(
        out, "system,block,placement,arrivals,rate,connections,delay_ms,duration_ms,pods,ok"));
    for (unsigned i = 0; i < HBK_MEASURES; i++) {
        HBK_TRY(hbk_buffer_print(out, ",%s", measures[i]));
    }
    return hbk_buffer_append(out, HBK_SLICE("\n"));
}

hbk_status hbk_sample_csv(const struct hbk_sample *sample, struct hbk_buffer *out)
{
    const struct hbk_cell *cell = &sample->cell;
    HBK_TRY(hbk_buffer_print(out, "%s,%u,%s,%s,%u,%u,%u,%u,%u,%d", sample->system, sample->block,
                             placements[cell->placement], arrivals_texts[cell->arrivals],
                             cell->rate_rps, cell->connections, cell->delay_ms, cell->duration_ms,
                             pods_of(cell), sample->is_good));
    for (unsigned i = 0; i < HBK_MEASURES; i++) {
        if (isnan(sample->values[i])) {
            HBK_TRY(hbk_buffer_append(out, HBK_SLICE(",")));
        } else {
            HBK_TRY(hbk_buffer_print(out, ",%.9g", sample->values[i]));
        }
    }
    return hbk_buffer_append(out, HBK_SLICE("\n"));
}

/* ---- sides ---- */

static double or_0(double value)
{
    return isnan(value) ? 0 : value;
}

double hbk_sample_side_cpu(const struct hbk_sample *sample, bool is_server)
{
    const double *values = sample->values;
    return is_server ? values[HBK_SERVER_CPU] + or_0(values[HBK_SERVER_AGENT_CPU])
                     : values[HBK_CLIENT_CPU] + or_0(values[HBK_CLIENT_AGENT_CPU]);
}

double hbk_sample_side_private_mib(const struct hbk_sample *sample, bool is_server)
{
    const double *values = sample->values;
    return is_server ? values[HBK_SERVER_MIB] + or_0(values[HBK_SERVER_AGENT_MIB])
                     : values[HBK_CLIENT_MIB] + or_0(values[HBK_CLIENT_AGENT_MIB]);
}

/* Inside one node a single agent stands on both sides, with one look for both: what it uses and
 * holds exists once. Two processes do not use the same CPU to the nanosecond. */
static bool is_on_both_sides(const struct hbk_sample *sample)
{
    const double *values = sample->values;
    return sample->cell.placement == HBK_INTRA && values[HBK_CLIENT_AGENT_SOCKETS] > 0 &&
           values[HBK_CLIENT_AGENT_SOCKETS] == values[HBK_SERVER_AGENT_SOCKETS] &&
           values[HBK_CLIENT_AGENT_CPU] == values[HBK_SERVER_AGENT_CPU] &&
           values[HBK_CLIENT_AGENT_MIB] == values[HBK_SERVER_AGENT_MIB];
}

static double of_both(const struct hbk_sample *sample, enum hbk_measure client,
                      enum hbk_measure server)
{
    const double *values = sample->values;
    if (isnan(values[client]) && isnan(values[server])) {
        return NAN;
    }
    return or_0(values[client]) + (is_on_both_sides(sample) ? 0 : or_0(values[server]));
}

double hbk_sample_mesh_cpu(const struct hbk_sample *sample)
{
    return of_both(sample, HBK_CLIENT_AGENT_CPU, HBK_SERVER_AGENT_CPU);
}

double hbk_sample_mesh_private_mib(const struct hbk_sample *sample)
{
    return of_both(sample, HBK_CLIENT_AGENT_MIB, HBK_SERVER_AGENT_MIB);
}

double hbk_sample_side_working_set_mib(const struct hbk_sample *sample, bool is_server)
{
    const double *values = sample->values;
    double client = values[HBK_CLIENT_SOCKETS], server = values[HBK_SERVER_SOCKETS];
    double client_agent = or_0(values[HBK_CLIENT_AGENT_SOCKETS]);
    double server_agent = or_0(values[HBK_SERVER_AGENT_SOCKETS]);
    double all = client + server + client_agent + (is_on_both_sides(sample) ? 0 : server_agent);
    double own = is_server ? server + server_agent : client + client_agent;
    double kernel = all > 0 ? values[HBK_KERNEL_MIB] * own / all : 0;
    return hbk_sample_side_private_mib(sample, is_server) + kernel;
}
