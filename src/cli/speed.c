/* hauberk speed: how fast this processor does the cryptography of a mesh. */
#include <getopt.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/command.h"
#include "crypto/cpu.h"
#include "speed/arrival.h"
#include "speed/handshake.h"
#include "speed/primitive.h"

static const char usage[] =
    "usage: hauberk speed primitives [--json] [--seconds N] [--core N] [--only REGEX]\n"
    "                                [--with-crypto-mb FILE]\n"
    "       hauberk speed tls [--json] [--seconds N] [--core N] [--only REGEX]\n"
    "       hauberk speed policies [--json] [--seconds N] [--core N]\n"
    "\n"
    "primitives:\n"
    "Measures public-key operations (libcrypto one at a time; the vector kernels with 1, 2, 4 and\n"
    "8 lanes, and from how many lanes on they pay), what else a mutual handshake of TLS 1.3\n"
    "computes (tls13-key-schedule-...), and the protection of TLS records (libcrypto; libipsec-mb\n"
    "without and with VAES) on one core. Each figure is the median of five slices of CPU time;\n"
    "\"ratio\" compares with libcrypto in the same run.\n"
    "\n"
    "tls: whole handshakes in memory, 64 in flight, in turn by libssl alone (openssl), by the\n"
    "engine native, and by the engine openssl, whose signatures are batched (openssl-batched);\n"
    "client and server apart, \"ratio\" to libssl alone in the same run.\n"
    "\n"
    "policies: RSA-2048 signatures that arrive at random, under each policy of the batcher, at 5 "
    "to\n"
    "95 % of the load that full batches can carry. The clock is simulated; what a batch takes is\n"
    "measured at the start. Medians of 21 rounds with their 95 % intervals; all policies meet the\n"
    "same arrivals, and are compared round by round. The last line says whether now and adaptive\n"
    "keep their rule (docs/crypto.md).\n"
    "\n"
    "  --json        an array of objects instead of a table\n"
    "  --seconds N   time for each figure (0.5), of policies simulated time for each round; "
    "fractions\n"
    "                are allowed\n"
    "  --core N      pins the measurement to core N\n"
    "  --only REGEX  only operations whose name matches the extended regular expression\n"
    "  --with-crypto-mb FILE\n"
    "                measures Intel's libcrypto_mb.so beside our kernels (docs/crypto.md)\n"
    "\n"
    "HBK_CPU=scalar leaves the vector kernels out.\n";

enum subject { PRIMITIVES, TLS, POLICIES, SUBJECTS };

static const char *const subject_names[SUBJECTS] = {"primitives", "tls", "policies"};

struct speed {
    struct hbk_primitive_options options;
    regex_t only;
    bool has_only;
    bool is_json;
    enum subject subject;
    int core; /* -1: not pinned */
    json_t *rows;
    size_t row_count;
    struct hbk_arrival_comparison comparisons[HBK_ARRIVAL_COMPARISONS]; /* of policies */
    size_t comparison_count;
};

static int fail_usage(const char *what)
{
    fprintf(stderr, "hauberk speed: %s\n\n%s", what, usage);
    return HBK_EXIT_USAGE;
}

static bool read_number(const char *text, double min, double max, double *out_number)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= min && number <= max)) {
        return false;
    }
    *out_number = number;
    return true;
}

/* That an option would have an effect. */
static int check_subject(const struct speed *speed)
{
    if (speed->has_only && speed->subject == POLICIES) {
        return fail_usage("--only is for primitives and tls");
    }
    if (speed->options.crypto_mb_path != NULL && speed->subject != PRIMITIVES) {
        return fail_usage("--with-crypto-mb is for primitives");
    }
    return HBK_EXIT_OK;
}

static int read_only(struct speed *speed, const char *text)
{
    char reason[80], what[200];

    if (speed->has_only) {
        return fail_usage("--only is given twice; alternatives are written A|B");
    }
    const int code = regcomp(&speed->only, text, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        regerror(code, &speed->only, reason, sizeof(reason));
        snprintf(what, sizeof(what), "--only takes an extended regular expression; \"%.40s\": %s",
                 text, reason);
        return fail_usage(what);
    }
    speed->has_only = true;
    speed->options.only = &speed->only;
    return HBK_EXIT_OK;
}

