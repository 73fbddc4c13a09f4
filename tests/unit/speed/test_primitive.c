#include "speed/primitive.h"

#include "crypto/cpu.h"
#include "harness.h"

enum { ROWS_MAX = 200 };

struct rows {
    struct hbk_primitive_row row[ROWS_MAX];
    unsigned count;
};

static void keep(void *context, const struct hbk_primitive_row *row)
{
    struct rows *rows = context;
    assert_true(rows->count < ROWS_MAX);
    rows->row[rows->count++] = *row;
}

static struct rows measure(const char *pattern)
{
    struct rows rows = {0};
    regex_t only;
    struct hbk_error error = {0};
    const struct hbk_primitive_options options = {.seconds = 0.001, .only = &only};

    assert_int_equal(regcomp(&only, pattern, REG_EXTENDED | REG_NOSUB), 0);
    assert_int_equal(hbk_primitive_run(&options, keep, &rows, &error), HBK_OK);
    regfree(&only);
    return rows;
}

static void an_operation_has_a_row_for_libcrypto_and_one_for_each_number_of_lanes(void **state)
{
    (void)state;
    static const unsigned lanes[] = {1, 1, 2, 4, 8};
    const struct rows rows = measure("^(x25519|.*p256|rsa-2048)");
    const unsigned each = hbk_cpu_path() == HBK_PATH_VECTOR ? 5 : 1;

    assert_int_equal(rows.count, 8 * each);
    for (unsigned i = 0; i < rows.count; i++) {
        assert_string_equal(rows.row[i].path, i % each == 0 ? "libcrypto" : "vector");
        assert_int_equal(rows.row[i].lanes, lanes[i % each]);
        assert_int_equal(rows.row[i].bytes, 0);
        assert_true(rows.row[i].ops_per_second > 0);
        assert_true(rows.row[i].ratio > 0);
    }
}

static void an_operation_without_a_kernel_has_a_row_for_libcrypto_alone(void **state)
{
    (void)state;
    const struct rows rows = measure("p384|ed25519");

    assert_int_equal(rows.count, 6);
    for (unsigned i = 0; i < rows.count; i++) {
        assert_string_equal(rows.row[i].path, "libcrypto");
        assert_null(rows.row[i].queue);
    }
}

static void the_row_of_eight_lanes_says_from_how_many_on_they_pay(void **state)
{
    (void)state;
    const struct rows rows = measure("^(x25519|.*p256)");

    for (unsigned i = 0; i < rows.count; i++) {
        if (rows.row[i].lanes == HBK_LANES) {
            assert_non_null(rows.row[i].queue);
            assert_in_range(rows.row[i].break_even_lanes, 1, HBK_LANES + 1);
            assert_true(rows.row[i].twin_ops_per_second > 0);
        } else {
            assert_null(rows.row[i].queue);
        }
    }
}

/* hbk_primitive_run itself asserts that both ways come to the same secrets. */
static void a_key_schedule_is_measured_with_each_hash(void **state)
{
    (void)state;
    const struct rows rows = measure("^tls13-key-schedule");

    assert_int_equal(rows.count, 4);
    for (unsigned i = 0; i < rows.count; i++) {
        assert_string_equal(rows.row[i].operation,
                            i < 2 ? "tls13-key-schedule-sha256" : "tls13-key-schedule-sha384");
        assert_string_equal(rows.row[i].path, i % 2 == 0 ? "libcrypto" : "vector");
        assert_true(rows.row[i].ops_per_second > 0);
    }
}

static void a_pattern_chooses_operations(void **state)
{
    (void)state;
    const struct rows rows = measure("^x25519-derive$");
    for (unsigned i = 0; i < rows.count; i++) {
        assert_string_equal(rows.row[i].operation, "x25519-derive");
    }
    assert_true(rows.count > 0);
    assert_int_equal(measure("no such thing").count, 0);
}

static void records_have_a_row_for_each_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 256, 1350, 8192, 16384};
    const struct rows rows = measure("^chacha20-poly1305-seal$");

    assert_int_equal(rows.count, HBK_COUNT(sizes));
    for (unsigned i = 0; i < rows.count; i++) {
        assert_int_equal(rows.row[i].bytes, sizes[i]);
        assert_true(rows.row[i].ns_per_record > 0);
    }
}

static hbk_status run_with(const char *path, struct rows *rows, struct hbk_error *error)
{
    regex_t only;
    const struct hbk_primitive_options options = {
        .seconds = 0.001, .only = &only, .crypto_mb_path = path};

    assert_int_equal(regcomp(&only, "^(x25519|.*p256|rsa)", REG_EXTENDED | REG_NOSUB), 0);
    hbk_status status = hbk_primitive_run(&options, keep, rows, error);
    regfree(&only);
    return status;
}

static void a_library_that_cannot_serve_is_refused_with_the_reason(void **state)
{
    (void)state;
    struct rows rows = {0};
    struct hbk_error error = {0};

    assert_int_equal(run_with("/nowhere/libcrypto_mb.so", &rows, &error), HBK_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nowhere/libcrypto_mb.so"));
    error = (struct hbk_error){0};
    assert_int_equal(run_with("libc.so.6", &rows, &error), HBK_NOT_FOUND);
    assert_non_null(strstr(error.text, "mbx_"));
    assert_int_equal(rows.count, 0);
}

/* Preparing compares its results with libcrypto's, so this is a test of three libraries. */
static void intels_library_is_measured_beside_ours(void **state)
{
    (void)state;
    struct rows rows = {0};
    struct hbk_error error = {0};
    const char *path = getenv("HBK_CRYPTO_MB");
    unsigned found = 0;

    if (path == NULL || hbk_cpu_path() != HBK_PATH_VECTOR) {
        print_message("skipped: HBK_CRYPTO_MB names no libcrypto_mb.so, or no AVX-512 IFMA\n");
        skip();
    }
    assert_int_equal(run_with(path, &rows, &error), HBK_OK);
    for (unsigned i = 0; i < rows.count; i++) {
        found += strcmp(rows.row[i].path, "crypto_mb") == 0;
    }
    assert_int_equal(found, 12 * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_has_a_row_for_libcrypto_and_one_for_each_number_of_lanes),
        cmocka_unit_test(an_operation_without_a_kernel_has_a_row_for_libcrypto_alone),
        cmocka_unit_test(the_row_of_eight_lanes_says_from_how_many_on_they_pay),
        cmocka_unit_test(a_key_schedule_is_measured_with_each_hash),
        cmocka_unit_test(a_pattern_chooses_operations),
        cmocka_unit_test(records_have_a_row_for_each_size),
        cmocka_unit_test(a_library_that_cannot_serve_is_refused_with_the_reason),
        cmocka_unit_test(intels_library_is_measured_beside_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
