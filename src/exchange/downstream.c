/*
 * A client's connection, above its codec: which protocol it speaks, its times, its end. The first
 * bytes decide: HTTP/2's preface begins with "PRI * HTTP/2.0", which no HTTP/1 request does.
 */
#include "exchange/downstream.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/socket.h"

enum { PREFACE_LOOK_BYTES = 14 };
/* Envoy has none without transport_socket_connect_timeout; silence must end some time. */
#define HANDSHAKE_DEFAULT_NS (60 * HBK_NS_PER_S)
/* How long a drain waits for the answer to its PING. */
#define DRAIN_ANSWER_NS HBK_NS_PER_S

static const char preface_look[] = "PRI * HTTP/2.0";

static struct hbk_gw_connection *connection_of(struct hbk_pipe *pipe)
{
    return HBK_CONTAINER(pipe, struct hbk_gw_connection, pipe);
}

static struct hbk_gw_histogram *times_of(const struct hbk_gw_connection *connection)
{
    return connection->shard->times[connection->handler->index];
}

static uint64_t age_ns(const struct hbk_gw_connection *connection)
{
    return connection->shard->net.loop->now_ns - connection->opened_ns;
}

/* ---- time ---- */

void hbk_gw_connection_changed(struct hbk_gw_connection *connection)
{
    struct hbk_loop *loop = connection->shard->net.loop;
    uint64_t idle_ns = connection->handler->idle_ns;
    if (connection->pipe.is_closed || connection->is_closing) {
        return;
    }
    if (connection->is_shaking) {
        return; /* the handshake has a time of its own */
    }
    if (connection->stream_count > 0) {
        hbk_loop_timer_cancel(loop, &connection->timer);
        return;
    }
    if (connection->is_draining) {
        /* An HTTP/2 client may have sent requests before it heard of the drain: its answer to our
         * PING comes behind the last of them. `life` is its time. */
        if (connection->kind == HBK_GW_KIND_HTTP2 && hbk_gw_http2_server_is_asking(connection)) {
            hbk_loop_timer_cancel(loop, &connection->timer);
        } else {
            hbk_gw_connection_close(connection);
        }
        return;
    }
    if (idle_ns == 0) {
        hbk_loop_timer_cancel(loop, &connection->timer);
        return;
    }
    hbk_loop_timer(loop, &connection->timer, idle_ns);
}

static void on_timer(struct hbk_timer *timer)
{
    struct hbk_gw_connection *connection = HBK_CONTAINER(timer, struct hbk_gw_connection, timer);
    if (connection->is_shaking && !connection->is_closing) {
        connection->termination =
            hbk_gw_handshake_late(connection->listener_stats, &connection->tls);
    }
    if (connection->is_closing || connection->is_shaking) {
        hbk_pipe_close(&connection->pipe);
        return;
    }
    if (connection->is_reading) {
        hbk_gw_http1_server_late(connection);
        return;
    }
    if (!connection->is_draining) {
        hbk_gw_count(&connection->stats[HBK_GW_H_CX_IDLE_TIMEOUT], 1);
    }
    hbk_gw_connection_close(connection);
}

static void on_life_over(struct hbk_timer *timer)
{
    struct hbk_gw_connection *connection = HBK_CONTAINER(timer, struct hbk_gw_connection, life);
    if (connection->is_draining) { /* no answer: what came until now is all that is handled */
        if (hbk_gw_http2_server_is_asking(connection)) {
            hbk_gw_http2_server_part(connection);
            hbk_gw_connection_changed(connection);
        }
        return;
    }
    hbk_gw_counter *stats = connection->shard->http_stats[connection->handler->index];
    hbk_gw_count(&stats[HBK_GW_H_CX_MAX_DURATION], 1);
    hbk_gw_connection_drain(connection);
}

/* ---- handshakes ---- */

void hbk_gw_handshake_done(hbk_gw_counter *listener_stats, const struct hbk_tls_session *session)
{
    hbk_gw_uncount(&listener_stats[HBK_GW_L_SSL_SHAKING]);
    hbk_gw_count(&listener_stats[HBK_GW_L_SSL_HANDSHAKE], 1);
    if (hbk_tls_agreement(session).was_resumed) {
        hbk_gw_count(&listener_stats[HBK_GW_L_SSL_REUSED], 1);
    }
    if (hbk_tls_peer(session) == NULL) {
        hbk_gw_count(&listener_stats[HBK_GW_L_SSL_NO_CERTIFICATE], 1);
    }
}

void hbk_gw_handshake_failed(hbk_gw_counter *listener_stats, const struct hbk_pipe *pipe)
{
    hbk_gw_count(
        &listener_stats[pipe->is_untrusted ? HBK_GW_L_SSL_FAIL_VERIFY : HBK_GW_L_SSL_ERROR], 1);
}

