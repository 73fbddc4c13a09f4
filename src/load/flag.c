/*
 * A table says for each flag what it takes and where that goes; a flag that needs more has a
 * function. Fortio's flags that cannot have a meaning here are refused with the reason, except for
 * those that only tune Fortio itself, which are taken and do nothing.
 */
#include "load/flag.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "load/quantity.h"
#include "load/schedule.h"
#include "os/file.h"

const char hbk_load_usage[] =
    "usage: hauberk load [OPTIONS] [WEIGHT@]URL...\n"
    "\n"
    "Sends requests to http://HOST[:PORT][/PATH] or 24-byte messages to the TCP echo at\n"
    "tcp://HOST:PORT, and prints how long the answers took. Requests leave by the clock whether "
    "or\n"
    "not earlier ones are answered, and their time counts from when they should have left, so "
    "that\n"
    "a stall of the server is seen by all whom it would have met. Several URLs of one server are\n"
    "chosen by weight: 9@http://h/a 1@http://h/b. Fortio's flags have Fortio's meaning.\n"
    "\n"
    "  -c N            connections (4); opened and tried once before the timed part\n"
    "  -qps N          requests per second over all connections (8); 0: each connection sends as\n"
    "                  soon as it has its answer (closed loop), at full speed\n"
    "  -t DURATION     length of the run (5s); 0: until interrupted\n"
    "  -n N            exactly N requests instead, without a trial\n"
    "  --arrival HOW   uniform (evenly spaced), poisson (at random), or fortio\n"
    "  --fortio        Fortio's own schedule, buckets and percentiles: every connection has a "
    "clock,\n"
    "                  all start together; with -uniform, -jitter, -nocatchup\n"
    "  --ramp D        the rate rises from 0 over this time, before the timed part\n"
    "  --warm-up D     at the full rate, before the timed part\n"
    "  -timeout D      for connecting, for an answer, for the wait for a free connection (3s)\n"
    "  -abort-on CODE  ends the run at this status; -1: at a failure without one\n"
    "\n"
    "  -H 'NAME: TEXT' header of every request; may be repeated\n"
    "  -X METHOD, -payload TEXT, -payload-file PATH, -payload-size N, -content-type TYPE\n"
    "  -user NAME:PASSWORD   basic authentication; {uuid} in URL or payload: one per request\n"
    "  -h2             HTTP/2; -s N: requests under way on each connection (1)\n"
    "  -http1.0, -keepalive=false or --no-keepalive, -connection-reuse MIN:MAX, -halfclose\n"
    "  -resolve ADDRESS      where to connect instead of the host's address\n"
    "\n"
    "  https://, tls://      over TLS: -cacert FILE (the system's roots), -cert FILE -key FILE "
    "for\n"
    "                  mutual TLS, -k believes anybody, --any-name whoever the roots vouch for,\n"
    "                  --sni NAME, --resume uses tickets, --engine openssl|native,\n"
    "                  --tls 1.2|1.3\n"
    "\n"
    "  -p LIST         percentiles (50,75,90,99,99.9)\n"
    "  --threshold T   a condition such as p99<20ms, service.p50<1ms, errors<0.1% or rate>=99%;\n"
    "                  may be repeated; one that is missed makes the exit status 3\n"
    "  --json[=PATH]   the result in Fortio's schema, with more under \"hauberk\"; \"-\": here\n"
    "  -a, -data-dir DIR     keeps it as DIR/ID.json, for `fortio report`; -labels TEXT, -runid N\n"
    "  --html PATH     one page with the latency curve, the course of the run, the histogram\n"
    "  -r, -offset     unit and offset of Fortio's histogram; -quiet: no lines while it runs\n"
    "  --threads N     threads (1); --core N pins thread i to core N+i; --seed N of what is "
    "random\n"
    "\n"
    "Exit status: 0 when every request succeeded, 1 when one failed (unless a threshold judges\n"
    "the errors), 2 for a wrong command line, 3 when a threshold was missed. An interrupted\n"
    "run (Ctrl-C) prints what it has.\n";

