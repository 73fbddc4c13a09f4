/* The state of the gateway as Envoy's JSON: /server_info, and /listeners and /clusters with
 * format=json. */
#include <stdio.h>
#include <unistd.h>

#include "admin/logging.h"
#include "base/clock.h"
#include "gateway/admin_part.h"
#include "gateway/pattern.h"

enum { NAME_BYTES_MAX = 64 };

bool hbk_gw_admin_wants_json(struct hbk_slice query)
{
    uint8_t room[NAME_BYTES_MAX];
    struct hbk_slice format;
    return hbk_gw_admin_find(query, "format", hbk_span_of(room, sizeof room), &format) &&
           hbk_slice_equal(format, HBK_SLICE("json"));
}

/* ---- /server_info ---- */

static void print_node(const struct hbk_gw_control *control, struct hbk_json *json)
{
    const struct hbk_gw_node *node = control->plan->config->bootstrap->node;
    const char *id = control->options->service_node;
    const char *cluster = control->options->service_cluster;
    hbk_json_begin_object(json, "node");
    hbk_json_string(json, "id",
                    id != NULL     ? hbk_slice_text(id)
                    : node != NULL ? node->id
                                   : HBK_SLICE(""));
    hbk_json_string(json, "cluster",
                    cluster != NULL ? hbk_slice_text(cluster)
                    : node != NULL  ? node->cluster
                                    : HBK_SLICE(""));
    hbk_json_text(json, "user_agent_name", "hauberk");
    hbk_json_end_object(json);
}

static void print_seconds(struct hbk_json *json, const char *key, uint64_t ns)
{
    char text[NAME_BYTES_MAX];
    (void)snprintf(text, sizeof text, "%llu.%03llus", (unsigned long long)(ns / HBK_NS_PER_S),
                   (unsigned long long)(ns % HBK_NS_PER_S / HBK_NS_PER_MS));
    char *point = strstr(text, ".000s");
    if (point != NULL) {
        memcpy(point, "s", sizeof "s");
    }
    hbk_json_text(json, key, text);
}

/* Those of Envoy's that mean something here. */
static void print_options(const struct hbk_gateway_options *options, struct hbk_json *json)
{
    const struct hbk_bootstrap_options *bootstrap = &options->bootstrap;
    struct hbk_buffer levels;
    hbk_buffer_init(&levels, HBK_GW_ADMIN_BODY_BYTES_MAX);
    hbk_status status = hbk_logging_text(&levels);
    hbk_json_begin_object(json, "command_line_options");
    hbk_json_number(json, "concurrency", options->workers);
    hbk_json_text(json, "config_path", bootstrap->path == NULL ? "" : bootstrap->path);
    hbk_json_text(json, "config_yaml", bootstrap->yaml == NULL ? "" : "[redacted]");
    hbk_json_bool(json, "allow_unknown_static_fields", bootstrap->allows_unknown);
    hbk_json_text(json, "admin_address_path",
                  options->admin_address_path == NULL ? "" : options->admin_address_path);
    hbk_json_string(json, "log_level", hbk_buffer_slice(&levels));
    hbk_json_text(json, "service_cluster",
                  options->service_cluster == NULL ? "" : options->service_cluster);
    hbk_json_text(json, "service_node", options->service_node == NULL ? "" : options->service_node);
    print_seconds(json, "file_flush_interval", options->log_flush_ns);
    print_seconds(json, "drain_time", options->drain_ns);
    hbk_json_text(json, "drain_strategy", options->drains_immediately ? "Immediate" : "Gradual");
    hbk_json_text(json, "mode", "Serve");
    hbk_json_bool(json, "disable_hot_restart", true);
    hbk_json_number(json, "restart_epoch", 0);
    hbk_json_end_object(json);
    hbk_buffer_fini(&levels);
    json->status = json->status == HBK_OK ? status : json->status;
}