const char *hbk_gw_handshake_late(hbk_gw_counter *listener_stats, struct hbk_gw_tls_facts *facts)
{
    hbk_gw_count(&listener_stats[HBK_GW_L_SHAKING_TIMEOUT], 1);
    hbk_gw_tls_facts_failed(facts, "connect time out");
    return "transport socket timeout was reached";
}

uint64_t hbk_gw_handshake_ns(const struct hbk_gw_handler *handler)
{
    return handler->handshake_timeout_ns > 0 ? handler->handshake_timeout_ns : HANDSHAKE_DEFAULT_NS;
}

/* ---- the end ---- */

/* How long a client may take for its part of the end, or for the next of our last bytes. Without
 * that time the connection closes as soon as they are sent, and a client that takes none of them
 * has the same second that it has by default. */
static void be_patient(struct hbk_gw_connection *connection)
{
    uint64_t patience_ns = connection->handler->http->delayed_close_timeout;
    hbk_loop_timer(connection->shard->net.loop, &connection->timer,
                   patience_ns == 0 ? HBK_NS_PER_S : patience_ns);
}

void hbk_gw_connection_close(struct hbk_gw_connection *connection)
{
    if (connection->pipe.is_closed || connection->is_closing) {
        return;
    }
    if (connection->kind == HBK_GW_KIND_HTTP2 && !connection->pipe.has_ended) {
        hbk_gw_http2_server_part(connection);
    }
    connection->is_closing = true;
    be_patient(connection);
    if (connection->handler->http->delayed_close_timeout == 0) {
        hbk_pipe_close_when_sent(&connection->pipe);
    } else {
        hbk_pipe_close_gently(&connection->pipe);
    }
}

static void end_streams(struct hbk_gw_connection *connection, uint32_t flag, const char *details)
{
    while (!hbk_list_is_empty(&connection->streams)) {
        struct hbk_gw_stream *stream =
            HBK_CONTAINER(connection->streams.head.next, struct hbk_gw_stream, link);
        hbk_gw_stream_gone(stream, flag, details);
    }
}

void hbk_gw_connection_abort(struct hbk_gw_connection *connection, uint32_t flag,
                             const char *details)
{
    hbk_pipe_close(&connection->pipe);
    end_streams(connection, flag, details);
}

void hbk_gw_connection_drain(struct hbk_gw_connection *connection)
{
    if (connection->is_draining || connection->is_closing) {
        return;
    }
    connection->is_draining = true;
    hbk_gw_count(&connection->stats[HBK_GW_H_CX_DRAIN_CLOSE], 1);
    hbk_loop_timer_cancel(connection->shard->net.loop, &connection->life);
    if (connection->kind == HBK_GW_KIND_HTTP2) {
        hbk_gw_http2_server_drain(connection);
        hbk_loop_timer(connection->shard->net.loop, &connection->life, DRAIN_ANSWER_NS);
    }
    hbk_gw_connection_changed(connection);
}

/* ---- the pipe's calls ---- */

/* TLS stands: what was agreed on chooses the codec, where anything was. */
static void on_secured(struct hbk_pipe *pipe)
{
    struct hbk_gw_connection *connection = connection_of(pipe);
    struct hbk_tls_agreement agreed = hbk_tls_agreement(pipe->tls);
    connection->is_shaking = false;
    hbk_gw_tls_facts_init(&connection->tls, pipe->tls, connection->shard->plan->asks);
    hbk_gw_handshake_done(connection->listener_stats, pipe->tls);
    hbk_gw_histogram_record(&times_of(connection)[HBK_GW_TIME_HANDSHAKE_US],
                            age_ns(connection) / HBK_NS_PER_US);
    connection->prefers_http2 = hbk_slice_equal(agreed.protocol, HBK_SLICE("h2"));
    connection->prefers_http1 = hbk_slice_equal(agreed.protocol, HBK_SLICE("http/1.1"));
    hbk_gw_connection_changed(connection);
}

static void read_bytes(struct hbk_gw_connection *connection, struct hbk_slice bytes)
{
    if (connection->kind == HBK_GW_KIND_HTTP1) {
        hbk_gw_http1_server_read(connection, bytes);
    } else {
        hbk_gw_http2_server_read(connection, bytes);
    }
}

