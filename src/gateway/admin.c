/* The admin port: Envoy's endpoints in Envoy's shapes, on the control thread. */
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "admin/logging.h"
#include "admin/query.h"
#include "base/clock.h"
#include "gateway/admin_page.h"
#include "gateway/admin_part.h"
#include "gateway/pattern.h"
#include "os/process.h"
#include "os/socket.h"
#include "policy/http_route.h"

const char hbk_gw_admin_text[] = "text/plain; charset=UTF-8";
const char hbk_gw_admin_json[] = "application/json";

static const struct hbk_admin_route routes[];
static const size_t route_count;

static const char *state_text(const struct hbk_gw_control *control)
{
    enum hbk_gw_state state = hbk_gw_control_state(control);
    return state == HBK_GW_STATE_LIVE       ? "LIVE"
           : state == HBK_GW_STATE_DRAINING ? "DRAINING"
                                            : "INITIALIZING";
}

void hbk_gw_admin_reply(struct hbk_admin_exchange *exchange, const char *type, hbk_status status,
                        struct hbk_buffer *body)
{
    if (status == HBK_OK) {
        hbk_admin_reply_take(exchange, 200, type, body);
    } else {
        hbk_buffer_fini(body);
        hbk_admin_reply_print(exchange, 503, "%s\n", hbk_status_text(status));
    }
}

bool hbk_gw_admin_find(struct hbk_slice query, const char *name, struct hbk_span room,
                       struct hbk_slice *out_value)
{
    struct hbk_query_reader reader = hbk_query_reader_of(query);
    struct hbk_query_pair pair;
    while (hbk_query_next(&reader, &pair)) {
        if (hbk_slice_equal(pair.name, hbk_slice_text(name))) {
            return hbk_query_decode(pair.value, room, out_value);
        }
    }
    return false;
}

bool hbk_gw_admin_find_pattern(struct hbk_admin_exchange *exchange, struct hbk_slice query,
                               const char *name, struct hbk_span room,
                               struct hbk_slice *out_pattern)
{
    struct hbk_error error = {.status = HBK_OK};
    *out_pattern = hbk_slice_of("", 0);
    if (!hbk_gw_admin_find(query, name, room, out_pattern) ||
        hbk_gw_pattern_check(*out_pattern, &error) == HBK_OK) {
        return true;
    }
    hbk_admin_reply_print(exchange, 400, "%s: %s\n", name, error.text);
    return false;
}

/* ---- state ---- */

static void on_ready(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                     void *context)
{
    const struct hbk_gw_control *control = context;
    (void)request;
    hbk_admin_reply_print(exchange, hbk_gw_control_state(control) == HBK_GW_STATE_LIVE ? 200 : 503,
                          "%s\n", state_text(control));
}

static void on_memory(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                      void *context)
{
    struct mallinfo2 heap = mallinfo2();
    struct hbk_process_usage usage = {0};
    struct hbk_buffer body;
    (void)request;
    (void)context;
    if (hbk_process_usage(getpid(), &usage) != HBK_OK) {
        usage = (struct hbk_process_usage){0};
    }
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&body, true);
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"allocated", heap.uordblks + heap.hblkhd},
        {"heap_size", heap.arena + heap.hblkhd},
        {"pageheap_unmapped", 0},
        {"pageheap_free", heap.fordblks},
        {"total_thread_cache", 0},
        {"total_physical_bytes", usage.resident_bytes},
    };
    hbk_json_begin_object(&json, NULL);
    for (size_t i = 0; i < HBK_COUNT(members); i++) {
        /* 64-bit numbers are texts in protobuf's JSON, and so in Envoy's. */
        char text[24];
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)members[i].value);
        hbk_json_text(&json, members[i].name, text);
    }
    hbk_json_end_object(&json);
    hbk_gw_admin_reply(exchange, hbk_gw_admin_json, json.status, &body);
}

/* ---- statistics ---- */

static void reply_stats(struct hbk_admin_exchange *exchange, const struct hbk_gw_control *control,
                        const struct hbk_gw_stats_query *query)
{
    struct hbk_buffer body;
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    hbk_status status = hbk_gw_stats_print(control, query, &body);
    hbk_gw_admin_reply(exchange,
                       query->format == HBK_GW_STATS_JSON         ? hbk_gw_admin_json
                       : query->format == HBK_GW_STATS_PROMETHEUS ? "text/plain; version=0.0.4"
                                                                  : hbk_gw_admin_text,
                       status, &body);
}