enum kind {
    KIND_BOOL,     /* a bool; "-flag" or "-flag=true|false" */
    KIND_COUNT,    /* an unsigned, 0 to max */
    KIND_COUNT64,  /* a uint64_t, 0 to max */
    KIND_DURATION, /* a uint64_t of ns */
    KIND_TEXT,     /* a slice */
    KIND_PATH,     /* a const char * */
    KIND_SPECIAL,  /* a function */
    KIND_IGNORED,  /* of Fortio, takes a value, does nothing */
    KIND_IGNORED_BOOL,
    KIND_REFUSED, /* of Fortio, with the reason */
};

struct reading {
    struct hbk_load_command *command;
    struct hbk_arena *arena;
    struct hbk_error *error;
    bool is_exact_rate, allows_initial_errors;
};

typedef hbk_status special(struct reading *reading, struct hbk_slice text);

struct flag {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct hbk_load_command */
    uint64_t max;
    special *read;
    const char *reason;
};

/* ---- flags with a function ---- */

static hbk_status read_rate(struct reading *reading, struct hbk_slice text)
{
    double *rate = &reading->command->plan.rate_per_s;
    bool is_negative = hbk_slice_starts_with(text, HBK_SLICE("-")) && text.size > 1;
    struct hbk_slice number = hbk_slice_part(text, is_negative ? 1 : 0, text.size);
    if (hbk_load_number_parse(number, HBK_LOAD_RATE_MAX, rate) != HBK_OK) {
        return hbk_error_set(reading->error, HBK_INVALID,
                             "-qps \"%.*s\": a number up to %d is allowed; 0 and below: as many as "
                             "possible",
                             HBK_SLICE_ARGS(text), HBK_LOAD_RATE_MAX);
    }
    *rate = is_negative ? 0 : *rate;
    return HBK_OK;
}

static hbk_status read_header(struct reading *reading, struct hbk_slice text)
{
    return hbk_load_plan_add_header(&reading->command->plan, text, reading->error);
}

static hbk_status read_percentiles(struct reading *reading, struct hbk_slice text)
{
    return hbk_load_plan_set_percentiles(&reading->command->plan, text, reading->error);
}

static hbk_status read_unit(struct reading *reading, struct hbk_slice text)
{
    double *unit = &reading->command->plan.unit_s;
    if (hbk_load_number_parse(text, 3600, unit) != HBK_OK || *unit < 1e-9) {
        return hbk_error_set(reading->error, HBK_INVALID,
                             "-r \"%.*s\": seconds from 1e-9 to 3600 are allowed",
                             HBK_SLICE_ARGS(text));
    }
    return HBK_OK;
}

static hbk_status read_offset(struct reading *reading, struct hbk_slice text)
{
    uint64_t offset_ns;
    if (!hbk_load_duration_parse(text, &offset_ns)) {
        return hbk_error_set(reading->error, HBK_INVALID, "-offset \"%.*s\": %s is allowed",
                             HBK_SLICE_ARGS(text), HBK_DURATION_SYNTAX);
    }
    reading->command->plan.offset_s = (double)offset_ns / (double)HBK_NS_PER_S;
    return HBK_OK;
}

static hbk_status read_payload_file(struct reading *reading, struct hbk_slice text)
{
    const char *path = hbk_arena_string(reading->arena, text);
    struct hbk_slice *body = &reading->command->plan.body;
    hbk_status status = path == NULL
                            ? HBK_NO_MEMORY
                            : hbk_file_read(reading->arena, path, HBK_LOAD_BODY_BYTES_MAX, body);
    if (status != HBK_OK) {
        return hbk_error_set(reading->error, status, "-payload-file \"%.*s\": %s",
                             HBK_SLICE_ARGS(text), hbk_status_text(status));
    }
    return HBK_OK;
}

