/*
 * /stats: each scope is added up over the workers and printed under Envoy's names. Scopes with one
 * name (two listeners whose connection managers share a stat_prefix) are one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/batcher_name.h"
#include "crypto/key_provider.h"
#include "device/provider_set.h"
#include "exchange/upstream.h"
#include "gateway/control.h"
#include "gateway/pattern.h"
#include "policy/http_route.h"

enum { NAME_BYTES_MAX = 512, LINES_MAX = 1 << 20 };

struct line {
    char *name;                              /* owned: "cluster.backend.upstream_rq_total" */
    char *family, *label_name, *label_value; /* owned: for Prometheus */
    uint64_t value;
    struct hbk_gw_samples *samples; /* owned: of a histogram; NULL: a number */
    bool is_gauge;
};

struct lines {
    struct line *list;
    size_t count, capacity;
    bool has_failed;
};

static void free_line(struct line *line)
{
    free(line->name);
    free(line->family);
    free(line->label_name);
    free(line->label_value);
    free(line->samples);
}

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free_line(&lines->list[i]);
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

/* A histogram without samples, to be filled; NULL, and it is noted, when out of memory. */
static struct hbk_gw_samples *add_histogram(struct lines *lines, const char *scope,
                                            struct hbk_slice instance, const char *label,
                                            const char *name)
{
    size_t before = lines->count;
    struct hbk_gw_samples *samples = calloc(1, sizeof *samples);
    if (samples == NULL) {
        lines->has_failed = true;
        return NULL;
    }
    add_line(lines, scope, instance, label, name, false, 0);
    if (lines->count == before) {
        free(samples);
        return NULL;
    }
    lines->list[before].samples = samples;
    return samples;
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

/* ---- providers of private keys ---- */

static void add_queue_sizes(struct lines *lines, const char *scope, struct hbk_slice instance,
                            const char *label, const char *name, const uint64_t *sizes)
{
    struct hbk_gw_samples *samples = add_histogram(lines, scope, instance, label, name);
    for (unsigned i = 0; samples != NULL && i < HBK_LANES; i++) {
        hbk_gw_samples_add_value(samples, i + 1, sizes[i]);
    }
}

/* Of one transport socket, whose configuration `owner` is. Several are joined by their names. */
static void add_providers(const struct hbk_gw_control *control, struct lines *lines,
                          const void *owner, const char *scope, struct hbk_slice instance,
                          const char *label)
{
    const struct hbk_gw_vault *vault = &control->plan->vault;
    for (size_t i = 0; i < vault->provider_count; i++) {
        const struct hbk_gw_provider *kept = &vault->providers[i];
        struct hbk_key_counters counters;
        if (kept->owner != owner) {
            continue;
        }
        hbk_key_provider_counters(kept->provider, &counters);
        if (hbk_key_provider_options(kept->provider)->kind == HBK_KEY_PROVIDER_CRYPTOMB) {
            add_queue_sizes(lines, scope, instance, label, "cryptomb.rsa_queue_sizes",
                            counters.rsa_queue_sizes);
            add_queue_sizes(lines, scope, instance, label, "cryptomb.ecdsa_queue_sizes",
                            counters.ecdsa_queue_sizes);
            continue;
        }
        for (unsigned k = 0; k < HBK_KEY_COUNT_COUNT; k++) {
            char name[NAME_BYTES_MAX];
            (void)snprintf(name, sizeof name, "qat.%s", hbk_key_count_name((enum hbk_key_count)k));
            add_line(lines, scope, instance, label, name, false, counters.counts[k]);
        }
    }
}

static void add_chain_providers(const struct hbk_gw_control *control, struct lines *lines,
                                const struct hbk_gw_filter_chain *chain, struct hbk_slice name)
{
    if (chain != NULL && chain->transport_socket != NULL) {
        add_providers(control, lines, chain->transport_socket->typed_config.message, "listener",
                      name, "envoy_listener_address");
    }
}

static void add_device(const struct hbk_gw_control *control, struct lines *lines)
{
    struct hbk_slice none = hbk_slice_of(NULL, 0);
    const struct hbk_provider_set *set = control->plan->vault.provider_set;
    const struct hbk_qat *qat = set == NULL ? NULL : hbk_provider_set_qat(set);
    if (qat == NULL) {
        return;
    }
    const struct hbk_qat_state state = hbk_qat_state(qat);
    add_line(lines, "qat", none, "", "instances", true, state.instances);
    add_line(lines, "qat", none, "", "instances_up", true, state.up);
    add_line(lines, "qat", none, "", "instances_with_descriptors", true, state.with_descriptors);
    add_line(lines, "qat", none, "", "in_flight", true, state.in_flight);
}

/* ---- batches ---- */

#define BATCHER "batcher"

/* Adds up what the workers' own batchers and those of providers have counted. */
#define SUM_BATCHES(control, member)                                                  \
    __extension__({                                                                   \
        uint64_t batched_ = 0;                                                        \
        for (unsigned w_ = 0; w_ < (control)->team.count; w_++) {                     \
            const struct hbk_batch *batch_ = &(control)->shards[w_].net.batch;        \
            batched_ += hbk_gw_read(&hbk_batcher_counters(batch_->batcher)->member) + \
                        hbk_gw_read(&hbk_key_worker_counters(batch_->keys)->member);  \
        }                                                                             \
        batched_;                                                                     \
    })

/* Each time shows at the upper bound of the bucket that the batcher has counted it in, and those
 * beyond the last at twice that; the sum is true. */
static void add_queue_ages(const struct hbk_gw_control *control, struct lines *lines)
{
    struct hbk_gw_samples *samples =
        add_histogram(lines, BATCHER, hbk_slice_of(NULL, 0), "", HBK_BATCHER_NAME_QUEUE "_us");
    for (unsigned i = 0; samples != NULL && i <= HBK_DURATION_BOUNDS; i++) {
        uint64_t bound_ns = i < HBK_DURATION_BOUNDS
                                ? hbk_duration_bounds_ns[i]
                                : 2 * hbk_duration_bounds_ns[HBK_DURATION_BOUNDS - 1];
        hbk_gw_samples_add_value(samples, bound_ns / HBK_NS_PER_US, SUM_BATCHES(control, ages[i]));
    }
    if (samples != NULL) {
        samples->sum = SUM_BATCHES(control, age_ns_sum) / HBK_NS_PER_US;
    }
}

static void add_batches(const struct hbk_gw_control *control, struct lines *lines)
{
    struct hbk_slice none = hbk_slice_of(NULL, 0);
    for (unsigned i = 0; i < HBK_QUEUE_COUNT; i++) {
        uint64_t sizes[HBK_LANES], batches = 0;
        for (unsigned k = 0; k < HBK_LANES; k++) {
            sizes[k] = SUM_BATCHES(control, batches[i][k]);
            batches += sizes[k];
        }
        if (batches > 0) {
            add_queue_sizes(lines, BATCHER,
                            hbk_slice_text(hbk_batch_queue_name((enum hbk_batch_queue)i)),
                            HBK_BATCHER_LABEL_QUEUE, HBK_BATCHER_NAME_LANES, sizes);
        }
    }
    add_line(lines, BATCHER, HBK_SLICE(HBK_BATCHER_VALUE_VECTOR), HBK_BATCHER_LABEL_PATH,
             HBK_BATCHER_NAME_OPERATIONS, false, SUM_BATCHES(control, vector_jobs));
    add_line(lines, BATCHER, HBK_SLICE(HBK_BATCHER_VALUE_LIBCRYPTO), HBK_BATCHER_LABEL_PATH,
             HBK_BATCHER_NAME_OPERATIONS, false, SUM_BATCHES(control, twin_jobs));
    add_line(lines, BATCHER, none, "", HBK_BATCHER_NAME_REDONE, false,
             SUM_BATCHES(control, redone_jobs));
    add_line(lines, BATCHER, none, "", HBK_BATCHER_NAME_CANCELLED, false,
             SUM_BATCHES(control, cancelled_jobs));
    add_line(lines, BATCHER, none, "", HBK_BATCHER_NAME_REFUSED, false,
             SUM_BATCHES(control, refused_jobs));
    add_queue_ages(control, lines);
}

/* ---- scopes ---- */

/* Of `count` handlers together. */
static void add_time(const struct hbk_gw_control *control, struct hbk_gw_samples *samples,
                     const struct hbk_gw_handler *first, uint32_t count, enum hbk_gw_time time)
{
    for (uint32_t i = 0; samples != NULL && i < count; i++) {
        for (unsigned w = 0; w < control->team.count; w++) {
            hbk_gw_samples_add(samples, &control->shards[w].times[first[i].index][time]);
        }
    }
}

static void add_listener_times(const struct hbk_gw_control *control, struct lines *lines,
                               const struct hbk_gw_plan_listener *listener)
{
    const char *label = "envoy_listener_address";
    uint32_t count = listener->config->filter_chains_count + (listener->otherwise != NULL);
    add_time(
        control,
        add_histogram(lines, "listener", listener->stat_name, label, "downstream_cx_length_ms"),
        listener->handlers, count, HBK_GW_TIME_CX_LENGTH_MS);
    if (has_tls(listener->config)) {
        add_time(
            control,
            add_histogram(lines, "listener", listener->stat_name, label, "ssl.handshake_time_us"),
            listener->handlers, count, HBK_GW_TIME_HANDSHAKE_US);
    }
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
        const struct hbk_gw_plan_listener *listener = &control->plan->listeners[i];
        add_listener_times(control, lines, listener);
        for (uint32_t k = 0; k < listener->config->filter_chains_count; k++) {
            add_chain_providers(control, lines, &listener->config->filter_chains[k],
                                listener->stat_name);
        }
        add_chain_providers(control, lines, listener->config->default_filter_chain,
                            listener->stat_name);
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
        if (handler->http != NULL) {
            const char *label = "envoy_http_conn_manager_prefix";
            add_time(control,
                     add_histogram(lines, "http", handler->stat_prefix, label,
                                   "downstream_cx_length_ms"),
                     handler, 1, HBK_GW_TIME_CX_LENGTH_MS);
            add_time(
                control,
                add_histogram(lines, "http", handler->stat_prefix, label, "downstream_rq_time"),
                handler, 1, HBK_GW_TIME_RQ_MS);
        }
        for (unsigned k = 0; handler->tcp != NULL && k < HBK_GW_T_STATS; k++) {
            add_line(lines, "tcp", handler->stat_prefix, "envoy_tcp_prefix",
                     hbk_gw_tcp_stats[k].name, hbk_gw_tcp_stats[k].is_gauge,
                     SUM(control, shard->tcp_stats[i][k]));
        }
    }
}

