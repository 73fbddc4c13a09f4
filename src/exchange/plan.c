#include "exchange/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "exchange/unserved.h"
#include "http/client_certificate.h"
#include "os/fd.h"

/* A header value with operators, found by the option that it belongs to. */
struct value_format {
    const struct hbk_gw_header_value_option *option;
    const struct hbk_gw_format *format;
};

static bool has_option(const void *object, const void *key)
{
    return ((const struct value_format *)object)->option == key;
}

static uint64_t option_hash(const struct hbk_gw_header_value_option *option)
{
    return hbk_hash(hbk_slice_of(&option, sizeof option));
}

const struct hbk_gw_format *hbk_gw_plan_format(const struct hbk_gw_plan *plan,
                                               const struct hbk_gw_header_value_option *option)
{
    if (plan->formats.count == 0) {
        return NULL;
    }
    const struct value_format *found =
        hbk_map_find(&plan->formats, option_hash(option), has_option, option);
    return found == NULL ? NULL : found->format;
}

/* ---- header values ---- */

static hbk_status parse(struct hbk_gw_plan *plan, struct hbk_slice text,
                        const struct hbk_gw_format **out_format, struct hbk_error *error)
{
    HBK_TRY(hbk_gw_format_parse(text, &plan->arena, out_format, error));
    plan->asks |= hbk_gw_format_asks(*out_format);
    return HBK_OK;
}

static hbk_status add_formats(struct hbk_gw_plan *plan,
                              const struct hbk_gw_header_value_option *options, uint32_t count,
                              struct hbk_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t mark = 0;
        if (!hbk_slice_find(options[i].header->value, '%', &mark)) {
            continue;
        }
        struct value_format *value = hbk_arena_take(&plan->arena, sizeof *value);
        if (value == NULL) {
            return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
        }
        value->option = &options[i];
        hbk_status status = parse(plan, options[i].header->value, &value->format, error);
        if (status != HBK_OK) {
            hbk_error_prefix(error, "header \"%s\"", (const char *)options[i].header->key.bytes);
            return status;
        }
        HBK_TRY(hbk_map_add(&plan->formats, option_hash(value->option), value));
    }
    return HBK_OK;
}

static hbk_status add_changes(struct hbk_gw_plan *plan, const struct hbk_gw_header_changes *changes,
                              struct hbk_error *error)
{
    HBK_TRY(add_formats(plan, changes->request_headers_to_add,
                        changes->request_headers_to_add_count, error));
    return add_formats(plan, changes->response_headers_to_add,
                       changes->response_headers_to_add_count, error);
}

static hbk_status add_route_formats(struct hbk_gw_plan *plan,
                                    const struct hbk_gw_route_configuration *routes,
                                    struct hbk_error *error)
{
    HBK_TRY(add_changes(plan, &routes->headers, error));
    for (uint32_t i = 0; i < routes->virtual_hosts_count; i++) {
        const struct hbk_gw_virtual_host *host = &routes->virtual_hosts[i];
        HBK_TRY(add_changes(plan, &host->headers, error));
        for (uint32_t k = 0; k < host->routes_count; k++) {
            const struct hbk_gw_route_action *action = host->routes[k].route;
            HBK_TRY(add_changes(plan, &host->routes[k].headers, error));
            for (uint32_t n = 0; action != NULL && action->weighted_clusters != NULL &&
                                 n < action->weighted_clusters->clusters_count;
                 n++) {
                HBK_TRY(add_changes(plan, &action->weighted_clusters->clusters[n].headers, error));
            }
        }
    }
    return HBK_OK;
}

/* ---- access logs ---- */

static hbk_status parse_json_fields(struct hbk_gw_plan *plan, struct hbk_gw_log *log,
                                    const struct hbk_gw_log_format_source *source,
                                    struct hbk_error *error)
{
    log->field_count = source->json_format_count;
    log->fields = hbk_arena_array(&plan->arena, log->field_count, sizeof *log->fields);
    if (log->fields == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < log->field_count; i++) {
        log->fields[i].key = source->json_format[i].key;
        HBK_TRY(parse(plan, source->json_format[i].value, &log->fields[i].format, error));
    }
    return HBK_OK;
}

