#include "exchange/unserved.h"

#include "base/log.h"

/* A field, whether the configuration uses it, and whether serving without it would mislead. */
struct remark {
    const char *field;
    bool is_used;
    bool is_refused;
};

static hbk_status judge(const struct remark *remarks, size_t count, const char *what,
                        struct hbk_slice name, struct hbk_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!remarks[i].is_used) {
            continue;
        }
        if (remarks[i].is_refused) {
            return hbk_error_set(error, HBK_UNSUPPORTED, "%s \"%.*s\": %s is not served yet", what,
                                 HBK_SLICE_ARGS(name), remarks[i].field);
        }
        hbk_log(HBK_LOG_WARN, "gateway", "%s \"%.*s\": %s has no effect here", what,
                HBK_SLICE_ARGS(name), remarks[i].field);
    }
    return HBK_OK;
}

static hbk_status check_manager(const struct hbk_gw_http_connection_manager *http,
                                struct hbk_error *error)
{
    static const struct hbk_gw_http1_options http1_defaults = {.allow_absolute_url = true};
    const struct hbk_gw_http1_options *http1 =
        http->http_protocol_options != NULL ? http->http_protocol_options : &http1_defaults;
    const struct hbk_gw_router *router = http->http_filters[0].typed_config.message;
    const struct remark remarks[] = {
        {"allow_absolute_url: false", !http1->allow_absolute_url, true},
        {"add_user_agent", http->add_user_agent, true},
        {"respect_expected_rq_timeout", router->respect_expected_rq_timeout, true},
    };
    return judge(remarks, HBK_COUNT(remarks), "HTTP connection manager", http->stat_prefix, error);
}

static hbk_status check_chain(const struct hbk_gw_filter_chain *chain, struct hbk_error *error)
{
    const struct hbk_gw_any *config = &chain->filters[0].typed_config;
    return config->kind == HBK_GW_HTTP_CONNECTION_MANAGER ? check_manager(config->message, error)
                                                          : HBK_OK;
}

static hbk_status check_listener(const struct hbk_gw_listener *listener, struct hbk_error *error)
{
    const struct remark remarks[] = {
        {"use_original_dst", listener->use_original_dst, true},
        {"tcp_backlog_size", listener->has_tcp_backlog_size != 0, false},
        {"max_connections_to_accept_per_socket_event",
         listener->max_connections_to_accept_per_socket_event > 0, false},
        {"enable_reuse_port: false", !listener->enable_reuse_port, false},
    };
    HBK_TRY(judge(remarks, HBK_COUNT(remarks), "listener", listener->name, error));
    for (uint32_t i = 0; i < listener->filter_chains_count; i++) {
        HBK_TRY(check_chain(&listener->filter_chains[i], error));
    }
    return listener->default_filter_chain == NULL
               ? HBK_OK
               : check_chain(listener->default_filter_chain, error);
}

static hbk_status check_cluster(const struct hbk_gw_cluster *cluster, struct hbk_error *error)
{
    static const struct hbk_gw_upstream_http_options defaults;
    const struct hbk_gw_upstream_http_options *upstream =
        cluster->http != NULL && cluster->http->upstream_http_protocol_options != NULL
            ? cluster->http->upstream_http_protocol_options
            : &defaults;
    const struct remark remarks[] = {
        {"use_downstream_protocol_config", cluster->upstream_protocol == HBK_GW_UPSTREAM_DOWNSTREAM,
         true},
        {"auto_sni", upstream->auto_sni, true},
        {"auto_san_validation", upstream->auto_san_validation, true},
    };
    return judge(remarks, HBK_COUNT(remarks), "cluster", cluster->name, error);
}

hbk_status hbk_gw_check_served(const struct hbk_gw_bootstrap *bootstrap, struct hbk_error *error)
{
    const struct hbk_gw_static_resources *all = bootstrap->static_resources;
    const struct hbk_gw_admin *admin = bootstrap->admin;
    const struct remark remarks[] = {
        {"access_log", admin != NULL && admin->access_log_count > 0, false},
        {"access_log_path", admin != NULL && admin->access_log_path.size > 0, false},
    };
    HBK_TRY(judge(remarks, HBK_COUNT(remarks), "bootstrap", HBK_SLICE("admin, stats"), error));
    for (uint32_t i = 0; i < all->listeners_count; i++) {
        HBK_TRY(check_listener(&all->listeners[i], error));
    }
    for (uint32_t i = 0; i < all->clusters_count; i++) {
        HBK_TRY(check_cluster(&all->clusters[i], error));
    }
    return HBK_OK;
}