/* Whether a limit of the cluster is reached, so that the next one would be refused. */
static void add_breakers(struct lines *lines, struct hbk_slice name,
                         const struct hbk_gw_plan_cluster *cluster)
{
    const struct hbk_gw_limits *used = &cluster->limits;
    const struct hbk_gw_thresholds *max = &cluster->thresholds;
    const struct {
        const char *name;
        const _Atomic uint32_t *used;
        uint32_t max;
    } breakers[] = {
        {"circuit_breakers.default.cx_open", &used->connections, max->max_connections},
        {"circuit_breakers.default.rq_pending_open", &used->pending, max->max_pending_requests},
        {"circuit_breakers.default.rq_open", &used->requests, max->max_requests},
        {"circuit_breakers.default.rq_retry_open", &used->retries, max->max_retries},
    };
    for (size_t i = 0; i < HBK_COUNT(breakers); i++) {
        add_line(lines, "cluster", name, "envoy_cluster_name", breakers[i].name, true,
                 atomic_load_explicit(breakers[i].used, memory_order_relaxed) >= breakers[i].max);
    }
}

static void add_clusters(const struct hbk_gw_control *control, struct lines *lines)
{
    for (uint32_t i = 0; i < control->plan->clusters.count; i++) {
        const struct hbk_gw_cluster *config = control->plan->clusters.items[i].config;
        struct hbk_slice name =
            config->alt_stat_name.size > 0 ? config->alt_stat_name : config->name;
        for (unsigned k = 0; k < HBK_GW_C_STATS; k++) {
            bool is_of_others = k == HBK_GW_C_ORIGINAL_OVERFLOW &&
                                config->type != HBK_GW_ORIGINAL_DST; /* Envoy has no such name */
            if (is_of_others ||
                (config->transport_socket == NULL && is_of_tls(hbk_gw_cluster_stats[k].name))) {
                continue;
            }
            add_line(lines, "cluster", name, "envoy_cluster_name", hbk_gw_cluster_stats[k].name,
                     hbk_gw_cluster_stats[k].is_gauge, SUM(control, shard->pools[i].stats[k]));
        }
        struct hbk_gw_samples *samples =
            add_histogram(lines, "cluster", name, "envoy_cluster_name", "upstream_rq_time");
        for (unsigned w = 0; samples != NULL && w < control->team.count; w++) {
            hbk_gw_samples_add(samples, &control->shards[w].pools[i].request_ms);
        }
        if (config->transport_socket != NULL) {
            add_providers(control, lines, config->transport_socket->typed_config.message, "cluster",
                          name, "envoy_cluster_name");
        }
        add_breakers(lines, name, &control->plan->clusters.items[i]);
        uint64_t made = SUM(control, shard->pools[i].original_count);
        add_line(lines, "cluster", name, "envoy_cluster_name", "membership_total", true,
                 control->members[i]->count + made);
        add_line(lines, "cluster", name, "envoy_cluster_name", "membership_healthy", true,
                 hbk_gw_members_healthy(control->members[i]) + made);
        for (unsigned k = 0; k < HBK_GW_UPDATE_STATS; k++) {
            add_line(lines, "cluster", name, "envoy_cluster_name", hbk_gw_update_stat_names[k],
                     false, hbk_gw_directory_stat(&control->directory, i, k));
        }
        for (unsigned k = 0; config->health_checks_count > 0 && k < HBK_GW_HEALTH_STATS; k++) {
            add_line(lines, "cluster", name, "envoy_cluster_name", hbk_gw_health_stat_names[k],
                     k >= HBK_GW_HEALTH_HEALTHY, hbk_gw_health_stat(control->health, i, k));
        }
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
             hbk_gw_control_state(control) == HBK_GW_STATE_LIVE       ? 0
             : hbk_gw_control_state(control) == HBK_GW_STATE_DRAINING ? 1
                                                                      : 3);
    add_line(lines, "server", none, "", "uptime", true,
             (now_ns - control->start_ns) / HBK_NS_PER_S);
    add_line(lines, "server", none, "", "cpu_time_us", false,
             hbk_clock_process_cpu_ns() / HBK_NS_PER_US);
    add_line(lines, "server", none, "", "total_connections", true, SUM(control, shard->live));
    add_line(lines, "filesystem", none, "", "write_failed", false,
             SUM(control, shard->log_write_failed));
    add_line(lines, "listener_manager", none, "", "total_listeners_active", true,
             control->plan->listener_count);
    add_line(lines, "cluster_manager", none, "", "active_clusters", true,
             control->plan->clusters.count);
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

static bool is_listed(const struct hbk_gw_stats_patterns *list, struct hbk_slice name)
{
    for (uint32_t i = 0; i < list->patterns_count; i++) {
        if (hbk_http_route_match_string(&list->patterns[i], name)) {
            return true;
        }
    }
    return false;
}

/* Whether the configuration's stats_matcher lets it be seen. */
static bool is_admitted(const struct hbk_gw_stats_matcher *matcher, const char *text)
{
    const struct hbk_slice name = hbk_slice_text(text);
    return matcher->exclusion_list != NULL   ? !is_listed(matcher->exclusion_list, name)
           : matcher->inclusion_list != NULL ? is_listed(matcher->inclusion_list, name)
                                             : !matcher->reject_all;
}

/* What is counted is counted; it is left out of all that is shown. */
static void admit(const struct hbk_gw_control *control, struct lines *lines)
{
    const struct hbk_gw_stats_config *config = control->plan->config->bootstrap->stats_config;
    size_t kept = 0;
    if (config == NULL || config->stats_matcher == NULL) {
        return;
    }
    for (size_t i = 0; i < lines->count; i++) {
        if (is_admitted(config->stats_matcher, lines->list[i].name)) {
            lines->list[kept++] = lines->list[i];
        } else {
            free_line(&lines->list[i]);
        }
    }
    lines->count = kept;
}

/* Lines of one name become one. */
static void join(struct lines *lines)
{
    size_t kept = 0;
    for (size_t i = 0; i < lines->count; i++) {
        struct line *line = &lines->list[i];
        if (kept > 0 && strcmp(lines->list[kept - 1].name, line->name) == 0) {
            lines->list[kept - 1].value += line->value;
            if (line->samples != NULL) {
                hbk_gw_samples_join(lines->list[kept - 1].samples, line->samples);
            }
            free_line(line);
        } else {
            lines->list[kept++] = *line;
        }
    }
    lines->count = kept;
}

static bool is_wanted(const struct line *line, const struct hbk_gw_stats_query *query)
{
    bool is_kind = line->samples != NULL ? query->has_histograms
                   : line->is_gauge      ? query->has_gauges
                                         : query->has_counters;
    bool is_used = line->value != 0 || (line->samples != NULL && line->samples->total > 0);
    return is_kind && (!query->used_only || is_used) &&
           (query->filter.size == 0 ||
            hbk_gw_pattern_matches(query->filter, false, hbk_slice_text(line->name)));
}

/* The edges of its buckets: of the first setting that fits the name. */
static struct hbk_gw_edges edges_of(const struct hbk_gw_control *control, const struct line *line)
{
    const struct hbk_gw_stats_config *config = control->plan->config->bootstrap->stats_config;
    for (uint32_t i = 0; config != NULL && i < config->histogram_bucket_settings_count; i++) {
        const struct hbk_gw_bucket_settings *settings = &config->histogram_bucket_settings[i];
        if (hbk_http_route_match_string(settings->match, hbk_slice_text(line->name))) {
            return (struct hbk_gw_edges){settings->buckets, settings->buckets_count};
        }
    }
    return hbk_gw_default_edges;
}

/* name="value", or nothing. */
static hbk_status print_label(const struct line *line, struct hbk_buffer *out)
{
    if (line->label_name[0] == '\0') {
        return HBK_OK;
    }
    HBK_TRY(hbk_buffer_print(out, "%s=\"", line->label_name));
    for (const char *byte = line->label_value; *byte != '\0'; byte++) {
        HBK_TRY(*byte == '"' || *byte == '\\' ? hbk_buffer_print(out, "\\%c", *byte)
                : *byte == '\n'               ? hbk_buffer_append(out, HBK_SLICE("\\n"))
                                              : hbk_buffer_append(out, hbk_slice_of(byte, 1)));
    }
    return hbk_buffer_append(out, HBK_SLICE("\""));
}

static hbk_status print_series(const struct hbk_gw_control *control, const struct line *line,
                               struct hbk_buffer *out)
{
    struct hbk_buffer labels;
    hbk_buffer_init(&labels, (size_t)2 * NAME_BYTES_MAX);
    hbk_status status = print_label(line, &labels);
    if (status == HBK_OK && line->samples != NULL) {
        struct hbk_gw_edges edges = edges_of(control, line);
        status = hbk_gw_samples_prometheus(line->samples, line->family, hbk_buffer_slice(&labels),
                                           &edges, out);
    } else if (status == HBK_OK) {
        status = hbk_buffer_print(out, "%s{%.*s} %" PRIu64 "\n", line->family,
                                  HBK_SLICE_ARGS(hbk_buffer_slice(&labels)), line->value);
    }
    hbk_buffer_fini(&labels);
    return status;
}

static hbk_status print_prometheus(const struct hbk_gw_control *control, const struct lines *lines,
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
                                     line->samples != NULL ? "histogram"
                                     : line->is_gauge      ? "gauge"
                                                           : "counter"));
        }
        HBK_TRY(print_series(control, line, out));
    }
    return HBK_OK;
}

