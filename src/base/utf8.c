#include "base/utf8.h"

/*
 * The table of RFC 3629, section 4: a first byte fixes the size and what the second may be, so that
 * overlong forms, surrogates and values above U+10FFFF do not pass. Later bytes are 80 to BF.
 */
static const struct {
    uint8_t first_low, first_high, second_low, second_high, size;
} forms[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static bool has_tail(struct hbk_slice text, size_t size)
{
    for (size_t i = 2; i < size; i++) {
        if (text.bytes[i] < 0x80 || text.bytes[i] > 0xBF) {
            return false;
        }
    }
    return true;
}

size_t hbk_utf8_size(struct hbk_slice text)
{
    if (text.size == 0) {
        return 0;
    }
    if (text.bytes[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < HBK_COUNT(forms); i++) {
        if (text.bytes[0] < forms[i].first_low || text.bytes[0] > forms[i].first_high) {
            continue;
        }
        bool is_good = text.size >= forms[i].size && text.bytes[1] >= forms[i].second_low &&
                       text.bytes[1] <= forms[i].second_high && has_tail(text, forms[i].size);
        return is_good ? forms[i].size : 0;
    }
    return 0;
}
