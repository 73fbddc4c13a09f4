/*
 * HTTP/2 of a connection: a call is a stream. Bodies go out as far as the windows allow and go on
 * when credit comes. A connection on which the server said GOAWAY ends its calls and is replaced.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "load/connection.h"

enum { STATUS_NOT_MODIFIED = 304 };

/* DATA of one stream that is put into `out` at a time, so that streams take turns. */
enum { BODY_BYTES_PER_TURN_MAX = 256 * 1024 };

static struct hbk_load_call *call_of(struct hbk_h2_stream *stream)
{
    return HBK_CONTAINER(stream, struct hbk_load_call, stream);
}

static struct hbk_span reserve(void *owner, size_t size)
{
    struct hbk_load_connection *connection = owner;
    struct hbk_span room;
    return hbk_buffer_reserve(hbk_load_frames(connection), size, &room) == HBK_OK
               ? room
               : hbk_span_of(NULL, 0);
}

static void commit(void *owner, size_t size)
{
    struct hbk_load_connection *connection = owner;
    hbk_buffer_commit(hbk_load_frames(connection), size);
    hbk_load_write_later(connection);
}

hbk_status hbk_load_h2_begin(struct hbk_load_connection *connection)
{
    const struct hbk_h2_sink sink = {.owner = connection, .reserve = reserve, .commit = commit};
    connection->h2 = calloc(1, sizeof *connection->h2);
    if (connection->h2 == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = hbk_h2_init(connection->h2, HBK_H2_CLIENT, NULL, &sink);
    if (status != HBK_OK) {
        free(connection->h2);
        connection->h2 = NULL;
    }
    return status;
}

void hbk_load_h2_end(struct hbk_load_connection *connection)
{
    if (connection->h2 != NULL) {
        hbk_h2_fini(connection->h2);
        free(connection->h2);
        connection->h2 = NULL;
    }
}

/* Sends as much of the body as windows and our turn allow. */
static void send_body(struct hbk_load_connection *connection, struct hbk_load_call *call)
{
    struct hbk_slice body = call->request->body;
    size_t turn = 0;
    while (call->body_sent < body.size && turn < BODY_BYTES_PER_TURN_MAX) {
        uint8_t header[HBK_H2_FRAME_HEADER_BYTES];
        size_t credit = hbk_h2_send_credit(connection->h2, &call->stream);
        struct hbk_slice part = hbk_slice_part(body, call->body_sent, credit);
        struct hbk_span room;
        if (part.size == 0 || hbk_buffer_reserve(hbk_load_frames(connection),
                                                 sizeof header + part.size, &room) != HBK_OK) {
            return;
        }
        bool is_last = call->body_sent + part.size == body.size;
        hbk_h2_frame_data(connection->h2, &call->stream, header, part.size, is_last);
        memcpy(room.bytes, header, sizeof header);
        memcpy(room.bytes + sizeof header, part.bytes, part.size);
        hbk_buffer_commit(hbk_load_frames(connection), sizeof header + part.size);
        hbk_load_write_later(connection);
        call->body_sent += part.size;
        turn += part.size;
    }
}

static void send_bodies(struct hbk_load_connection *connection)
{
    for (unsigned i = 0; i < connection->client->plan->streams; i++) {
        struct hbk_load_call *call = &connection->calls[i];
        if (call->request != NULL && !call->is_unsent &&
            call->body_sent < call->request->body.size) {
            send_body(connection, call);
        }
    }
}

void hbk_load_h2_send(struct hbk_load_connection *connection, struct hbk_load_call *call)
{
    const struct hbk_load_request *request = call->request;
    call->stream = (struct hbk_h2_stream){0};
    call->body_sent = 0;
    call->promised_bytes = UINT64_MAX;
    hbk_status status = hbk_h2_open(connection->h2, &call->stream, &request->h2, request->fields,
                                    request->field_count, request->body.size == 0);
    if (status != HBK_OK) {
        hbk_load_on_lost(connection, HBK_LOAD_SEND, hbk_clock_monotonic_ns());
        return;
    }
    send_body(connection, call);
}

/* The sum of the DATA frames must be what the head promised (RFC 9113, 8.1.1), where the head is
 * that of the body and not of one that was only asked about. */
static bool keeps_promise(const struct hbk_load_call *call)
{
    bool has_no_body = call->connection->answer.is_to_head || call->status == STATUS_NOT_MODIFIED;
    return call->promised_bytes == UINT64_MAX ||
           call->body_bytes == (has_no_body ? 0 : call->promised_bytes);
}

/* The answer has ended. A stream whose body the server did not want is given up. */
static void finish(struct hbk_load_connection *connection, struct hbk_load_call *call,
                   uint64_t now_ns)
{
    bool is_whole = keeps_promise(call);
    if (!hbk_h2_is_closed(&call->stream)) {
        hbk_h2_reset(connection->h2, &call->stream,
                     is_whole ? HBK_H2_NO_ERROR : HBK_H2_PROTOCOL_ERROR);
    }
    if (!is_whole) {
        hbk_load_result_explain(&connection->client->result, HBK_LOAD_MALFORMED,
                                "a body that is not as long as its content-length");
        hbk_load_on_call_failed(call, HBK_LOAD_MALFORMED, now_ns);
        return;
    }
    hbk_load_on_answer(call, connection->is_draining && connection->busy == 1, now_ns);
}

static void take_response(struct hbk_load_connection *connection, const struct hbk_h2_event *event,
                          uint64_t now_ns)
{
    struct hbk_load_call *call = call_of(event->stream);
    call->status = (uint16_t)event->code;
    for (uint32_t i = 0; event->fields != NULL && i < event->fields->count; i++) {
        const struct hbk_h2_field *field = &event->fields->list[i];
        call->head_bytes += (uint32_t)(field->name.size + field->value.size);
        if (hbk_slice_equal(field->name, HBK_SLICE("content-length")) &&
            !hbk_slice_to_u64(field->value, UINT64_MAX - 1, &call->promised_bytes)) {
            call->promised_bytes = UINT64_MAX - 1; /* which no body keeps */
        }
    }
    if (event->is_last) {
        finish(connection, call, now_ns);
    }
}

static void take_data(struct hbk_load_connection *connection, const struct hbk_h2_event *event,
                      uint64_t now_ns)
{
    struct hbk_load_call *call = call_of(event->stream);
    call->body_bytes += event->data.size;
    hbk_h2_consumed(connection->h2, event->stream, event->data.size);
    if (event->is_last) {
        finish(connection, call, now_ns);
    }
}

/* Calls that the server will not answer fail; the others go on. */
static void take_goaway(struct hbk_load_connection *connection, const struct hbk_h2_event *event,
                        uint64_t now_ns)
{
    connection->is_draining = true;
    for (unsigned i = 0; i < connection->client->plan->streams; i++) {
        struct hbk_load_call *call = &connection->calls[i];
        if (call->request != NULL && call->stream.id > event->last_stream_id) {
            hbk_h2_reset(connection->h2, &call->stream, HBK_H2_CANCEL);
            hbk_load_result_explain(&connection->client->result, HBK_LOAD_RESET,
                                    "the server went away (GOAWAY) before it took the request");
            hbk_load_on_call_failed(call, HBK_LOAD_RESET, now_ns);
        }
    }
    if (connection->busy == 0) {
        hbk_load_on_lost(connection, HBK_LOAD_EARLY_CLOSE, now_ns);
    } else {
        hbk_load_on_room(connection, now_ns);
    }
}

static void take_event(struct hbk_load_connection *connection, const struct hbk_h2_event *event,
                       uint64_t now_ns)
{
    switch (event->kind) {
    case HBK_H2_RESPONSE:
        take_response(connection, event, now_ns);
        break;
    case HBK_H2_DATA:
        take_data(connection, event, now_ns);
        break;
    case HBK_H2_TRAILERS:
        finish(connection, call_of(event->stream), now_ns);
        break;
    case HBK_H2_RESET:
        hbk_load_result_explain(&connection->client->result,
                                event->is_ours ? HBK_LOAD_MALFORMED : HBK_LOAD_RESET,
                                hbk_h2_code_text(event->code));
        hbk_load_on_call_failed(call_of(event->stream),
                                event->is_ours ? HBK_LOAD_MALFORMED : HBK_LOAD_RESET, now_ns);
        break;
    case HBK_H2_GOAWAY:
        take_goaway(connection, event, now_ns);
        break;
    case HBK_H2_CREDIT:
        send_bodies(connection);
        break;
    case HBK_H2_SETTINGS:
        send_bodies(connection);
        hbk_load_on_room(connection, now_ns);
        break;
    case HBK_H2_REQUEST: /* servers only */
    case HBK_H2_PING_ACK:
        break;
    }
}

void hbk_load_h2_take(struct hbk_load_connection *connection, struct hbk_slice bytes,
                      uint64_t now_ns)
{
    struct hbk_h2_event event;
    hbk_h2_set_time(connection->h2, now_ns);
    /* An event may close the connection, and another one may not stand in its place yet. */
    while (connection->h2 != NULL) {
        switch (hbk_h2_read(connection->h2, &bytes, &event)) {
        case HBK_H2_NEED_MORE:
            return;
        case HBK_H2_FAILED:
            hbk_load_result_explain(&connection->client->result, HBK_LOAD_MALFORMED,
                                    connection->h2->failure_text);
            hbk_load_on_lost(connection, HBK_LOAD_MALFORMED, now_ns);
            return;
        case HBK_H2_EVENT:
            take_event(connection, &event, now_ns);
            break;
        }
    }
}
