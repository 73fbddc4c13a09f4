#include "discovery/file_watch.h"

#include "scratch.h"

#include "base/clock.h"

static struct scratch scratch;
static struct hbk_file_watch watch;

enum { START_NS = 1000 };

static const uint64_t quiet_ns = HBK_FILE_WATCH_QUIET_MS * HBK_NS_PER_MS;
static const uint64_t longest_ns = HBK_FILE_WATCH_LONGEST_MS * HBK_NS_PER_MS;

static int setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    scratch_replace(&scratch, "mesh.yaml", "{}");
    assert_int_equal(hbk_file_watch_open(&watch, scratch_path(&scratch, "mesh.yaml")), HBK_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hbk_file_watch_close(&watch);
    scratch_remove(&scratch);
    return 0;
}

/* Takes the notices at `now_ns` and waits, in thought, until things are quiet. */
static bool has_changed(uint64_t now_ns)
{
    hbk_file_watch_notice(&watch, now_ns);
    return hbk_file_watch_settled(&watch, now_ns + quiet_ns);
}

static void a_quiet_directory_is_no_change(void **state)
{
    (void)state;
    assert_false(has_changed(START_NS));
    assert_int_equal(watch.due_ns, UINT64_MAX);
}

static void a_file_renamed_over_it_is_a_change_once(void **state)
{
    (void)state;
    scratch_replace(&scratch, "mesh.yaml", "pods: {}");
    assert_true(has_changed(START_NS));
    assert_false(has_changed(START_NS + longest_ns));
}

static void writing_in_place_is_a_change(void **state)
{
    (void)state;
    scratch_overwrite(&scratch, "mesh.yaml", "services: []");
    assert_true(has_changed(START_NS));
}

static void a_neighbour_is_no_change(void **state)
{
    (void)state;
    scratch_replace(&scratch, "other.yaml", "{}");
    assert_false(has_changed(START_NS));
    assert_int_equal(watch.due_ns, UINT64_MAX);
}

static void a_swapped_link_on_the_way_is_a_change(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path(&scratch, "..1"), 0700), 0);
    assert_int_equal(mkdir(scratch_path(&scratch, "..2"), 0700), 0);
    scratch_replace(&scratch, "..1/mesh.yaml", "{}");
    scratch_replace(&scratch, "..2/mesh.yaml", "{}");
    scratch_link(&scratch, "..data", "..1");
    scratch_link(&scratch, "mesh.yaml", "..data/mesh.yaml");
    assert_true(has_changed(START_NS));
    scratch_link(&scratch, "..data", "..2");
    assert_true(has_changed(START_NS));
}

static void a_file_that_goes_and_comes_back_is_a_change_when_it_is_back(void **state)
{
    (void)state;
    assert_int_equal(unlink(scratch_path(&scratch, "mesh.yaml")), 0);
    assert_false(has_changed(START_NS));
    scratch_overwrite(&scratch, "mesh.yaml", "{}");
    assert_true(has_changed(START_NS));
}

static void changes_that_follow_closely_count_once_when_it_is_quiet(void **state)
{
    (void)state;
    uint64_t now_ns = START_NS;
    for (int i = 0; i < 5; i++, now_ns += quiet_ns / 2) {
        scratch_replace(&scratch, "mesh.yaml", "{}");
        hbk_file_watch_notice(&watch, now_ns);
        assert_false(hbk_file_watch_settled(&watch, now_ns + quiet_ns / 2 - 1));
    }
    assert_true(hbk_file_watch_settled(&watch, now_ns + quiet_ns));
    assert_false(hbk_file_watch_settled(&watch, now_ns + 2 * quiet_ns));
}

static void a_file_that_never_rests_counts_after_a_while(void **state)
{
    (void)state;
    uint64_t now_ns = START_NS;
    while (now_ns < START_NS + longest_ns - quiet_ns / 2) {
        scratch_overwrite(&scratch, "mesh.yaml", "{}");
        hbk_file_watch_notice(&watch, now_ns);
        assert_false(hbk_file_watch_settled(&watch, now_ns));
        now_ns += quiet_ns / 2;
    }
    assert_true(hbk_file_watch_settled(&watch, START_NS + longest_ns));
}

static void a_directory_that_is_replaced_is_watched_again(void **state)
{
    (void)state;
    char moved[HBK_PATH_BYTES_MAX + 32];
    (void)snprintf(moved, sizeof moved, "%s-moved", scratch.directory);
    assert_int_equal(rename(scratch.directory, moved), 0);
    assert_false(has_changed(START_NS));
    assert_int_not_equal(watch.due_ns, UINT64_MAX); /* it looks for the directory again */

    assert_int_equal(mkdir(scratch.directory, 0700), 0);
    scratch_replace(&scratch, "mesh.yaml", "{}");
    assert_true(hbk_file_watch_settled(&watch, watch.due_ns));
    scratch_replace(&scratch, "mesh.yaml", "{}");
    assert_true(has_changed(START_NS + 2 * longest_ns));
    assert_int_equal(hbk_directory_remove(moved), HBK_OK);
}

static void what_cannot_be_watched_is_told(void **state)
{
    (void)state;
    struct hbk_file_watch other;
    static char long_path[HBK_PATH_BYTES_MAX + 1];
    memset(long_path, 'a', HBK_PATH_BYTES_MAX);
    assert_int_equal(hbk_file_watch_open(&other, "/nonexistent/mesh.yaml"), HBK_NOT_FOUND);
    assert_int_equal(hbk_file_watch_open(&other, long_path), HBK_INVALID);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_quiet_directory_is_no_change),
        WITH_FILE(a_file_renamed_over_it_is_a_change_once),
        WITH_FILE(writing_in_place_is_a_change),
        WITH_FILE(a_neighbour_is_no_change),
        WITH_FILE(a_swapped_link_on_the_way_is_a_change),
        WITH_FILE(a_file_that_goes_and_comes_back_is_a_change_when_it_is_back),
        WITH_FILE(changes_that_follow_closely_count_once_when_it_is_quiet),
        WITH_FILE(a_file_that_never_rests_counts_after_a_while),
        WITH_FILE(a_directory_that_is_replaced_is_watched_again),
        cmocka_unit_test(what_cannot_be_watched_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
