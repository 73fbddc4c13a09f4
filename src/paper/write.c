/* results.json, results.csv and report.html: from the samples, so that they can be written again.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/machine.h"
#include "paper/figures.h"
#include "paper/target.h"

enum { CSV_BYTES_MAX = 64 << 20 };

static hbk_status write_file(const struct hbk_paper *paper, const char *name,
                             struct hbk_slice bytes, struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", paper->options.directory, name);
    hbk_status status = hbk_file_write(path, bytes, 0644);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
    }
    fprintf(stderr, "wrote %s\n", path);
    return HBK_OK;
}

static hbk_status write_csv(const struct hbk_paper *paper, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, CSV_BYTES_MAX);
    HBK_TRY(hbk_sample_csv_head(&text));
    for (unsigned i = 0; i < paper->sample_count; i++) {
        HBK_TRY(hbk_sample_csv(&paper->samples[i], &text));
    }
    return write_file(paper, "results.csv", hbk_buffer_slice(&text), error);
}

static json_t *number(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

/* ---- results.json ---- */

static const struct {
    const char *name;
    enum hbk_quantity quantity;
} told[] = {
    {"fortio_p99_ms", HBK_QUANTITY_FORTIO_P99},
    {"fortio_p50_ms", HBK_QUANTITY_FORTIO_P50},
    {"p99_ms", HBK_QUANTITY_P99},
    {"p50_ms", HBK_QUANTITY_P50},
    {"achieved_rps", HBK_QUANTITY_RATE},
    {"failed", HBK_QUANTITY_FAILED},
    {"client_cpu", HBK_QUANTITY_CLIENT_CPU},
    {"server_cpu", HBK_QUANTITY_SERVER_CPU},
    {"client_mib", HBK_QUANTITY_CLIENT_MIB},
    {"server_mib", HBK_QUANTITY_SERVER_MIB},
    {"client_set_mib", HBK_QUANTITY_CLIENT_SET},
    {"server_set_mib", HBK_QUANTITY_SERVER_SET},
    {"client_agent_cpu", HBK_QUANTITY_CLIENT_AGENT},
    {"server_agent_cpu", HBK_QUANTITY_SERVER_AGENT},
    {"client_agent_mib", HBK_QUANTITY_CLIENT_AGENT_MIB},
    {"server_agent_mib", HBK_QUANTITY_SERVER_AGENT_MIB},
};

static json_t *estimate_object(const struct hbk_estimate *estimate)
{
    return json_pack("{s:o, s:o, s:o, s:I}", "median", number(estimate->median), "low",
                     number(estimate->low), "high", number(estimate->high), "blocks",
                     (json_int_t)estimate->count);
}

static json_t *quantities_object(const struct hbk_paper *paper, const struct hbk_cell *cell,
                                 const char *system, enum hbk_relation relation)
{
    json_t *object = json_object();
    for (size_t i = 0; i < HBK_COUNT(told); i++) {
        struct hbk_estimate estimate =
            hbk_paper_estimate(paper, cell, system, told[i].quantity, relation);
        if (estimate.count > 0) {
            json_object_set_new(object, told[i].name, estimate_object(&estimate));
        }
    }
    return object;
}

static json_t *cells_array(const struct hbk_paper *paper)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < paper->cell_count; i++) {
        const struct hbk_cell *cell = &paper->cells[i].cell;
        char key[HBK_SAMPLE_KEY_BYTES_MAX];
        json_t *systems = json_object();
        for (unsigned k = 0; k < paper->system_count; k++) {
            const char *name = paper->systems[k].name;
            json_object_set_new(systems, name,
                                json_pack("{s:o, s:o, s:o}", "absolute",
                                          quantities_object(paper, cell, name, HBK_ABSOLUTE),
                                          "added", quantities_object(paper, cell, name, HBK_ADDED),
                                          "ratio",
                                          quantities_object(paper, cell, name, HBK_RATIO)));
        }
        json_array_append_new(
            array, json_pack("{s:s, s:o}", "cell", hbk_cell_key(cell, key), "systems", systems));
    }
    return array;
}

static json_t *targets_array(const struct hbk_paper *paper)
{
    static struct hbk_target targets[HBK_TARGETS_MAX];
    static const char *const words[] = {"met", "missed", "unknown"};
    unsigned count = hbk_paper_targets(paper, targets);
    json_t *array = json_array();
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(array,
                              json_pack("{s:s, s:s, s:s}", "target", targets[i].text, "found",
                                        targets[i].found, "verdict", words[targets[i].verdict]));
    }
    return array;
}

static json_t *systems_array(const struct hbk_paper *paper)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:s}", "name", system->name, "title",
                             system->title, "version", system->version, "encrypts",
                             (int)system->encrypts, "untried", (int)system->descriptor.is_untried,
                             "measured", (int)system->is_usable, "reason", system->reason));
    }
    return array;
}

static json_t *machine_object(void)
{
    static struct hbk_machine machine;
    json_t *object = json_object();
    hbk_machine_look(&machine);
    for (unsigned i = 0; i < machine.count; i++) {
        json_object_set_new(object, machine.facts[i].name, json_string(machine.facts[i].text));
    }
    return object;
}

static hbk_status write_json(const struct hbk_paper *paper, struct hbk_error *error)
{
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:b, s:i, s:i, s:o, s:o, s:o, s:o}", "version", HBK_VERSION, "calibration",
        paper->calibration, "command", paper->options.command, "indicative",
        !paper->options.is_full, "agent_core", (int)paper->options.agent_core, "load_core",
        (int)paper->options.load_core, "machine", machine_object(), "systems", systems_array(paper),
        "cells", cells_array(paper), "targets", targets_array(paper));
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(root);
    hbk_status status = text == NULL
                            ? hbk_error_set(error, HBK_NO_MEMORY, "out of memory")
                            : write_file(paper, "results.json", hbk_slice_text(text), error);
    free(text);
    return status;
}

hbk_status hbk_paper_write(struct hbk_paper *paper, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer page;
    hbk_buffer_init(&page, HBK_PAGE_BYTES_MAX);
    HBK_TRY(write_json(paper, error));
    HBK_TRY(write_csv(paper, error));
    HBK_TRY(hbk_paper_report(paper, &page));
    return write_file(paper, "report.html", hbk_buffer_slice(&page), error);
}