/* False, and a reply, when the query asks for what there is not. */
static bool read_stats_query(struct hbk_admin_exchange *exchange, struct hbk_slice text,
                             struct hbk_span room, struct hbk_gw_stats_query *query)
{
    uint8_t small[HBK_GW_ADMIN_VALUE_BYTES_MAX];
    struct hbk_slice value;
    struct hbk_span small_room = hbk_span_of(small, sizeof small);
    query->used_only |= hbk_gw_admin_find(text, "usedonly", small_room, &value);
    if (hbk_gw_admin_find(text, "format", small_room, &value)) {
        bool is_prometheus = hbk_slice_equal(value, HBK_SLICE("prometheus"));
        bool is_json = hbk_slice_equal(value, HBK_SLICE("json"));
        if (!is_prometheus && !is_json && !hbk_slice_equal(value, HBK_SLICE("text"))) {
            hbk_admin_reply_print(exchange, 400, "usage: /stats?format=(text|json|prometheus)\n");
            return false;
        }
        query->format = is_prometheus ? HBK_GW_STATS_PROMETHEUS
                        : is_json     ? HBK_GW_STATS_JSON
                                      : HBK_GW_STATS_TEXT;
    }
    if (hbk_gw_admin_find(text, "type", small_room, &value)) {
        bool is_all = hbk_slice_equal(value, HBK_SLICE("All"));
        query->has_counters = is_all || hbk_slice_equal(value, HBK_SLICE("Counters"));
        query->has_gauges = is_all || hbk_slice_equal(value, HBK_SLICE("Gauges"));
        query->has_histograms = is_all || hbk_slice_equal(value, HBK_SLICE("Histograms"));
    }
    if (hbk_gw_admin_find(text, "histogram_buckets", small_room, &value)) {
        bool is_disjoint = hbk_slice_equal(value, HBK_SLICE("disjoint"));
        if (!is_disjoint && !hbk_slice_equal(value, HBK_SLICE("cumulative")) &&
            !hbk_slice_equal(value, HBK_SLICE("none")) && !hbk_slice_equal(value, HBK_SLICE(""))) {
            hbk_admin_reply_print(exchange, 400,
                                  "usage: /stats?histogram_buckets=(cumulative|disjoint|none)\n");
            return false;
        }
        query->buckets = is_disjoint      ? HBK_GW_BUCKETS_DISJOINT
                         : value.size > 4 ? HBK_GW_BUCKETS_CUMULATIVE
                                          : HBK_GW_BUCKETS_NONE;
    }
    return hbk_gw_admin_find_pattern(exchange, text, "filter", room, &query->filter);
}

static void on_stats(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                     void *context)
{
    uint8_t filter[HBK_GW_ADMIN_VALUE_BYTES_MAX];
    struct hbk_gw_stats_query query = {
        .has_counters = true, .has_gauges = true, .has_histograms = true};
    if (read_stats_query(exchange, request->query, hbk_span_of(filter, sizeof filter), &query)) {
        reply_stats(exchange, context, &query);
    }
}

static void on_prometheus(struct hbk_admin_exchange *exchange,
                          const struct hbk_admin_request *request, void *context)
{
    uint8_t filter[HBK_GW_ADMIN_VALUE_BYTES_MAX];
    struct hbk_gw_stats_query query = {
        .has_counters = true, .has_gauges = true, .has_histograms = true};
    if (read_stats_query(exchange, request->query, hbk_span_of(filter, sizeof filter), &query)) {
        query.format = HBK_GW_STATS_PROMETHEUS;
        reply_stats(exchange, context, &query);
    }
}

/* ---- listeners and clusters ---- */

static void on_listeners(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context)
{
    const struct hbk_gw_control *control = context;
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_buffer body;
    hbk_status status = HBK_OK;
    if (hbk_gw_admin_wants_json(request->query)) {
        hbk_gw_admin_listeners_json(exchange, control);
        return;
    }
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    for (uint32_t i = 0; status == HBK_OK && i < control->plan->listener_count; i++) {
        const struct hbk_gw_listener *config = control->plan->listeners[i].config;
        struct hbk_address address = config->address->socket_address->ip;
        status = hbk_buffer_print(&body, "%s::%s\n", (const char *)config->name.bytes,
                                  hbk_address_text(&address, text));
    }
    hbk_gw_admin_reply(exchange, hbk_gw_admin_text, status, &body);
}

