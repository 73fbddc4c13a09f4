#include <jansson.h>
#include <stdio.h>

#include "bench/node_handshake.h"

static const char *name_of(const struct hbk_node_handshake_row *row)
{
    return row->engine == NULL ? "none" : row->engine;
}

static void print_text(const struct hbk_node_handshake *bench)
{
    printf("full mutual handshakes, %d in flight, on the side that accepts (medians of %u rounds)\n"
           "  engine     a second   CPU each    per core-second   agent's core   P50       P99\n",
           HBK_NODE_HANDSHAKE_IN_FLIGHT, bench->options.rounds);
    for (size_t i = 0; i < HBK_NODE_HANDSHAKE_QUIET; i++) {
        const struct hbk_node_handshake_figures *on = &bench->rows[i].median;
        printf("  %-8s %10.0f %8.1f us %18.0f %12.0f %% %7.0f us %7.0f us\n",
               name_of(&bench->rows[i]), on->per_second, on->cpu_us, on->per_core_second,
               on->agent_share * 100, on->handshake_p50_us, on->handshake_p99_us);
    }
    printf("  native over openssl: %.1f  goal >= %.0f: %s\n", bench->ratio, HBK_NODE_HANDSHAKE_GOAL,
           bench->ratio >= HBK_NODE_HANDSHAKE_GOAL ? "reached" : "NOT REACHED");
    printf("\n%d requests a second through both agents, %d handshakes a second beside them\n"
           "  engine     handshakes/s   requests/s       P50        P99\n",
           HBK_NODE_HANDSHAKE_REQUESTS, HBK_NODE_HANDSHAKE_RATE);
    for (size_t i = 0; i < HBK_NODE_HANDSHAKE_KINDS; i++) {
        const struct hbk_node_handshake_figures *on = &bench->rows[i].median;
        printf("  %-8s %14.0f %12.0f %7.0f us %7.0f us\n", name_of(&bench->rows[i]),
               on->beside_per_second, on->request_rps, on->request_p50_us, on->request_p99_us);
    }
}

static json_t *json_of_handshakes(const struct hbk_node_handshake *bench,
                                  const struct hbk_node_handshake_row *row)
{
    const struct hbk_node_handshake_figures *on = &row->median;
    return json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:f}", "engine",
                     row->engine, "mode", "handshakes", "in_flight", HBK_NODE_HANDSHAKE_IN_FLIGHT,
                     "handshakes_per_second", on->per_second, "handshakes_per_core_second",
                     on->per_core_second, "cpu_us_per_handshake", on->cpu_us, "agent_core_share",
                     on->agent_share, "client_core_share", on->client_share, "p50_us",
                     on->handshake_p50_us, "p99_us", on->handshake_p99_us, "rounds",
                     (int)row->round_count, "native_to_openssl", bench->ratio);
}

static json_t *json_of_requests(const struct hbk_node_handshake_row *row)
{
    const struct hbk_node_handshake_figures *on = &row->median;
    return json_pack("{s:s?, s:s, s:f, s:i, s:f, s:f, s:f, s:i}", "engine", row->engine, "mode",
                     "requests", "handshakes_per_second", on->beside_per_second, "offered_rps",
                     HBK_NODE_HANDSHAKE_REQUESTS, "achieved_rps", on->request_rps, "p50_us",
                     on->request_p50_us, "p99_us", on->request_p99_us, "rounds",
                     (int)row->round_count);
}

static void print_json(const struct hbk_node_handshake *bench)
{
    json_t *root = json_array();
    for (size_t i = 0; i < HBK_NODE_HANDSHAKE_KINDS; i++) {
        const struct hbk_node_handshake_row *row = &bench->rows[i];
        if (row->engine != NULL) {
            (void)json_array_append_new(root, json_of_handshakes(bench, row));
        }
        (void)json_array_append_new(root, json_of_requests(row));
    }
    (void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(root);
}

void hbk_node_handshake_report(const struct hbk_node_handshake *bench)
{
    if (bench->options.is_json) {
        print_json(bench);
    } else {
        print_text(bench);
    }
    (void)fflush(stdout);
}
