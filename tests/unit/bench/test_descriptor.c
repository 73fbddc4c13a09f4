#include "bench/descriptor.h"

#include "harness.h"

static hbk_status read(const char *text, struct hbk_arena *arena, struct hbk_report *report,
                       struct hbk_descriptor *descriptor)
{
    hbk_report_init(report);
    return hbk_descriptor_read("system.yaml", hbk_slice_text(text), arena, report, descriptor);
}

static const char good[] = "name: x\ntitle: X\nbinary: /bin/x\nencrypts: false\nprocesses:\n"
                           "- {name: p, side: client, command: [\"-a\", \"@DIR@\"], port: 15001}\n";

static void what_is_wrong_with_a_descriptor_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *found;
    } cases[] = {
        {"", "empty"},
        {"name: [", "system.yaml:1"},
        {"name: x\n", "title"},
        {"name: x/y\ntitle: X\nbinary: x\nencrypts: true\nprocesses: []\n", "x/y"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: perhaps\nprocesses: []\n", "system.yaml:4"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: true\nport: 1\nprocesses: []\n", "port"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: true\nprocesses:\n"
         "- {name: p, side: middle, command: [], port: 1}\n",
         "middle"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: true\nprocesses:\n"
         "- {name: p, side: client, command: [], port: 0}\n",
         "system.yaml:6"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: true\nprocesses:\n"
         "- {name: p, side: client, command: [], port: 1, ready_file: /r}\n",
         "either port or ready_file"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: true\nprocesses:\n"
         "- {name: p, side: client, command: []}\n",
         "either port or ready_file"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: true\nprocesses:\n"
         "- {name: p, side: client, place: moon, command: [], port: 1}\n",
         "moon"},
        {"name: x\ntitle: X\nbinary: x\nencrypts: true\nfiles: {../up: \"\"}\nprocesses: []\n",
         "../up"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_arena arena;
        struct hbk_report report;
        struct hbk_descriptor descriptor;
        hbk_arena_init(&arena);
        assert_int_equal(read(cases[i].text, &arena, &report, &descriptor), HBK_INVALID);
        assert_true(report.count > 0);
        if (strstr(report.lines[0], cases[i].found) == NULL) {
            print_error("%s\n", report.lines[0]);
            fail();
        }
        hbk_arena_fini(&arena);
    }
    struct hbk_arena arena;
    struct hbk_report report;
    struct hbk_descriptor descriptor;
    hbk_arena_init(&arena);
    assert_int_equal(read(good, &arena, &report, &descriptor), HBK_OK);
    assert_int_equal(descriptor.processes[0].port, 15001);
    assert_int_equal(descriptor.processes[0].command_count, 2);
    hbk_arena_fini(&arena);
}

static void placeholders_are_replaced_and_unknown_ones_refused(void **state)
{
    (void)state;
    static const struct hbk_placeholder list[] = {{"DIR", "/run/x"}, {"PORT", "80"}};
    static const struct {
        const char *text, *rendered; /* NULL: refused */
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"@DIR@/a:@PORT@", "/run/x/a:80"},
        {"a@@b", "a@b"},
        {"\"@type\": x, y@DIR@", "\"@type\": x, y/run/x"},
        {"@NOWHERE@", NULL},
        {"ends @DIR", NULL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_buffer out;
        struct hbk_error error = {0};
        hbk_buffer_init(&out, 1000);
        hbk_status status =
            hbk_descriptor_render(hbk_slice_text(cases[i].text), list, 2, &out, &error);
        assert_int_equal(status, cases[i].rendered == NULL ? HBK_INVALID : HBK_OK);
        if (cases[i].rendered != NULL) {
            assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(cases[i].rendered));
        } else {
            assert_non_null(strstr(error.text, "@DIR@, @PORT@"));
        }
        hbk_buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_a_descriptor_is_told_with_its_line),
        cmocka_unit_test(placeholders_are_replaced_and_unknown_ones_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
