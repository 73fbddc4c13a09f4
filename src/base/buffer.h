/*
 * A byte queue that grows up to a stated limit: bytes are appended behind and consumed in front.
 * For backlogs and for text that is built. An empty buffer holds no memory, so that idle
 * connections cost nothing here. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "base/status.h"

struct hbk_buffer {
    uint8_t *bytes;  /* owned; NULL while nothing is held */
    size_t start;    /* first byte not yet consumed */
    size_t end;      /* behind the last byte */
    size_t capacity; /* of `bytes` */
    size_t size_max; /* limit of end - start */
};

/* Starts empty; the buffer will hold at most `size_max` bytes. */
void hbk_buffer_init(struct hbk_buffer *buffer, size_t size_max);

/* Frees the memory; the buffer is empty and usable afterwards. */
void hbk_buffer_fini(struct hbk_buffer *buffer);

static inline size_t hbk_buffer_size(const struct hbk_buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline bool hbk_buffer_is_empty(const struct hbk_buffer *buffer)
{
    return buffer->end == buffer->start;
}

/* What is held, borrowed until the next call that changes the buffer. */
static inline struct hbk_slice hbk_buffer_slice(const struct hbk_buffer *buffer)
{
    return hbk_slice_of(buffer->bytes == NULL ? NULL : buffer->bytes + buffer->start,
                        hbk_buffer_size(buffer));
}

/*
 * Makes room for `size` more bytes behind and lends it; hbk_buffer_commit() adds what was written.
 * Fails: HBK_LIMIT (beyond size_max), HBK_NO_MEMORY; the content stays as it was.
 */
HBK_MUST_USE hbk_status hbk_buffer_reserve(struct hbk_buffer *buffer, size_t size,
                                           struct hbk_span *out_room);
void hbk_buffer_commit(struct hbk_buffer *buffer, size_t size);

/* Appends a copy. Fails as hbk_buffer_reserve(); then nothing was appended. */
HBK_MUST_USE hbk_status hbk_buffer_append(struct hbk_buffer *buffer, struct hbk_slice slice);

/* Appends text made with printf. Fails as hbk_buffer_reserve(); then nothing was appended. */
HBK_MUST_USE HBK_PRINTF(2, 3) hbk_status
    hbk_buffer_print(struct hbk_buffer *buffer, const char *format, ...);

/* Drops `size` bytes in front, at most what is held; frees the memory when nothing is left. */
void hbk_buffer_consume(struct hbk_buffer *buffer, size_t size);

/* Drops everything but keeps the memory for the next use. */
void hbk_buffer_clear(struct hbk_buffer *buffer);
