/*
 * A check's life: ask() sends on the connection that is there, or opens one; what comes is read by
 * the protocol's reader, which says finish() once. A connection that served before may be closed by
 * the host at the very moment in which it is used again: such a check is asked once more, on a new
 * one, since an idle connection's end says nothing about the host.
 */
#include "cluster/health_probe.h"

#include <string.h>

#include "base/assert.h"
#include "net/pipe_http2.h"

void hbk_gw_health_probe_init(struct hbk_gw_health_probe *probe, struct hbk_net *net,
                              const struct hbk_gw_health_target *target)
{
    *probe = (struct hbk_gw_health_probe){.net = net, .target = *target};
}

static struct hbk_gw_health_probe *probe_of(struct hbk_pipe *pipe)
{
    return HBK_CONTAINER(pipe, struct hbk_gw_health_probe, pipe);
}

static bool is_http2(const struct hbk_gw_health_probe *probe)
{
    const struct hbk_gw_http_health_check *http = probe->target.check->http_health_check;
    return http != NULL && http->codec_client_type == HBK_GW_HEALTH_HTTP2;
}

/* ---- the end of a check ---- */

static void finish(struct hbk_gw_health_probe *probe, enum hbk_gw_check_result result,
                   const char *text, bool stays_open)
{
    if (!probe->is_asking) {
        return;
    }
    probe->is_asking = false;
    hbk_buffer_fini(&probe->in);
    hbk_gw_health_match_fini(&probe->match);
    bool is_kept = stays_open && probe->target.check->reuse_connection;
    if (!is_kept && !probe->pipe.closes_when_sent) {
        hbk_pipe_close(&probe->pipe);
    }
    probe->on_result(probe, result, text);
}

static void fail(struct hbk_gw_health_probe *probe, const char *text)
{
    bool may_ask_again = probe->is_asking && probe->is_reused && probe->answer_bytes == 0;
    if (may_ask_again) {
        probe->is_again = true;
        hbk_pipe_close(&probe->pipe);
        return;
    }
    finish(probe, HBK_GW_CHECK_NETWORK, text, false);
    hbk_pipe_close(&probe->pipe);
}

/* The answer of HTTP is whole. */
static void finish_http(struct hbk_gw_health_probe *probe, bool stays_open)
{
    enum hbk_gw_check_result result =
        hbk_gw_health_judge(probe->target.check->http_health_check, probe->status);
    finish(probe, result, result == HBK_GW_CHECK_PASSED ? "" : "the status is not as expected",
           stays_open);
}

/* ---- HTTP/1 ---- */

static void read_body(struct hbk_gw_health_probe *probe, struct hbk_slice *input)
{
    struct hbk_slice data;
    for (;;) {
        switch (hbk_http1_read_body(&probe->body, input, &data)) {
        case HBK_HTTP1_BODY_NEED_MORE:
            return;
        case HBK_HTTP1_BODY_DATA:
            break;
        case HBK_HTTP1_BODY_END:
            finish_http(probe, probe->is_keep_alive && input->size == 0);
            return;
        case HBK_HTTP1_BODY_INVALID:
            fail(probe, "the answer's chunks are none");
            return;
        }
    }
}

/* Heads, up to that of the answer itself. */
static void read_heads(struct hbk_gw_health_probe *probe, struct hbk_slice *input)
{
    int method = probe->target.check->http_health_check->method;
    while (probe->is_asking && !probe->is_in_body) {
        struct hbk_http1_response response;
        switch (hbk_http1_read_response(&probe->reader, *input, method == HBK_GW_HEALTH_HEAD,
                                        &response)) {
        case HBK_HTTP1_NEED_MORE:
            return;
        case HBK_HTTP1_INVALID:
            fail(probe, probe->reader.fault_text);
            return;
        case HBK_HTTP1_READY:
            break;
        }
        *input = hbk_slice_part(*input, response.head_bytes, input->size);
        probe->reader = (struct hbk_http1_reader){0};
        if (response.status == 101) {
            fail(probe, "a change of protocol that nobody asked for");
        } else if (response.status >= 200) {
            probe->status = response.status;
            probe->body = response.body;
            probe->is_keep_alive = response.is_keep_alive;
            probe->is_in_body = true;
        }
    }
}

