/*
 * Control frames out. Each is written at once into the sink, so that frames leave in the order in
 * which the session decided them.
 */
#include "wire/http2_session.h"

#include <nghttp2/nghttp2.h>

enum {
    START_BYTES_MAX = 128,
    FIELDS_SENT_MAX = HBK_H2_FIELDS_MAX + 28, /* pseudo fields and a proxy's own included */
};

static const char client_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* Room in the sink; NULL, and a session that is given up, when there is none. */
static uint8_t *reserve(struct hbk_h2_session *session, size_t size)
{
    if (session->has_failed) {
        return NULL;
    }
    struct hbk_span room = session->sink.reserve(session->sink.owner, size);
    if (room.bytes == NULL || room.size < size) {
        session->has_failed = true;
        session->failure_code = HBK_H2_INTERNAL_ERROR;
        session->failure_text = "no room for control frames in the tunnel";
        return NULL;
    }
    return room.bytes;
}

static void commit(struct hbk_h2_session *session, size_t size)
{
    session->sink.commit(session->sink.owner, size);
}

static uint8_t *store_setting(uint8_t *at, uint16_t id, uint32_t value)
{
    at[0] = (uint8_t)(id >> 8);
    at[1] = (uint8_t)id;
    h2_store_u32(at + 2, value);
    return at + H2_SETTING_BYTES;
}

/* RFC 9113, 3.4: the client's preface, then each side's SETTINGS. */
void h2_write_start(struct hbk_h2_session *session)
{
    uint8_t *room = reserve(session, START_BYTES_MAX);
    if (room == NULL) {
        return;
    }
    uint8_t *at = room;
    if (!session->is_server) {
        memcpy(at, client_preface, sizeof(client_preface) - 1);
        at += sizeof(client_preface) - 1;
    }
    uint8_t *head = at;
    at += HBK_H2_FRAME_HEADER_BYTES;
    if (session->is_server) {
        at = store_setting(at, H2_SETTING_MAX_CONCURRENT_STREAMS, session->config.streams_max);
    } else {
        at = store_setting(at, H2_SETTING_ENABLE_PUSH, 0);
    }
    at = store_setting(at, H2_SETTING_INITIAL_WINDOW_SIZE, session->config.stream_window_bytes);
    at = store_setting(at, H2_SETTING_MAX_HEADER_LIST_SIZE, HBK_H2_FIELD_LIST_BYTES_MAX);
    h2_store_head(head, (size_t)(at - head) - HBK_H2_FRAME_HEADER_BYTES, H2_SETTINGS, 0, 0);

    /* SETTINGS cannot change the connection's window. */
    uint32_t extra = session->config.connection_window_bytes - H2_WINDOW_DEFAULT;
    if (extra > 0) {
        h2_store_head(at, 4, H2_WINDOW_UPDATE, 0, 0);
        h2_store_u32(at + HBK_H2_FRAME_HEADER_BYTES, extra);
        at += HBK_H2_FRAME_HEADER_BYTES + 4;
    }
    commit(session, (size_t)(at - room));
}

/* A frame whose payload is one number of 32 bits. */
static void write_number(struct hbk_h2_session *session, uint8_t type, uint32_t stream_id,
                         uint32_t number)
{
    uint8_t *room = reserve(session, HBK_H2_FRAME_HEADER_BYTES + 4);
    if (room != NULL) {
        h2_store_head(room, 4, type, 0, stream_id);
        h2_store_u32(room + HBK_H2_FRAME_HEADER_BYTES, number);
        commit(session, HBK_H2_FRAME_HEADER_BYTES + 4);
    }
}

void h2_write_window_update(struct hbk_h2_session *session, uint32_t stream_id, uint32_t size)
{
    write_number(session, H2_WINDOW_UPDATE, stream_id, size);
}

void h2_write_reset(struct hbk_h2_session *session, uint32_t stream_id, uint32_t code)
{
    write_number(session, H2_RST_STREAM, stream_id, code);
}

