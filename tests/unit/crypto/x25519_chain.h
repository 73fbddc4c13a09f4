/* Agreements of X25519 one after the other, for the tests of it. */
#pragma once

#include "crypto/x25519.h"
#include "paths.h"

static inline void agree_one(int path, int lane, uint8_t out[32], const uint8_t scalar[32],
                             const uint8_t u[32])
{
    struct hbk_x25519_agree operation = {.private_key = scalar, .peer_key = u};
    struct hbk_x25519_agree *lanes[HBK_LANES] = {NULL};
    lanes[lane] = &operation;
    hbk_x25519_agree_lanes((enum hbk_path)path, lanes);
    assert_int_equal(operation.status, HBK_LANE_OK);
    memcpy(out, operation.secret, 32);
}

/* RFC 7748, 5.2: k and u start as 9; k becomes X25519(k, u), u the old k. */
static inline void iterate(int path, long count, const char *expected_hex)
{
    uint8_t k[32] = {9}, u[32] = {9}, next[32], expected[32];

    for (long i = 0; i < count; i++) {
        agree_one(path, (int)(i % HBK_LANES), next, k, u);
        memcpy(u, k, 32);
        memcpy(k, next, 32);
    }
    from_hex(expected, 32, expected_hex);
    assert_memory_equal(k, expected, 32);
}