static hbk_status read_payload_size(struct reading *reading, struct hbk_slice text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    uint64_t size;
    if (!hbk_slice_to_u64(text, HBK_LOAD_BODY_BYTES_MAX, &size)) {
        return hbk_error_set(reading->error, HBK_INVALID,
                             "-payload-size \"%.*s\": 0 to %d bytes are allowed",
                             HBK_SLICE_ARGS(text), HBK_LOAD_BODY_BYTES_MAX);
    }
    struct hbk_span body = hbk_arena_bytes(reading->arena, size > 0 ? size : 1);
    if (body.bytes == NULL) {
        return hbk_error_set(reading->error, HBK_NO_MEMORY, "no memory for the payload");
    }
    uint64_t random = hbk_schedule_random_state(size, 0);
    for (uint64_t i = 0; i < size; i++) {
        body.bytes[i] = (uint8_t)letters[(size_t)(hbk_schedule_random(&random) * 63.99)];
    }
    reading->command->plan.body = hbk_slice_of(body.bytes, size);
    return HBK_OK;
}

static hbk_status read_reuse(struct reading *reading, struct hbk_slice text)
{
    struct hbk_load_plan *plan = &reading->command->plan;
    uint64_t low, high;
    size_t colon;
    bool has_colon = hbk_slice_find(text, ':', &colon);
    struct hbk_slice first = hbk_slice_part(text, 0, has_colon ? colon : text.size);
    struct hbk_slice second = has_colon ? hbk_slice_part(text, colon + 1, text.size) : first;
    if (!hbk_slice_to_u64(first, UINT32_MAX - 1, &low) || low == 0 ||
        !hbk_slice_to_u64(second, UINT32_MAX - 1, &high) || high < low) {
        return hbk_error_set(reading->error, HBK_INVALID,
                             "-connection-reuse \"%.*s\": MIN:MAX requests of a connection, from 1 "
                             "on, are allowed",
                             HBK_SLICE_ARGS(text));
    }
    plan->reuse_min = (unsigned)low;
    plan->reuse_max = (unsigned)high;
    return HBK_OK;
}

static hbk_status read_switch(const char *name, struct hbk_slice text, bool *out_is_on,
                              struct hbk_error *error)
{
    bool is_true = text.size == 0 || hbk_slice_equal_nocase(text, HBK_SLICE("true")) ||
                   hbk_slice_equal(text, HBK_SLICE("1"));
    bool is_false =
        hbk_slice_equal_nocase(text, HBK_SLICE("false")) || hbk_slice_equal(text, HBK_SLICE("0"));
    if (!is_true && !is_false) {
        return hbk_error_set(error, HBK_INVALID, "-%s=%.*s: true or false is allowed", name,
                             HBK_SLICE_ARGS(text));
    }
    *out_is_on = is_true;
    return HBK_OK;
}

static void keep_alive(struct hbk_load_plan *plan, bool is_on)
{
    plan->reuse_min = plan->reuse_max = is_on ? 0 : 1;
}

static hbk_status read_keepalive(struct reading *reading, struct hbk_slice text)
{
    bool is_on = true;
    HBK_TRY(read_switch("keepalive", text, &is_on, reading->error));
    keep_alive(&reading->command->plan, is_on);
    return HBK_OK;
}

static hbk_status read_no_keepalive(struct reading *reading, struct hbk_slice text)
{
    bool is_on = true;
    HBK_TRY(read_switch("no-keepalive", text, &is_on, reading->error));
    keep_alive(&reading->command->plan, !is_on);
    return HBK_OK;
}

static hbk_status read_abort(struct reading *reading, struct hbk_slice text)
{
    uint64_t number = 0;
    bool is_error = hbk_slice_equal(text, HBK_SLICE("-1"));
    if (!is_error && !hbk_slice_to_u64(text, 999, &number)) {
        return hbk_error_set(reading->error, HBK_INVALID,
                             "-abort-on \"%.*s\": a status, or -1 for a failure without one",
                             HBK_SLICE_ARGS(text));
    }
    reading->command->plan.abort_status = is_error ? -1 : (int)number;
    return HBK_OK;
}

