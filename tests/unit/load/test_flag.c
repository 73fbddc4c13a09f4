#include "load/flag.h"

#include <getopt.h>
#include <stdio.h>

#include "base/clock.h"
#include "harness.h"

enum { ARGUMENTS_MAX = 32 };

/* Splits a line at its blanks and reads it as a command line. */
static hbk_status read(const char *line, struct hbk_arena *arena, struct hbk_load_command *command,
                       struct hbk_error *error)
{
    static char copy[512];
    static char *arguments[ARGUMENTS_MAX];
    int count = 0;
    (void)snprintf(copy, sizeof copy, "load %s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count < ARGUMENTS_MAX - 1);
        arguments[count++] = word;
    }
    arguments[count] = NULL;
    optind = 0; /* getopt begins anew */
    opterr = 0;
    return hbk_load_command_read(count, arguments, arena, command, error);
}

static void fortios_flags_have_fortios_meaning(void **state)
{
    (void)state;
    static struct hbk_load_command command;
    struct hbk_arena arena;
    const struct hbk_load_plan *plan = &command.plan;
    hbk_arena_init(&arena);
    assert_int_equal(read("-c 16 -qps 3.5 -t 1.5s -p 50,99 -uniform -jitter=false --fortio -r "
                          "1e-6 -json - http://a/",
                          &arena, &command, NULL),
                     HBK_OK);
    assert_int_equal(plan->connections, 16);
    assert_true(plan->rate_per_s == 3.5 && plan->unit_s == 1e-6);
    assert_int_equal(plan->duration_ns, 3 * HBK_NS_PER_S / 2);
    assert_true(plan->is_uniform && !plan->has_jitter && plan->needs_warm_up);
    assert_int_equal(plan->arrival, HBK_LOAD_FORTIO);
    assert_string_equal(command.json_path, "-");

    assert_int_equal(read("-keepalive=false -qps -1 -n 5 -json out.json -payload-size 9 http://a/",
                          &arena, &command, NULL),
                     HBK_OK);
    assert_int_equal(plan->reuse_max, 1);
    assert_true(plan->rate_per_s == 0);
    assert_int_equal(plan->body.size, 9);
    assert_string_equal(command.json_path, "out.json");

    assert_int_equal(read("-calc-qps -n 300 -t 100s http://a/", &arena, &command, NULL), HBK_OK);
    assert_true(plan->rate_per_s == 3);
    hbk_arena_fini(&arena);
}

static void json_without_a_path_goes_to_standard_output_and_leaves_the_url_alone(void **state)
{
    (void)state;
    static struct hbk_load_command command;
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    assert_int_equal(read("--json http://a/b", &arena, &command, NULL), HBK_OK);
    assert_string_equal(command.json_path, "-");
    assert_slice_equal(command.plan.target.path, HBK_SLICE("/b"));
    assert_int_equal(read("--json=x http://a/b", &arena, &command, NULL), HBK_OK);
    assert_string_equal(command.json_path, "x");
    hbk_arena_fini(&arena);
}

static void what_is_not_understood_is_refused_by_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *line, *found;
        hbk_status status;
    } cases[] = {
        {"", "URL", HBK_INVALID},
        {"-c x http://a/", "-c \"x\"", HBK_INVALID},
        {"-t soon http://a/", "-t \"soon\"", HBK_INVALID},
        {"-grpc http://a/", "-grpc", HBK_UNSUPPORTED},
        {"-healthservice x http://a/", "-healthservice", HBK_UNSUPPORTED},
        {"-grpc-ping-delay 1s http://a/", "-grpc-ping-delay", HBK_UNSUPPORTED},
        {"-grpc-compression http://a/", "-grpc-compression", HBK_UNSUPPORTED},
        {"-grpc-max-streams 3 http://a/", "-grpc-max-streams", HBK_UNSUPPORTED},
        {"-grpc-method=a/b http://a/", "-grpc-method", HBK_UNSUPPORTED},
        {"-udp-timeout 1s http://a/", "-udp-timeout", HBK_UNSUPPORTED},
        {"-udp-async http://a/", "-udp-async", HBK_UNSUPPORTED},
        {"-grpc-metadata a:b http://a/", "-grpc-metadata", HBK_UNSUPPORTED},
        {"-curl http://a/", "-curl", HBK_UNSUPPORTED},
        {"-http-port 8080 http://a/", "-http-port: this is of Fortio's server", HBK_UNSUPPORTED},
        {"-max-echo-delay 1s http://a/", "hauberk echo", HBK_UNSUPPORTED},
        {"-P 1:2 http://a/", "-P", HBK_UNSUPPORTED},
        {"-access-log-format json http://a/", "-access-log-format", HBK_UNSUPPORTED},
        {"-unix-socket=/x http://a/", "-unix-socket", HBK_UNSUPPORTED},
        {"-uniform=perhaps http://a/", "perhaps", HBK_INVALID},
        {"-connection-reuse 5:2 http://a/", "5:2", HBK_INVALID},
        {"-connection-reuse 0:2 http://a/", "0:2", HBK_INVALID},
        {"-calc-qps -n 3 -t 0 http://a/", "-calc-qps", HBK_INVALID},
        {"--arrival later http://a/", "later", HBK_INVALID},
        {"--tls 1.1 http://a/", "1.1", HBK_INVALID},
        {"--tls 1.2 --engine native http://a/", "native", HBK_INVALID},
        {"--fortio --ramp 1s http://a/", "ramp", HBK_INVALID},
        {"-jitter http://a/", "--fortio", HBK_INVALID},
        {"-s 2 http://a/", "2 streams", HBK_INVALID},
        {"-h2 http://a/{uuid} -http1.0", "HTTP/1.0", HBK_INVALID},
        {"-r 0 http://a/", "-r", HBK_INVALID},
        {"--threshold p99 http://a/", "\"p99\" is not compared", HBK_INVALID},
        {"--threshold p99<20 http://a/", "\"20\" is not a time", HBK_INVALID},
        {"--threshold p101<1ms http://a/", "\"p101\" is not something", HBK_INVALID},
        {"--threshold errors<1ms http://a/", "\"1ms\" is not a number", HBK_INVALID},
        {"-abort-on 2000 http://a/", "2000", HBK_INVALID},
        {"-payload x tcp://a:1", "tcp://", HBK_INVALID},
        {"-payload-file /no/such/file http://a/", "/no/such/file", HBK_NOT_FOUND},
        {"http://a/ http://b/", "http://b/", HBK_INVALID},
    };
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        static struct hbk_load_command command;
        struct hbk_error error = {0};
        hbk_status status = read(cases[i].line, &arena, &command, &error);
        if (status != cases[i].status || strstr(error.text, cases[i].found) == NULL) {
            print_error("%s: %s\n", cases[i].line, error.text);
            fail();
        }
    }
    hbk_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fortios_flags_have_fortios_meaning),
        cmocka_unit_test(json_without_a_path_goes_to_standard_output_and_leaves_the_url_alone),
        cmocka_unit_test(what_is_not_understood_is_refused_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
