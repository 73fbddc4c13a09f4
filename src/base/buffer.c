#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

enum { CAPACITY_MIN = 256 };

void hbk_buffer_init(struct hbk_buffer *buffer, size_t size_max)
{
    *buffer = (struct hbk_buffer){.size_max = size_max};
}

void hbk_buffer_fini(struct hbk_buffer *buffer)
{
    free(buffer->bytes);
    hbk_buffer_init(buffer, buffer->size_max);
}

static void move_to_front(struct hbk_buffer *buffer)
{
    size_t held = hbk_buffer_size(buffer);
    if (buffer->start > 0 && held > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, held);
    }
    buffer->start = 0;
    buffer->end = held;
}

hbk_status hbk_buffer_reserve(struct hbk_buffer *buffer, size_t size, struct hbk_span *out_room)
{
    size_t held = hbk_buffer_size(buffer);
    if (size > buffer->size_max - held) {
        return HBK_LIMIT;
    }
    if (buffer->capacity - buffer->end < size) {
        move_to_front(buffer);
    }
    if (buffer->capacity - buffer->end < size) {
        size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity;
        while (capacity - held < size) {
            capacity = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
        }
        uint8_t *bytes = realloc(buffer->bytes, capacity);
        if (bytes == NULL) {
            return HBK_NO_MEMORY;
        }
        buffer->bytes = bytes;
        buffer->capacity = capacity;
    }
    *out_room = hbk_span_of(buffer->bytes + buffer->end, buffer->capacity - buffer->end);
    return HBK_OK;
}

void hbk_buffer_commit(struct hbk_buffer *buffer, size_t size)
{
    HBK_ASSERT(size <= buffer->capacity - buffer->end);
    buffer->end += size;
}

hbk_status hbk_buffer_append(struct hbk_buffer *buffer, struct hbk_slice slice)
{
    if (slice.size == 0) {
        return HBK_OK;
    }
    struct hbk_span room;
    HBK_TRY(hbk_buffer_reserve(buffer, slice.size, &room));
    memcpy(room.bytes, slice.bytes, slice.size);
    hbk_buffer_commit(buffer, slice.size);
    return HBK_OK;
}

hbk_status hbk_buffer_print(struct hbk_buffer *buffer, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int needed = vsnprintf(NULL, 0, format, values);
    va_end(values);
    if (needed < 0) {
        return HBK_INVALID;
    }
    struct hbk_span room;
    HBK_TRY(hbk_buffer_reserve(buffer, (size_t)needed + 1, &room));
    va_start(values, format);
    (void)vsnprintf((char *)room.bytes, room.size, format, values);
    va_end(values);
    hbk_buffer_commit(buffer, (size_t)needed);
    return HBK_OK;
}

void hbk_buffer_consume(struct hbk_buffer *buffer, size_t size)
{
    size_t held = hbk_buffer_size(buffer);
    buffer->start += size < held ? size : held;
    if (hbk_buffer_is_empty(buffer)) {
        hbk_buffer_fini(buffer);
    }
}

void hbk_buffer_clear(struct hbk_buffer *buffer)
{
    buffer->start = 0;
    buffer->end = 0;
}
