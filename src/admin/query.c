#include "admin/query.h"

bool hbk_query_next(struct hbk_query_reader *reader, struct hbk_query_pair *out_pair)
{
    while (reader->left.size > 0) {
        size_t end = reader->left.size;
        (void)hbk_slice_find(reader->left, '&', &end);
        struct hbk_slice pair = hbk_slice_part(reader->left, 0, end);
        reader->left = hbk_slice_part(reader->left, end + 1, reader->left.size);
        if (pair.size == 0) {
            continue;
        }
        size_t equals = pair.size;
        (void)hbk_slice_find(pair, '=', &equals);
        out_pair->name = hbk_slice_part(pair, 0, equals);
        out_pair->value = hbk_slice_part(pair, equals + 1, pair.size);
        return true;
    }
    return false;
}

static int digit_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool hbk_query_decode(struct hbk_slice value, struct hbk_span room, struct hbk_slice *out_text)
{
    size_t used = 0;
    for (size_t i = 0; i < value.size; i++) {
        int byte = value.bytes[i] == '+' ? ' ' : value.bytes[i];
        if (byte == '%') {
            if (value.size - i < 3) {
                return false;
            }
            int high = digit_value(value.bytes[i + 1]);
            int low = digit_value(value.bytes[i + 2]);
            if (high < 0 || low < 0) {
                return false;
            }
            byte = high * 16 + low;
            i += 2;
        }
        if (byte == 0 || used == room.size) {
            return false;
        }
        room.bytes[used++] = (uint8_t)byte;
    }
    *out_text = hbk_slice_of(room.bytes, used);
    return true;
}
