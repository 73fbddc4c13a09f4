#include "crypto/aead.h"

#include <openssl/rand.h>

#include "paths.h"

static const enum hbk_aead_backend backends[] = {HBK_AEAD_LIBCRYPTO, HBK_AEAD_IPSEC_MB,
                                                 HBK_AEAD_IPSEC_MB_NARROW};

static void known_answers_hold_on_every_backend(void **state)
{
    (void)state;
    static const struct {
        enum hbk_aead aead;
        const char *key, *nonce, *header, *plain, *cipher, *tag;
    } cases[] = {
        /* The GCM specification of McGrew and Viega, test cases 4 and 16. */
        {HBK_AEAD_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
         "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
         "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
         "5bc94fbc3221a5db94fae95ae7121a47"},
        {HBK_AEAD_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
         "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
         "76fc6ece0f4e1768cddf8853bb2d551b"},
        /* Test case 1: nothing but the tag. */
        {HBK_AEAD_AES_128_GCM, "00000000000000000000000000000000", "000000000000000000000000", "",
         "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        for (size_t j = 0; j < HBK_COUNT(backends); j++) {
            uint8_t secret[32], header[64], bytes[64], cipher[64], tag[16], expected_tag[16];
            struct hbk_aead_key key;
            struct hbk_aead_record record = {.tag = tag};
            size_t size = strlen(cases[i].plain) / 2;

            if (!hbk_aead_is_available(cases[i].aead, backends[j])) {
                continue;
            }
            from_hex(secret, hbk_aead_key_bytes(cases[i].aead), cases[i].key);
            from_hex(record.nonce, 12, cases[i].nonce);
            from_hex(header, strlen(cases[i].header) / 2, cases[i].header);
            from_hex(bytes, size, cases[i].plain);
            from_hex(cipher, size, cases[i].cipher);
            from_hex(expected_tag, 16, cases[i].tag);
            record.header = hbk_slice_of(header, strlen(cases[i].header) / 2);
            record.bytes = hbk_span_of(bytes, size);
            assert_int_equal(hbk_aead_key_init(&key, cases[i].aead, backends[j], secret), HBK_OK);
            assert_true(hbk_aead_seal(&key, &record, 1));
            assert_memory_equal(tag, expected_tag, 16);
            if (size > 0) {
                assert_memory_equal(bytes, cipher, size);
            }
            hbk_aead_key_fini(&key);
        }
    }
}