static hbk_status read_arrival(struct reading *reading, struct hbk_slice text)
{
    static const char *const names[] = {"uniform", "poisson", "fortio"};
    for (unsigned i = 0; i < HBK_COUNT(names); i++) {
        if (hbk_slice_equal(text, hbk_slice_text(names[i]))) {
            reading->command->plan.arrival = (enum hbk_load_arrival)i;
            return HBK_OK;
        }
    }
    return hbk_error_set(reading->error, HBK_INVALID,
                         "--arrival \"%.*s\": uniform, poisson and fortio are allowed",
                         HBK_SLICE_ARGS(text));
}

static hbk_status read_fortio(struct reading *reading, struct hbk_slice text)
{
    bool is_on = true;
    HBK_TRY(read_switch("fortio", text, &is_on, reading->error));
    reading->command->plan.arrival = is_on ? HBK_LOAD_FORTIO : HBK_LOAD_UNIFORM;
    return HBK_OK;
}

static hbk_status read_engine(struct reading *reading, struct hbk_slice text)
{
    bool is_native = hbk_slice_equal(text, HBK_SLICE("native"));
    if (!is_native && !hbk_slice_equal(text, HBK_SLICE("openssl"))) {
        return hbk_error_set(reading->error, HBK_INVALID,
                             "--engine \"%.*s\": openssl and native are allowed",
                             HBK_SLICE_ARGS(text));
    }
    reading->command->tls.is_native = is_native;
    return HBK_OK;
}

static hbk_status read_tls(struct reading *reading, struct hbk_slice text)
{
    bool is_12 = hbk_slice_equal(text, HBK_SLICE("1.2"));
    if (!is_12 && !hbk_slice_equal(text, HBK_SLICE("1.3"))) {
        return hbk_error_set(reading->error, HBK_INVALID, "--tls \"%.*s\": 1.2 and 1.3 are allowed",
                             HBK_SLICE_ARGS(text));
    }
    reading->command->tls.is_tls12 = is_12;
    return HBK_OK;
}

static hbk_status read_core(struct reading *reading, struct hbk_slice text)
{
    uint64_t core;
    if (!hbk_slice_to_u64(text, HBK_LOAD_CORE_MAX, &core)) {
        return hbk_error_set(reading->error, HBK_INVALID, "--core \"%.*s\": 0 to %d are allowed",
                             HBK_SLICE_ARGS(text), HBK_LOAD_CORE_MAX);
    }
    reading->command->plan.first_core = (int)core;
    return HBK_OK;
}

static hbk_status read_threshold(struct reading *reading, struct hbk_slice text)
{
    struct hbk_load_command *command = reading->command;
    if (command->threshold_count == HBK_THRESHOLDS_MAX) {
        return hbk_error_set(reading->error, HBK_LIMIT, "at most %d thresholds are allowed",
                             HBK_THRESHOLDS_MAX);
    }
    HBK_TRY(
        hbk_threshold_parse(text, &command->thresholds[command->threshold_count], reading->error));
    command->threshold_count++;
    return HBK_OK;
}

static hbk_status read_exact_rate(struct reading *reading, struct hbk_slice text)
{
    return read_switch("calc-qps", text, &reading->is_exact_rate, reading->error);
}

static hbk_status read_initial_errors(struct reading *reading, struct hbk_slice text)
{
    return read_switch("allow-initial-errors", text, &reading->allows_initial_errors,
                       reading->error);
}

/* ---- the table ---- */

#define IN_PLAN(member) \
    (offsetof(struct hbk_load_command, plan) + offsetof(struct hbk_load_plan, member))
#define IN_COMMAND(member) offsetof(struct hbk_load_command, member)

static const char other_protocol[] = "this protocol is not spoken here; Fortio speaks it";
static const char of_server[] = "this is of Fortio's server; see hauberk echo --help";

