#include "tls/writer.h"

#include <string.h>

#include "base/assert.h"

/* The next `size` bytes of the room; NULL, and the writer has failed, if there are not so many. */
static uint8_t *advance(struct hbk_writer *writer, size_t size)
{
    if (writer->has_failed || size > writer->room.size - writer->used) {
        writer->has_failed = true;
        return NULL;
    }
    uint8_t *at = writer->room.bytes + writer->used;
    writer->used += size;
    return at;
}

static bool fits(uint64_t number, size_t bytes)
{
    return bytes == sizeof number || number >> (8 * bytes) == 0;
}

static void store(uint8_t *at, uint64_t number, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--) {
        at[i - 1] = (uint8_t)number;
        number >>= 8;
    }
}

void hbk_writer_put(struct hbk_writer *writer, struct hbk_slice bytes)
{
    uint8_t *at = advance(writer, bytes.size);
    if (at != NULL && bytes.size > 0) {
        memcpy(at, bytes.bytes, bytes.size);
    }
}

void hbk_writer_number(struct hbk_writer *writer, uint64_t number, size_t bytes)
{
    HBK_ASSERT(bytes >= 1 && bytes <= sizeof number);

    if (!fits(number, bytes)) {
        writer->has_failed = true;
        return;
    }
    uint8_t *at = advance(writer, bytes);
    if (at != NULL) {
        store(at, number, bytes);
    }
}

size_t hbk_writer_open(struct hbk_writer *writer, size_t length_bytes)
{
    HBK_ASSERT(length_bytes >= 1 && length_bytes <= 3);

    size_t mark = writer->used;
    (void)advance(writer, length_bytes);
    return mark;
}

void hbk_writer_close(struct hbk_writer *writer, size_t mark, size_t length_bytes)
{
    if (writer->has_failed) {
        return;
    }
    HBK_ASSERT(mark + length_bytes <= writer->used);

    size_t size = writer->used - mark - length_bytes;
    if (!fits(size, length_bytes)) {
        writer->has_failed = true;
        return;
    }
    store(writer->room.bytes + mark, size, length_bytes);
}

void hbk_writer_prefixed(struct hbk_writer *writer, struct hbk_slice bytes, size_t length_bytes)
{
    hbk_writer_number(writer, bytes.size, length_bytes);
    hbk_writer_put(writer, bytes);
}
