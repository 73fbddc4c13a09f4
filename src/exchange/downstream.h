/* A client's connection to an HTTP connection manager: HTTP/1 or HTTP/2 in plain text. */
#pragma once

#include "exchange/arrival.h"
#include "exchange/stream.h"
#include "net/pipe.h"
#include "wire/http1.h"

enum hbk_gw_codec_kind { HBK_GW_KIND_UNKNOWN, HBK_GW_KIND_HTTP1, HBK_GW_KIND_HTTP2 };

struct hbk_gw_http1_server {
    struct hbk_http1_reader reader;
    struct hbk_http1_body body;
    struct hbk_gw_stream *stream; /* the exchange under way; NULL: none */
    size_t unsent_bytes;          /* of the response's body, in the pipe's buffer */
    size_t unread_bytes;          /* of the request's body, not yet passed on */
    bool is_in_body, is_chunked, is_keep_alive, has_request_ended, closes_after;
    bool ends_with_connection; /* nothing else says where the response's body ends */
};

struct hbk_gw_http2_server {
    struct hbk_h2_session session;
    struct hbk_task pump;
    uint32_t counted_refusals; /* of the session's requests_refused */
    bool is_started;
};

struct hbk_gw_connection {
    struct hbk_pipe pipe;
    struct hbk_link link;
    struct hbk_gw_shard *shard;
    const struct hbk_gw_handler *handler;
    const struct hbk_gw_plan_listener *listener;
    hbk_gw_counter *listener_stats; /* as the next, of this worker */
    hbk_gw_counter *stats;
    struct hbk_list streams;
    uint32_t stream_count;
    uint32_t request_count;
    uint64_t id;
    uint64_t opened_ns;
    int64_t opened_real_ns;
    struct hbk_gw_tls_facts tls;
    struct hbk_buffer certificate_element;  /* of X-Forwarded-Client-Cert; empty: not made yet */
    struct hbk_address peer, direct, local; /* peer: who the client is said to be */
    struct hbk_buffer in;                   /* a head that came in parts */
    struct hbk_timer timer;                 /* idle, the head's time, or the last bytes' */
    struct hbk_timer life;                  /* max_connection_duration; then a drain's PING */
    struct hbk_task more;                   /* HTTP/1: what is held in `in` can be read on */
    enum hbk_gw_codec_kind kind;
    bool is_restored; /* local is where the client meant to go */
    bool is_closing, is_draining, is_reading;
    bool is_shaking, prefers_http1, prefers_http2;
    const char *termination; /* for the log; NULL: nothing to say */
    union {
        struct hbk_gw_http1_server http1;
        struct hbk_gw_http2_server http2;
    };
};

/* Takes an accepted socket. */
void hbk_gw_connection_open(struct hbk_gw_shard *shard, const struct hbk_gw_handler *handler,
                            hbk_gw_counter *listener_stats, const struct hbk_gw_arrival *arrival);
/* No further requests; closes when the last exchange is over. */
void hbk_gw_connection_drain(struct hbk_gw_connection *connection);
/* Ends all exchanges and closes now. `flag` and `details` go to their log lines. */
void hbk_gw_connection_abort(struct hbk_gw_connection *connection, uint32_t flag,
                             const char *details);
/* Sends what is left, waits for the client's end within delayed_close_timeout, and closes. */
void hbk_gw_connection_close(struct hbk_gw_connection *connection);
/* An exchange began or ended: timers. */
void hbk_gw_connection_changed(struct hbk_gw_connection *connection);

/* The codecs. Bytes arrive in order; `in` holds what could not be used yet. */
void hbk_gw_http1_server_read(struct hbk_gw_connection *connection, struct hbk_slice bytes);
void hbk_gw_http1_server_flushed(struct hbk_gw_connection *connection);
/* The head did not come in time. */
void hbk_gw_http1_server_late(struct hbk_gw_connection *connection);
void hbk_gw_http1_server_more(struct hbk_task *task); /* for connection->more */
HBK_MUST_USE hbk_status hbk_gw_http2_server_start(struct hbk_gw_connection *connection);
void hbk_gw_http2_server_read(struct hbk_gw_connection *connection, struct hbk_slice bytes);
void hbk_gw_http2_server_flushed(struct hbk_gw_connection *connection);
void hbk_gw_http2_server_drain(struct hbk_gw_connection *connection);
/* Drained, and the client has not yet confirmed that it heard of it. */
bool hbk_gw_http2_server_is_asking(const struct hbk_gw_connection *connection);
/* The last GOAWAY: which requests were handled; the others may go elsewhere. */
void hbk_gw_http2_server_part(struct hbk_gw_connection *connection);
void hbk_gw_http2_server_fini(struct hbk_gw_connection *connection);

/* Of both kinds of connections: what became of a client's handshake, and the time that it has. */
void hbk_gw_handshake_done(hbk_gw_counter *listener_stats, const struct hbk_tls_session *session);
void hbk_gw_handshake_failed(hbk_gw_counter *listener_stats, const struct hbk_pipe *pipe);
/* Counts it; returns what logs say. */
const char *hbk_gw_handshake_late(hbk_gw_counter *listener_stats, struct hbk_gw_tls_facts *facts);
uint64_t hbk_gw_handshake_ns(const struct hbk_gw_handler *handler);