/* Envoy's text has the numbers first, then the histograms. */
static hbk_status print_text(const struct hbk_gw_control *control, const struct lines *lines,
                             const struct hbk_gw_stats_query *query, struct hbk_buffer *out)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < lines->count; i++) {
            const struct line *line = &lines->list[i];
            if ((line->samples != NULL) != (pass == 1) || !is_wanted(line, query)) {
                continue;
            }
            if (line->samples != NULL) {
                struct hbk_gw_edges edges = edges_of(control, line);
                HBK_TRY(
                    hbk_gw_samples_print(line->samples, line->name, query->buckets, &edges, out));
            } else {
                HBK_TRY(hbk_buffer_print(out, "%s: %" PRIu64 "\n", line->name, line->value));
            }
        }
    }
    return HBK_OK;
}

/* All histograms are one member of the list of statistics; nothing where none is wanted. */
static void json_histograms(const struct hbk_gw_control *control, const struct lines *lines,
                            const struct hbk_gw_stats_query *query, struct hbk_json *json)
{
    const bool has_buckets = query->buckets != HBK_GW_BUCKETS_NONE;
    bool is_open = false;
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->list[i];
        if (line->samples == NULL || !is_wanted(line, query)) {
            continue;
        }
        if (!is_open) {
            is_open = true;
            hbk_json_begin_object(json, NULL);
            if (has_buckets) {
                hbk_json_begin_array(json, "histograms");
            } else {
                hbk_json_begin_object(json, "histograms");
                hbk_gw_quantiles_json(json);
                hbk_json_begin_array(json, "computed_quantiles");
            }
        }
        struct hbk_gw_edges edges = edges_of(control, line);
        hbk_gw_samples_json(line->samples, line->name, query->buckets, &edges, json);
    }
    if (is_open) {
        hbk_json_end_array(json);
        if (!has_buckets) {
            hbk_json_end_object(json);
        }
        hbk_json_end_object(json);
    }
}