/* HBK_EXIT_OK to go on, HBK_EXIT_FAILED when help was printed. */
static int read_options(struct speed *speed, int argc, char **argv)
{
    enum { JSON = 1, SECONDS, CORE, ONLY, CRYPTO_MB, HELP };
    static const struct option options[] = {
        {"json", no_argument, NULL, JSON},
        {"seconds", required_argument, NULL, SECONDS},
        {"core", required_argument, NULL, CORE},
        {"only", required_argument, NULL, ONLY},
        {"with-crypto-mb", required_argument, NULL, CRYPTO_MB},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    double number;
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case JSON:
            speed->is_json = true;
            break;
        case SECONDS:
            if (!read_number(optarg, 0.001, 3600, &speed->options.seconds)) {
                return fail_usage("--seconds takes a number from 0.001 to 3600");
            }
            break;
        case CORE:
            if (!read_number(optarg, 0, CPU_SETSIZE - 1, &number) || number != (int)number) {
                return fail_usage("--core takes the number of a core, from 0 on");
            }
            speed->core = (int)number;
            break;
        case ONLY:
            if (read_only(speed, optarg) != HBK_EXIT_OK) {
                return HBK_EXIT_USAGE;
            }
            break;
        case CRYPTO_MB:
            speed->options.crypto_mb_path = optarg;
            break;
        case 'h':
        case HELP:
            fputs(usage, stdout);
            return HBK_EXIT_FAILED;
        default:
            fputs(usage, stderr);
            return HBK_EXIT_USAGE;
        }
    }
    for (speed->subject = PRIMITIVES; argc - optind == 1 && speed->subject < SUBJECTS;
         speed->subject++) {
        if (strcmp(argv[optind], subject_names[speed->subject]) == 0) {
            return check_subject(speed);
        }
    }
    return fail_usage("one thing to measure is wanted: \"primitives\", \"tls\" or \"policies\"");
}

static void add_json(json_t *rows, const struct hbk_primitive_row *row)
{
    json_t *object = json_pack("{s:s, s:s}", "operation", row->operation, "path", row->path);
    if (row->bytes > 0) {
        json_object_set_new(object, "bytes", json_integer((json_int_t)row->bytes));
        json_object_set_new(object, "ns_per_record", json_real(row->ns_per_record));
    } else {
        json_object_set_new(object, "lanes", json_integer((json_int_t)row->lanes));
        json_object_set_new(object, "ops_per_second", json_real(row->ops_per_second));
    }
    if (row->queue != NULL) {
        json_object_set_new(object, "queue", json_string(row->queue));
        json_object_set_new(object, "twin_ops_per_second", json_real(row->twin_ops_per_second));
        json_object_set_new(object, "break_even_lanes",
                            json_integer((json_int_t)row->break_even_lanes));
    }
    json_object_set_new(object, "ratio", json_real(row->ratio));
    json_array_append_new(rows, object);
}

static void report(void *context, const struct hbk_primitive_row *row)
{
    struct speed *speed = context;

    speed->row_count++;
    if (speed->is_json) {
        add_json(speed->rows, row);
        return;
    }
    if (row->bytes > 0) {
        printf("%-25s %-15s %6zu bytes %10.1f ns/record        x%.2f\n", row->operation, row->path,
               row->bytes, row->ns_per_record, row->ratio);
    } else {
        printf("%-25s %-15s %6u lanes %10.0f ops/s %9.2f us  x%.2f\n", row->operation, row->path,
               row->lanes, row->ops_per_second, 1e6 / row->ops_per_second, row->ratio);
    }
    if (row->queue != NULL) {
        printf("%-25s %-15s pays from %u lanes on; one by libcrypto, keys parsed anew: %.2f us\n",
               row->queue, "queue", row->break_even_lanes, 1e6 / row->twin_ops_per_second);
    }
    fflush(stdout);
}

static json_t *estimate_json(const struct hbk_estimate *estimate)
{
    return json_pack("{s:f, s:f, s:f}", "median", estimate->median, "low", estimate->low, "high",
                     estimate->high);
}

static void report_arrival(void *context, const struct hbk_arrival_row *row)
{
    struct speed *speed = context;

    if (speed->is_json) {
        json_array_append_new(
            speed->rows,
            json_pack("{s:s, s:f, s:f, s:o, s:o, s:o, s:f, s:i}", "policy", row->policy, "load",
                      row->load, "rate_per_second", row->rate, "cpu", estimate_json(&row->cpu),
                      "p50_us", estimate_json(&row->p50_us), "p99_us", estimate_json(&row->p99_us),
                      "mean_lanes", row->mean_lanes, "refused", (int)row->refused));
        return;
    }
    printf("%-11s %3.0f %% %6.0f/s  cpu %7.3f %% [%7.3f, %7.3f]  p50 %7.0f us  p99 %8.0f us "
           "[%.0f, %.0f]  lanes %.2f  refused %u\n",
           row->policy, 100 * row->load, row->rate, 100 * row->cpu.median, 100 * row->cpu.low,
           100 * row->cpu.high, row->p50_us.median, row->p99_us.median, row->p99_us.low,
           row->p99_us.high, row->mean_lanes, row->refused);
    fflush(stdout);
}

