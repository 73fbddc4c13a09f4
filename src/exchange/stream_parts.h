/*
 * For the files that make up an exchange: stream.c how it begins, answers and ends, stream_route.c
 * where it is led, stream_body.c the request's body, stream_attempt.c attempts, stream_time.c how
 * long it may wait.
 */
#pragma once

#include "exchange/stream.h"

static inline hbk_gw_counter *hbk_gw_stream_stats(const struct hbk_gw_stream *stream)
{
    return stream->shard->http_stats[stream->handler->index];
}

/* Something has moved. */
static inline void hbk_gw_stream_touch(struct hbk_gw_stream *stream)
{
    stream->active_ns = stream->shard->net.loop->now_ns;
}

/* stream.c: breaks the response off: too late for another status. */
void hbk_gw_stream_break_off(struct hbk_gw_stream *stream);

/* stream_time.c */
void hbk_gw_stream_on_route_timeout(struct hbk_timer *timer); /* stream->timer */
void hbk_gw_stream_on_idle(struct hbk_timer *timer);          /* stream->idle */
/* How long nothing may move; 0: for ever. */
void hbk_gw_stream_start_idle(struct hbk_gw_stream *stream, uint64_t idle_ns);
/* The request is whole: the route's time counts from here. Once more when the route is known. */
void hbk_gw_stream_end_request(struct hbk_gw_stream *stream);

/* stream_body.c: lets go of bytes that no attempt will need again. */
void hbk_gw_stream_trim_held(struct hbk_gw_stream *stream);
/* Trailers, into the exchange's arena. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_stream_copy_fields(struct hbk_gw_stream *stream,
                                                  struct hbk_gw_head *head,
                                                  const struct hbk_h2_fields *fields);

/* stream_attempt.c */
void hbk_gw_stream_on_retry(struct hbk_timer *timer); /* stream->retry */
/* Whether the response that has come is not passed on, but another attempt made. */
bool hbk_gw_stream_retries_status(struct hbk_gw_stream *stream);
/* The attempt's host did not answer in time. */
void hbk_gw_stream_count_late_host(const struct hbk_gw_stream *stream);
