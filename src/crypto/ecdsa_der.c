#include "crypto/ecdsa_der.h"

#include "base/assert.h"
#include "base/cursor.h"

/* An INTEGER without the zeros that DER forbids, and with the one that keeps it positive. */
static size_t write_integer(const uint8_t *number, size_t number_bytes, uint8_t *der)
{
    size_t skipped = 0;
    while (skipped < number_bytes - 1 && number[skipped] == 0) {
        skipped++;
    }
    size_t sign_bytes = number[skipped] >= 0x80 ? 1 : 0;
    size_t size = number_bytes - skipped;

    der[0] = 0x02;
    der[1] = (uint8_t)(size + sign_bytes);
    der[2] = 0;
    memcpy(der + 2 + sign_bytes, number + skipped, size);
    return 2 + sign_bytes + size;
}

size_t hbk_ecdsa_to_der(const uint8_t *signature, size_t number_bytes, uint8_t *out_der)
{
    HBK_ASSERT(number_bytes <= HBK_ECDSA_NUMBER_BYTES_MAX);
    size_t size = write_integer(signature, number_bytes, out_der + 2);

    size += write_integer(signature + number_bytes, number_bytes, out_der + 2 + size);
    out_der[0] = 0x30;
    out_der[1] = (uint8_t)size;
    return 2 + size;
}

/* A non-negative INTEGER of at most so many bytes in its only DER form; marks the cursor otherwise.
 */
static void read_integer(struct hbk_cursor *cursor, size_t number_bytes, uint8_t *out_number)
{
    uint64_t tag = hbk_cursor_number(cursor, 1);
    uint64_t size = hbk_cursor_number(cursor, 1);
    struct hbk_slice bytes = hbk_cursor_take(cursor, size);

    if (cursor->has_failed || tag != 0x02 || bytes.size == 0 || bytes.bytes[0] >= 0x80 ||
        (bytes.size > 1 && bytes.bytes[0] == 0 && bytes.bytes[1] < 0x80)) {
        cursor->has_failed = true;
        return;
    }
    if (bytes.bytes[0] == 0) {
        bytes = hbk_slice_part(bytes, 1, bytes.size);
    }
    if (bytes.size > number_bytes) {
        cursor->has_failed = true;
        return;
    }
    memset(out_number, 0, number_bytes);
    if (bytes.size > 0) {
        memcpy(out_number + number_bytes - bytes.size, bytes.bytes, bytes.size);
    }
}

bool hbk_ecdsa_from_der(struct hbk_slice der, size_t number_bytes, uint8_t *out_signature)
{
    uint8_t signature[2 * HBK_ECDSA_NUMBER_BYTES_MAX];
    struct hbk_cursor cursor = hbk_cursor_of(der);
    uint64_t tag = hbk_cursor_number(&cursor, 1);
    uint64_t size = hbk_cursor_number(&cursor, 1);

    HBK_ASSERT(number_bytes <= HBK_ECDSA_NUMBER_BYTES_MAX);
    if (cursor.has_failed || tag != 0x30 || size != cursor.left.size || size >= 0x80) {
        return false;
    }
    read_integer(&cursor, number_bytes, signature);
    read_integer(&cursor, number_bytes, signature + number_bytes);
    if (cursor.has_failed || cursor.left.size != 0) {
        return false;
    }
    memcpy(out_signature, signature, 2 * number_bytes);
    return true;
}
