#include "crypto/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "paths.h"

enum { KEY_BYTES_MAX = 300, MESSAGE_BYTES_MAX = 400 };

static void code_of(enum hbk_hash hash, struct hbk_slice key, struct hbk_slice message,
                    uint8_t out_code[HBK_HASH_BYTES_MAX])
{
    struct hbk_hmac hmac;
    hbk_hmac_init(&hmac, hash, key);
    hbk_hmac_code(&hmac, &message, 1, out_code);
}

/* RFC 4231, cases 1 to 4, 6 and 7; case 5 is about a code that is cut, which we never do. */
static const struct {
    const char *key, *message, *codes[HBK_HASH_COUNT];
} cases[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265",
     {"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f"
      "4af152e8b2fa9cb6",
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702"
      "038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"}},
    {"4a656665",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     {"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c7"
      "8b3239ecfab21649",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a"
      "6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"}},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddddddd",
     {"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
      "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b9"
      "4e3ab6e101a34f27",
      "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c8"
      "06b485a47e67c807b946a337bee8942674278859e13292fb"}},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
     "cdcdcdcdcdcdcdcdcdcd",
     {"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
      "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679"
      "ccf8a386c674cffb",
      "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4"
      "d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"}},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d20"
     "48617368204b6579204669727374",
     {"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe82"
      "96248df163f44952",
      "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598"
      "bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"}},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaa",
     "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b"
     "2d73697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a652064"
     "6174612e20546865206b6579206e6565647320746f20626520686173686564206265666f72652062"
     "65696e6720757365642062792074686520484d414320616c676f726974686d2e",
     {"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
      "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d"
      "3860e6110c46523e",
      "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b1"
      "0d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"}},
};

static void known_answers_of_rfc_4231_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t key[KEY_BYTES_MAX], message[MESSAGE_BYTES_MAX];
        const size_t key_bytes = strlen(cases[i].key) / 2;
        const size_t message_bytes = strlen(cases[i].message) / 2;
        from_hex(key, key_bytes, cases[i].key);
        from_hex(message, message_bytes, cases[i].message);
        for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
            uint8_t code[HBK_HASH_BYTES_MAX], expected[HBK_HASH_BYTES_MAX];
            const size_t size = hbk_hash_bytes((enum hbk_hash)hash);
            from_hex(expected, size, cases[i].codes[hash]);
            code_of((enum hbk_hash)hash, hbk_slice_of(key, key_bytes),
                    hbk_slice_of(message, message_bytes), code);
            assert_memory_equal(code, expected, size);
        }
    }
}

/* Keys around a block's size, and messages in up to three parts, one state for several messages. */
static void every_key_and_any_parts_agree_with_libcrypto(void **state)
{
    (void)state;
    static const EVP_MD *(*const functions[HBK_HASH_COUNT])(void) = {EVP_sha256, EVP_sha384,
                                                                     EVP_sha512};
    uint8_t key[KEY_BYTES_MAX], message[MESSAGE_BYTES_MAX];

    assert_int_equal(RAND_bytes(key, sizeof(key)), 1);
    assert_int_equal(RAND_bytes(message, sizeof(message)), 1);
    for (size_t key_bytes = 0; key_bytes < sizeof(key); key_bytes++) {
        for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
            struct hbk_hmac hmac;
            hbk_hmac_init(&hmac, (enum hbk_hash)hash, hbk_slice_of(key, key_bytes));
            for (size_t size = key_bytes % 5; size < sizeof(message); size += 61) {
                uint8_t code[HBK_HASH_BYTES_MAX], expected[EVP_MAX_MD_SIZE];
                const size_t first = size / 3, second = size / 2;
                const struct hbk_slice parts[3] = {
                    hbk_slice_of(message, first),
                    hbk_slice_of(message + first, second - first),
                    hbk_slice_of(message + second, size - second),
                };
                hbk_hmac_code(&hmac, parts, 3, code);
                assert_non_null(
                    HMAC(functions[hash](), key, (int)key_bytes, message, size, expected, NULL));
                assert_memory_equal(code, expected, hbk_hash_bytes((enum hbk_hash)hash));
            }
        }
    }
}

static void the_code_may_go_where_a_part_was(void **state)
{
    (void)state;
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        uint8_t bytes[HBK_HASH_BYTES_MAX] = {7}, expected[HBK_HASH_BYTES_MAX];
        const struct hbk_slice part = hbk_slice_of(bytes, sizeof(bytes));

        code_of((enum hbk_hash)hash, HBK_SLICE("key"), part, expected);
        code_of((enum hbk_hash)hash, HBK_SLICE("key"), part, bytes);
        assert_memory_equal(bytes, expected, hbk_hash_bytes((enum hbk_hash)hash));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_of_rfc_4231_hold),
        cmocka_unit_test(every_key_and_any_parts_agree_with_libcrypto),
        cmocka_unit_test(the_code_may_go_where_a_part_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
