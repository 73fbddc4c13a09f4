#include "exchange/shard.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "exchange/downstream.h"
#include "exchange/tcp_proxy.h"
#include "exchange/upstream.h"

uint64_t hbk_gw_random(struct hbk_gw_shard *shard)
{
    uint64_t a = shard->random[0];
    const uint64_t b = shard->random[1];
    shard->random[0] = b;
    a ^= a << 23;
    shard->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return shard->random[1] + b;
}

struct hbk_slice hbk_gw_date(struct hbk_gw_shard *shard)
{
    uint64_t second = (uint64_t)(hbk_clock_realtime_ns() / (int64_t)HBK_NS_PER_S);
    if (second != shard->date_second) {
        struct tm parts;
        time_t now = (time_t)second;
        (void)gmtime_r(&now, &parts);
        (void)strftime(shard->date, sizeof shard->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        shard->date_second = second;
    }
    return hbk_slice_of(shard->date, HBK_GW_DATE_BYTES);
}

static void bury(struct hbk_gw_shard *shard)
{
    shard->dead_count = 0;
    for (struct hbk_link *link; (link = hbk_list_pop(&shard->dead)) != NULL;) {
        struct hbk_gw_stream *stream = HBK_CONTAINER(link, struct hbk_gw_stream, link);
        hbk_gw_tls_facts_fini(&stream->upstream_tls);
        hbk_buffer_fini(&stream->out);
        hbk_buffer_fini(&stream->up_out);
        hbk_buffer_fini(&stream->held);
        hbk_arena_fini(&stream->arena);
        hbk_pool_give(&shard->streams, stream);
    }
}

static void on_bury(struct hbk_task *task)
{
    bury(HBK_CONTAINER(task, struct hbk_gw_shard, bury));
}

void hbk_gw_bury_some(struct hbk_gw_shard *shard)
{
    if (shard->dead_count >= HBK_GW_DEAD_STREAMS_MAX) {
        bury(shard);
    }
}

static void on_log_timer(struct hbk_timer *timer)
{
    hbk_gw_log_flush(HBK_CONTAINER(timer, struct hbk_gw_shard, log_timer));
}

/* ---- beginning and end ---- */

static hbk_status take_arrays(struct hbk_gw_shard *shard)
{
    const struct hbk_gw_plan *plan = shard->plan;
    shard->pools = calloc((size_t)plan->clusters.count + 1, sizeof *shard->pools);
    shard->http_stats = calloc((size_t)plan->handler_count + 1, sizeof *shard->http_stats);
    shard->tcp_stats = calloc((size_t)plan->handler_count + 1, sizeof *shard->tcp_stats);
    shard->listener_stats = calloc((size_t)plan->listener_count + 1, sizeof *shard->listener_stats);
    shard->times = calloc((size_t)plan->handler_count + 1, sizeof *shard->times);
    shard->logs = calloc((size_t)plan->log_count + 1, sizeof *shard->logs);
    shard->contexts = calloc((size_t)plan->handler_count + 1, sizeof *shard->contexts);
    return shard->pools == NULL || shard->http_stats == NULL || shard->tcp_stats == NULL ||
                   shard->listener_stats == NULL || shard->times == NULL || shard->logs == NULL ||
                   shard->contexts == NULL
               ? HBK_NO_MEMORY
               : HBK_OK;
}

static void init_objects(struct hbk_gw_shard *shard)
{
    hbk_pool_init(&shard->connections, "gateway connection", sizeof(struct hbk_gw_connection),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_pool_init(&shard->streams, "gateway stream", sizeof(struct hbk_gw_stream),
                  HBK_GW_STREAMS_MAX);
    hbk_pool_init(&shard->upstreams, "gateway upstream", sizeof(struct hbk_gw_upstream),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_pool_init(&shard->relays, "gateway relay", hbk_gw_tcp_object_bytes(),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_list_init(&shard->open);
    hbk_list_init(&shard->relay_list);
    hbk_list_init(&shard->dead);
    hbk_task_init(&shard->bury, on_bury);
    hbk_timer_init(&shard->log_timer, on_log_timer);
}

hbk_status hbk_gw_shard_init(struct hbk_gw_shard *shard, struct hbk_gw_plan *plan,
                             struct hbk_worker *worker)
{
    struct hbk_net_config config = HBK_NET_CONFIG_DEFAULT;
    config.mark = 0;
    config.batcher = plan->batcher;
    *shard = (struct hbk_gw_shard){.plan = plan, .worker = worker};
    init_objects(shard);
    HBK_TRY(hbk_net_init(&shard->net, &worker->loop, &config));
    HBK_TRY(hbk_batch_serve_devices(&shard->net.batch));
    HBK_TRY(take_arrays(shard));
    if (getrandom(shard->random, sizeof shard->random, 0) != sizeof shard->random) {
        return HBK_IO;
    }
    shard->random[0] |= 1;
    for (uint32_t i = 0; i < plan->handler_count; i++) {
        if (plan->handlers[i].tls != NULL) {
            shard->contexts[i] = hbk_tls_context_ref(plan->handlers[i].tls);
        }
    }
    for (uint32_t i = 0; i < plan->clusters.count; i++) {
        shard->pools[i].shard = shard;
        shard->pools[i].cluster = &plan->clusters.items[i];
        hbk_list_init(&shard->pools[i].hosts);
        hbk_gw_original_init(&shard->pools[i]);
        if (plan->clusters.items[i].tls != NULL) {
            shard->pools[i].tls = hbk_tls_context_ref(plan->clusters.items[i].tls);
        }
    }
    return HBK_OK;
}

void hbk_gw_shard_drain(struct hbk_gw_shard *shard)
{
    if (shard->is_draining) {
        return;
    }
    shard->is_draining = true;
    HBK_LIST_EACH (link, &shard->open) {
        hbk_gw_connection_drain(HBK_CONTAINER(link, struct hbk_gw_connection, link));
    }
}

void hbk_gw_shard_close(struct hbk_gw_shard *shard)
{
    HBK_LIST_EACH (link, &shard->open) {
        hbk_gw_connection_abort(HBK_CONTAINER(link, struct hbk_gw_connection, link), HBK_GW_FLAG_DC,
                                "downstream_local_disconnect");
    }
    hbk_gw_tcp_abort_all(shard);
    for (uint32_t i = 0; shard->pools != NULL && i < shard->plan->clusters.count; i++) {
        hbk_gw_pool_close(&shard->pools[i]);
    }
    if (shard->net.loop != NULL) {
        hbk_loop_timer_cancel(shard->net.loop, &shard->log_timer);
    }
}

void hbk_gw_shard_fini(struct hbk_gw_shard *shard)
{
    hbk_gw_log_flush(shard);
    for (uint32_t i = 0; shard->logs != NULL && i < shard->plan->log_count; i++) {
        hbk_buffer_fini(&shard->logs[i].text);
    }
    if (shard->net.loop != NULL) {
        hbk_net_fini(&shard->net);
    }
    hbk_pool_fini(&shard->connections);
    hbk_pool_fini(&shard->streams);
    hbk_pool_fini(&shard->upstreams);
    hbk_pool_fini(&shard->relays);
    for (uint32_t i = 0; shard->contexts != NULL && i < shard->plan->handler_count; i++) {
        hbk_tls_context_unref(shard->contexts[i]);
    }
    for (uint32_t i = 0; shard->pools != NULL && i < shard->plan->clusters.count; i++) {
        hbk_tls_context_unref(shard->pools[i].tls);
        hbk_gw_histogram_fini(&shard->pools[i].request_ms);
        hbk_gw_original_fini(&shard->pools[i]);
    }
    for (uint32_t i = 0; shard->times != NULL && i < shard->plan->handler_count; i++) {
        for (unsigned k = 0; k < HBK_GW_TIMES; k++) {
            hbk_gw_histogram_fini(&shard->times[i][k]);
        }
    }
    free(shard->times);
    free(shard->contexts);
    free(shard->pools);
    free(shard->http_stats);
    free(shard->tcp_stats);
    free(shard->listener_stats);
    free(shard->logs);
}
