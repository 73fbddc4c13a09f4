#include "tls/record.h"

#include "failing_heap.h"
#include "harness.h"
#include "tls/session.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

enum { RECORD_BYTES_MAX = 32 << 10 };

static size_t read_hex(const char *text, uint8_t *out)
{
    size_t size = 0;
    for (; text[0] != '\0'; text += 2) {
        char pair[3] = {text[0], text[1], '\0'};
        out[size++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return size;
}

/* RFC 8448, section 3: the client's first application data. */
static const char client_secret_hex[] =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char client_record_hex[] =
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e"
    "2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";

static void start_rfc8448(struct hbk_tls_record_direction *direction)
{
    uint8_t secret[32];
    assert_int_equal(read_hex(client_secret_hex, secret), sizeof secret);
    hbk_tls_record_direction_init(direction, &expanded, HBK_SUITE_AES_128_GCM_SHA256,
                                  hbk_slice_of(secret, sizeof secret));
}

static void keys_are_those_of_rfc8448(void **state)
{
    (void)state;
    uint8_t key[16];
    uint8_t iv[12];
    struct hbk_tls_record_direction direction;
    start_rfc8448(&direction);
    read_hex("17422dda596ed5d9acd890e3c63f5051", key);
    read_hex("5b78923dee08579033e523d9", iv);
    assert_memory_equal(direction.key, key, sizeof key);
    assert_memory_equal(direction.iv, iv, sizeof iv);
    hbk_tls_record_direction_fini(&direction);
}

static void a_record_is_sealed_as_in_rfc8448_and_opened_again(void **state)
{
    (void)state;
    uint8_t expected[128];
    uint8_t out[128];
    size_t size = read_hex(client_record_hex, expected);
    struct hbk_tls_record_direction direction;
    start_rfc8448(&direction);
    for (uint8_t i = 0; i < 50; i++) {
        out[HBK_TLS_RECORD_HEADER_BYTES + i] = i;
    }
    assert_true(hbk_tls_record_seal(&direction, HBK_TLS_RECORD_APPLICATION_DATA, out, 50));
    assert_slice_equal(hbk_slice_of(out, 50 + HBK_TLS_RECORD_EXTRA_BYTES),
                       hbk_slice_of(expected, size));
    hbk_tls_record_direction_fini(&direction);

    struct hbk_tls_record record;
    start_rfc8448(&direction);
    assert_int_equal(hbk_tls_record_open(&direction, hbk_span_of(out, size), &record),
                     HBK_TLS_RECORD_OPENED);
    assert_int_equal(record.type, HBK_TLS_RECORD_APPLICATION_DATA);
    assert_int_equal(record.record_bytes, size);
    assert_int_equal(record.plain.size, 50);
    for (uint8_t i = 0; i < 50; i++) {
        assert_int_equal(record.plain.bytes[i], i);
    }
    hbk_tls_record_direction_fini(&direction);
}

/* Two directions that share their secret: what one seals the other opens. */
struct two {
    struct hbk_tls_record_direction out, in;
};

static void start_two(struct two *two, enum hbk_cipher_suite suite)
{
    uint8_t secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    memset(secret, 0x5a, sizeof secret);
    struct hbk_slice used = hbk_slice_of(secret, suite == HBK_SUITE_AES_256_GCM_SHA384 ? 48 : 32);
    hbk_tls_record_direction_init(&two->out, &expanded, suite, used);
    hbk_tls_record_direction_init(&two->in, &expanded, suite, used);
}

static void end_two(struct two *two)
{
    hbk_tls_record_direction_fini(&two->out);
    hbk_tls_record_direction_fini(&two->in);
}

/* As many directions speak as there are places, and again, so that all marks are gone. */
static void lose_places(void)
{
    static struct hbk_tls_record_direction others[2 * HBK_EXPANDED_KEYS_MAX];
    for (size_t i = 0; i < HBK_COUNT(others); i++) {
        uint8_t bytes[64];
        start_rfc8448(&others[i]);
        assert_true(hbk_tls_record_seal(&others[i], HBK_TLS_RECORD_APPLICATION_DATA, bytes, 10));
    }
    for (size_t i = 0; i < HBK_COUNT(others); i++) {
        hbk_tls_record_direction_fini(&others[i]);
    }
}

static void any_size_passes_under_either_suite(void **state)
{
    (void)state;
    static const enum hbk_cipher_suite suites[] = {HBK_SUITE_AES_128_GCM_SHA256,
                                                   HBK_SUITE_AES_256_GCM_SHA384};
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 1024, 4095, 16383, 16384};
    static uint8_t bytes[RECORD_BYTES_MAX];
    for (size_t i = 0; i < HBK_COUNT(suites); i++) {
        struct two two;
        start_two(&two, suites[i]);
        for (size_t j = 0; j < HBK_COUNT(sizes); j++) {
            struct hbk_tls_record record;
            memset(bytes, (int)j, sizeof bytes);
            assert_true(
                hbk_tls_record_seal(&two.out, HBK_TLS_RECORD_APPLICATION_DATA, bytes, sizes[j]));
            if (j % 3 == 0) { /* its place goes to others meanwhile */
                lose_places();
            }
            assert_int_equal(
                hbk_tls_record_open(
                    &two.in, hbk_span_of(bytes, sizes[j] + HBK_TLS_RECORD_EXTRA_BYTES), &record),
                HBK_TLS_RECORD_OPENED);
            assert_int_equal(record.plain.size, sizes[j]);
            for (size_t k = 0; k < sizes[j]; k++) {
                assert_int_equal(record.plain.bytes[k], j);
            }
        }
        end_two(&two);
    }
}

/* RFC 8446, 5.2: any change of header, text or tag is found; so is another place in the order. */
static void a_changed_bit_anywhere_is_found(void **state)
{
    (void)state;
    enum { PLAIN_BYTES = 20, SIZE = PLAIN_BYTES + HBK_TLS_RECORD_EXTRA_BYTES };
    for (size_t i = 0; i < SIZE * 8; i++) {
        uint8_t bytes[SIZE] = {0};
        struct two two;
        struct hbk_tls_record record;
        start_two(&two, HBK_SUITE_AES_128_GCM_SHA256);
        assert_true(
            hbk_tls_record_seal(&two.out, HBK_TLS_RECORD_APPLICATION_DATA, bytes, PLAIN_BYTES));
        bytes[i / 8] ^= (uint8_t)(1U << i % 8);
        assert_int_not_equal(hbk_tls_record_open(&two.in, hbk_span_of(bytes, SIZE), &record),
                             HBK_TLS_RECORD_OPENED);
        end_two(&two);
    }
}

static void a_record_twice_or_out_of_order_is_found(void **state)
{
    /* RFC 8446 5.3: the nonce of a record is its number, which is never sent */
    (void)state;
    uint8_t first[64] = {0};
    uint8_t second[64] = {0};
    uint8_t copy[64];
    struct two two;
    struct hbk_tls_record record;
    start_two(&two, HBK_SUITE_AES_128_GCM_SHA256);
    assert_true(hbk_tls_record_seal(&two.out, HBK_TLS_RECORD_APPLICATION_DATA, first, 10));
    assert_true(hbk_tls_record_seal(&two.out, HBK_TLS_RECORD_APPLICATION_DATA, second, 10));
    memcpy(copy, second, sizeof copy);
    assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(copy, 32), &record),
                     HBK_TLS_RECORD_BAD);
    memcpy(copy, first, sizeof copy);
    assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(copy, 32), &record),
                     HBK_TLS_RECORD_OPENED);
    memcpy(copy, first, sizeof copy);
    assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(copy, 32), &record),
                     HBK_TLS_RECORD_BAD);
    end_two(&two);
}