static void read_http1(struct hbk_gw_health_probe *probe, struct hbk_slice bytes)
{
    bool was_held = !hbk_buffer_is_empty(&probe->in);
    if (was_held) {
        if (hbk_buffer_append(&probe->in, bytes) != HBK_OK) {
            fail(probe, "the answer's head is too long");
            return;
        }
        bytes = hbk_buffer_slice(&probe->in);
    }
    struct hbk_slice left = bytes;
    read_heads(probe, &left);
    if (probe->is_asking && probe->is_in_body) {
        read_body(probe, &left);
    }
    if (!probe->is_asking || probe->is_again) {
        return;
    }
    if (was_held) {
        hbk_buffer_consume(&probe->in, bytes.size - left.size);
    } else if (left.size > 0 && hbk_buffer_append(&probe->in, left) != HBK_OK) {
        fail(probe, "the answer's head is too long");
    }
}

/* ---- HTTP/2 ---- */

static void take_goaway(struct hbk_gw_health_probe *probe, const struct hbk_h2_event *event)
{
    if (!probe->is_asking) {
        hbk_pipe_close(&probe->pipe);
    } else if (event->last_stream_id < probe->stream.id) {
        fail(probe, "the host went away");
    }
}

static void take_event(struct hbk_gw_health_probe *probe, const struct hbk_h2_event *event)
{
    switch (event->kind) {
    case HBK_H2_RESPONSE:
        probe->status = event->code;
        break;
    case HBK_H2_DATA:
        hbk_h2_consumed(&probe->session, &probe->stream, event->data.size);
        break;
    case HBK_H2_TRAILERS:
        break;
    case HBK_H2_RESET:
        fail(probe, "the host reset the stream");
        return;
    case HBK_H2_GOAWAY:
        take_goaway(probe, event);
        return;
    case HBK_H2_CREDIT:
    case HBK_H2_SETTINGS:
    case HBK_H2_REQUEST:
    case HBK_H2_PING_ACK:
        return;
    }
    if (event->is_last) {
        finish_http(probe, !hbk_h2_is_draining(&probe->session));
    }
}

static void read_http2(struct hbk_gw_health_probe *probe, struct hbk_slice bytes)
{
    hbk_h2_set_time(&probe->session, probe->net->loop->now_ns);
    while (!probe->pipe.is_closed) {
        struct hbk_h2_event event = {0};
        enum hbk_h2_answer answer = hbk_h2_read(&probe->session, &bytes, &event);
        if (answer == HBK_H2_NEED_MORE) {
            return;
        }
        if (answer == HBK_H2_FAILED) {
            fail(probe, probe->session.failure_text);
            return;
        }
        take_event(probe, &event);
    }
}

/* ---- TCP ---- */

static void read_tcp(struct hbk_gw_health_probe *probe, struct hbk_slice bytes)
{
    bool is_done = false;
    if (hbk_gw_health_match_read(&probe->match, bytes, &is_done) != HBK_OK) {
        fail(probe, "out of memory");
    } else if (is_done) {
        finish(probe, HBK_GW_CHECK_PASSED, "", true);
    }
}

/* ---- asking ---- */

static hbk_status send_tcp(struct hbk_gw_health_probe *probe)
{
    const struct hbk_gw_tcp_health_check *tcp = probe->target.check->tcp_health_check;
    return tcp->send == NULL ? HBK_OK : hbk_buffer_append(&probe->pipe.out, tcp->send->bytes);
}

static void send_question(struct hbk_gw_health_probe *probe)
{
    const struct hbk_gw_tcp_health_check *tcp = probe->target.check->tcp_health_check;
    probe->answer_bytes = 0;
    probe->is_in_body = false;
    probe->reader = (struct hbk_http1_reader){0};
    hbk_buffer_fini(&probe->in);
    hbk_buffer_init(&probe->in, HBK_HTTP1_HEAD_BYTES_MAX + HBK_PIPE_READ_BYTES);
    if (tcp != NULL) {
        hbk_gw_health_match_init(&probe->match, tcp);
    }
    if ((tcp != NULL ? send_tcp(probe) : hbk_gw_health_request(probe)) != HBK_OK) {
        fail(probe, "the question could not be sent");
        return;
    }
    hbk_pipe_send(&probe->pipe);
    if (tcp != NULL && tcp->receive_count == 0) {
        /* That it can be connected to was the question; what there is to send goes first. */
        hbk_pipe_close_when_sent(&probe->pipe);
        finish(probe, HBK_GW_CHECK_PASSED, "", true);
    }
}

static hbk_status start_http2(struct hbk_gw_health_probe *probe)
{
    struct hbk_h2_config config = HBK_H2_CONFIG_DEFAULT;
    struct hbk_h2_sink sink = hbk_pipe_http2_sink(&probe->pipe);
    config.stream_window_bytes_max = config.stream_window_bytes;
    HBK_TRY(hbk_h2_init(&probe->session, HBK_H2_CLIENT, &config, &sink));
    probe->has_session = true;
    return HBK_OK;
}