static const struct flag flags[] = {
    /* Rate and length. */
    {"c", KIND_COUNT, IN_PLAN(connections), HBK_LOAD_CONNECTIONS_MAX, NULL, NULL},
    {"qps", KIND_SPECIAL, 0, 0, read_rate, NULL},
    {"t", KIND_DURATION, IN_PLAN(duration_ns), 0, NULL, NULL},
    {"n", KIND_COUNT64, IN_PLAN(calls), HBK_LOAD_CALLS_MAX, NULL, NULL},
    {"calc-qps", KIND_BOOL, 0, 0, read_exact_rate, NULL},
    {"uniform", KIND_BOOL, IN_PLAN(is_uniform), 0, NULL, NULL},
    {"jitter", KIND_BOOL, IN_PLAN(has_jitter), 0, NULL, NULL},
    {"nocatchup", KIND_BOOL, IN_PLAN(skips_missed), 0, NULL, NULL},
    {"s", KIND_COUNT, IN_PLAN(streams), HBK_LOAD_STREAMS_MAX, NULL, NULL},
    {"sequential-warmup", KIND_BOOL, IN_PLAN(opens_one_by_one), 0, NULL, NULL},
    {"allow-initial-errors", KIND_BOOL, 0, 0, read_initial_errors, NULL},
    {"abort-on", KIND_SPECIAL, 0, 0, read_abort, NULL},
    {"gomaxprocs", KIND_IGNORED, 0, 0, NULL, NULL},
    /* HTTP. */
    {"H", KIND_SPECIAL, 0, 0, read_header, NULL},
    {"X", KIND_TEXT, IN_PLAN(method), 0, NULL, NULL},
    {"payload", KIND_TEXT, IN_PLAN(body), 0, NULL, NULL},
    {"payload-file", KIND_SPECIAL, 0, 0, read_payload_file, NULL},
    {"payload-size", KIND_SPECIAL, 0, 0, read_payload_size, NULL},
    {"content-type", KIND_TEXT, IN_PLAN(content_type), 0, NULL, NULL},
    {"user", KIND_TEXT, IN_PLAN(user), 0, NULL, NULL},
    {"timeout", KIND_DURATION, IN_PLAN(timeout_ns), 0, NULL, NULL},
    {"keepalive", KIND_BOOL, 0, 0, read_keepalive, NULL},
    {"no-keepalive", KIND_BOOL, 0, 0, read_no_keepalive, NULL},
    {"halfclose", KIND_BOOL, IN_PLAN(ends_sending), 0, NULL, NULL},
    {"connection-reuse", KIND_SPECIAL, 0, 0, read_reuse, NULL},
    {"h2", KIND_BOOL, IN_PLAN(is_http2), 0, NULL, NULL},
    {"http1.0", KIND_BOOL, IN_PLAN(is_http10), 0, NULL, NULL},
    {"resolve", KIND_TEXT, IN_PLAN(resolve), 0, NULL, NULL},
    /* TLS. */
    {"k", KIND_BOOL, IN_COMMAND(tls.is_insecure), 0, NULL, NULL},
    {"https-insecure", KIND_BOOL, IN_COMMAND(tls.is_insecure), 0, NULL, NULL},
    {"cacert", KIND_PATH, IN_COMMAND(tls.ca_path), 0, NULL, NULL},
    {"cert", KIND_PATH, IN_COMMAND(tls.cert_path), 0, NULL, NULL},
    {"key", KIND_PATH, IN_COMMAND(tls.key_path), 0, NULL, NULL},
    {"sni", KIND_TEXT, IN_PLAN(server_name), 0, NULL, NULL},
    {"any-name", KIND_BOOL, IN_COMMAND(tls.takes_any_name), 0, NULL, NULL},
    {"resume", KIND_BOOL, IN_PLAN(resumes), 0, NULL, NULL},
    {"engine", KIND_SPECIAL, 0, 0, read_engine, NULL},
    {"tls", KIND_SPECIAL, 0, 0, read_tls, NULL},
    /* Statistics and output. */
    {"p", KIND_SPECIAL, 0, 0, read_percentiles, NULL},
    {"r", KIND_SPECIAL, 0, 0, read_unit, NULL},
    {"offset", KIND_SPECIAL, 0, 0, read_offset, NULL},
    {"a", KIND_BOOL, IN_COMMAND(keeps_json), 0, NULL, NULL},
    {"labels", KIND_TEXT, IN_PLAN(labels), 0, NULL, NULL},
    {"runid", KIND_COUNT64, IN_PLAN(run_id), INT64_MAX, NULL, NULL},
    {"data-dir", KIND_PATH, IN_COMMAND(data_dir), 0, NULL, NULL},
    {"quiet", KIND_BOOL, IN_COMMAND(is_quiet), 0, NULL, NULL},
    /* Ours. */
    {"fortio", KIND_BOOL, 0, 0, read_fortio, NULL},
    {"arrival", KIND_SPECIAL, 0, 0, read_arrival, NULL},
    {"ramp", KIND_DURATION, IN_PLAN(ramp_ns), 0, NULL, NULL},
    {"warm-up", KIND_DURATION, IN_PLAN(warm_up_ns), 0, NULL, NULL},
    {"seed", KIND_COUNT64, IN_PLAN(seed), INT64_MAX, NULL, NULL},
    {"streams", KIND_COUNT, IN_PLAN(streams), HBK_LOAD_STREAMS_MAX, NULL, NULL},
    {"threads", KIND_COUNT, IN_PLAN(threads), HBK_LOAD_THREADS_MAX, NULL, NULL},
    {"core", KIND_SPECIAL, 0, 0, read_core, NULL},
    {"threshold", KIND_SPECIAL, 0, 0, read_threshold, NULL},
    {"html", KIND_PATH, IN_COMMAND(html_path), 0, NULL, NULL},
    /* Fortio's own affairs. */
    {"stdclient", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"httpbufferkb", KIND_IGNORED, 0, 0, NULL, NULL},
    {"httpccch", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"log-errors", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"no-reresolve", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"dns-method", KIND_IGNORED, 0, 0, NULL, NULL},
    {"resolve-ip-type", KIND_IGNORED, 0, 0, NULL, NULL},
    {"loglevel", KIND_IGNORED, 0, 0, NULL, NULL},
    {"logger-json", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"logger-force-color", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"logger-no-color", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"logger-timestamp", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"logger-goroutine", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"logger-file-line", KIND_IGNORED_BOOL, 0, 0, NULL, NULL},
    {"mtls", KIND_IGNORED_BOOL, 0, 0, NULL, NULL}, /* asks a server to ask; a client shows -cert */
    /* What it has and we do not. */
    {"grpc", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"ping", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"health", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"healthservice", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"grpc-ping-delay", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"grpc-compression", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"grpc-max-streams", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"grpc-method", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"grpc-metadata", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"udp-timeout", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"udp-async", KIND_REFUSED, 0, 0, NULL, other_protocol},
    {"L", KIND_REFUSED, 0, 0, NULL, "a redirection is counted as status 3xx and not followed"},
    {"compression", KIND_REFUSED, 0, 0, NULL, "ask for it with -H 'Accept-Encoding: gzip'"},
    {"unix-socket", KIND_REFUSED, 0, 0, NULL, "only TCP is spoken"},
    {"access-log-file", KIND_REFUSED, 0, 0, NULL, "--json has the whole distribution"},
    {"access-log-format", KIND_REFUSED, 0, 0, NULL, "--json has the whole distribution"},
    {"profile", KIND_REFUSED, 0, 0, NULL, "use perf"},
    {"curl", KIND_REFUSED, 0, 0, NULL, "use curl"},
    {"curl-stdout-headers", KIND_REFUSED, 0, 0, NULL, "use curl"},
    {"http-port", KIND_REFUSED, 0, 0, NULL, of_server},
    {"grpc-port", KIND_REFUSED, 0, 0, NULL, of_server},
    {"tcp-port", KIND_REFUSED, 0, 0, NULL, of_server},
    {"udp-port", KIND_REFUSED, 0, 0, NULL, of_server},
    {"redirect-port", KIND_REFUSED, 0, 0, NULL, of_server},
    {"ui-path", KIND_REFUSED, 0, 0, NULL, of_server},
    {"echo-debug-path", KIND_REFUSED, 0, 0, NULL, of_server},
    {"echo-server-default-params", KIND_REFUSED, 0, 0, NULL, of_server},
    {"max-echo-delay", KIND_REFUSED, 0, 0, NULL, of_server},
    {"maxpayloadsizekb", KIND_REFUSED, 0, 0, NULL, of_server},
    {"server-idle-timeout", KIND_REFUSED, 0, 0, NULL, of_server},
    {"config-dir", KIND_REFUSED, 0, 0, NULL, of_server},
    {"config-port", KIND_REFUSED, 0, 0, NULL, of_server},
    {"sync", KIND_REFUSED, 0, 0, NULL, of_server},
    {"sync-interval", KIND_REFUSED, 0, 0, NULL, of_server},
    {"base-url", KIND_REFUSED, 0, 0, NULL, of_server},
    {"pprof", KIND_REFUSED, 0, 0, NULL, of_server},
    {"P", KIND_REFUSED, 0, 0, NULL, of_server},
    {"M", KIND_REFUSED, 0, 0, NULL, of_server},
    {"multi-mirror-origin", KIND_REFUSED, 0, 0, NULL, of_server},
    {"multi-serial-mode", KIND_REFUSED, 0, 0, NULL, of_server},
    {"proxy-all-headers", KIND_REFUSED, 0, 0, NULL, of_server},
    {"static-dir", KIND_REFUSED, 0, 0, NULL, of_server},
};