/* Headers alone, before any cipher is run. */
static void headers_are_judged_before_their_length_is_believed(void **state)
{
    (void)state;
    static const struct {
        uint8_t header[5];
        size_t size;
        enum hbk_tls_record_answer answer;
    } cases[] = {
        {{23, 3, 3, 0, 50}, 0, HBK_TLS_RECORD_PARTIAL},
        {{23, 3, 3, 0, 50}, 4, HBK_TLS_RECORD_PARTIAL},
        {{23, 3, 3, 0, 50}, 5, HBK_TLS_RECORD_PARTIAL},
        {{23, 3, 3, 0, 50}, 54, HBK_TLS_RECORD_PARTIAL},
        {{23, 3, 3, 0, 16}, 21, HBK_TLS_RECORD_BAD}, /* no place for the type */
        {{23, 3, 3, 0, 0}, 5, HBK_TLS_RECORD_BAD},
        {{23, 3, 3, 0x41, 0x00}, 5, HBK_TLS_RECORD_PARTIAL}, /* 2^14 + 256: the most */
        {{23, 3, 3, 0x41, 0x01}, 5, HBK_TLS_RECORD_TOO_LONG},
        {{23, 3, 3, 0xff, 0xff}, 5, HBK_TLS_RECORD_TOO_LONG},
        {{20, 3, 3, 0, 1}, 6, HBK_TLS_RECORD_UNEXPECTED},
        {{21, 3, 3, 0, 2}, 7, HBK_TLS_RECORD_UNEXPECTED},
        {{22, 3, 3, 0, 50}, 55, HBK_TLS_RECORD_UNEXPECTED},
        {{'G', 'E', 'T', ' ', '/'}, 5, HBK_TLS_RECORD_UNEXPECTED},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t bytes[64] = {0};
        struct two two;
        struct hbk_tls_record record;
        memcpy(bytes, cases[i].header, 5);
        start_two(&two, HBK_SUITE_AES_128_GCM_SHA256);
        assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(bytes, cases[i].size), &record),
                         cases[i].answer);
        end_two(&two);
    }
}

