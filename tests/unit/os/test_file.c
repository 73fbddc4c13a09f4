#include "os/file.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static char directory[HBK_PATH_BYTES_MAX];

static int make_directory(void **state)
{
    (void)state;
    return hbk_directory_make_private("hbk-test-file", directory) == HBK_OK ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return hbk_directory_remove(directory) == HBK_OK ? 0 : -1;
}

static const char *path_to(const char *name)
{
    static char path[HBK_PATH_BYTES_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void what_was_written_is_read_with_its_mode(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0644, 0400};
    for (size_t i = 0; i < HBK_COUNT(modes); i++) {
        struct hbk_arena arena;
        struct hbk_slice found;
        struct stat about;
        hbk_arena_init(&arena);
        assert_int_equal(hbk_file_write(path_to("a"), HBK_SLICE("hello"), modes[i]), HBK_OK);
        assert_int_equal(stat(path_to("a"), &about), 0);
        assert_int_equal(about.st_mode & 0777, modes[i]);
        assert_int_equal(hbk_file_read(&arena, path_to("a"), 5, &found), HBK_OK);
        assert_slice_equal(found, HBK_SLICE("hello"));
        hbk_arena_fini(&arena);
    }
}

static void a_file_above_the_limit_is_refused(void **state)
{
    (void)state;
    struct hbk_arena arena;
    struct hbk_slice found;
    hbk_arena_init(&arena);
    assert_int_equal(hbk_file_write(path_to("b"), HBK_SLICE("123456"), 0600), HBK_OK);
    assert_int_equal(hbk_file_read(&arena, path_to("b"), 5, &found), HBK_LIMIT);
    assert_int_equal(hbk_file_read(&arena, path_to("none"), 5, &found), HBK_NOT_FOUND);
    hbk_arena_fini(&arena);
}

static void a_file_that_claims_no_size_is_read_whole(void **state)
{
    (void)state;
    struct hbk_arena arena;
    struct hbk_slice found;
    hbk_arena_init(&arena);
    assert_int_equal(hbk_file_read(&arena, "/proc/self/status", 64 << 10, &found), HBK_OK);
    assert_true(found.size > 100);
    hbk_arena_fini(&arena);
}

static void a_large_file_is_read_whole(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    struct hbk_arena arena;
    struct hbk_slice found;
    uint8_t *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 31 >> 3);
    }
    hbk_arena_init(&arena);
    assert_int_equal(hbk_file_write(path_to("c"), hbk_slice_of(bytes, SIZE), 0600), HBK_OK);
    assert_int_equal(hbk_file_read(&arena, path_to("c"), SIZE, &found), HBK_OK);
    assert_slice_equal(found, hbk_slice_of(bytes, SIZE));
    hbk_arena_fini(&arena);
    free(bytes);
}

static void a_failed_write_leaves_nothing_behind(void **state)
{
    (void)state;
    char inside[HBK_PATH_BYTES_MAX + 64];
    /* A directory cannot be replaced by a file, so the rename at the end fails. */
    assert_int_equal(hbk_directory_make(path_to("d/e"), 0700), HBK_OK);
    assert_int_not_equal(hbk_file_write(path_to("d/e"), HBK_SLICE("x"), 0600), HBK_OK);
    (void)snprintf(inside, sizeof inside, "%s", path_to("d"));
    assert_int_equal(rmdir(path_to("d/e")), 0);
    assert_int_equal(rmdir(inside), 0); /* so it was empty */
}

static void directories_are_made_with_those_above_them(void **state)
{
    (void)state;
    assert_int_equal(hbk_directory_make(path_to("x/y/z"), 0700), HBK_OK);
    assert_int_equal(hbk_directory_make(path_to("x/y/z/"), 0700), HBK_OK);
    assert_int_equal(hbk_file_write(path_to("x/file"), HBK_SLICE("x"), 0600), HBK_OK);
    assert_int_equal(hbk_directory_make(path_to("x/file"), 0700), HBK_NO_DIRECTORY);
    assert_int_equal(hbk_directory_remove(path_to("x")), HBK_OK);
    assert_int_equal(hbk_directory_remove(path_to("x")), HBK_NOT_FOUND);
}

static void count_name(struct hbk_slice name, void *context)
{
    unsigned *counts = context;
    counts[0]++;
    counts[1] += hbk_slice_equal(name, HBK_SLICE("listed.pem"));
}

static void every_entry_of_a_directory_is_told_once(void **state)
{
    (void)state;
    unsigned counts[2] = {0, 0};
    assert_int_equal(hbk_directory_make(path_to("list"), 0700), HBK_OK);
    assert_int_equal(hbk_file_write(path_to("list/listed.pem"), HBK_SLICE("x"), 0600), HBK_OK);
    assert_int_equal(hbk_file_write(path_to("list/other"), HBK_SLICE("x"), 0600), HBK_OK);
    assert_int_equal(hbk_directory_each(path_to("list"), count_name, counts), HBK_OK);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1);
    assert_int_equal(hbk_directory_each(path_to("nowhere"), count_name, counts), HBK_NOT_FOUND);
    assert_int_equal(counts[0], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_with_its_mode),
        cmocka_unit_test(a_file_above_the_limit_is_refused),
        cmocka_unit_test(a_file_that_claims_no_size_is_read_whole),
        cmocka_unit_test(a_large_file_is_read_whole),
        cmocka_unit_test(a_failed_write_leaves_nothing_behind),
        cmocka_unit_test(directories_are_made_with_those_above_them),
        cmocka_unit_test(every_entry_of_a_directory_is_told_once),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
