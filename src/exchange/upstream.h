/*
 * Connections to a cluster's hosts, kept and shared by one worker: HTTP/1 ones carry one exchange
 * at a time, HTTP/2 ones many. An exchange that finds none waits at its host while one is opened.
 */
#pragma once

#include "exchange/stream.h"
#include "net/pipe.h"
#include "wire/http1.h"

/* One endpoint. It stays while a connection or an exchange uses it, also when it has left. */
struct hbk_gw_host {
    struct hbk_link link; /* of the pool */
    struct hbk_gw_pool *pool;
    struct hbk_address address;
    struct hbk_slice hostname; /* borrowed from the configuration */
    uint32_t weight;
    int64_t credit;  /* of weighted round robin */
    uint32_t active; /* exchanges */
    uint32_t connection_count, connecting_count, waiting_count;
    uint32_t references;
    struct hbk_list ready;          /* connections that can take an exchange, the last used first */
    struct hbk_list busy;           /* others */
    struct hbk_list waiting;        /* exchanges, by up_link */
    struct hbk_task serve;          /* gives them connections; holds a reference while posted */
    struct hbk_gw_vitals *vitals;   /* a reference; NULL: nothing checks it */
    struct hbk_gw_figures *figures; /* a reference; NULL: made on demand */
    hbk_gw_counter *stats;          /* enum hbk_gw_host_stat: our row, or one that nobody reads */
    bool is_unhealthy;              /* as the configuration says */
    bool has_left;
    bool is_recent; /* made on demand: asked for since the last look */
};

struct hbk_gw_upstream {
    struct hbk_pipe pipe;
    struct hbk_link link; /* of its host */
    struct hbk_gw_host *host;
    struct hbk_gw_shard *shard;
    struct hbk_timer timer;  /* to connect; idle */
    struct hbk_list streams; /* by up_link */
    uint32_t stream_count;
    uint32_t request_count;
    struct hbk_buffer in;
    bool is_http2, is_connecting, is_ready, is_leaving;
    /* HTTP/1 */
    struct hbk_http1_reader reader;
    struct hbk_http1_body body;
    bool is_in_body, is_keep_alive, is_request_chunked;
    size_t unsent_bytes, unread_bytes;
    /* HTTP/2 */
    struct hbk_h2_session session;
    struct hbk_task pump;
    bool has_session;
};

/* Whether the host has as many connections as its cluster allows one host, of all workers. Those of
 * a host made on demand are its worker's alone, and not limited. */
bool hbk_gw_host_is_full(const struct hbk_gw_host *host);
/* Picks a host by the cluster's policy; NULL when none is healthy. */
struct hbk_gw_host *hbk_gw_host_pick(struct hbk_gw_pool *pool);
/* original_host.c: a host of a cluster of type ORIGINAL_DST, made on demand and gone when nobody
 * asked for it during cleanup_interval. NULL: there is no destination (NULL), or no room. */
struct hbk_gw_host *hbk_gw_original_pick(struct hbk_gw_pool *pool,
                                         const struct hbk_address *destination);
struct hbk_gw_host *hbk_gw_original_pick_for(const struct hbk_gw_stream *stream);
void hbk_gw_original_init(struct hbk_gw_pool *pool);
void hbk_gw_original_fini(struct hbk_gw_pool *pool); /* when its hosts have gone */

/* A new host of the pool, without a hostname and with weight 1; NULL when out of memory. */
HBK_MUST_USE struct hbk_gw_host *hbk_gw_host_new(struct hbk_gw_pool *pool,
                                                 const struct hbk_address *address);
void hbk_gw_host_remove(struct hbk_gw_host *host); /* goes when nobody uses it */

/* Sets the hosts of a cluster; those that have gone leave when nobody uses them. */
HBK_MUST_USE hbk_status hbk_gw_pool_set_hosts(struct hbk_gw_pool *pool,
                                              const struct hbk_gw_members *members);
/* Checks say that nobody shall go there: connections take no more exchanges and close when they are
 * idle, those of tcp_proxy at once where the cluster says so. */
void hbk_gw_pool_host_failed(struct hbk_gw_pool *pool, const struct hbk_address *address);
void hbk_gw_pool_close(struct hbk_gw_pool *pool);
void hbk_gw_host_ref(struct hbk_gw_host *host);
void hbk_gw_host_unref(struct hbk_gw_host *host);
/* Whoever waits at the host gets a connection that has room, or one that is opened, soon: never
 * from within this call, which comes out of a codec's own loop. */
void hbk_gw_host_serve(struct hbk_gw_host *host);
void hbk_gw_host_on_serve(struct hbk_task *task); /* for host->serve */

/* An upstream cannot take exchanges any more, or is over. */
void hbk_gw_upstream_retire(struct hbk_gw_upstream *upstream);
void hbk_gw_upstream_close(struct hbk_gw_upstream *upstream);
/* All its exchanges fail with this, then it closes. */
void hbk_gw_upstream_fail(struct hbk_gw_upstream *upstream, enum hbk_gw_upstream_failure failure,
                          const char *text);
/* An exchange has left; the next that waits will get the connection. */
void hbk_gw_upstream_released(struct hbk_gw_upstream *upstream);
/* Takes the exchange off the connection's list and out of its counts. */
void hbk_gw_upstream_unbind(struct hbk_gw_stream *stream);

/* The codecs. */
extern const struct hbk_gw_upstream_ops hbk_gw_http1_client_ops, hbk_gw_http2_client_ops;
void hbk_gw_http1_client_send(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream);
void hbk_gw_http1_client_read(struct hbk_gw_upstream *upstream, struct hbk_slice bytes);
void hbk_gw_http1_client_end(struct hbk_gw_upstream *upstream);
void hbk_gw_http1_client_flushed(struct hbk_gw_upstream *upstream);
HBK_MUST_USE hbk_status hbk_gw_http2_client_start(struct hbk_gw_upstream *upstream);
void hbk_gw_http2_client_send(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream);
void hbk_gw_http2_client_read(struct hbk_gw_upstream *upstream, struct hbk_slice bytes);
void hbk_gw_http2_client_flushed(struct hbk_gw_upstream *upstream);
bool hbk_gw_http2_client_has_room(const struct hbk_gw_upstream *upstream);