static hbk_status open_log(const struct hbk_gw_plan *plan, struct hbk_gw_log *log,
                           const struct hbk_gw_log_sink *sink, struct hbk_error *error)
{
    int kind = log->config->typed_config.kind;
    if (plan->is_trial) {
        return HBK_OK;
    }
    if (kind != HBK_GW_FILE_LOG) {
        log->fd = kind == HBK_GW_STDOUT_LOG ? STDOUT_FILENO : STDERR_FILENO;
        return HBK_OK;
    }
    const char *path = (const char *)sink->path.bytes;
    log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    return log->fd >= 0 ? HBK_OK
                        : hbk_error_set(error, HBK_IO, "access log %s cannot be opened", path);
}

static hbk_status add_log(struct hbk_gw_plan *plan, const struct hbk_gw_access_log *config,
                          struct hbk_gw_log **out_log, struct hbk_error *error)
{
    const struct hbk_gw_log_sink *sink = config->typed_config.message;
    const struct hbk_gw_log_format_source *source = sink->log_format;
    struct hbk_gw_log *log = &plan->logs[plan->log_count];
    *log = (struct hbk_gw_log){.config = config, .index = plan->log_count, .fd = -1};
    HBK_TRY(open_log(plan, log, sink, error));
    plan->log_count++;
    *out_log = log;
    if (source != NULL && source->specifier == HBK_GW_FORMAT_JSON) {
        log->omits_empty = source->omit_empty_values;
        return parse_json_fields(plan, log, source, error);
    }
    struct hbk_slice text = source != NULL          ? source->text_format
                            : sink->format.size > 0 ? sink->format
                                                    : hbk_slice_text(hbk_gw_default_format);
    log->omits_empty = source != NULL && source->omit_empty_values;
    return parse(plan, text, &log->text, error);
}

static hbk_status add_logs(struct hbk_gw_plan *plan, struct hbk_gw_log_list *list,
                           const struct hbk_gw_access_log *logs, uint32_t count,
                           struct hbk_error *error)
{
    list->items = hbk_arena_array(&plan->arena, count, sizeof(struct hbk_gw_log *));
    if (list->items == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < count; i++) {
        HBK_TRY(add_log(plan, &logs[i], &list->items[i], error));
        list->count++;
    }
    return HBK_OK;
}

/* dup3() puts the new file in the old one's place at once: a worker writes to one or the other. */
void hbk_gw_plan_reopen_logs(struct hbk_gw_plan *plan)
{
    for (uint32_t i = 0; i < plan->log_count; i++) {
        const struct hbk_gw_log *log = &plan->logs[i];
        struct hbk_error error = {.status = HBK_OK};
        if (log->fd <= STDERR_FILENO) {
            continue;
        }
        struct hbk_gw_log fresh = {.config = log->config, .fd = -1};
        if (open_log(plan, &fresh, log->config->typed_config.message, &error) != HBK_OK) {
            hbk_log(HBK_LOG_WARN, "gateway", "%s; the old file is written on", error.text);
            continue;
        }
        if (dup3(fresh.fd, log->fd, O_CLOEXEC) < 0) {
            hbk_log(HBK_LOG_WARN, "gateway", "an access log stays with its old file");
        }
        hbk_fd_close(&fresh.fd);
    }
}

/* ---- handlers ---- */