enum { FLAGS = sizeof flags / sizeof flags[0], OPTION_FLAG = 256, OPTION_JSON = 1000, OPTION_HELP };

static bool takes_no_value(const struct flag *flag)
{
    return flag->kind == KIND_BOOL || flag->kind == KIND_IGNORED_BOOL || flag->kind == KIND_REFUSED;
}

/* What getopt wants: one option per flag, its number behind it. */
static void fill_options(struct option options[static FLAGS + 3])
{
    for (int i = 0; i < FLAGS; i++) {
        options[i] = (struct option){
            .name = flags[i].name,
            .has_arg = takes_no_value(&flags[i]) ? optional_argument : required_argument,
            .val = OPTION_FLAG + i, /* above what getopt itself answers */
        };
    }
    options[FLAGS] = (struct option){"json", optional_argument, NULL, OPTION_JSON};
    options[FLAGS + 1] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    options[FLAGS + 2] = (struct option){0};
}

static hbk_status read_count(const struct flag *flag, struct hbk_slice text, uint64_t *out_count,
                             struct hbk_error *error)
{
    if (!hbk_slice_to_u64(text, flag->max, out_count)) {
        return hbk_error_set(error, HBK_INVALID,
                             "-%s \"%.*s\": a whole number from 0 to %llu is allowed", flag->name,
                             HBK_SLICE_ARGS(text), (unsigned long long)flag->max);
    }
    return HBK_OK;
}

