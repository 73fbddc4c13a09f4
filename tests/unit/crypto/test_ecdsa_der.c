#include "crypto/ecdsa_der.h"

#include <openssl/rand.h>

#include "paths.h"

static const size_t number_sizes[] = {32, 48};

static void signatures_survive_the_way_through_der(void **state)
{
    (void)state;
    for (int round = 0; round < 3000; round++) {
        const size_t bytes = number_sizes[round % 2];
        uint8_t signature[2 * HBK_ECDSA_NUMBER_BYTES_MAX], back[2 * HBK_ECDSA_NUMBER_BYTES_MAX];
        uint8_t der[HBK_ECDSA_DER_BYTES_MAX];

        assert_int_equal(RAND_bytes(signature, sizeof(signature)), 1);
        memset(signature, 0, (size_t)round / 2 % (bytes + 1));
        memset(signature + bytes, 0, (size_t)round / 97 % (bytes + 1));
        size_t size = hbk_ecdsa_to_der(signature, bytes, der);
        assert_true(size <= 2 + 2 * (3 + bytes));
        assert_true(hbk_ecdsa_from_der(hbk_slice_of(der, size), bytes, back));
        assert_memory_equal(signature, back, 2 * bytes);
        for (size_t cut = 0; cut < size; cut++) {
            assert_false(hbk_ecdsa_from_der(hbk_slice_of(der, cut), bytes, back));
        }
    }
}

static void encodings_that_der_forbids_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what, *hex;
    } cases[] = {
        {"nothing", ""},
        {"another tag", "3106020101020101"},
        {"a long form length", "308106020101020101"},
        {"a byte behind", "300602010102010100"},
        {"a byte inside", "3007020101020101ff"},
        {"a negative r", "3006020181020101"},
        {"a padded r", "300702020001020101"},
        {"an empty r", "30050200020101"},
        {"one number", "3003020101"},
        {"an r that runs over", "3006020501020101"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t der[80], signature[2 * HBK_ECDSA_NUMBER_BYTES_MAX];
        size_t size = strlen(cases[i].hex) / 2;
        from_hex(der, size, cases[i].hex);
        for (size_t j = 0; j < HBK_COUNT(number_sizes); j++) {
            if (hbk_ecdsa_from_der(hbk_slice_of(der, size), number_sizes[j], signature)) {
                fail_msg("accepted: %s", cases[i].what);
            }
        }
    }
}

static void a_number_longer_than_the_curves_is_refused(void **state)
{
    (void)state;
    for (size_t j = 0; j < HBK_COUNT(number_sizes); j++) {
        const size_t bytes = number_sizes[j];
        uint8_t der[HBK_ECDSA_DER_BYTES_MAX] = {0x30, (uint8_t)(bytes + 6), 0x02,
                                                (uint8_t)(bytes + 1), 0x01};
        uint8_t signature[2 * HBK_ECDSA_NUMBER_BYTES_MAX];

        memcpy(der + 5 + bytes, "\x02\x01\x01", 3);
        memset(signature, 0x42, sizeof(signature));
        assert_false(hbk_ecdsa_from_der(hbk_slice_of(der, bytes + 8), bytes, signature));
        assert_int_equal(signature[0], 0x42);
        der[3] = (uint8_t)bytes; /* one byte less, and it is good */
        der[1] = (uint8_t)(bytes + 5);
        memmove(der + 4 + bytes, "\x02\x01\x01", 3);
        assert_true(hbk_ecdsa_from_der(hbk_slice_of(der, bytes + 7), bytes, signature));
        assert_int_equal(signature[0], 1);
        assert_int_equal(signature[2 * bytes - 1], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_survive_the_way_through_der),
        cmocka_unit_test(encodings_that_der_forbids_are_refused),
        cmocka_unit_test(a_number_longer_than_the_curves_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
