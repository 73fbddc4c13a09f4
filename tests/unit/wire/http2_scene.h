/* A server or client past its start, and frames as a peer may send them, for tests of the rules. */
#pragma once

#include "http2_end.h"
#include "wire/http2_session.h"

struct sent {
    uint8_t type;
    uint8_t flags;
    uint32_t id;
    const char *payload; /* NULL: zeros */
    size_t size;
};

#define FRAME(type, flags, id, literal)                     \
    {                                                       \
        (type), (flags), (id), literal, sizeof(literal) - 1 \
    }
#define ZEROS(type, flags, id, size)        \
    {                                       \
        (type), (flags), (id), NULL, (size) \
    }

/* HPACK: a field that is not indexed, with a new name (RFC 7541, 6.2.2). Lengths are octal. */
#define FIELD(name_size, name, value_size, value) "\0" name_size name value_size value
#define METHOD_CONNECT FIELD("\7", ":method", "\7", "CONNECT")
#define METHOD_GET FIELD("\7", ":method", "\3", "GET")
#define SCHEME FIELD("\7", ":scheme", "\5", "https")
#define PATH FIELD("\5", ":path", "\1", "/")
#define AUTHORITY FIELD("\12", ":authority", "\4", "a:80")
#define STATUS FIELD("\7", ":status", "\3", "200")
#define CONNECT METHOD_CONNECT AUTHORITY

enum { WHOLE = H2_FLAG_END_HEADERS, LAST = H2_FLAG_END_STREAM };

/* Writes one frame as a peer would. */
static inline void add_frame(struct hbk_buffer *bytes, const struct sent *frame)
{
    struct hbk_span room;
    assert_int_equal(hbk_buffer_reserve(bytes, HBK_H2_FRAME_HEADER_BYTES + frame->size, &room),
                     HBK_OK);
    memset(room.bytes, 0, HBK_H2_FRAME_HEADER_BYTES + frame->size);
    h2_store_head(room.bytes, frame->size, frame->type, frame->flags, frame->id);
    if (frame->payload != NULL) {
        memcpy(room.bytes + HBK_H2_FRAME_HEADER_BYTES, frame->payload, frame->size);
    }
    hbk_buffer_commit(bytes, HBK_H2_FRAME_HEADER_BYTES + frame->size);
}

/* A server or client past the start, with stream 1 open and answered (a CONNECT). */
struct scene {
    struct end end;
    struct hbk_h2_stream stream;
    struct hbk_h2_stream accepted[4];
    size_t accepted_count;
    uint32_t requests, responses, resets;
};

static inline void read_all(struct scene *scene, struct hbk_slice bytes, size_t step)
{
    for (size_t at = 0; at < bytes.size; at += step) {
        struct hbk_slice input = hbk_slice_part(bytes, at, step);
        struct hbk_h2_event event;
        while (hbk_h2_read(&scene->end.session, &input, &event) == HBK_H2_EVENT) {
            scene->requests += event.kind == HBK_H2_REQUEST;
            scene->responses += event.kind == HBK_H2_RESPONSE;
            scene->resets += event.kind == HBK_H2_RESET;
            if (event.kind == HBK_H2_REQUEST && scene->accepted_count < 4) {
                assert_int_equal(hbk_h2_accept(&scene->end.session, &event,
                                               &scene->accepted[scene->accepted_count++]),
                                 HBK_OK);
            }
        }
    }
}

static inline void scene_init(struct scene *scene, enum hbk_h2_role role)
{
    *scene = (struct scene){0};
    end_init(&scene->end, role, NULL);
    struct hbk_buffer bytes;
    hbk_buffer_init(&bytes, 1 << 20);
    add_frame(&bytes, &(struct sent){.type = H2_SETTINGS});
    if (role == HBK_H2_SERVER) {
        read_all(scene, HBK_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), SIZE_MAX);
        add_frame(&bytes, &(struct sent)FRAME(H2_HEADERS, WHOLE, 1, CONNECT));
    } else {
        assert_int_equal(
            hbk_h2_open_connect(&scene->end.session, &scene->stream, HBK_SLICE("a:80"), NULL, 0),
            HBK_OK);
        add_frame(&bytes, &(struct sent)FRAME(H2_HEADERS, WHOLE, 1, STATUS));
    }
    read_all(scene, hbk_buffer_slice(&bytes), SIZE_MAX);
    if (role == HBK_H2_SERVER) {
        assert_int_equal(scene->requests, 1);
        assert_int_equal(
            hbk_h2_respond(&scene->end.session, &scene->accepted[0], 200, NULL, 0, false), HBK_OK);
    } else {
        assert_int_equal(scene->responses, 1);
    }
    hbk_buffer_fini(&bytes);
    hbk_buffer_clear(&scene->end.out);
    scene->requests = scene->responses = 0;
}

/* The code of the first frame of that type in what the session sent; false when there is none. */
static inline bool find_sent(const struct end *end, uint8_t type, uint32_t *out_id,
                             uint32_t *out_code)
{
    struct hbk_slice left = hbk_buffer_slice(&end->out);
    while (left.size >= HBK_H2_FRAME_HEADER_BYTES) {
        size_t size = h2_load_u24(left.bytes);
        if (left.bytes[3] == type) {
            *out_id = h2_load_u32(left.bytes + 5);
            *out_code =
                h2_load_u32(left.bytes + HBK_H2_FRAME_HEADER_BYTES + (type == H2_GOAWAY ? 4 : 0));
            return true;
        }
        left = hbk_slice_part(left, HBK_H2_FRAME_HEADER_BYTES + size, left.size);
    }
    return false;
}

/* Sends the same frame until the session has had enough; the number of frames that it took. */
static inline size_t flood(struct scene *scene, const struct sent *frame, size_t count_max)
{
    struct hbk_buffer bytes;
    hbk_buffer_init(&bytes, 1 << 20);
    add_frame(&bytes, frame);
    size_t count = 0;
    while (count < count_max && !scene->end.session.has_failed) {
        read_all(scene, hbk_buffer_slice(&bytes), SIZE_MAX);
        count++;
    }
    hbk_buffer_fini(&bytes);
    return count;
}
