/*
 * How long an exchange may wait: for the rest of its request, for its response, and for anything to
 * move at all. max_stream_duration, which ends what is busy, too, is in duration.c.
 */
#include "exchange/stream_parts.h"

void hbk_gw_stream_on_route_timeout(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, timer);
    if (!stream->request_ended) {
        hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_TIMEOUT], 1);
        hbk_gw_stream_reply(stream, 408, HBK_SLICE("request timeout"), 0,
                            "request_overall_timeout");
        return;
    }
    if (stream->pool != NULL) {
        hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_TIMEOUT], 1);
        hbk_gw_stream_count_late_host(stream);
    }
    hbk_gw_stream_reply(stream, 504, HBK_SLICE("upstream request timeout"), HBK_GW_FLAG_UT,
                        "response_timeout");
}

void hbk_gw_stream_on_idle(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, idle);
    struct hbk_loop *loop = stream->shard->net.loop;
    uint64_t quiet_ns = loop->now_ns - stream->active_ns;
    if (quiet_ns < stream->idle_ns) {
        hbk_loop_timer(loop, timer, stream->idle_ns - quiet_ns);
        return;
    }
    hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_IDLE_TIMEOUT], 1);
    hbk_gw_stream_reply(stream, hbk_gw_late_status(stream), HBK_SLICE("stream timeout"),
                        HBK_GW_FLAG_SI, "stream_idle_timeout");
    if (!stream->is_ended) { /* the client does not take our answer, either: once more, no more */
        hbk_loop_timer(loop, timer, stream->idle_ns);
    }
}

void hbk_gw_stream_start_idle(struct hbk_gw_stream *stream, uint64_t idle_ns)
{
    stream->idle_ns = idle_ns;
    if (idle_ns == 0) {
        hbk_loop_timer_cancel(stream->shard->net.loop, &stream->idle);
    } else {
        hbk_loop_timer(stream->shard->net.loop, &stream->idle, idle_ns);
    }
}

/* The route's time counts from the request's end. */
void hbk_gw_stream_end_request(struct hbk_gw_stream *stream)
{
    struct hbk_loop *loop = stream->shard->net.loop;
    stream->request_ended = true;
    stream->request_ns = loop->now_ns;
    hbk_loop_timer_cancel(loop, &stream->timer);
    if (stream->route != NULL && stream->route->route != NULL &&
        stream->route->route->timeout > 0 && !stream->response_started) {
        hbk_loop_timer(loop, &stream->timer, stream->route->route->timeout);
    }
}