static hbk_status print_limits(struct hbk_buffer *body, const char *name, const char *priority,
                               const struct hbk_gw_thresholds *thresholds)
{
    return hbk_buffer_print(body,
                            "%s::%s_priority::max_connections::%u\n"
                            "%s::%s_priority::max_pending_requests::%u\n"
                            "%s::%s_priority::max_requests::%u\n"
                            "%s::%s_priority::max_retries::%u\n",
                            name, priority, thresholds->max_connections, name, priority,
                            thresholds->max_pending_requests, name, priority,
                            thresholds->max_requests, name, priority, thresholds->max_retries);
}

static hbk_status print_line(struct hbk_buffer *body, const char *name, const char *host,
                             const char *key, struct hbk_slice value)
{
    return hbk_buffer_print(body, "%s::%s::%s::%.*s\n", name, host, key, HBK_SLICE_ARGS(value));
}

/* By name, as Envoy has them in this form. */
static hbk_status print_figures(struct hbk_buffer *body, const char *name, const char *host,
                                const struct hbk_gw_figures *figures)
{
    static const enum hbk_gw_host_stat order[] = {
        HBK_GW_E_CX_ACTIVE,  HBK_GW_E_CX_CONNECT_FAIL, HBK_GW_E_CX_TOTAL,
        HBK_GW_E_RQ_ACTIVE,  HBK_GW_E_RQ_ERROR,        HBK_GW_E_RQ_PENDING_ACTIVE,
        HBK_GW_E_RQ_SUCCESS, HBK_GW_E_RQ_TIMEOUT,      HBK_GW_E_RQ_TOTAL,
    };
    _Static_assert(HBK_COUNT(order) == HBK_GW_E_STATS, "each once");
    for (size_t i = 0; i < HBK_COUNT(order); i++) {
        HBK_TRY(hbk_buffer_print(body, "%s::%s::%s::%llu\n", name, host,
                                 hbk_gw_host_stat_names[order[i]].name,
                                 (unsigned long long)hbk_gw_figures_sum(figures, order[i])));
    }
    return HBK_OK;
}

/* Success rates are what outlier detection would know. */
static hbk_status print_place(struct hbk_buffer *body, const char *name, const char *host,
                              const struct hbk_gw_locality *locality)
{
    const struct {
        const char *key;
        struct hbk_slice value;
    } lines[] = {
        {"region", locality->region},
        {"zone", locality->zone},
        {"sub_zone", locality->sub_zone},
        {"canary", HBK_SLICE("false")},
        {"priority", HBK_SLICE("0")},
        {"success_rate", HBK_SLICE("-1")},
        {"local_origin_success_rate", HBK_SLICE("-1")},
    };
    for (size_t i = 0; i < HBK_COUNT(lines); i++) {
        HBK_TRY(print_line(body, name, host, lines[i].key, lines[i].value));
    }
    return HBK_OK;
}

static hbk_status print_cluster(const struct hbk_gw_control *control, uint32_t index,
                                struct hbk_buffer *body)
{
    const struct hbk_gw_plan_cluster *cluster = &control->plan->clusters.items[index];
    const struct hbk_gw_members *members = control->members[index];
    const char *name = (const char *)cluster->config->name.bytes;
    HBK_TRY(hbk_buffer_print(body, "%s::observability_name::%s\n", name, name));
    HBK_TRY(print_limits(body, name, "default", &cluster->thresholds));
    HBK_TRY(print_limits(body, name, "high", &cluster->high_thresholds));
    HBK_TRY(hbk_buffer_print(body, "%s::added_via_api::false\n", name));
    for (uint32_t i = 0; i < members->count; i++) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX], flags[HBK_GW_FLAGS_TEXT_BYTES_MAX];
        const struct hbk_gw_lb_endpoint *endpoint = members->endpoints[i];
        (void)hbk_address_text(&members->addresses[i], text);
        HBK_TRY(print_figures(body, name, text, members->figures[i]));
        HBK_TRY(print_line(body, name, text, "hostname", endpoint->endpoint->hostname));
        HBK_TRY(hbk_buffer_print(body, "%s::%s::health_flags::%s\n%s::%s::weight::%u\n", name, text,
                                 hbk_gw_member_flags_text(members, i, flags), name, text,
                                 endpoint->load_balancing_weight));
        HBK_TRY(print_place(body, name, text, hbk_gw_locality_of(cluster->config, endpoint)));
    }
    return HBK_OK;
}