static hbk_status set_up_http(struct hbk_gw_plan *plan, struct hbk_gw_handler *handler,
                              struct hbk_error *error)
{
    static const uint64_t idle_default_ns = UINT64_C(3600000000000);
    const struct hbk_gw_http_connection_manager *http = handler->http;
    const struct hbk_gw_http_options *common = http->common_http_protocol_options;
    handler->stat_prefix = http->stat_prefix;
    handler->server_name = http->server_name.size > 0 ? http->server_name : HBK_SLICE("hauberk");
    handler->idle_ns =
        common != NULL && common->has_idle_timeout ? common->idle_timeout : idle_default_ns;
    handler->routes = hbk_http_route_table_new(http->route_config);
    if (handler->routes == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    plan->asks |= hbk_gw_client_certificate_is_told(http) ? HBK_GW_ASKS_OWN_NAMES : 0;
    HBK_TRY(add_route_formats(plan, http->route_config, error));
    return add_logs(plan, &handler->logs, http->access_log, http->access_log_count, error);
}

static hbk_status set_up_handler(struct hbk_gw_plan *plan, const struct hbk_gw_listener *listener,
                                 const struct hbk_gw_filter_chain *chain,
                                 struct hbk_gw_handler *handler, struct hbk_error *error)
{
    const struct hbk_gw_filter *filter = &chain->filters[0];
    *handler = (struct hbk_gw_handler){
        .index = plan->handler_count++,
        .chain = chain,
        .buffer_bytes_max = listener->per_connection_buffer_limit_bytes,
    };
    if (chain->transport_socket != NULL &&
        chain->transport_socket->typed_config.kind == HBK_GW_DOWNSTREAM_TLS) {
        hbk_status status = hbk_gw_downstream_context(
            &plan->vault, chain->transport_socket->typed_config.message, &handler->tls, error);
        if (status != HBK_OK) {
            hbk_error_prefix(error, "listener \"%s\"", (const char *)listener->name.bytes);
            return status;
        }
    }
    if (handler->buffer_bytes_max < plan->buffer_bytes_min) {
        plan->buffer_bytes_min = handler->buffer_bytes_max;
    }
    handler->handshake_timeout_ns = chain->transport_socket_connect_timeout;
    if (filter->typed_config.kind == HBK_GW_HTTP_CONNECTION_MANAGER) {
        handler->http = filter->typed_config.message;
        return set_up_http(plan, handler, error);
    }
    handler->tcp = filter->typed_config.message;
    handler->stat_prefix = handler->tcp->stat_prefix;
    handler->idle_ns = handler->tcp->idle_timeout;
    return add_logs(plan, &handler->logs, handler->tcp->access_log, handler->tcp->access_log_count,
                    error);
}

/* "0.0.0.0_9000": the address as Envoy's statistics write it. */
static hbk_status name_stats(struct hbk_gw_plan *plan, struct hbk_gw_plan_listener *listener)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    if (listener->config->stat_prefix.size > 0) {
        listener->stat_name = listener->config->stat_prefix;
        return HBK_OK;
    }
    (void)hbk_address_text(&listener->config->address->socket_address->ip, text);
    for (char *byte = text; *byte != '\0'; byte++) {
        *byte = *byte == ':' ? '_' : *byte;
    }
    listener->stat_name = hbk_gw_copy(&plan->arena, hbk_slice_text(text));
    return listener->stat_name.bytes == NULL ? HBK_NO_MEMORY : HBK_OK;
}

static hbk_status set_up_listener(struct hbk_gw_plan *plan, struct hbk_gw_plan_listener *listener,
                                  struct hbk_error *error)
{
    const struct hbk_gw_listener *config = listener->config;
    HBK_TRY(name_stats(plan, listener));
    HBK_TRY(add_logs(plan, &listener->logs, config->access_log, config->access_log_count, error));
    listener->handlers = &plan->handlers[plan->handler_count];
    for (uint32_t i = 0; i < config->filter_chains_count; i++) {
        HBK_TRY(set_up_handler(plan, config, &config->filter_chains[i],
                               &plan->handlers[plan->handler_count], error));
    }
    if (config->default_filter_chain != NULL) {
        listener->otherwise = &plan->handlers[plan->handler_count];
        HBK_TRY(
            set_up_handler(plan, config, config->default_filter_chain, listener->otherwise, error));
    }
    return HBK_OK;
}

/* ---- clusters ---- */

static hbk_status set_up_tls(struct hbk_gw_plan *plan, struct hbk_gw_plan_cluster *cluster,
                             struct hbk_error *error)
{
    const struct hbk_gw_cluster *config = cluster->config;
    if (config->transport_socket == NULL ||
        config->transport_socket->typed_config.kind != HBK_GW_UPSTREAM_TLS) {
        return HBK_OK;
    }
    const struct hbk_gw_upstream_tls *tls = config->transport_socket->typed_config.message;
    bool is_http2 = config->upstream_protocol == HBK_GW_UPSTREAM_HTTP2;
    cluster->server_name = tls->sni;
    hbk_status status =
        hbk_gw_upstream_context(&plan->vault, tls, is_http2 ? "h2" : NULL, &cluster->tls, error);
    if (status != HBK_OK) {
        hbk_error_prefix(error, "cluster \"%s\"", (const char *)config->name.bytes);
    }
    return status;
}