static hbk_status print_json(const struct hbk_gw_control *control, const struct lines *lines,
                             const struct hbk_gw_stats_query *query, struct hbk_buffer *out)
{
    struct hbk_json json = hbk_json_to(out, false);
    hbk_json_begin_object(&json, NULL);
    hbk_json_begin_array(&json, "stats");
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->list[i];
        if (line->samples == NULL && is_wanted(line, query)) {
            hbk_json_begin_object(&json, NULL);
            hbk_json_text(&json, "name", line->name);
            hbk_json_number(&json, "value", line->value);
            hbk_json_end_object(&json);
        }
    }
    json_histograms(control, lines, query, &json);
    hbk_json_end_array(&json);
    hbk_json_end_object(&json);
    return json.status;
}

/* ---- the whole ---- */

/* What counters had come to; sorted by name, as the lines are that it is taken from. */
struct hbk_gw_baseline {
    struct lines lines;
};

static hbk_status gather(const struct hbk_gw_control *control, struct lines *lines)
{
    add_listeners(control, lines);
    add_handlers(control, lines);
    add_clusters(control, lines);
    add_server(control, lines);
    add_batches(control, lines);
    add_device(control, lines);
    if (lines->has_failed) {
        return HBK_NO_MEMORY;
    }
    admit(control, lines);
    qsort(lines->list, lines->count, sizeof *lines->list, by_name);
    join(lines);
    return HBK_OK;
}