/* Flat: one case per kind. */
static hbk_status read_flag(struct reading *reading, const struct flag *flag, const char *value)
{
    void *to = (char *)reading->command + flag->offset;
    struct hbk_slice text = hbk_slice_text(value == NULL ? "" : value);
    struct hbk_error *error = reading->error;
    uint64_t count = 0;
    if (flag->read != NULL) {
        return flag->read(reading, text);
    }
    switch (flag->kind) {
    case KIND_BOOL:
        return read_switch(flag->name, text, to, error);
    case KIND_COUNT:
        HBK_TRY(read_count(flag, text, &count, error));
        *(unsigned *)to = (unsigned)count;
        return HBK_OK;
    case KIND_COUNT64:
        return read_count(flag, text, to, error);
    case KIND_DURATION:
        return hbk_load_duration_parse(text, to)
                   ? HBK_OK
                   : hbk_error_set(error, HBK_INVALID, "-%s \"%.*s\": %s is allowed", flag->name,
                                   HBK_SLICE_ARGS(text), HBK_DURATION_SYNTAX);
    case KIND_TEXT:
        *(struct hbk_slice *)to = text;
        return HBK_OK;
    case KIND_PATH:
        *(const char **)to = value;
        return HBK_OK;
    case KIND_REFUSED:
        return hbk_error_set(error, HBK_UNSUPPORTED, "-%s: %s", flag->name, flag->reason);
    case KIND_SPECIAL:
    case KIND_IGNORED:
    case KIND_IGNORED_BOOL:
        break;
    }
    return HBK_OK;
}