void hbk_gw_admin_on_server_info(struct hbk_admin_exchange *exchange,
                                 const struct hbk_admin_request *request, void *context)
{
    const struct hbk_gw_control *control = context;
    char uptime[48];
    struct hbk_buffer body;
    (void)request;
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&body, true);
    (void)snprintf(uptime, sizeof uptime, "%llus",
                   (unsigned long long)((control->loop.now_ns - control->start_ns) / HBK_NS_PER_S));
    hbk_json_begin_object(&json, NULL);
    hbk_json_text(&json, "version", "hauberk/" HBK_VERSION);
    hbk_json_text(&json, "state",
                  hbk_gw_control_state(control) == HBK_GW_STATE_LIVE ? "LIVE" : "DRAINING");
    hbk_json_text(&json, "hot_restart_version", "disabled");
    hbk_json_text(&json, "uptime_current_epoch", uptime);
    hbk_json_text(&json, "uptime_all_epochs", uptime);
    print_options(control->options, &json);
    print_node(control, &json);
    hbk_json_end_object(&json);
    hbk_gw_admin_reply(exchange, hbk_gw_admin_json, json.status, &body);
}

/* ---- /listeners and /clusters ---- */

static void print_address(struct hbk_json *json, const char *key, const struct hbk_address *address)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    hbk_json_begin_object(json, key);
    hbk_json_begin_object(json, "socket_address");
    hbk_json_text(json, "address", hbk_ip_text(&address->ip, text));
    hbk_json_number(json, "port_value", address->port);
    hbk_json_end_object(json);
    hbk_json_end_object(json);
}

void hbk_gw_admin_listeners_json(struct hbk_admin_exchange *exchange,
                                 const struct hbk_gw_control *control)
{
    struct hbk_buffer body;
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&body, true);
    hbk_json_begin_object(&json, NULL);
    hbk_json_begin_array(&json, "listener_statuses");
    for (uint32_t i = 0; i < control->plan->listener_count; i++) {
        const struct hbk_gw_listener *config = control->plan->listeners[i].config;
        hbk_json_begin_object(&json, NULL);
        hbk_json_string(&json, "name", config->name);
        print_address(&json, "local_address", &config->address->socket_address->ip);
        hbk_json_end_object(&json);
    }
    hbk_json_end_array(&json);
    hbk_json_end_object(&json);
    hbk_gw_admin_reply(exchange, hbk_gw_admin_json, json.status, &body);
}

/* What an endpoint's configuration says of its health (envoy.config.core.v3.HealthStatus). */
static const char *health_text(int status)
{
    static const char *const words[] = {"HEALTHY",  "HEALTHY", "UNHEALTHY",
                                        "DRAINING", "TIMEOUT", "DEGRADED"};
    return status >= 0 && (size_t)status < HBK_COUNT(words) ? words[status] : "UNKNOWN";
}

/* True ones alone, as protobuf's JSON has them. */
static void print_health(struct hbk_json *json, const struct hbk_gw_members *members,
                         uint32_t index)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {
        {HBK_GW_FAILED_ACTIVE_HC, "failed_active_health_check"},
        {HBK_GW_PENDING_REMOVAL, "pending_dynamic_removal"},
        {HBK_GW_ACTIVE_HC_TIMEOUT, "active_hc_timeout"},
    };
    const struct hbk_gw_vitals *vitals = members->vitals[index];
    uint32_t flags =
        vitals == NULL ? 0 : atomic_load_explicit(&vitals->flags, memory_order_relaxed);
    hbk_json_begin_object(json, "health_status");
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if ((flags & names[i].flag) != 0) {
            hbk_json_bool(json, names[i].name, true);
        }
    }
    hbk_json_text(json, "eds_health_status", health_text(members->endpoints[index]->health_status));
    hbk_json_end_object(json);
}

