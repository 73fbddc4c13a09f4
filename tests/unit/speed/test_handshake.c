#include "speed/handshake.h"

#include <string.h>

#include "crypto/cpu.h"
#include "harness.h"

enum { ROWS_MAX = 48 };

struct rows {
    struct hbk_handshake_row row[ROWS_MAX];
    unsigned count;
};

static void keep(void *context, const struct hbk_handshake_row *row)
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
    const struct hbk_handshake_options options = {.seconds = 0.001, .only = &only};

    assert_int_equal(regcomp(&only, pattern, REG_EXTENDED | REG_NOSUB), 0);
    assert_int_equal(hbk_handshake_run(&options, keep, &rows, &error), HBK_OK);
    regfree(&only);
    return rows;
}

static const struct hbk_handshake_row *find(const struct rows *rows, const char *engine,
                                            const char *side)
{
    for (unsigned i = 0; i < rows->count; i++) {
        if (strcmp(rows->row[i].engine, engine) == 0 && strcmp(rows->row[i].side, side) == 0) {
            return &rows->row[i];
        }
    }
    return NULL;
}

static void the_others_are_compared_with_libssl_alone(void **state)
{
    (void)state;
    const struct rows rows = measure("^tls13-p256$");

    assert_int_equal(rows.count, 6);
    for (unsigned i = 0; i < rows.count; i++) {
        const bool is_libssl = strcmp(rows.row[i].engine, "openssl") == 0;
        assert_true(rows.row[i].handshakes_per_second > 0);
        assert_true(is_libssl == (rows.row[i].ratio == 1.0));
        assert_true(!is_libssl || rows.row[i].lanes == 0); /* it has no batcher */
    }
    assert_true(find(&rows, "native", "server")->target ==
                (hbk_cpu_path() == HBK_PATH_VECTOR ? 6.8 : 0));
    assert_true(find(&rows, "native", "client")->target == 0);
    assert_true(find(&rows, "openssl-batched", "server")->lanes >= 1);
    assert_true(find(&rows, "native", "client")->lanes >= 1);
}

/* A handshake that was not resumed would fail the run. */
static void sessions_are_resumed_with_every_engine(void **state)
{
    (void)state;
    const struct rows rows = measure("^tls13-resume$");

    assert_int_equal(rows.count, 6);
    assert_non_null(find(&rows, "openssl", "server"));
    assert_non_null(find(&rows, "native", "server"));
    assert_non_null(find(&rows, "openssl-batched", "client"));
}

/* libssl keeps a connection of TLS 1.2, so that one at rest is as large as libssl makes it. */
static void a_handshake_of_tls12_is_one(void **state)
{
    (void)state;
    const struct rows rows = measure("^tls12-ecdhe-rsa2048$");

    assert_int_equal(rows.count, 3);
    assert_null(find(&rows, "native", "server"));
    assert_null(find(&rows, "openssl-batched", "client")); /* its client is libssl alone */
    const size_t idle_bytes = find(&rows, "openssl-batched", "server")->idle_bytes;
    assert_true(idle_bytes == 0 || idle_bytes > 4096); /* 0: an allocator that does not count */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_others_are_compared_with_libssl_alone),
        cmocka_unit_test(sessions_are_resumed_with_every_engine),
        cmocka_unit_test(a_handshake_of_tls12_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
