/*
 * An HTTP/2 session of either role against any bytes, in pieces of any size. The first byte says
 * how: bit 0 the role, bit 1 whether a proper start is put in front, the rest the piece size. What
 * the session sends, and what it promises about windows and streams, is checked.
 */
#include "fuzz_target.h"

#include <stdlib.h>

#include "wire/hbone.h"
#include "wire/http2.h"

enum { STREAMS = 8 };

struct scene {
    struct hbk_h2_session session;
    struct hbk_h2_stream streams[STREAMS];
    size_t held[STREAMS]; /* DATA that was lent and not consumed */
    uint8_t out[HBK_H2_RESERVE_BYTES_MAX];
};

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct hbk_span reserve(void *owner, size_t size)
{
    struct scene *scene = owner;
    require(size <= sizeof(scene->out));
    return hbk_span_of(scene->out, sizeof(scene->out));
}

static void commit(void *owner, size_t size)
{
    struct scene *scene = owner;
    require(size >= HBK_H2_FRAME_HEADER_BYTES && size <= sizeof(scene->out));
}

/* A stream that no request uses now, or NULL. */
static struct hbk_h2_stream *free_stream(struct scene *scene)
{
    for (size_t i = 0; i < STREAMS; i++) {
        if ((scene->streams[i].flags & HBK_H2_FLAG_OPEN) == 0) {
            scene->held[i] = 0;
            scene->streams[i] = (struct hbk_h2_stream){0};
            return &scene->streams[i];
        }
    }
    return NULL;
}

static void answer_request(struct scene *scene, const struct hbk_h2_event *event)
{
    struct hbk_hbone_arrival arrival;
    const char *reason = NULL;
    enum hbk_hbone_status status = hbk_hbone_read_request(event->fields, &arrival, &reason);
    struct hbk_h2_stream *stream = free_stream(scene);
    if (status != HBK_HBONE_CONNECTED) {
        require(reason != NULL);
        hbk_h2_refuse(&scene->session, event, status);
    } else if (stream != NULL) {
        require(hbk_h2_accept(&scene->session, event, stream) == HBK_OK);
        require(hbk_h2_respond(&scene->session, stream, 200, NULL, 0, false) == HBK_OK);
    }
}

static void take_data(struct scene *scene, const struct hbk_h2_event *event)
{
    size_t index = (size_t)(event->stream - scene->streams);
    require(index < STREAMS && event->stream_id == event->stream->id);
    require(event->data.size > 0 || event->is_last);
    scene->held[index] += event->data.size;
    require(scene->held[index] <= HBK_H2_STREAM_WINDOW_BYTES_MAX);
    if (event->data.size % 2 == 0) {
        hbk_h2_consumed(&scene->session, event->stream, scene->held[index]);
        scene->held[index] = 0;
    }
    uint8_t header[HBK_H2_FRAME_HEADER_BYTES];
    size_t credit = hbk_h2_send_credit(&scene->session, event->stream);
    if (credit > 0) {
        hbk_h2_frame_data(&scene->session, event->stream, header, credit / 2, event->is_last);
    }
}

static void take_event(struct scene *scene, const struct hbk_h2_event *event)
{
    switch (event->kind) {
    case HBK_H2_REQUEST:
        answer_request(scene, event);
        break;
    case HBK_H2_DATA:
        take_data(scene, event);
        break;
    case HBK_H2_RESPONSE:
    case HBK_H2_TRAILERS:
        require(event->fields->count <= HBK_H2_FIELDS_MAX);
        break;
    case HBK_H2_RESET:
        require(hbk_h2_is_closed(event->stream));
        break;
    case HBK_H2_CREDIT:
        require(event->stream == NULL || event->stream->id != 0);
        break;
    case HBK_H2_GOAWAY:
        hbk_h2_drain(&scene->session);
        break;
    case HBK_H2_SETTINGS:
    case HBK_H2_PING_ACK:
        break;
    }
}

static enum hbk_h2_answer read_all(struct scene *scene, struct hbk_slice bytes, size_t step)
{
    enum hbk_h2_answer answer = HBK_H2_NEED_MORE;
    for (size_t at = 0; at < bytes.size && answer != HBK_H2_FAILED; at += step) {
        struct hbk_slice input = hbk_slice_part(bytes, at, step);
        struct hbk_h2_event event;
        while ((answer = hbk_h2_read(&scene->session, &input, &event)) == HBK_H2_EVENT) {
            take_event(scene, &event);
        }
        require(answer == HBK_H2_FAILED || input.size == 0);
    }
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    static struct scene scene;
    memset(&scene, 0, sizeof(scene));
    enum hbk_h2_role role = (data[0] & 1) != 0 ? HBK_H2_SERVER : HBK_H2_CLIENT;
    struct hbk_h2_sink sink = {.owner = &scene, .reserve = reserve, .commit = commit};
    require(hbk_h2_init(&scene.session, role, NULL, &sink) == HBK_OK);
    for (size_t i = 0; role == HBK_H2_CLIENT && i < STREAMS / 2; i++) {
        require(hbk_h2_open_connect(&scene.session, &scene.streams[i], HBK_SLICE("a:80"), NULL,
                                    0) == HBK_OK);
    }
    if ((data[0] & 2) != 0) {
        static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
        struct hbk_slice bytes = hbk_slice_of(start, sizeof(start) - 1);
        bytes = role == HBK_H2_CLIENT ? hbk_slice_part(bytes, 24, bytes.size) : bytes;
        require(read_all(&scene, bytes, SIZE_MAX) == HBK_H2_NEED_MORE);
    }
    size_t step = data[0] >> 2;
    enum hbk_h2_answer answer =
        read_all(&scene, hbk_slice_of(data + 1, size - 1), step == 0 ? SIZE_MAX : step);
    require((answer == HBK_H2_FAILED) == scene.session.has_failed);
    require(!scene.session.has_failed || scene.session.failure_text != NULL);

    size_t open = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        open += (scene.streams[i].flags & HBK_H2_FLAG_OPEN) != 0;
    }
    require(open == hbk_h2_streams_open(&scene.session));
    hbk_h2_fini(&scene.session);
    return 0;
}