/* Both are sorted by name. Histograms and gauges stay, as Envoy's do. */
static void subtract(struct lines *lines, const struct lines *before)
{
    size_t k = 0;
    for (size_t i = 0; i < lines->count; i++) {
        struct line *line = &lines->list[i];
        while (k < before->count && strcmp(before->list[k].name, line->name) < 0) {
            k++;
        }
        if (k < before->count && !line->is_gauge && line->samples == NULL &&
            strcmp(before->list[k].name, line->name) == 0) {
            line->value -= before->list[k].value;
        }
    }
}

hbk_status hbk_gw_stats_reset(struct hbk_gw_control *control)
{
    struct hbk_gw_baseline *baseline = calloc(1, sizeof *baseline);
    if (baseline == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = gather(control, &baseline->lines);
    if (status != HBK_OK) {
        free_lines(&baseline->lines);
        free(baseline);
        return status;
    }
    hbk_gw_stats_fini(control);
    control->baseline = baseline;
    return HBK_OK;
}

void hbk_gw_stats_fini(struct hbk_gw_control *control)
{
    if (control->baseline != NULL) {
        free_lines(&control->baseline->lines);
        free(control->baseline);
        control->baseline = NULL;
    }
}

hbk_status hbk_gw_stats_print(const struct hbk_gw_control *control,
                              const struct hbk_gw_stats_query *query, struct hbk_buffer *out)
{
    struct lines lines = {0};
    hbk_status status = gather(control, &lines);
    if (status == HBK_OK && control->baseline != NULL) {
        subtract(&lines, &control->baseline->lines);
    }
    if (status == HBK_OK && query->format == HBK_GW_STATS_PROMETHEUS) {
        qsort(lines.list, lines.count, sizeof *lines.list, by_family);
        status = print_prometheus(control, &lines, query, out);
    } else if (status == HBK_OK) {
        status = query->format == HBK_GW_STATS_JSON ? print_json(control, &lines, query, out)
                                                    : print_text(control, &lines, query, out);
    }
    free_lines(&lines);
    return status;
}
