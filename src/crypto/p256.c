#include "crypto/p256.h"

#include "base/cursor.h"
#include "crypto/p256_twin.h"
#include "crypto/p256_vector.h"

void hbk_p256_keygen_lanes(enum hbk_path path, struct hbk_p256_keygen *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_keygen(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_keygen(lanes[i]);
    }
}

void hbk_p256_agree_lanes(enum hbk_path path, struct hbk_p256_agree *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_agree(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_agree(lanes[i]);
    }
}

void hbk_p256_sign_lanes(enum hbk_path path, struct hbk_p256_sign *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_sign(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_sign(lanes[i]);
    }
}

void hbk_p256_verify_lanes(enum hbk_path path, struct hbk_p256_verify *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_verify(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_verify(lanes[i]);
    }
}

/* An INTEGER without the zeros that DER forbids, and with the one that keeps it positive. */
static size_t integer_to_der(const uint8_t number[HBK_P256_BYTES], uint8_t *der)
{
    size_t skipped = 0;
    while (skipped < HBK_P256_BYTES - 1 && number[skipped] == 0) {
        skipped++;
    }
    size_t sign_bytes = number[skipped] >= 0x80 ? 1 : 0;
    size_t size = HBK_P256_BYTES - skipped;

    der[0] = 0x02;
    der[1] = (uint8_t)(size + sign_bytes);
    der[2] = 0;
    memcpy(der + 2 + sign_bytes, number + skipped, size);
    return 2 + sign_bytes + size;
}

size_t hbk_p256_signature_to_der(const uint8_t signature[HBK_P256_SIGNATURE_BYTES],
                                 uint8_t out_der[HBK_P256_DER_BYTES_MAX])
{
    size_t size = integer_to_der(signature, out_der + 2);

    size += integer_to_der(signature + HBK_P256_BYTES, out_der + 2 + size);
    out_der[0] = 0x30;
    out_der[1] = (uint8_t)size;
    return 2 + size;
}

/* A non-negative INTEGER of at most 32 bytes in its only DER form; marks the cursor otherwise. */
static void integer_from_der(struct hbk_cursor *cursor, uint8_t out_number[HBK_P256_BYTES])
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
    if (bytes.size > HBK_P256_BYTES) {
        cursor->has_failed = true;
        return;
    }
    memset(out_number, 0, HBK_P256_BYTES);
    if (bytes.size > 0) {
        memcpy(out_number + HBK_P256_BYTES - bytes.size, bytes.bytes, bytes.size);
    }
}

bool hbk_p256_signature_from_der(struct hbk_slice der,
                                 uint8_t out_signature[HBK_P256_SIGNATURE_BYTES])
{
    uint8_t signature[HBK_P256_SIGNATURE_BYTES];
    struct hbk_cursor cursor = hbk_cursor_of(der);
    uint64_t tag = hbk_cursor_number(&cursor, 1);
    uint64_t size = hbk_cursor_number(&cursor, 1);

    if (cursor.has_failed || tag != 0x30 || size != cursor.left.size || size >= 0x80) {
        return false;
    }
    integer_from_der(&cursor, signature);
    integer_from_der(&cursor, signature + HBK_P256_BYTES);
    if (cursor.has_failed || cursor.left.size != 0) {
        return false;
    }
    memcpy(out_signature, signature, sizeof(signature));
    return true;
}
