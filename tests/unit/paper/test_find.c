#include "paper/paper.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static struct hbk_paper paper; /* too large for a stack */

static hbk_status find(const char *systems, const char *const *binaries, struct hbk_error *error)
{
    paper = (struct hbk_paper){.options = {.items = HBK_ALL_ITEMS, .systems = systems}};
    for (; binaries[paper.options.binary_count] != NULL; paper.options.binary_count++) {
        paper.options.binaries[paper.options.binary_count] = binaries[paper.options.binary_count];
    }
    hbk_arena_init(&paper.arena);
    return hbk_paper_find_systems(&paper, error);
}

static const struct hbk_paper_system *system_called(const char *name)
{
    for (unsigned i = 0; i < paper.system_count; i++) {
        if (strcmp(paper.systems[i].name, name) == 0) {
            return &paper.systems[i];
        }
    }
    fail_msg("no system is called %s", name);
    return NULL;
}

static void every_system_that_is_carried_along_can_be_read(void **state)
{
    (void)state;
    assert_true(hbk_builtin_systems_count >= 4);
    for (unsigned i = 0; i < hbk_builtin_systems_count; i++) {
        struct hbk_arena arena;
        struct hbk_report report;
        struct hbk_descriptor descriptor;
        hbk_arena_init(&arena);
        hbk_report_init(&report);
        hbk_status status =
            hbk_descriptor_read("system.yaml", hbk_slice_text(hbk_builtin_systems[i].text), &arena,
                                &report, &descriptor);
        if (status != HBK_OK) {
            print_error("%s: %s\n", hbk_builtin_systems[i].name, report.lines[0]);
            fail();
        }
        assert_slice_equal(descriptor.name, hbk_slice_text(hbk_builtin_systems[i].name));
        assert_true(descriptor.process_count == 2 && descriptor.file_count >= 1);
        hbk_arena_fini(&arena);
    }
}

static void a_system_from_a_file_remembers_the_file_that_was_given(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    char path[] = "/tmp/hbk-system-XXXXXX.yaml", systems[64];
    static const char text[] = "name: mine\ntitle: t\nbinary: /bin/true\nencrypts: true\n"
                               "processes:\n- {name: p, side: client, command: [], port: 15001}\n";
    struct hbk_error error = {0};
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1 && close(fd) == 0);
    (void)snprintf(systems, sizeof systems, "haproxy,%s,node", path);
    assert_int_equal(find(systems, none, &error), HBK_OK);
    assert_string_equal(system_called("mine")->file, path);
    assert_string_equal(system_called("haproxy")->file, "");
    assert_string_equal(system_called("node")->file, "");
    hbk_arena_fini(&paper.arena);
    assert_int_equal(unlink(path), 0);
}

static void another_build_stands_for_the_system_that_was_named_and_for_no_other(void **state)
{
    (void)state;
    static const char *const binaries[] = {"node=/bin/echo", "sidecar-l7-plain=/bin/echo", NULL};
    static const struct {
        const char *name, *binary;
    } cases[] = {
        {"node", "/bin/echo"},
        {"node-plain", "/proc/self/exe"},
        {"sidecar-l7", "/proc/self/exe"},
        {"sidecar-l7-plain", "/bin/echo"},
        {"sidecar-l7-quiet", "/proc/self/exe"},
    };
    struct hbk_error error = {0};
    assert_int_equal(
        find("node,node-plain,sidecar-l7,sidecar-l7-plain,sidecar-l7-quiet", binaries, &error),
        HBK_OK);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_paper_system *system = system_called(cases[i].name);
        assert_true(system->is_usable);
        assert_string_equal(system->binary, cases[i].binary);
    }
    /* What it says when it is asked for its version, and its path. */
    assert_string_equal(system_called("node")->version, "version (/bin/echo)");
    assert_string_equal(system_called("node-plain")->version, "hauberk " HBK_VERSION);
    hbk_arena_fini(&paper.arena);
}

static void a_build_that_is_not_there_leaves_its_system_out_with_its_path(void **state)
{
    (void)state;
    static const char *const binaries[] = {"node=/no/such/build", NULL};
    struct hbk_error error = {0};
    assert_int_equal(find("node", binaries, &error), HBK_OK);
    assert_false(system_called("node")->is_usable);
    assert_non_null(strstr(system_called("node")->reason, "/no/such/build"));
    hbk_arena_fini(&paper.arena);
}

static void a_program_that_cannot_tell_its_version_is_said_not_to(void **state)
{
    (void)state;
    static const char *const binaries[] = {"node=/bin/false", NULL};
    struct hbk_error error = {0};
    assert_int_equal(find("node", binaries, &error), HBK_OK);
    assert_non_null(strstr(system_called("node")->version, "unknown"));
    hbk_arena_fini(&paper.arena);
}

static void a_program_that_has_more_to_say_than_its_version_is_heard_out(void **state)
{
    (void)state;
    static const char script[] = "#!/bin/sh\necho talker 7.2 && exec seq 100000\n";
    char path[] = "/tmp/hauberk-talker-XXXXXX", given[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, sizeof script - 1), sizeof script - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    assert_int_equal(close(fd), 0);
    (void)snprintf(given, sizeof given, "node=%s", path);
    const char *const binaries[] = {given, NULL};
    struct hbk_error error = {0};
    assert_int_equal(find("node", binaries, &error), HBK_OK);
    assert_int_equal(strncmp(system_called("node")->version, "talker 7.2 (/tmp", 16), 0);
    assert_int_equal(unlink(path), 0);
    hbk_arena_fini(&paper.arena);
}

static void a_binary_for_nobody_for_a_baseline_or_given_twice_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *binaries[3];
        const char *found;
    } cases[] = {
        {{"nobody=/bin/true"}, "no system of this series is called \"nobody\""},
        {{"haproxy=/bin/true"}, "no system of this series is called \"haproxy\""},
        {{"baseline=/bin/true"}, "load and echo"},
        {{"node=/bin/true", "node=/bin/false"}, "has its program already"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_error error = {0};
        assert_int_equal(find("node", cases[i].binaries, &error), HBK_INVALID);
        assert_non_null(strstr(error.text, cases[i].found));
        hbk_arena_fini(&paper.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_system_that_is_carried_along_can_be_read),
        cmocka_unit_test(a_system_from_a_file_remembers_the_file_that_was_given),
        cmocka_unit_test(another_build_stands_for_the_system_that_was_named_and_for_no_other),
        cmocka_unit_test(a_build_that_is_not_there_leaves_its_system_out_with_its_path),
        cmocka_unit_test(a_program_that_cannot_tell_its_version_is_said_not_to),
        cmocka_unit_test(a_program_that_has_more_to_say_than_its_version_is_heard_out),
        cmocka_unit_test(a_binary_for_nobody_for_a_baseline_or_given_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