/* RFC 8439, 2.8.2. */
static void chacha20_poly1305_gives_the_answer_of_rfc_8439(void **state)
{
    (void)state;
    uint8_t secret[32], header[12], tag[16], expected_tag[16], start[16];
    uint8_t text[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip "
                     "for the future, sunscreen would be it.";
    struct hbk_aead_key key;
    struct hbk_aead_record record = {.tag = tag};

    from_hex(secret, 32, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    from_hex(record.nonce, 12, "070000004041424344454647");
    from_hex(header, 12, "50515253c0c1c2c3c4c5c6c7");
    from_hex(expected_tag, 16, "1ae10b594f09e26a7e902ecbd0600691");
    from_hex(start, 16, "d31a8d34648e60db7b86afbc53ef7ec2");
    record.header = hbk_slice_of(header, 12);
    record.bytes = hbk_span_of(text, sizeof(text) - 1);
    assert_int_equal(
        hbk_aead_key_init(&key, HBK_AEAD_CHACHA20_POLY1305, HBK_AEAD_LIBCRYPTO, secret), HBK_OK);
    assert_true(hbk_aead_seal(&key, &record, 1));
    assert_memory_equal(tag, expected_tag, 16);
    assert_memory_equal(text, start, 16);
    assert_int_equal(hbk_aead_open(&key, &record, 1), 1);
    assert_memory_equal(text, "Ladies and", 10);
    hbk_aead_key_fini(&key);
}

static void every_backend_opens_what_every_other_seals_at_all_sizes(void **state)
{
    (void)state;
    static uint8_t plain[17000], bytes[17000 + 16];
    RAND_bytes(plain, sizeof(plain));
    for (int aead = 0; aead < 3; aead++) {
        for (size_t sealer = 0; sealer < HBK_COUNT(backends); sealer++) {
            for (size_t opener = 0; opener < HBK_COUNT(backends); opener++) {
                uint8_t secret[32], header[5] = {23, 3, 3, 0, 16};
                struct hbk_aead_key seal_key, open_key;
                RAND_bytes(secret, sizeof(secret));
                if (!hbk_aead_is_available((enum hbk_aead)aead, backends[sealer]) ||
                    !hbk_aead_is_available((enum hbk_aead)aead, backends[opener])) {
                    continue;
                }
                assert_int_equal(
                    hbk_aead_key_init(&seal_key, (enum hbk_aead)aead, backends[sealer], secret),
                    HBK_OK);
                assert_int_equal(
                    hbk_aead_key_init(&open_key, (enum hbk_aead)aead, backends[opener], secret),
                    HBK_OK);
                for (size_t size = 0; size < 17000; size += size < 300 ? 1 : 1111) {
                    struct hbk_aead_record record = {.header = hbk_slice_of(header, 5),
                                                     .bytes = hbk_span_of(bytes, size),
                                                     .tag = bytes + size};
                    record.nonce[0] = (uint8_t)size;
                    memcpy(bytes, plain, size);
                    assert_true(hbk_aead_seal(&seal_key, &record, 1));
                    assert_int_equal(hbk_aead_open(&open_key, &record, 1), 1);
                    assert_int_equal(memcmp(bytes, plain, size), 0);
                }
                hbk_aead_key_fini(&seal_key);
                hbk_aead_key_fini(&open_key);
            }
        }
    }
}

/* RFC 8446, 5.3, byte by byte. */
static void a_nonce_is_the_iv_with_the_number_of_the_record_in_its_last_eight_bytes(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 0xff, 0x100, UINT64_C(0x0102030405060708), UINT64_MAX};
    uint8_t iv[HBK_AEAD_NONCE_BYTES];
    for (int i = 0; i < HBK_AEAD_NONCE_BYTES; i++) {
        iv[i] = (uint8_t)(0x91 + 7 * i);
    }
    for (size_t k = 0; k < HBK_COUNT(numbers); k++) {
        struct hbk_aead_record record;
        uint8_t wanted[HBK_AEAD_NONCE_BYTES];
        memcpy(wanted, iv, sizeof(wanted));
        for (int i = 0; i < 8; i++) {
            wanted[11 - i] ^= (uint8_t)(numbers[k] >> 8 * i);
        }
        hbk_aead_set_nonce(&record, iv, numbers[k]);
        assert_memory_equal(record.nonce, wanted, sizeof(wanted));
    }
}

static void a_record_that_was_touched_is_zeroed_and_ends_the_call(void **state)
{
    (void)state;
    for (int aead = 0; aead < 3; aead++) {
        for (size_t j = 0; j < HBK_COUNT(backends); j++) {
            for (int touched = 0; touched < 4; touched++) {
                uint8_t secret[32] = {1}, header[5] = {23, 3, 3, 0, 16}, bytes[3][100 + 16];
                struct hbk_aead_key key;
                struct hbk_aead_record records[3];
                if (!hbk_aead_is_available((enum hbk_aead)aead, backends[j])) {
                    continue;
                }
                assert_int_equal(hbk_aead_key_init(&key, (enum hbk_aead)aead, backends[j], secret),
                                 HBK_OK);
                memset(bytes, 0x42, sizeof(bytes));
                for (int i = 0; i < 3; i++) {
                    records[i] = (struct hbk_aead_record){.nonce = {(uint8_t)i},
                                                          .header = hbk_slice_of(header, 5),
                                                          .bytes = hbk_span_of(bytes[i], 100),
                                                          .tag = bytes[i] + 100};
                }
                assert_true(hbk_aead_seal(&key, records, 3));
                switch (touched) {
                case 0:
                    bytes[1][99] ^= 1;
                    break;
                case 1:
                    records[1].tag[15] ^= 0x80;
                    break;
                case 2:
                    records[1].nonce[11] ^= 1;
                    break;
                default:
                    records[1].header.size = 4;
                    break;
                }
                assert_int_equal(hbk_aead_open(&key, records, 3), 1);
                assert_int_equal(bytes[0][50], 0x42);
                for (int i = 0; i < 100; i++) {
                    assert_int_equal(bytes[1][i], 0);
                }
                hbk_aead_key_fini(&key);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_hold_on_every_backend),
        cmocka_unit_test(chacha20_poly1305_gives_the_answer_of_rfc_8439),
        cmocka_unit_test(every_backend_opens_what_every_other_seals_at_all_sizes),
        cmocka_unit_test(a_nonce_is_the_iv_with_the_number_of_the_record_in_its_last_eight_bytes),
        cmocka_unit_test(a_record_that_was_touched_is_zeroed_and_ends_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