/* ---- the pipe ---- */

static void on_connected(struct hbk_pipe *pipe)
{
    struct hbk_gw_health_probe *probe = probe_of(pipe);
    if (is_http2(probe) && start_http2(probe) != HBK_OK) {
        fail(probe, "out of memory");
        return;
    }
    send_question(probe);
}

static void on_bytes(struct hbk_pipe *pipe, struct hbk_slice bytes)
{
    struct hbk_gw_health_probe *probe = probe_of(pipe);
    if (!probe->is_asking && !probe->has_session) {
        hbk_pipe_close(pipe); /* bytes that answer nothing */
        return;
    }
    probe->answer_bytes += bytes.size;
    if (probe->is_asking && probe->answer_bytes > HBK_GW_HEALTH_ANSWER_BYTES_MAX) {
        fail(probe, "the answer is too long");
    } else if (probe->target.check->tcp_health_check != NULL) {
        read_tcp(probe, bytes);
    } else if (probe->has_session) {
        read_http2(probe, bytes);
    } else {
        read_http1(probe, bytes);
    }
}

static void on_end(struct hbk_pipe *pipe)
{
    struct hbk_gw_health_probe *probe = probe_of(pipe);
    if (probe->is_asking && !probe->has_session && probe->is_in_body &&
        probe->body.kind == HBK_HTTP1_UNTIL_CLOSE) {
        finish_http(probe, false);
    } else {
        fail(probe, "the host closed the connection");
    }
}

static void on_flushed(struct hbk_pipe *pipe)
{
    (void)pipe;
}

static void on_failed(struct hbk_pipe *pipe, int error)
{
    const char *text = strerrordesc_np(error);
    text = pipe->failure_text != NULL ? pipe->failure_text
           : text == NULL             ? "the connection failed"
                                      : text;
    fail(probe_of(pipe), text);
}

static hbk_status connect_host(struct hbk_gw_health_probe *probe);

static void on_closed(struct hbk_pipe *pipe)
{
    struct hbk_gw_health_probe *probe = probe_of(pipe);
    if (probe->has_session) {
        probe->has_session = false;
        hbk_h2_fini(&probe->session);
    }
    probe->is_open = false;
    if (probe->is_leaving) {
        probe->on_gone(probe);
        return;
    }
    if (probe->is_again) {
        probe->is_again = false;
        if (connect_host(probe) != HBK_OK) {
            finish(probe, HBK_GW_CHECK_NETWORK, "no connection can be opened", false);
        }
    }
}

static const struct hbk_pipe_events events = {
    .on_connected = on_connected,
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_flushed = on_flushed,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

static hbk_status connect_host(struct hbk_gw_health_probe *probe)
{
    const struct hbk_gw_health_target *target = &probe->target;
    const struct hbk_pipe_security security = {.context = *target->security,
                                               .server_name = target->server_name};
    HBK_TRY(hbk_pipe_connect(
        &probe->pipe, probe->net, &target->address, hbk_gw_cluster_source(target->cluster),
        HBK_GW_HEALTH_REQUEST_BYTES_MAX, security.context == NULL ? NULL : &security, &events));
    probe->is_open = true;
    probe->is_reused = false;
    probe->answer_bytes = 0;
    return HBK_OK;
}

hbk_status hbk_gw_health_probe_ask(struct hbk_gw_health_probe *probe)
{
    HBK_ASSERT(!probe->is_asking && !probe->is_leaving);
    if (probe->is_open && (probe->pipe.is_closed || probe->pipe.closes_when_sent)) {
        /* The old connection goes at the end of this turn. */
        hbk_pipe_close(&probe->pipe);
        probe->is_asking = probe->is_again = true;
        return HBK_OK;
    }
    if (!probe->is_open) {
        HBK_TRY(connect_host(probe));
        probe->is_asking = true;
        return HBK_OK;
    }
    probe->is_asking = true;
    probe->is_reused = true;
    send_question(probe);
    return HBK_OK;
}

void hbk_gw_health_probe_cancel(struct hbk_gw_health_probe *probe)
{
    probe->is_asking = probe->is_again = false;
    hbk_buffer_fini(&probe->in);
    hbk_gw_health_match_fini(&probe->match);
    if (probe->is_open) {
        hbk_pipe_close(&probe->pipe);
    }
}

void hbk_gw_health_probe_close(struct hbk_gw_health_probe *probe)
{
    probe->is_leaving = true;
    hbk_gw_health_probe_cancel(probe);
    if (!probe->is_open) {
        probe->on_gone(probe);
    }
}
