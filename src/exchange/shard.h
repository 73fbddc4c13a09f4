/*
 * One worker's part of the data path: its clients' connections, exchanges and pools of upstream
 * connections. Nothing of it is touched by another thread, but for counters, which the admin port
 * reads.
 */
#pragma once

#include "cluster/member.h"
#include "exchange/plan.h"
#include "net/net.h"
#include "runtime/worker.h"
#include "telemetry/gateway_histogram.h"

enum {
    HBK_GW_CONNECTIONS_MAX = 1 << 20, /* per worker, each kind */
    HBK_GW_STREAMS_MAX = 1 << 20,
    HBK_GW_DEAD_STREAMS_MAX = 64, /* whose memory waits for the end of the turn */
    HBK_GW_DATE_BYTES = 29,       /* "Sun, 06 Nov 1994 08:49:37 GMT" */
};

struct hbk_gw_shard;

/* A cluster as this worker sees it. */
struct hbk_gw_pool {
    struct hbk_gw_shard *shard;
    struct hbk_gw_plan_cluster *cluster;
    struct hbk_list hosts; /* of struct hbk_gw_host */
    struct hbk_link *next; /* the host that round robin takes next */
    uint32_t host_count;
    struct hbk_map originals; /* of type ORIGINAL_DST: the hosts by address */
    struct hbk_timer cleanup;
    hbk_gw_counter original_count;
    struct hbk_tls_context *tls; /* a reference; NULL: plain text */
    hbk_gw_counter stats[HBK_GW_C_STATS];
    struct hbk_gw_histogram request_ms;      /* upstream_rq_time */
    hbk_gw_counter unlisted[HBK_GW_E_STATS]; /* of hosts made on demand: read by nobody */
};

/* What one worker has to write to one access log. */
struct hbk_gw_log_buffer {
    struct hbk_buffer text;
};

struct hbk_gw_shard {
    struct hbk_gw_plan *plan; /* borrowed */
    struct hbk_worker *worker;
    struct hbk_net net;
    struct hbk_gw_pool *pools;                    /* owned array, as the next ones; by cluster */
    hbk_gw_counter (*http_stats)[HBK_GW_H_STATS]; /* by handler */
    hbk_gw_counter (*tcp_stats)[HBK_GW_T_STATS];
    hbk_gw_counter (*listener_stats)[HBK_GW_L_STATS];
    struct hbk_gw_histogram (*times)[HBK_GW_TIMES]; /* by handler */
    struct hbk_gw_log_buffer *logs;
    struct hbk_tls_context **contexts; /* references, by handler; NULL: plain text */
    struct hbk_pool connections, streams, upstreams, relays; /* objects */
    struct hbk_list open;                                    /* downstream connections */
    struct hbk_list relay_list;                              /* tcp_proxy connections */
    struct hbk_list dead; /* streams that go at the end of the turn */
    uint32_t dead_count;
    struct hbk_task bury;
    struct hbk_timer log_timer;
    uint64_t random[2];
    uint64_t connection_ids;
    uint64_t date_second;
    char date[HBK_GW_DATE_BYTES + 1];
    bool is_draining;
    hbk_gw_counter live;             /* downstream connections, of both kinds */
    hbk_gw_counter log_write_failed; /* writes, and lines that were not made */
};

/* On the worker's thread. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_shard_init(struct hbk_gw_shard *shard, struct hbk_gw_plan *plan,
                                          struct hbk_worker *worker);
/* Closes what is open; finished at the end of the turn. */
void hbk_gw_shard_close(struct hbk_gw_shard *shard);
void hbk_gw_shard_fini(struct hbk_gw_shard *shard);

/* Connections end when they are idle. */
void hbk_gw_shard_drain(struct hbk_gw_shard *shard);

/*
 * Gives the memory of ended streams back before the turn is over, once they are many: thousands of
 * requests fit what one turn reads from one client. Only where no caller holds a stream: between
 * two requests of a codec's input.
 */
void hbk_gw_bury_some(struct hbk_gw_shard *shard);

/* A number that nobody can guess for long: xorshift128+, seeded by the kernel. */
uint64_t hbk_gw_random(struct hbk_gw_shard *shard);

/* The date as HTTP writes it; made once a second. */
struct hbk_slice hbk_gw_date(struct hbk_gw_shard *shard);

/* access_log.c: writes a line to each of the logs whose filter takes it. */
void hbk_gw_log_write(struct hbk_gw_shard *shard, const struct hbk_gw_log_list *list,
                      const struct hbk_gw_info *info);
void hbk_gw_log_flush(struct hbk_gw_shard *shard);
