/*
 * max_stream_duration: however busy an exchange is, its time ends. That of the whole is ours to
 * keep towards the client; that of an attempt stands in the cluster, and another may follow.
 */
#include "exchange/downstream.h"
#include "exchange/upstream.h"

static void on_lifetime(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, lifetime);
    hbk_gw_counter *stats = stream->shard->http_stats[stream->handler->index];
    hbk_gw_count(&stats[HBK_GW_H_RQ_MAX_DURATION], 1);
    hbk_gw_stream_reply(stream, hbk_gw_late_status(stream),
                        HBK_SLICE("downstream duration timeout"), 0, "max_duration_timeout");
}

static void on_up_lifetime(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, up_lifetime);
    if (stream->upstream == NULL || stream->response_ended) {
        return;
    }
    hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_MAX_DURATION], 1);
    hbk_gw_stream_failed(stream, HBK_GW_FAILED_DURATION, NULL);
}

void hbk_gw_duration_begin(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_http_options *options = stream->handler->http->common_http_protocol_options;
    hbk_timer_init(&stream->lifetime, on_lifetime);
    hbk_timer_init(&stream->up_lifetime, on_up_lifetime);
    if (options != NULL && options->max_stream_duration > 0) {
        hbk_loop_timer(stream->shard->net.loop, &stream->lifetime, options->max_stream_duration);
    }
}

void hbk_gw_duration_routed(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_max_stream_duration *own = stream->route->route->max_stream_duration;
    struct hbk_loop *loop = stream->shard->net.loop;
    if (own == NULL || own->has_max_stream_duration == 0) {
        return;
    }
    if (own->max_stream_duration == 0) { /* no limit here */
        hbk_loop_timer_cancel(loop, &stream->lifetime);
        return;
    }
    uint64_t used_ns = loop->now_ns - stream->start_ns;
    hbk_loop_timer(loop, &stream->lifetime,
                   used_ns < own->max_stream_duration ? own->max_stream_duration - used_ns : 0);
}

void hbk_gw_duration_bound(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_http_options *options =
        hbk_gw_cluster_http_options(stream->pool->cluster->config);
    if (options != NULL && options->max_stream_duration > 0) {
        hbk_loop_timer(stream->shard->net.loop, &stream->up_lifetime, options->max_stream_duration);
    }
}

void hbk_gw_duration_end(struct hbk_gw_stream *stream)
{
    hbk_loop_timer_cancel(stream->shard->net.loop, &stream->lifetime);
    hbk_loop_timer_cancel(stream->shard->net.loop, &stream->up_lifetime);
}