/* Zeros are left out, as protobuf's JSON has it. */
static void print_figures(struct hbk_json *json, const struct hbk_gw_figures *figures)
{
    hbk_json_begin_array(json, "stats");
    for (unsigned i = 0; i < HBK_GW_E_STATS; i++) {
        char text[NAME_BYTES_MAX];
        uint64_t value = hbk_gw_figures_sum(figures, (enum hbk_gw_host_stat)i);
        hbk_json_begin_object(json, NULL);
        if (hbk_gw_host_stat_names[i].is_gauge) {
            hbk_json_text(json, "type", "GAUGE");
        }
        if (value > 0) {
            (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
            hbk_json_text(json, "value", text);
        }
        hbk_json_text(json, "name", hbk_gw_host_stat_names[i].name);
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void print_locality(struct hbk_json *json, const struct hbk_gw_locality *locality)
{
    const struct {
        const char *name;
        struct hbk_slice value;
    } parts[] = {
        {"region", locality->region}, {"zone", locality->zone}, {"sub_zone", locality->sub_zone}};
    hbk_json_begin_object(json, "locality");
    for (size_t i = 0; i < HBK_COUNT(parts); i++) {
        if (parts[i].value.size > 0) {
            hbk_json_string(json, parts[i].name, parts[i].value);
        }
    }
    hbk_json_end_object(json);
}

static void print_hosts(struct hbk_json *json, const struct hbk_gw_cluster *config,
                        const struct hbk_gw_members *members)
{
    hbk_json_begin_array(json, "host_statuses");
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hbk_gw_lb_endpoint *endpoint = members->endpoints[i];
        hbk_json_begin_object(json, NULL);
        print_address(json, "address", &members->addresses[i]);
        print_figures(json, members->figures[i]);
        print_health(json, members, i);
        hbk_json_number(json, "weight", endpoint->load_balancing_weight);
        if (endpoint->endpoint->hostname.size > 0) {
            hbk_json_string(json, "hostname", endpoint->endpoint->hostname);
        }
        print_locality(json, hbk_gw_locality_of(config, endpoint));
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void print_thresholds(struct hbk_json *json, const struct hbk_gw_thresholds *thresholds,
                             const char *priority)
{
    hbk_json_begin_object(json, NULL);
    if (priority != NULL) {
        hbk_json_text(json, "priority", priority);
    }
    hbk_json_number(json, "max_connections", thresholds->max_connections);
    hbk_json_number(json, "max_pending_requests", thresholds->max_pending_requests);
    hbk_json_number(json, "max_requests", thresholds->max_requests);
    hbk_json_number(json, "max_retries", thresholds->max_retries);
    hbk_json_end_object(json);
}

static void print_breakers(struct hbk_json *json, const struct hbk_gw_plan_cluster *cluster)
{
    hbk_json_begin_object(json, "circuit_breakers");
    hbk_json_begin_array(json, "thresholds");
    print_thresholds(json, &cluster->thresholds, NULL);
    print_thresholds(json, &cluster->high_thresholds, "HIGH");
    hbk_json_end_array(json);
    hbk_json_end_object(json);
}

void hbk_gw_admin_clusters_json(struct hbk_admin_exchange *exchange,
                                const struct hbk_gw_control *control, struct hbk_slice filter)
{
    struct hbk_buffer body;
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&body, true);
    hbk_json_begin_object(&json, NULL);
    hbk_json_begin_array(&json, "cluster_statuses");
    for (uint32_t i = 0; i < control->plan->clusters.count; i++) {
        const struct hbk_gw_plan_cluster *cluster = &control->plan->clusters.items[i];
        if (!hbk_gw_pattern_matches(filter, false, cluster->config->name)) {
            continue;
        }
        hbk_json_begin_object(&json, NULL);
        hbk_json_string(&json, "name", cluster->config->name);
        print_hosts(&json, cluster->config, control->members[i]);
        print_breakers(&json, cluster);
        hbk_json_string(&json, "observability_name", cluster->config->name);
        hbk_json_end_object(&json);
    }
    hbk_json_end_array(&json);
    hbk_json_end_object(&json);
    hbk_gw_admin_reply(exchange, hbk_gw_admin_json, json.status, &body);
}