/* False while too few bytes are there to tell. */
static bool choose_codec(struct hbk_gw_connection *connection, struct hbk_slice bytes)
{
    int codec = connection->handler->http->codec_type;
    size_t size = bytes.size < PREFACE_LOOK_BYTES ? bytes.size : PREFACE_LOOK_BYTES;
    bool may_be_http2 = memcmp(bytes.bytes, preface_look, size) == 0;
    if (codec == HBK_GW_CODEC_AUTO) {
        codec = connection->prefers_http2   ? HBK_GW_CODEC_HTTP2
                : connection->prefers_http1 ? HBK_GW_CODEC_HTTP1
                                            : codec;
    }
    if (codec == HBK_GW_CODEC_AUTO && may_be_http2 && size < PREFACE_LOOK_BYTES) {
        return false;
    }
    bool is_http2 = codec == HBK_GW_CODEC_HTTP2 || (codec == HBK_GW_CODEC_AUTO && may_be_http2);
    connection->kind = is_http2 ? HBK_GW_KIND_HTTP2 : HBK_GW_KIND_HTTP1;
    hbk_gw_count(&connection->stats[is_http2 ? HBK_GW_H_CX_HTTP2_TOTAL : HBK_GW_H_CX_HTTP1_TOTAL],
                 1);
    if (is_http2 && hbk_gw_http2_server_start(connection) != HBK_OK) {
        hbk_pipe_reset(&connection->pipe);
    }
    return true;
}

static void on_bytes(struct hbk_pipe *pipe, struct hbk_slice bytes)
{
    struct hbk_gw_connection *connection = connection_of(pipe);
    hbk_gw_count(&connection->stats[HBK_GW_H_CX_RX_BYTES], bytes.size);
    if (connection->kind != HBK_GW_KIND_UNKNOWN) {
        read_bytes(connection, bytes);
        return;
    }
    if (!hbk_buffer_is_empty(&connection->in)) {
        if (hbk_buffer_append(&connection->in, bytes) != HBK_OK) {
            hbk_pipe_reset(pipe);
            return;
        }
        bytes = hbk_buffer_slice(&connection->in);
    }
    if (!choose_codec(connection, bytes)) {
        if (hbk_buffer_is_empty(&connection->in) &&
            hbk_buffer_append(&connection->in, bytes) != HBK_OK) {
            hbk_pipe_reset(pipe);
        }
        return;
    }
    if (pipe->is_closed) {
        return;
    }
    /* What was held goes to the codec as if it had come now. */
    struct hbk_buffer first = connection->in;
    hbk_buffer_init(&connection->in, first.size_max);
    read_bytes(connection, bytes);
    hbk_buffer_fini(&first);
}

static void on_end(struct hbk_pipe *pipe)
{
    struct hbk_gw_connection *connection = connection_of(pipe);
    /* An HTTP client that ends its side has left, as Envoy sees it: responses under way stop, and
     * those that are complete are still sent. */
    end_streams(connection, HBK_GW_FLAG_DC, "downstream_remote_disconnect");
    hbk_gw_connection_close(connection);
}

static void on_flushed(struct hbk_pipe *pipe)
{
    struct hbk_gw_connection *connection = connection_of(pipe);
    if (connection->is_closing) {
        be_patient(connection);
    }
    if (connection->kind == HBK_GW_KIND_HTTP1) {
        hbk_gw_http1_server_flushed(connection);
    } else if (connection->kind == HBK_GW_KIND_HTTP2) {
        hbk_gw_http2_server_flushed(connection);
    }
}

static void on_failed(struct hbk_pipe *pipe, int error)
{
    struct hbk_gw_connection *connection = connection_of(pipe);
    (void)error;
    hbk_gw_tls_facts_failed(&connection->tls, pipe->failure_text);
    if (connection->is_shaking) {
        hbk_gw_handshake_failed(connection->listener_stats, pipe);
    }
    end_streams(connection, HBK_GW_FLAG_DC, "downstream_remote_disconnect");
}

static void log_connection(const struct hbk_gw_connection *connection)
{
    const struct hbk_pipe *pipe = &connection->pipe;
    const struct hbk_gw_info info = {
        .start_ns = connection->opened_real_ns,
        .duration_ns = age_ns(connection),
        .request_ns = UINT64_MAX,
        .response_ns = UINT64_MAX,
        .protocol = connection->kind == HBK_GW_KIND_HTTP1   ? "HTTP/1.1"
                    : connection->kind == HBK_GW_KIND_HTTP2 ? "HTTP/2"
                                                            : NULL,
        .downstream_failure = connection->tls.failure,
        .received_bytes = pipe->plain_received_bytes,
        .sent_bytes = pipe->plain_sent_bytes,
        .received_wire_bytes = pipe->received_bytes,
        .sent_wire_bytes = pipe->sent_bytes,
        .downstream_remote = connection->peer,
        .downstream_direct_remote = connection->direct,
        .downstream_local = connection->local,
        .filter_chain = connection->handler->chain->name,
        .tls = &connection->tls,
        .connection_id = connection->id,
        .termination = connection->termination,
    };
    hbk_gw_log_write(connection->shard, &connection->listener->logs, &info);
}

