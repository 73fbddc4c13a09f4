/*
 * /stats: each scope is added up over the workers and printed under Envoy's names. Scopes with one
 * name (two listeners whose connection managers share a stat_prefix) are one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/control.h"
#include "gateway/upstream.h"

enum { NAME_BYTES_MAX = 512, LINES_MAX = 1 << 20 };

struct line {
    char *name;                              /* owned: "cluster.backend.upstream_rq_total" */
    char *family, *label_name, *label_value; /* owned: for Prometheus */
    uint64_t value;
    bool is_gauge;
};

struct lines {
    struct line *list;
    size_t count, capacity;
    bool has_failed;
};

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->list[i].name);
        free(lines->list[i].family);
        free(lines->list[i].label_name);
        free(lines->list[i].label_value);
    }
    free(lines->list);
}

static void add_line(struct lines *lines, const char *scope, struct hbk_slice instance,
                     const char *label, const char *name, bool is_gauge, uint64_t value)
{
    char text[NAME_BYTES_MAX];
    if (lines->count == lines->capacity) {
        size_t capacity = lines->capacity == 0 ? 256 : lines->capacity * 2;
        struct line *list =
            capacity > LINES_MAX ? NULL : reallocarray(lines->list, capacity, sizeof *list);
        if (list == NULL) {
            lines->has_failed = true;
            return;
        }
        lines->list = list;
        lines->capacity = capacity;
    }
    struct line *line = &lines->list[lines->count];
    bool has_instance = instance.size > 0;
    (void)snprintf(text, sizeof text, "%s%s%.*s%s%s", scope, has_instance ? "." : "",
                   (int)(instance.size > 300 ? 300 : instance.size), (const char *)instance.bytes,
                   ".", name);
    *line = (struct line){.value = value, .is_gauge = is_gauge};
    line->name = strdup(text);
    (void)snprintf(text, sizeof text, "envoy_%s_%s", scope, name);
    for (char *byte = text; *byte != '\0'; byte++) {
        *byte = *byte == '.' ? '_' : *byte;
    }
    line->family = strdup(text);
    line->label_name = strdup(label);
    line->label_value = hbk_slice_to_string(instance);
    lines->count++;
    if (line->name == NULL || line->family == NULL || line->label_name == NULL ||
        line->label_value == NULL) {
        lines->has_failed = true;
    }
}

/* Adds up one statistic over workers; `read` gives that of one. */
#define SUM(control, expression)                                       \
    __extension__({                                                    \
        uint64_t sum_ = 0;                                             \
        for (unsigned w_ = 0; w_ < (control)->team.count; w_++) {      \
            const struct hbk_gw_shard *shard = &(control)->shards[w_]; \
            sum_ += hbk_gw_read(&(expression));                        \
        }                                                              \
        sum_;                                                          \
    })

/* Envoy makes the statistics of TLS where a transport socket speaks it. */
static bool is_of_tls(const char *name)
{
    return strncmp(name, "ssl.", 4) == 0;
}

static bool has_tls(const struct hbk_gw_listener *listener)
{
    const struct hbk_gw_filter_chain *otherwise = listener->default_filter_chain;
    bool has = otherwise != NULL && otherwise->transport_socket != NULL;
    for (uint32_t i = 0; i < listener->filter_chains_count; i++) {
        has |= listener->filter_chains[i].transport_socket != NULL;
    }
    return has;
}

static void add_listeners(const struct hbk_gw_control *control, struct lines *lines)
{
    for (uint32_t i = 0; i < control->plan->listener_count; i++) {
        bool is_plain = !has_tls(control->plan->listeners[i].config);
        for (unsigned k = 0; k < HBK_GW_L_STATS; k++) {
            if (is_plain && is_of_tls(hbk_gw_listener_stats[k].name)) {
                continue;
            }
            add_line(lines, "listener", control->plan->listeners[i].stat_name,
                     "envoy_listener_address", hbk_gw_listener_stats[k].name,
                     hbk_gw_listener_stats[k].is_gauge, SUM(control, shard->listener_stats[i][k]));
        }
    }
}