static uint32_t count_logs(const struct hbk_gw_filter_chain *chain)
{
    const struct hbk_gw_any *any = &chain->filters[0].typed_config;
    return any->kind == HBK_GW_HTTP_CONNECTION_MANAGER
               ? ((const struct hbk_gw_http_connection_manager *)any->message)->access_log_count
               : ((const struct hbk_gw_tcp_proxy *)any->message)->access_log_count;
}

static hbk_status take_arrays(struct hbk_gw_plan *plan)
{
    const struct hbk_gw_static_resources *all = plan->config->bootstrap->static_resources;
    uint32_t handlers = 0, logs = 0;
    for (uint32_t i = 0; i < all->listeners_count; i++) {
        const struct hbk_gw_listener *listener = &all->listeners[i];
        handlers += listener->filter_chains_count + (listener->default_filter_chain != NULL);
        logs += listener->access_log_count;
        for (uint32_t k = 0; k < listener->filter_chains_count; k++) {
            logs += count_logs(&listener->filter_chains[k]);
        }
        logs +=
            listener->default_filter_chain == NULL ? 0 : count_logs(listener->default_filter_chain);
    }
    plan->listeners = hbk_arena_array(&plan->arena, all->listeners_count, sizeof *plan->listeners);
    plan->clusters.items =
        hbk_arena_array(&plan->arena, all->clusters_count, sizeof *plan->clusters.items);
    plan->handlers = hbk_arena_array(&plan->arena, handlers, sizeof *plan->handlers);
    plan->logs = hbk_arena_array(&plan->arena, logs, sizeof *plan->logs);
    return plan->listeners == NULL || plan->clusters.items == NULL || plan->handlers == NULL ||
                   plan->logs == NULL
               ? HBK_NO_MEMORY
               : HBK_OK;
}

static hbk_status build(struct hbk_gw_plan *plan, struct hbk_error *error)
{
    const struct hbk_gw_static_resources *all = plan->config->bootstrap->static_resources;
    HBK_TRY(hbk_gw_check_served(plan->config->bootstrap, error));
    HBK_TRY(take_arrays(plan));
    for (uint32_t i = 0; i < all->clusters_count; i++) {
        hbk_gw_plan_cluster_init(&plan->clusters.items[i], &all->clusters[i]);
        plan->clusters.count++;
        HBK_TRY(set_up_tls(plan, &plan->clusters.items[i], error));
    }
    for (uint32_t i = 0; i < all->listeners_count; i++) {
        plan->listeners[i].config = &all->listeners[i];
        plan->listener_count++;
        HBK_TRY(set_up_listener(plan, &plan->listeners[i], error));
    }
    return HBK_OK;
}

hbk_status hbk_gw_plan_new(struct hbk_gw_config *config, const struct hbk_gw_plan_options *options,
                           struct hbk_gw_plan **out_plan, struct hbk_error *error)
{
    struct hbk_gw_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    hbk_arena_init(&plan->arena);
    hbk_map_init(&plan->formats);
    plan->config = hbk_gw_config_ref(config);
    plan->vault.resources = config->bootstrap->static_resources;
    plan->log_flush_ns = options->log_flush_ns;
    plan->batcher = options->batcher;
    plan->is_trial = options->is_trial;
    plan->buffer_bytes_min = UINT32_MAX;
    hbk_status status = build(plan, error);
    if (status != HBK_OK) {
        (void)hbk_error_set(error, status, "%s", hbk_status_text(status));
        hbk_gw_plan_free(plan);
        return status;
    }
    *out_plan = plan;
    return HBK_OK;
}

void hbk_gw_plan_free(struct hbk_gw_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    for (uint32_t i = 0; i < plan->handler_count; i++) {
        hbk_http_route_table_free(plan->handlers[i].routes);
        hbk_tls_context_unref(plan->handlers[i].tls);
    }
    for (uint32_t i = 0; i < plan->log_count; i++) {
        if (plan->logs[i].fd > STDERR_FILENO) {
            hbk_fd_close(&plan->logs[i].fd);
        }
    }
    for (uint32_t i = 0; i < plan->clusters.count; i++) {
        hbk_tls_context_unref(plan->clusters.items[i].tls);
    }
    hbk_gw_vault_fini(&plan->vault);
    hbk_map_fini(&plan->formats);
    hbk_arena_fini(&plan->arena);
    hbk_gw_config_unref(plan->config);
    free(plan);
}
