/*
 * One exchange: a request that came in, where it is led, and the response that goes back. The two
 * codecs on its sides (HTTP/1 or HTTP/2 each) know nothing of each other; the exchange joins them.
 *
 *     downstream codec -- request(), request_data() --> stream -- upstream ops --> upstream codec
 *     downstream codec <-- downstream ops ------------- stream <-- response(), response_data() --
 *
 * Back-pressure is counted in bytes of bodies: each codec reports the bytes that it has passed on,
 * and the codec on the other side gives them back to its peer (or reads again) only then.
 *
 * Invariants:
 * 1. A stream ends once, through hbk_gw_stream_end(): it is logged, leaves both codecs, and its
 *    memory goes at the end of the turn.
 * 2. Whatever a codec calls may end the stream; a codec looks at is_ended before it goes on.
 */
#pragma once

#include "exchange/shard.h"
#include "http/message.h"
#include "http/path.h"

struct hbk_gw_connection;
struct hbk_gw_upstream;
struct hbk_gw_host;
struct hbk_gw_stream;

enum {
    /* Of a request's body, while there is no upstream for it or a retry may need it again. */
    HBK_GW_HELD_BYTES_MAX = 64 * 1024,
};

/* What a stream asks of the codec towards the client. */
struct hbk_gw_downstream_ops {
    /* Sends the response's head. `is_last`: there is no body. */
    void (*head)(struct hbk_gw_stream *stream, const struct hbk_gw_head *head, bool is_last);
    void (*interim)(struct hbk_gw_stream *stream); /* 100 Continue */
    void (*data)(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last);
    void (*trailers)(struct hbk_gw_stream *stream, const struct hbk_gw_head *trailers);
    void (*reset)(struct hbk_gw_stream *stream, uint32_t code);  /* breaks the response off */
    void (*consumed)(struct hbk_gw_stream *stream, size_t size); /* of the request's body */
    void (*ended)(struct hbk_gw_stream *stream);                 /* the stream is over: forget it */
    const char *protocol;                                        /* "HTTP/1.1" */
};

/* What a stream asks of the codec towards its upstream. */
struct hbk_gw_upstream_ops {
    void (*data)(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last);
    void (*trailers)(struct hbk_gw_stream *stream, const struct hbk_gw_head *trailers);
    void (*consumed)(struct hbk_gw_stream *stream, size_t size); /* of the response's body */
    void (*cancel)(struct hbk_gw_stream *stream); /* lets go; the response is not wanted */
};

/* How an attempt failed. */
enum hbk_gw_upstream_failure {
    HBK_GW_FAILED_CONNECT,  /* no connection */
    HBK_GW_FAILED_TIMEOUT,  /* no connection in time */
    HBK_GW_FAILED_OVERFLOW, /* a limit of the cluster */
    HBK_GW_FAILED_REFUSED,  /* REFUSED_STREAM, GOAWAY: nothing was done with it */
    HBK_GW_FAILED_RESET,    /* the stream was reset */
    HBK_GW_FAILED_CLOSED,   /* the connection was closed */
    HBK_GW_FAILED_PROTOCOL, /* the response is none */
    HBK_GW_FAILED_DURATION, /* it took longer than the cluster allows */
};

struct hbk_gw_stream {
    struct hbk_link link; /* of its connection, then of the dead */
    struct hbk_gw_shard *shard;
    const struct hbk_gw_handler *handler;
    struct hbk_gw_connection *connection; /* NULL once it has gone */
    const struct hbk_gw_downstream_ops *down;
    struct hbk_arena arena;
    struct hbk_gw_head request, response, trailers, sent; /* sent: what goes to the upstream */
    struct hbk_slice original_path;
    struct hbk_address remote; /* who asks, as far as those before us are believed */
    enum hbk_gw_path_verdict path_verdict;
    uint8_t minor_version; /* HTTP/1 */