static void add_handlers(const struct hbk_gw_control *control, struct lines *lines)
{
    for (uint32_t i = 0; i < control->plan->handler_count; i++) {
        const struct hbk_gw_handler *handler = &control->plan->handlers[i];
        for (unsigned k = 0; handler->http != NULL && k < HBK_GW_H_STATS; k++) {
            add_line(lines, "http", handler->stat_prefix, "envoy_http_conn_manager_prefix",
                     hbk_gw_http_stats[k].name, hbk_gw_http_stats[k].is_gauge,
                     SUM(control, shard->http_stats[i][k]));
        }
        for (unsigned k = 0; handler->tcp != NULL && k < HBK_GW_T_STATS; k++) {
            add_line(lines, "tcp", handler->stat_prefix, "envoy_tcp_prefix",
                     hbk_gw_tcp_stats[k].name, hbk_gw_tcp_stats[k].is_gauge,
                     SUM(control, shard->tcp_stats[i][k]));
        }
    }
}

static void add_clusters(const struct hbk_gw_control *control, struct lines *lines)
{
    for (uint32_t i = 0; i < control->plan->cluster_count; i++) {
        const struct hbk_gw_cluster *config = control->plan->clusters[i].config;
        struct hbk_slice name =
            config->alt_stat_name.size > 0 ? config->alt_stat_name : config->name;
        for (unsigned k = 0; k < HBK_GW_C_STATS; k++) {
            if (config->transport_socket == NULL && is_of_tls(hbk_gw_cluster_stats[k].name)) {
                continue;
            }
            add_line(lines, "cluster", name, "envoy_cluster_name", hbk_gw_cluster_stats[k].name,
                     hbk_gw_cluster_stats[k].is_gauge, SUM(control, shard->pools[i].stats[k]));
        }
        uint64_t members = control->members[i]->count, healthy = 0;
        for (uint32_t k = 0; k < members; k++) {
            int health = control->members[i]->endpoints[k]->health_status;
            healthy += health < 2 || health == 5;
        }
        add_line(lines, "cluster", name, "envoy_cluster_name", "membership_total", true, members);
        add_line(lines, "cluster", name, "envoy_cluster_name", "membership_healthy", true, healthy);
    }
}

static void add_server(const struct hbk_gw_control *control, struct lines *lines)
{
    struct hbk_slice none = hbk_slice_of(NULL, 0);
    uint64_t now_ns = control->loop.now_ns;
    add_line(lines, "server", none, "", "concurrency", true, control->team.count);
    add_line(lines, "server", none, "", "live", true,
             hbk_gw_control_state(control) == HBK_GW_STATE_LIVE);
    add_line(lines, "server", none, "", "state", true,
             hbk_gw_control_state(control) == HBK_GW_STATE_LIVE ? 0 : 1);
    add_line(lines, "server", none, "", "uptime", true,
             (now_ns - control->start_ns) / HBK_NS_PER_S);
    add_line(lines, "server", none, "", "total_connections", true, SUM(control, shard->live));
    add_line(lines, "listener_manager", none, "", "total_listeners_active", true,
             control->plan->listener_count);
    add_line(lines, "cluster_manager", none, "", "active_clusters", true,
             control->plan->cluster_count);
}

static int by_name(const void *a, const void *b)
{
    const struct line *first = a, *second = b;
    return strcmp(first->name, second->name);
}

static int by_family(const void *a, const void *b)
{
    const struct line *first = a, *second = b;
    int order = strcmp(first->family, second->family);
    return order != 0 ? order : strcmp(first->name, second->name);
}