/* "--json", "--json=PATH", and as Fortio has it "-json -" and "-json NAME.json". */
static const char *json_path(int argc, char **argv)
{
    if (optarg != NULL) {
        return optarg;
    }
    if (optind < argc) {
        struct hbk_slice next = hbk_slice_text(argv[optind]);
        if (hbk_slice_equal(next, HBK_SLICE("-")) ||
            hbk_slice_ends_with(next, HBK_SLICE(".json"))) {
            return argv[optind++];
        }
    }
    return "-";
}

static hbk_status read_flags(struct reading *reading, int argc, char **argv)
{
    struct option options[FLAGS + 3];
    fill_options(options);
    for (int code; (code = getopt_long_only(argc, argv, "", options, NULL)) != -1;) {
        if (code == OPTION_HELP) {
            reading->command->is_help = true;
            return HBK_OK;
        }
        if (code == OPTION_JSON) {
            reading->command->json_path = json_path(argc, argv);
        } else if (code >= OPTION_FLAG && code < OPTION_FLAG + FLAGS) {
            HBK_TRY(read_flag(reading, &flags[code - OPTION_FLAG], optarg));
        } else {
            return HBK_INVALID; /* getopt has said why */
        }
    }
    return HBK_OK;
}

static hbk_status read_urls(struct reading *reading, int argc, char **argv)
{
    if (optind >= argc) {
        return hbk_error_set(reading->error, HBK_INVALID, "a URL is needed, none was given");
    }
    for (int i = optind; i < argc; i++) {
        hbk_status status =
            hbk_load_plan_add_url(&reading->command->plan, hbk_slice_text(argv[i]), reading->error);
        if (status != HBK_OK) {
            hbk_error_prefix(reading->error, "URL \"%s\"", argv[i]);
            return status;
        }
    }
    return HBK_OK;
}

/* What can only be said when all flags are known. */
static hbk_status complete(struct reading *reading)
{
    struct hbk_load_command *command = reading->command;
    struct hbk_load_plan *plan = &command->plan;
    if (reading->is_exact_rate) {
        if (plan->calls == 0 || plan->duration_ns == 0) {
            return hbk_error_set(reading->error, HBK_INVALID, "-calc-qps needs -n and -t");
        }
        plan->rate_per_s = (double)plan->calls / ((double)plan->duration_ns / (double)HBK_NS_PER_S);
    }
    plan->needs_warm_up =
        plan->arrival == HBK_LOAD_FORTIO && !reading->allows_initial_errors && plan->calls == 0;
    if (plan->labels.size > HBK_LOAD_LABELS_BYTES_MAX) {
        return hbk_error_set(reading->error, HBK_LIMIT, "-labels: at most %d bytes are allowed",
                             HBK_LOAD_LABELS_BYTES_MAX);
    }
    if (command->tls.is_tls12 && command->tls.is_native) {
        return hbk_error_set(reading->error, HBK_INVALID,
                             "--tls 1.2 needs --engine openssl: the native engine speaks 1.3");
    }
    command->tls.is_http2 = plan->is_http2;
    command->tls.resumes = plan->resumes;
    return hbk_load_plan_check(plan, reading->error);
}

hbk_status hbk_load_command_read(int argc, char **argv, struct hbk_arena *arena,
                                 struct hbk_load_command *out_command, struct hbk_error *error)
{
    struct reading reading = {.command = out_command, .arena = arena, .error = error};
    *out_command = (struct hbk_load_command){.data_dir = "."};
    hbk_load_plan_init(&out_command->plan);
    HBK_TRY(read_flags(&reading, argc, argv));
    if (out_command->is_help) {
        return HBK_OK;
    }
    HBK_TRY(read_urls(&reading, argc, argv));
    return complete(&reading);
}