static void on_clusters(struct hbk_admin_exchange *exchange,
                        const struct hbk_admin_request *request, void *context)
{
    const struct hbk_gw_control *control = context;
    uint8_t room[HBK_GW_ADMIN_VALUE_BYTES_MAX];
    struct hbk_slice filter;
    struct hbk_buffer body;
    hbk_status status = HBK_OK;
    if (!hbk_gw_admin_find_pattern(exchange, request->query, "filter",
                                   hbk_span_of(room, sizeof room), &filter)) {
        return;
    }
    if (hbk_gw_admin_wants_json(request->query)) {
        hbk_gw_admin_clusters_json(exchange, control, filter);
        return;
    }
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    for (uint32_t i = 0; status == HBK_OK && i < control->plan->clusters.count; i++) {
        if (hbk_gw_pattern_matches(filter, false, control->plan->clusters.items[i].config->name)) {
            status = print_cluster(control, i, &body);
        }
    }
    hbk_gw_admin_reply(exchange, hbk_gw_admin_text, status, &body);
}

/* ---- orders ---- */

static void reply_ok(struct hbk_admin_exchange *exchange)
{
    hbk_admin_reply(exchange, 200, hbk_gw_admin_text, HBK_SLICE("OK\n"));
}

static void on_drain(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                     void *context)
{
    (void)request;
    hbk_gw_control_drain(context, false);
    reply_ok(exchange);
}

static void on_reset(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                     void *context)
{
    hbk_status status = hbk_gw_stats_reset(context);
    (void)request;
    if (status == HBK_OK) {
        reply_ok(exchange);
    } else {
        hbk_admin_reply_print(exchange, 503, "%s\n", hbk_status_text(status));
    }
}

static void on_health_fail(struct hbk_admin_exchange *exchange,
                           const struct hbk_admin_request *request, void *context)
{
    (void)request;
    ((struct hbk_gw_control *)context)->is_unhealthy = true;
    reply_ok(exchange);
}

static void on_health_ok(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context)
{
    (void)request;
    ((struct hbk_gw_control *)context)->is_unhealthy = false;
    reply_ok(exchange);
}

static void on_quit(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                    void *context)
{
    (void)request;
    reply_ok(exchange);
    hbk_gw_control_stop(context);
}

static void on_logging(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                       void *context)
{
    const struct hbk_gw_control *control = context;
    struct hbk_error error = {.status = HBK_OK};
    struct hbk_buffer body;
    if (request->query.size > 0 &&
        hbk_logging_change(request->query, control->default_level, &error) != HBK_OK) {
        hbk_admin_reply_print(exchange, 400, "%s\n", error.text);
        return;
    }
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    hbk_status status = hbk_logging_text(&body);
    if (status == HBK_OK) {
        status = hbk_buffer_append(&body, HBK_SLICE("\n"));
    }
    hbk_gw_admin_reply(exchange, hbk_gw_admin_text, status, &body);
}

static void on_reopen(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                      void *context)
{
    const struct hbk_gw_control *control = context;
    (void)request;
    hbk_gw_plan_reopen_logs(control->plan);
    reply_ok(exchange);
}

static void on_hot_restart(struct hbk_admin_exchange *exchange,
                           const struct hbk_admin_request *request, void *context)
{
    (void)request;
    (void)context;
    hbk_admin_reply(exchange, 200, hbk_gw_admin_text, HBK_SLICE("disabled"));
}

static void on_help(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                    void *context)
{
    struct hbk_buffer body;
    (void)request;
    (void)context;
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    hbk_status status = hbk_buffer_append(&body, HBK_SLICE("admin commands are:\n"));
    for (size_t i = 0; status == HBK_OK && i < route_count; i++) {
        const bool is_order = (routes[i].methods & HBK_ADMIN_GET) == 0;
        status = hbk_buffer_print(&body, "  %s%s: %s\n", routes[i].path, is_order ? " (POST)" : "",
                                  routes[i].about);
    }
    hbk_gw_admin_reply(exchange, hbk_gw_admin_text, status, &body);
}