static void report_comparison(void *context, const struct hbk_arrival_comparison *comparison)
{
    struct speed *speed = context;
    const bool is_worse = hbk_arrival_is_worse(comparison);

    if (speed->comparison_count < HBK_ARRIVAL_COMPARISONS) {
        speed->comparisons[speed->comparison_count++] = *comparison;
    }
    if (speed->is_json) {
        json_array_append_new(speed->rows,
                              json_pack("{s:s, s:s, s:f, s:o, s:o, s:b}", "policy",
                                        comparison->policy, "than", comparison->than, "load",
                                        comparison->load, "cpu_difference",
                                        estimate_json(&comparison->cpu), "p99_us_difference",
                                        estimate_json(&comparison->p99_us), "is_worse", is_worse));
        return;
    }
    printf("  %-8s less %-10s cpu %+8.3f %% [%+.3f, %+.3f]  p99 %+6.0f us [%+.0f, %+.0f]%s\n",
           comparison->policy, comparison->than, 100 * comparison->cpu.median,
           100 * comparison->cpu.low, 100 * comparison->cpu.high, comparison->p99_us.median,
           comparison->p99_us.low, comparison->p99_us.high, is_worse ? "  worse in both" : "");
    fflush(stdout);
}

static void report_handshake(void *context, const struct hbk_handshake_row *row)
{
    struct speed *speed = context;

    speed->row_count++;
    if (speed->is_json) {
        json_t *object =
            json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I}", "handshake", row->handshake, "engine",
                      row->engine, "side", row->side, "handshakes_per_second",
                      row->handshakes_per_second, "ratio", row->ratio, "mean_lanes", row->lanes,
                      "idle_bytes", (json_int_t)row->idle_bytes);
        if (row->target > 0) {
            json_object_set_new(object, "target_ratio", json_real(row->target));
            json_object_set_new(object, "is_met", json_boolean(row->ratio >= row->target));
        }
        json_array_append_new(speed->rows, object);
        return;
    }
    printf("%-26s %-16s %-6s %8.0f/s  x%-5.2f  lanes %.1f  idle %5zu bytes", row->handshake,
           row->engine, row->side, row->handshakes_per_second, row->ratio, row->lanes,
           row->idle_bytes);
    if (row->target > 0) {
        printf("  target x%.1f %s", row->target, row->ratio >= row->target ? "met" : "MISSED");
    }
    putchar('\n');
    fflush(stdout);
}

static hbk_status measure_policies(struct speed *speed, struct hbk_error *error)
{
    const struct hbk_arrival_report report = {report_arrival, report_comparison, speed};
    HBK_TRY(hbk_arrival_run(speed->options.seconds, &report, error));
    const struct hbk_arrival_comparison *broken =
        hbk_arrival_find_broken(speed->comparisons, speed->comparison_count);
    if (speed->is_json) {
        return HBK_OK;
    }
    if (broken == NULL) {
        puts("rule kept: at no load are now and adaptive both worse than a fixed policy, in CPU "
             "and in P99 at once");
    } else {
        printf("rule broken: at %.0f %% now and adaptive are both worse than %s, in CPU and in "
               "P99 at once\n",
               100 * broken->load, broken->than);
    }
    return HBK_OK;
}

static hbk_status measure(struct speed *speed, struct hbk_error *error)
{
    HBK_TRY(hbk_cpu_check(error));
    switch (speed->subject) {
    case PRIMITIVES:
        return hbk_primitive_run(&speed->options, report, speed, error);
    case TLS: {
        const struct hbk_handshake_options options = {
            .seconds = speed->options.seconds,
            .only = speed->options.only,
        };
        return hbk_handshake_run(&options, report_handshake, speed, error);
    }
    case POLICIES:
        return measure_policies(speed, error);
    case SUBJECTS:
        break;
    }
    HBK_UNREACHABLE();
}

static bool pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static int run(struct speed *speed)
{
    struct hbk_error error = {0};

    if (speed->core >= 0 && !pin(speed->core)) {
        fprintf(stderr, "hauberk speed: there is no core %d for this process\n", speed->core);
        return HBK_EXIT_FAILED;
    }
    speed->rows = json_array();
    if (measure(speed, &error) != HBK_OK) {
        fprintf(stderr, "hauberk speed: %s\n", error.text);
        json_decref(speed->rows);
        return HBK_EXIT_FAILED;
    }
    if (speed->has_only && speed->row_count == 0) {
        fputs("hauberk speed: --only matches nothing that is measured\n", stderr);
        json_decref(speed->rows);
        return HBK_EXIT_FAILED;
    }
    if (speed->is_json) {
        json_dumpf(speed->rows, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(speed->rows);
    return HBK_EXIT_OK;
}

int hbk_command_speed(int argc, char **argv)
{
    struct speed speed = {.options = {.seconds = 0.5}, .core = -1};
    int status = read_options(&speed, argc, argv);

    if (status == HBK_EXIT_OK) {
        status = run(&speed);
    } else if (status == HBK_EXIT_FAILED) {
        status = HBK_EXIT_OK; /* help was asked for and given */
    }
    if (speed.has_only) {
        regfree(&speed.only);
    }
    return status;
}
