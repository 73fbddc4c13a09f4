#include "base/hash.h"

#include "harness.h"

/* Key 00..0f; input 00, 00 01, ...: the first outputs of the paper's reference vectors (SipHash,
 * appendix A gives the one for 15 bytes). */
static void siphash_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t key_bytes[16], input[15];
    for (uint8_t i = 0; i < 16; i++) {
        key_bytes[i] = i;
    }
    for (uint8_t i = 0; i < 15; i++) {
        input[i] = i;
    }
    struct hbk_hash_key key;
    memcpy(&key, key_bytes, sizeof key);
    assert_true(hbk_hash_with_key(&key, hbk_slice_of(input, 15)) == UINT64_C(0xa129ca6149be45e5));
    assert_true(hbk_hash_with_key(&key, hbk_slice_of(input, 0)) == UINT64_C(0x726fdb47dd0e0e31));
}

static void equal_input_has_an_equal_hash(void **state)
{
    (void)state;
    assert_true(hbk_hash(HBK_SLICE("cart")) == hbk_hash(HBK_SLICE("cart")));
    assert_false(hbk_hash(HBK_SLICE("cart")) == hbk_hash(HBK_SLICE("Cart")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_values),
        cmocka_unit_test(equal_input_has_an_equal_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