void h2_write_settings_ack(struct hbk_h2_session *session)
{
    uint8_t *room = reserve(session, HBK_H2_FRAME_HEADER_BYTES);
    if (room != NULL) {
        h2_store_head(room, 0, H2_SETTINGS, H2_FLAG_ACK, 0);
        commit(session, HBK_H2_FRAME_HEADER_BYTES);
    }
}

void h2_write_ping(struct hbk_h2_session *session, uint64_t opaque, bool is_ack)
{
    uint8_t *room = reserve(session, HBK_H2_FRAME_HEADER_BYTES + 8);
    if (room != NULL) {
        h2_store_head(room, 8, H2_PING, is_ack ? H2_FLAG_ACK : 0, 0);
        h2_store_u32(room + HBK_H2_FRAME_HEADER_BYTES, (uint32_t)(opaque >> 32));
        h2_store_u32(room + HBK_H2_FRAME_HEADER_BYTES + 4, (uint32_t)opaque);
        commit(session, HBK_H2_FRAME_HEADER_BYTES + 8);
    }
}

void h2_write_goaway(struct hbk_h2_session *session, uint32_t last_stream_id, uint32_t code,
                     const char *text)
{
    size_t text_bytes = strlen(text);
    size_t size = 8 + text_bytes;
    uint8_t *room = reserve(session, HBK_H2_FRAME_HEADER_BYTES + size);
    if (room != NULL) {
        h2_store_head(room, size, H2_GOAWAY, 0, 0);
        h2_store_u32(room + HBK_H2_FRAME_HEADER_BYTES, last_stream_id);
        h2_store_u32(room + HBK_H2_FRAME_HEADER_BYTES + 4, code);
        memcpy(room + HBK_H2_FRAME_HEADER_BYTES + 8, text, text_bytes);
        commit(session, HBK_H2_FRAME_HEADER_BYTES + size);
    }
}

/* nghttp2 asks for pointers to bytes that it does not change. */
static uint8_t *unconst(struct hbk_slice slice)
{
    return (uint8_t *)(uintptr_t)slice.bytes;
}

static nghttp2_nv nv_of(const struct hbk_h2_field *field)
{
    return (nghttp2_nv){
        .name = unconst(field->name),
        .namelen = field->name.size,
        .value = unconst(field->value),
        .valuelen = field->value.size,
        .flags = field->is_volatile ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
}

hbk_status h2_write_fields(struct hbk_h2_session *session, uint32_t stream_id,
                           const struct hbk_h2_field *first, size_t first_count,
                           const struct hbk_h2_field *fields, size_t count, bool is_last)
{
    nghttp2_nv list[FIELDS_SENT_MAX];
    if (first_count + count > HBK_COUNT(list)) {
        return HBK_LIMIT;
    }
    for (size_t i = 0; i < first_count; i++) {
        list[i] = nv_of(&first[i]);
    }
    for (size_t i = 0; i < count; i++) {
        list[first_count + i] = nv_of(&fields[i]);
    }

    /* The bound is above what is needed, so a block of one frame is never cut in two. */
    size_t bound = nghttp2_hd_deflate_bound(session->deflater, list, first_count + count);
    if (bound > HBK_H2_FRAME_BYTES_MAX) {
        return HBK_LIMIT;
    }
    uint8_t *room = reserve(session, HBK_H2_FRAME_HEADER_BYTES + bound);
    if (room == NULL) {
        return HBK_CLOSED;
    }
    ssize_t size = nghttp2_hd_deflate_hd(session->deflater, room + HBK_H2_FRAME_HEADER_BYTES, bound,
                                         list, first_count + count);
    if (size < 0) {
        /* The peer's table and ours would differ from here on. */
        h2_fail(session, HBK_H2_INTERNAL_ERROR, "header fields could not be compressed");
        return HBK_NO_MEMORY;
    }
    uint8_t flags = (uint8_t)(H2_FLAG_END_HEADERS | (is_last ? H2_FLAG_END_STREAM : 0));
    h2_store_head(room, (size_t)size, H2_HEADERS, flags, stream_id);
    commit(session, HBK_H2_FRAME_HEADER_BYTES + (size_t)size);
    return HBK_OK;
}