#define BOTH (HBK_ADMIN_GET | HBK_ADMIN_POST)
static const struct hbk_admin_route routes[] = {
    {"/", HBK_ADMIN_GET, hbk_gw_admin_on_page, "a page that shows the figures live"},
    {"/certs", BOTH, hbk_gw_admin_on_certs, "certificates in force"},
    {"/clusters", BOTH, on_clusters, "upstream cluster status: format=text|json, filter=PATTERN"},
    {"/config_dump", BOTH, hbk_gw_admin_on_config_dump,
     "the configuration, keys redacted: resource=FIELD, mask=PATHS, name_regex=PATTERN"},
    {"/drain_listeners", HBK_ADMIN_POST, on_drain, "stop accepting, let connections end"},
    {"/healthcheck/fail", HBK_ADMIN_POST, on_health_fail, "cause the server to fail health checks"},
    {"/healthcheck/ok", HBK_ADMIN_POST, on_health_ok, "cause the server to pass health checks"},
    {"/help", BOTH, on_help, "the commands"},
    {"/hot_restart_version", BOTH, on_hot_restart, "disabled"},
    {"/live.css", HBK_ADMIN_GET, hbk_gw_admin_on_style, "of the page"},
    {"/live.js", HBK_ADMIN_GET, hbk_gw_admin_on_script, "of the page"},
    {"/listeners", BOTH, on_listeners, "listener addresses: format=text|json"},
    {"/logging", HBK_ADMIN_POST, on_logging,
     "query or change logging levels: level=LEVEL, NAME=LEVEL, paths=NAME:LEVEL,..."},
    {"/memory", BOTH, on_memory, "current allocation of the heap"},
    {"/quitquitquit", HBK_ADMIN_POST, on_quit, "exit the server"},
    {"/ready", BOTH, on_ready, "the server's state: LIVE, or DRAINING with status 503"},
    {"/reopen_logs", HBK_ADMIN_POST, on_reopen, "open the files of access logs anew"},
    {"/reset_counters", HBK_ADMIN_POST, on_reset, "reset all counters to zero"},
    {"/server_info", BOTH, hbk_gw_admin_on_server_info, "version and status"},
    {"/stats", BOTH, on_stats,
     "statistics: usedonly, filter=PATTERN, type=All|Counters|Gauges|Histograms, "
     "format=text|json|prometheus, histogram_buckets=cumulative|disjoint"},
    {"/stats/prometheus", BOTH, on_prometheus, "statistics in Prometheus' form"},
};
static const size_t route_count = HBK_COUNT(routes);

/* As Envoy: against the path as it was sent, its query included. */
static bool allows(const struct hbk_admin_request *request, void *context)
{
    const struct hbk_gw_control *control = context;
    const struct hbk_gw_admin *config = control->plan->config->bootstrap->admin;
    bool is_allowed = config->allow_paths_count == 0;
    for (uint32_t i = 0; i < config->allow_paths_count && !is_allowed; i++) {
        is_allowed = hbk_http_route_match_string(&config->allow_paths[i], request->target);
    }
    return is_allowed;
}

hbk_status hbk_gw_admin_open(struct hbk_gw_control *control, struct hbk_error *error)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    const struct hbk_gw_admin *config = control->plan->config->bootstrap->admin;
    if (config == NULL || config->address == NULL) {
        return HBK_OK;
    }
    const struct hbk_address *address = &config->address->socket_address->ip;
    if (!config->address->socket_address->is_ip) {
        return hbk_error_set(error, HBK_UNSUPPORTED, "admin: a name as address is not served yet");
    }
    hbk_admin_server_init(&control->admin, &control->loop, routes, HBK_COUNT(routes), control);
    control->admin.allows = allows;
    hbk_status status = hbk_admin_server_listen(&control->admin, address);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "admin: cannot listen on %s: %s",
                             hbk_address_text(address, text), hbk_status_text(status));
    }
    return hbk_socket_local_address(control->admin.listeners[0].fd, &control->admin_address);
}
