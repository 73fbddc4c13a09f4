/*
 * The configuration made ready for work: routes in tables, formats parsed, log files open, numbers
 * for what is counted. Built once on the control thread, read by all workers, and replaced never:
 * a gateway serves the configuration that it was started with. TLS contexts alone are: workers take
 * theirs when they start, and look here no more, so that the control thread may keep the last ones.
 */
#pragma once

#include "base/error.h"
#include "base/map.h"
#include "cluster/cluster.h"
#include "credential/credential.h"
#include "http/format.h"
#include "model/gateway.h"
#include "policy/http_route.h"

struct hbk_gw_log_field {
    struct hbk_slice key;
    const struct hbk_gw_format *format;
};

struct hbk_gw_log {
    const struct hbk_gw_access_log *config;
    int fd;         /* owned, unless it is standard output or error */
    unsigned index; /* among all logs */
    bool omits_empty;
    const struct hbk_gw_format *text; /* NULL: JSON */
    struct hbk_gw_log_field *fields;
    uint32_t field_count;
};

/* Borrowed from the plan. */
struct hbk_gw_log_list {
    struct hbk_gw_log **items;
    uint32_t count;
};

/* What becomes of a filter chain's connections. */
struct hbk_gw_handler {
    unsigned index; /* among all handlers */
    const struct hbk_gw_filter_chain *chain;
    const struct hbk_gw_http_connection_manager *http; /* NULL: tcp */
    const struct hbk_gw_tcp_proxy *tcp;
    struct hbk_http_route_table *routes; /* owned */
    struct hbk_tls_context *tls;         /* a reference, control's; NULL: plain text */
    uint64_t handshake_timeout_ns;       /* 0: none */
    struct hbk_slice stat_prefix, server_name;
    struct hbk_gw_log_list logs; /* of exchanges, or of connections of tcp_proxy */
    uint64_t idle_ns;            /* of a connection; 0: none */
    uint32_t buffer_bytes_max;   /* per connection and direction */
};

struct hbk_gw_plan_listener {
    const struct hbk_gw_listener *config;
    struct hbk_slice stat_name;       /* "0.0.0.0_9000", or its stat_prefix */
    struct hbk_gw_handler *handlers;  /* one per filter chain */
    struct hbk_gw_handler *otherwise; /* of the default filter chain; NULL: none */
    struct hbk_gw_log_list logs;      /* of every connection */
};

struct hbk_gw_plan {
    struct hbk_gw_config *config; /* a reference */
    struct hbk_arena arena;
    struct hbk_gw_plan_listener *listeners;
    struct hbk_gw_cluster_list clusters;
    struct hbk_gw_handler *handlers;
    struct hbk_gw_log *logs;
    uint32_t listener_count, handler_count, log_count;
    struct hbk_map formats; /* of header values with operators */
    struct hbk_gw_vault vault;
    uint64_t log_flush_ns;
    const struct hbk_batcher_options *batcher; /* borrowed; NULL: what is usual */
    uint32_t buffer_bytes_min;                 /* the smallest limit of any handler */
    unsigned asks; /* HBK_GW_ASKS_...: what logs, header values and certificates' fields need */
    bool is_trial;
};

struct hbk_gw_plan_options {
    uint64_t log_flush_ns;
    const struct hbk_batcher_options *batcher; /* as long as the plan; NULL: what is usual */
    bool is_trial; /* only to see whether it works: logs are not opened */
};

/*
 * Builds; takes a reference to the configuration. Fails: HBK_UNSUPPORTED (something that the model
 * has and the data path has not), HBK_INVALID, HBK_IO (a log file), HBK_NO_MEMORY; `error` says it.
 */
HBK_MUST_USE hbk_status hbk_gw_plan_new(struct hbk_gw_config *config,
                                        const struct hbk_gw_plan_options *options,
                                        struct hbk_gw_plan **out_plan, struct hbk_error *error);
void hbk_gw_plan_free(struct hbk_gw_plan *plan); /* NULL is allowed */

/* Opens the files of access logs anew, under the numbers that workers write to: whoever rotates
 * them has moved them away. One that cannot be opened stays, and that is logged. Control thread. */
void hbk_gw_plan_reopen_logs(struct hbk_gw_plan *plan);

/* The parsed value of a header option; NULL when it has no operators. */
const struct hbk_gw_format *hbk_gw_plan_format(const struct hbk_gw_plan *plan,
                                               const struct hbk_gw_header_value_option *option);
