/*
 * What the gateway counts, under Envoy's names: per listener, per stat_prefix of an HTTP connection
 * manager or tcp_proxy, per cluster, and for the server. Each worker has a copy of each scope that
 * it alone writes; the admin port reads them all at any time and adds up.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* A number with one writer. Relaxed: readers want a recent value of each, not of all at once. */
typedef _Atomic uint64_t hbk_gw_counter;

static inline void hbk_gw_count(hbk_gw_counter *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* Gauges go down too. */
static inline void hbk_gw_uncount(hbk_gw_counter *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) - 1,
                          memory_order_relaxed);
}

static inline uint64_t hbk_gw_read(const hbk_gw_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

enum hbk_gw_listener_stat {
    HBK_GW_L_CX_TOTAL,
    HBK_GW_L_CX_ACTIVE,
    HBK_GW_L_CX_DESTROY,
    HBK_GW_L_NO_CHAIN,
    HBK_GW_L_CX_OVERFLOW,
    HBK_GW_L_FILTER_ERROR,    /* a listener filter closed a connection */
    HBK_GW_L_FILTER_CLOSE,    /* the client did, before its filters were done */
    HBK_GW_L_FILTER_TIMEOUT,  /* the filters' time was over */
    HBK_GW_L_SHAKING_TIMEOUT, /* the handshake's */
    HBK_GW_L_SSL_SHAKING,     /* a gauge of ours */
    HBK_GW_L_SSL_HANDSHAKE,
    HBK_GW_L_SSL_REUSED,
    HBK_GW_L_SSL_NO_CERTIFICATE,
    HBK_GW_L_SSL_ERROR,
    HBK_GW_L_SSL_FAIL_VERIFY,
    HBK_GW_L_STATS,
};

enum hbk_gw_http_stat {
    HBK_GW_H_CX_TOTAL,
    HBK_GW_H_CX_ACTIVE,
    HBK_GW_H_CX_HTTP1_TOTAL,
    HBK_GW_H_CX_HTTP2_TOTAL,
    HBK_GW_H_CX_DESTROY,
    HBK_GW_H_CX_PROTOCOL_ERROR,
    HBK_GW_H_CX_IDLE_TIMEOUT,
    HBK_GW_H_CX_MAX_DURATION,
    HBK_GW_H_CX_DRAIN_CLOSE,
    HBK_GW_H_CX_RX_BYTES,
    HBK_GW_H_CX_TX_BYTES,
    HBK_GW_H_RQ_TOTAL,
    HBK_GW_H_RQ_ACTIVE,
    HBK_GW_H_RQ_HTTP1_TOTAL,
    HBK_GW_H_RQ_HTTP2_TOTAL,
    HBK_GW_H_RQ_1XX,
    HBK_GW_H_RQ_2XX,
    HBK_GW_H_RQ_3XX,
    HBK_GW_H_RQ_4XX,
    HBK_GW_H_RQ_5XX,
    HBK_GW_H_RQ_COMPLETED,
    HBK_GW_H_RQ_RX_RESET,
    HBK_GW_H_RQ_TX_RESET,
    HBK_GW_H_RQ_TOO_LARGE,
    HBK_GW_H_RQ_TIMEOUT,
    HBK_GW_H_RQ_IDLE_TIMEOUT,
    HBK_GW_H_RQ_MAX_DURATION,
    HBK_GW_H_RQ_HEADER_TIMEOUT,
    HBK_GW_H_RQ_NON_RELATIVE_PATH,
    HBK_GW_H_RQ_PATH_REDIRECT,
    HBK_GW_H_RQ_NO_ROUTE,
    HBK_GW_H_RQ_NO_CLUSTER,
    HBK_GW_H_RQ_REDIRECT,
    HBK_GW_H_RQ_DIRECT_RESPONSE,
    HBK_GW_H_RQ_OVERLOAD_CLOSE,
    HBK_GW_H_STATS,
};

enum hbk_gw_tcp_stat {
    HBK_GW_T_CX_TOTAL,
    HBK_GW_T_CX_NO_ROUTE,
    HBK_GW_T_CX_RX_BYTES,
    HBK_GW_T_CX_TX_BYTES,
    HBK_GW_T_IDLE_TIMEOUT,
    HBK_GW_T_STATS,
};

enum hbk_gw_cluster_stat {
    HBK_GW_C_CX_TOTAL,
    HBK_GW_C_CX_ACTIVE,
    HBK_GW_C_CX_HTTP1_TOTAL,
    HBK_GW_C_CX_HTTP2_TOTAL,
    HBK_GW_C_CX_CONNECT_FAIL,
    HBK_GW_C_CX_CONNECT_TIMEOUT,
    HBK_GW_C_CX_OVERFLOW,
    HBK_GW_C_CX_DESTROY,
    HBK_GW_C_CX_RX_BYTES,
    HBK_GW_C_CX_TX_BYTES,
    HBK_GW_C_CX_PROTOCOL_ERROR,
    HBK_GW_C_CX_NONE_HEALTHY,
    HBK_GW_C_CX_MAX_REQUESTS,
    HBK_GW_C_ORIGINAL_INVALID,
    HBK_GW_C_ORIGINAL_OVERFLOW, /* ours: no room for another host made on demand */
    HBK_GW_C_RQ_TOTAL,
    HBK_GW_C_RQ_ACTIVE,
    HBK_GW_C_RQ_PENDING_TOTAL,
    HBK_GW_C_RQ_PENDING_ACTIVE,
    HBK_GW_C_RQ_PENDING_OVERFLOW,
    HBK_GW_C_RQ_PENDING_FAILURE_EJECT,
    HBK_GW_C_RQ_CANCELLED,
    HBK_GW_C_RQ_TIMEOUT,
    HBK_GW_C_RQ_PER_TRY_TIMEOUT,
    HBK_GW_C_RQ_MAX_DURATION,
    HBK_GW_C_RQ_RX_RESET,
    HBK_GW_C_RQ_TX_RESET,
    HBK_GW_C_RQ_RETRY,
    HBK_GW_C_RQ_RETRY_SUCCESS,
    HBK_GW_C_RQ_RETRY_OVERFLOW,
    HBK_GW_C_RQ_RETRY_LIMIT_EXCEEDED,
    HBK_GW_C_RQ_1XX,
    HBK_GW_C_RQ_2XX,
    HBK_GW_C_RQ_3XX,
    HBK_GW_C_RQ_4XX,
    HBK_GW_C_RQ_5XX,
    HBK_GW_C_RQ_COMPLETED,
    HBK_GW_C_SSL_HANDSHAKE,
    HBK_GW_C_SSL_ERROR,
    HBK_GW_C_SSL_FAIL_VERIFY,
    HBK_GW_C_STATS,
};

/* Of a handler, in histograms; a listener's are those of its handlers together. */
enum hbk_gw_time {
    HBK_GW_TIME_CX_LENGTH_MS,
    HBK_GW_TIME_HANDSHAKE_US, /* from accept to the end of the handshake; ours */
    HBK_GW_TIME_RQ_MS,
    HBK_GW_TIMES,
};

struct hbk_gw_stat_name {
    const char *name; /* "downstream_cx_total" */
    unsigned char is_gauge;
};

extern const struct hbk_gw_stat_name hbk_gw_listener_stats[HBK_GW_L_STATS];
extern const struct hbk_gw_stat_name hbk_gw_http_stats[HBK_GW_H_STATS];
extern const struct hbk_gw_stat_name hbk_gw_tcp_stats[HBK_GW_T_STATS];
extern const struct hbk_gw_stat_name hbk_gw_cluster_stats[HBK_GW_C_STATS];