    /* The codec towards the client; an HTTP/2 stream or nothing. */
    struct hbk_h2_stream h2;
    struct hbk_buffer out; /* response bytes that wait for its window */
    bool out_is_last;
    bool request_ended;
    bool expects_continue, has_continued;

    /* Where it is led. */
    const struct hbk_gw_virtual_host *host;
    const struct hbk_gw_route *route;
    const struct hbk_gw_cluster_weight *weight; /* NULL: no weighted cluster */
    struct hbk_gw_pool *pool;

    /* The attempt. */
    struct hbk_gw_upstream *upstream; /* NULL: none, or waiting for one */
    const struct hbk_gw_upstream_ops *up;
    struct hbk_gw_host *endpoint;
    struct hbk_link up_link; /* waiting at the host, or of the upstream's streams */
    struct hbk_h2_stream up_h2;
    struct hbk_buffer up_out; /* request bytes that wait for its window */
    bool up_out_is_last, up_has_trailers;
    bool up_request_ended, is_waiting, is_counted;
    struct hbk_buffer held; /* the request's body so far, for the first and further attempts */
    size_t held_sent;       /* of it, to the present upstream */
    /* Of the body, what has left for the present upstream, and what the client was given back: an
     * attempt that repeats bytes gives none of them back again. */
    uint64_t passed_bytes, given_back_bytes;
    bool held_is_complete; /* nothing was left out of it: another attempt is possible */
    uint32_t attempts, retries_left;
    bool is_retry, is_retry_counted;
    bool has_hostname; /* the host's name stands in `sent` already */

    struct hbk_timer timer; /* the route's time, from the request's end */
    struct hbk_timer idle;
    struct hbk_timer retry;                 /* the pause before another attempt, and its time */
    struct hbk_timer lifetime, up_lifetime; /* of the whole, and of the attempt */
    uint64_t active_ns;
    uint64_t idle_ns;

    bool response_started, response_ended, is_ended, is_head_method;
    bool is_local; /* the response is ours */
    uint32_t flags;
    const char *details;
    const char *upstream_failure;
    int64_t start_real_ns;
    uint64_t start_ns, request_ns, response_ns; /* 0: not yet */
    uint64_t received_bytes, sent_bytes;
    struct hbk_gw_promise request_promise, response_promise; /* HTTP/2 only */
    struct hbk_address upstream_address, upstream_local;
    const char *upstream_protocol;
    struct hbk_gw_tls_facts upstream_tls; /* where somebody asks for it */
};

/* From the codec towards the client. The request's head is in stream->request by then. */
HBK_MUST_USE struct hbk_gw_stream *hbk_gw_stream_new(struct hbk_gw_connection *connection,
                                                     const struct hbk_gw_downstream_ops *down);
void hbk_gw_stream_request(struct hbk_gw_stream *stream, bool is_last);
void hbk_gw_stream_request_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last);
void hbk_gw_stream_request_trailers(struct hbk_gw_stream *stream,
                                    const struct hbk_h2_fields *fields);
void hbk_gw_stream_gone(struct hbk_gw_stream *stream, uint32_t flag, const char *details);
/* `size` bytes of the response's body have left the codec; `is_all`: and nothing is left. */
void hbk_gw_stream_sent(struct hbk_gw_stream *stream, size_t size, bool is_all);

/* From the codec towards the upstream. */
void hbk_gw_stream_bound(struct hbk_gw_stream *stream); /* an upstream is there; head is written */
void hbk_gw_stream_response(struct hbk_gw_stream *stream, bool is_last); /* in stream->response */
void hbk_gw_stream_response_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last);
void hbk_gw_stream_response_trailers(struct hbk_gw_stream *stream,
                                     const struct hbk_h2_fields *fields);
void hbk_gw_stream_failed(struct hbk_gw_stream *stream, enum hbk_gw_upstream_failure failure,
                          const char *text);
void hbk_gw_stream_request_sent(struct hbk_gw_stream *stream, size_t size);