/* Seals `text_bytes` bytes that are already inner plaintext: type and padding included. */
static size_t seal_inner(struct two *two, uint8_t *bytes, size_t text_bytes)
{
    enum hbk_tls_record_type type = (enum hbk_tls_record_type)bytes[5 + text_bytes - 1];
    assert_true(hbk_tls_record_seal(&two->out, type, bytes, text_bytes - 1));
    return text_bytes - 1 + HBK_TLS_RECORD_EXTRA_BYTES;
}

/* RFC 8446, 5.4. */
static void padding_is_taken_off_and_never_taken_for_a_type(void **state)
{
    /* RFC 8446 5.4: a record without a type behind its padding MUST be refused */
    (void)state;
    uint8_t bytes[128] = {0};
    struct two two;
    struct hbk_tls_record record;
    start_two(&two, HBK_SUITE_AES_128_GCM_SHA256);
    memcpy(bytes + 5, "abc\x17\0\0\0\0", 8);
    size_t size = seal_inner(&two, bytes, 8);
    assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(bytes, size), &record),
                     HBK_TLS_RECORD_OPENED);
    assert_int_equal(record.type, HBK_TLS_RECORD_APPLICATION_DATA);
    assert_slice_equal(hbk_slice_of(record.plain.bytes, record.plain.size), HBK_SLICE("abc"));
    assert_int_equal(record.record_bytes, size);

    memset(bytes, 0, sizeof bytes);
    size = seal_inner(&two, bytes, 8);
    assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(bytes, size), &record),
                     HBK_TLS_RECORD_UNEXPECTED);
    end_two(&two);
}

/* RFC 8446, 7.2: both sides step to the same next key, and the old one is gone. */
static void updated_keys_fit_each_other_only(void **state)
{
    /* RFC 8446 7.2: the next traffic secret follows from the one before */
    (void)state;
    uint8_t bytes[64] = {0};
    uint8_t copy[64];
    struct two two;
    struct hbk_tls_record record;
    start_two(&two, HBK_SUITE_AES_256_GCM_SHA384);
    hbk_tls_record_direction_update(&two.out);
    assert_true(hbk_tls_record_seal(&two.out, HBK_TLS_RECORD_APPLICATION_DATA, bytes, 9));
    memcpy(copy, bytes, sizeof copy);
    assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(copy, 31), &record),
                     HBK_TLS_RECORD_BAD);
    hbk_tls_record_direction_update(&two.in);
    assert_int_equal(hbk_tls_record_open(&two.in, hbk_span_of(bytes, 31), &record),
                     HBK_TLS_RECORD_OPENED);
    assert_int_equal(two.out.sequence, 1);
    end_two(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_rfc8448),
        cmocka_unit_test(a_record_is_sealed_as_in_rfc8448_and_opened_again),
        cmocka_unit_test(any_size_passes_under_either_suite),
        cmocka_unit_test(a_changed_bit_anywhere_is_found),
        cmocka_unit_test(a_record_twice_or_out_of_order_is_found),
        cmocka_unit_test(headers_are_judged_before_their_length_is_believed),
        cmocka_unit_test(padding_is_taken_off_and_never_taken_for_a_type),
        cmocka_unit_test(updated_keys_fit_each_other_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