/* Lines of one name become one. */
static void join(struct lines *lines)
{
    size_t kept = 0;
    for (size_t i = 0; i < lines->count; i++) {
        struct line *line = &lines->list[i];
        if (kept > 0 && strcmp(lines->list[kept - 1].name, line->name) == 0) {
            lines->list[kept - 1].value += line->value;
            free(line->name);
            free(line->family);
            free(line->label_name);
            free(line->label_value);
        } else {
            lines->list[kept++] = *line;
        }
    }
    lines->count = kept;
}

static bool is_wanted(const struct line *line, const struct hbk_gw_stats_query *query)
{
    bool is_kind = line->is_gauge ? query->has_gauges : query->has_counters;
    return is_kind && (!query->used_only || line->value != 0) &&
           (query->filter.size == 0 || memmem(line->name, strlen(line->name), query->filter.bytes,
                                              query->filter.size) != NULL);
}

static hbk_status print_prometheus(const struct lines *lines,
                                   const struct hbk_gw_stats_query *query, struct hbk_buffer *out)
{
    const char *family = "";
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->list[i];
        if (!is_wanted(line, query)) {
            continue;
        }
        if (strcmp(family, line->family) != 0) {
            family = line->family;
            HBK_TRY(hbk_buffer_print(out, "# TYPE %s %s\n", family,
                                     line->is_gauge ? "gauge" : "counter"));
        }
        if (line->label_name[0] == '\0') {
            HBK_TRY(hbk_buffer_print(out, "%s{} %" PRIu64 "\n", family, line->value));
            continue;
        }
        HBK_TRY(hbk_buffer_print(out, "%s{%s=\"", family, line->label_name));
        for (const char *byte = line->label_value; *byte != '\0'; byte++) {
            HBK_TRY(*byte == '"' || *byte == '\\' ? hbk_buffer_print(out, "\\%c", *byte)
                    : *byte == '\n'               ? hbk_buffer_append(out, HBK_SLICE("\\n"))
                                                  : hbk_buffer_append(out, hbk_slice_of(byte, 1)));
        }
        HBK_TRY(hbk_buffer_print(out, "\"} %" PRIu64 "\n", line->value));
    }
    return HBK_OK;
}

static hbk_status print_plain(const struct lines *lines, const struct hbk_gw_stats_query *query,
                              struct hbk_buffer *out)
{
    struct hbk_json json = hbk_json_to(out, false);
    bool is_json = query->format == HBK_GW_STATS_JSON;
    if (is_json) {
        hbk_json_begin_object(&json, NULL);
        hbk_json_begin_array(&json, "stats");
    }
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->list[i];
        if (!is_wanted(line, query)) {
            continue;
        }
        if (is_json) {
            hbk_json_begin_object(&json, NULL);
            hbk_json_text(&json, "name", line->name);
            hbk_json_number(&json, "value", line->value);
            hbk_json_end_object(&json);
        } else {
            HBK_TRY(hbk_buffer_print(out, "%s: %" PRIu64 "\n", line->name, line->value));
        }
    }
    if (is_json) {
        hbk_json_end_array(&json);
        hbk_json_end_object(&json);
    }
    return json.status;
}

hbk_status hbk_gw_stats_print(const struct hbk_gw_control *control,
                              const struct hbk_gw_stats_query *query, struct hbk_buffer *out)
{
    struct lines lines = {0};
    add_listeners(control, &lines);
    add_handlers(control, &lines);
    add_clusters(control, &lines);
    add_server(control, &lines);
    hbk_status status = lines.has_failed ? HBK_NO_MEMORY : HBK_OK;
    if (status == HBK_OK) {
        qsort(lines.list, lines.count, sizeof *lines.list, by_name);
        join(&lines);
        if (query->format == HBK_GW_STATS_PROMETHEUS) {
            qsort(lines.list, lines.count, sizeof *lines.list, by_family);
            status = print_prometheus(&lines, query, out);
        } else {
            status = print_plain(&lines, query, out);
        }
    }
    free_lines(&lines);
    return status;
}