static void on_closed(struct hbk_pipe *pipe)
{
    struct hbk_gw_connection *connection = connection_of(pipe);
    struct hbk_gw_shard *shard = connection->shard;
    end_streams(connection, HBK_GW_FLAG_DC, "downstream_local_disconnect");
    if (connection->kind == HBK_GW_KIND_HTTP2) {
        hbk_gw_http2_server_fini(connection);
    }
    if (connection->is_shaking) {
        hbk_gw_uncount(&connection->listener_stats[HBK_GW_L_SSL_SHAKING]);
    }
    hbk_gw_histogram_record(&times_of(connection)[HBK_GW_TIME_CX_LENGTH_MS],
                            age_ns(connection) / HBK_NS_PER_MS);
    hbk_gw_count(&connection->stats[HBK_GW_H_CX_TX_BYTES], pipe->plain_sent_bytes);
    hbk_gw_count(&connection->stats[HBK_GW_H_CX_DESTROY], 1);
    hbk_gw_uncount(&connection->stats[HBK_GW_H_CX_ACTIVE]);
    hbk_gw_count(&connection->listener_stats[HBK_GW_L_CX_DESTROY], 1);
    hbk_gw_uncount(&connection->listener_stats[HBK_GW_L_CX_ACTIVE]);
    hbk_gw_uncount(&shard->live);
    hbk_loop_timer_cancel(shard->net.loop, &connection->timer);
    hbk_loop_timer_cancel(shard->net.loop, &connection->life);
    hbk_task_cancel(&connection->more);
    hbk_link_remove(&connection->link);
    log_connection(connection);
    hbk_gw_tls_facts_fini(&connection->tls);
    hbk_buffer_fini(&connection->certificate_element);
    hbk_buffer_fini(&connection->in);
    hbk_pool_give(&shard->connections, connection);
}

static const struct hbk_pipe_events events = {
    .on_connected = on_secured,
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_flushed = on_flushed,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

/* ---- the beginning ---- */

static void count_open(struct hbk_gw_connection *connection)
{
    hbk_gw_count(&connection->stats[HBK_GW_H_CX_TOTAL], 1);
    hbk_gw_count(&connection->stats[HBK_GW_H_CX_ACTIVE], 1);
    hbk_gw_count(&connection->listener_stats[HBK_GW_L_CX_TOTAL], 1);
    hbk_gw_count(&connection->listener_stats[HBK_GW_L_CX_ACTIVE], 1);
    hbk_gw_count(&connection->shard->live, 1);
    if (connection->is_shaking) {
        hbk_gw_count(&connection->listener_stats[HBK_GW_L_SSL_SHAKING], 1);
    }
}

void hbk_gw_connection_open(struct hbk_gw_shard *shard, const struct hbk_gw_handler *handler,
                            hbk_gw_counter *listener_stats, const struct hbk_gw_arrival *arrival)
{
    const struct hbk_pipe_security security = {.context = shard->contexts[handler->index],
                                               .is_server = true};
    struct hbk_gw_connection *connection = hbk_pool_take(&shard->connections);
    if (connection == NULL ||
        hbk_pipe_open(&connection->pipe, &shard->net, arrival->fd, handler->buffer_bytes_max,
                      security.context == NULL ? NULL : &security, &events) != HBK_OK) {
        if (connection == NULL) {
            (void)close(arrival->fd);
        }
        hbk_gw_count(&listener_stats[HBK_GW_L_CX_OVERFLOW], 1);
        hbk_pool_give(&shard->connections, connection);
        return;
    }
    connection->shard = shard;
    connection->handler = handler;
    connection->listener = arrival->listener;
    connection->opened_real_ns = hbk_clock_realtime_ns();
    connection->is_shaking = security.context != NULL;
    connection->listener_stats = listener_stats;
    connection->opened_ns = shard->net.loop->now_ns;
    connection->stats = shard->http_stats[handler->index];
    connection->peer = arrival->peer;
    connection->direct = arrival->direct;
    connection->local = arrival->local;
    connection->is_restored = arrival->is_restored;
    connection->id = ++shard->connection_ids * HBK_WORKERS_MAX + shard->worker->index;
    hbk_list_init(&connection->streams);
    hbk_buffer_init(&connection->in,
                    (size_t)handler->http->max_request_headers_kb * 1024 + HBK_PIPE_READ_BYTES);
    hbk_timer_init(&connection->timer, on_timer);
    hbk_timer_init(&connection->life, on_life_over);
    hbk_task_init(&connection->more, hbk_gw_http1_server_more);
    hbk_list_append(&shard->open, &connection->link);
    count_open(connection);
    const struct hbk_gw_http_options *options = handler->http->common_http_protocol_options;
    if (options != NULL && options->max_connection_duration > 0) {
        hbk_loop_timer(shard->net.loop, &connection->life, options->max_connection_duration);
    }
    if (connection->is_shaking) {
        hbk_loop_timer(shard->net.loop, &connection->timer, hbk_gw_handshake_ns(handler));
    }
    hbk_gw_connection_changed(connection);
}