/* pressure.c. How many bytes of a body may be under way in one direction before its sender is
 * paused: the smaller of both sides' limits, shared by the client's exchanges. */
size_t hbk_gw_stream_bytes_max(const struct hbk_gw_stream *stream);
/* Whether more is held already, framing counted, on a side that speaks HTTP/1: it says when its
 * buffer empties. HTTP/2 has windows instead. */
bool hbk_gw_stream_is_backed_up(const struct hbk_gw_stream *stream);

/* Answers by ourselves, or breaks off where an answer has begun. */
void hbk_gw_stream_reply(struct hbk_gw_stream *stream, uint32_t status, struct hbk_slice body,
                         uint32_t flag, const char *details);
void hbk_gw_stream_end(struct hbk_gw_stream *stream);

/* forward.c: what becomes of heads on their way. Fail: HBK_NO_MEMORY, HBK_LIMIT. */

/* Puts the request into the form that is judged: X-Forwarded fields, request id, port, path. Fails:
 * HBK_INVALID, too, when Connection names too many fields. */
HBK_MUST_USE hbk_status hbk_gw_forward_arrived(struct hbk_gw_stream *stream);
/* Makes stream->sent of stream->request for the route that was found. */
HBK_MUST_USE hbk_status hbk_gw_forward_request(struct hbk_gw_stream *stream);
/* Puts the name of the host that was chosen into stream->sent where the route wants it. */
HBK_MUST_USE hbk_status hbk_gw_forward_to_host(struct hbk_gw_stream *stream,
                                               struct hbk_slice hostname);
/* Adds and removes what the route says and what a proxy adds. */
HBK_MUST_USE hbk_status hbk_gw_forward_response(struct hbk_gw_stream *stream);
/* forward_certificate.c: removes, keeps, extends or replaces X-Forwarded-Client-Cert of a request
 * that has arrived, as forward_client_cert_details says. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_forward_certificate(struct hbk_gw_stream *stream);
/* The Location of a redirect. */
HBK_MUST_USE hbk_status hbk_gw_forward_location(struct hbk_gw_stream *stream,
                                                struct hbk_slice *out_location);

/* duration.c: max_stream_duration. The whole counts from its beginning, by what the connection
 * manager says until the route says else; an attempt from the moment it has a connection. */
void hbk_gw_duration_begin(struct hbk_gw_stream *stream);
void hbk_gw_duration_routed(struct hbk_gw_stream *stream);
void hbk_gw_duration_bound(struct hbk_gw_stream *stream);
void hbk_gw_duration_end(struct hbk_gw_stream *stream);

/* The status of an exchange whose time is over: a request that is not whole is the client's delay.
 */
static inline uint32_t hbk_gw_late_status(const struct hbk_gw_stream *stream)
{
    return stream->request_ended ? 504 : 408;
}

/* retry_rule.c: the policy, or NULL; and whether it wants another attempt behind this. */
const struct hbk_gw_retry_policy *hbk_gw_retry_policy_of(const struct hbk_gw_stream *stream);
bool hbk_gw_is_retriable_failure(const struct hbk_gw_stream *stream,
                                 enum hbk_gw_upstream_failure failure);
bool hbk_gw_is_retriable_status(const struct hbk_gw_stream *stream, uint32_t status);

/* stream_info.c: fills in what logs and header values ask about. */
void hbk_gw_stream_info(const struct hbk_gw_stream *stream, struct hbk_gw_info *out_info);

/* upstream.c: asks for a connection to one of the cluster's hosts. hbk_gw_stream_bound() or
 * hbk_gw_stream_failed() follows, perhaps before this returns. */
void hbk_gw_upstream_ask(struct hbk_gw_stream *stream);
/* Gives up what was asked for or is under way; nothing of it is called afterwards. */
void hbk_gw_upstream_drop(struct hbk_gw_stream *stream);
