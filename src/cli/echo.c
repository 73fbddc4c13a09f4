/* hauberk echo: the server at which loads, demonstrations and tests are aimed. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "load/echo.h"
#include "load/quantity.h"
#include "load/secure.h"
#include "os/fd.h"
#include "os/limits.h"
#include "os/signal.h"
#include "runtime/worker.h"

static const char usage[] =
    "usage: hauberk echo [OPTIONS]\n"
    "\n"
    "Answers every HTTP/1.1 request with 200 and a short text or its own body, /whoami with the\n"
    "caller's address and request. A query wishes for more, as with Fortio: /?delay=200ms,\n"
    "?status=503:10, ?size=4096, ?close=true, ?header=Name:value. Prints\n\"listening on ADDRESS\" "
    "when it is ready; ends with SIGTERM or SIGINT.\n"
    "\n"
    "  --listen [ADDRESS]:PORT  where (:8080, every address); port 0: any free one\n"
    "  --delay D              time before each answer (0), or times with percents: 10ms:50,1s:5\n"
    "  --size N               bytes of the body (\"ok\", or the request's own body)\n"
    "  --status S             status, or statuses with percents: 503:10\n"
    "  --close P              closes behind each answer (true), or behind so many percent\n"
    "  --header 'NAME: TEXT'  header of every answer; may be repeated\n"
    "  --bodies-max N         bytes of requests that a thread holds at once (268435456): bodies "
    "to\n"
    "                         send back, at most 16 MiB of each, above it 413; what waits to be\n"
    "                         read, above it closed\n"
    "  --tcp                  sends back the bytes of every TCP connection\n"
    "  --sink                 swallows the bytes of every TCP connection\n"
    "  --source N             sends N bytes over every TCP connection, then ends it\n"
    "  --cert FILE --key FILE TLS with this certificate (PEM, leaf first)\n"
    "  --mtls --cacert FILE   clients need a certificate that these roots vouch for\n"
    "  --engine NAME          openssl or native (openssl)\n"
    "  --threads N            threads (1)\n"
    "  --core N               pins thread i to core N+i\n";

enum option_code {
    OPTION_LISTEN = 256,
    OPTION_DELAY,
    OPTION_SIZE,
    OPTION_TCP,
    OPTION_SINK,
    OPTION_SOURCE,
    OPTION_THREADS,
    OPTION_CORE,
    OPTION_STATUS,
    OPTION_CLOSE,
    OPTION_HEADER,
    OPTION_BODIES_MAX,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_CACERT,
    OPTION_MTLS,
    OPTION_ENGINE,
    OPTION_HELP,
};

enum { CORE_MAX = 1023 };

static const struct option options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"delay", required_argument, NULL, OPTION_DELAY},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"tcp", no_argument, NULL, OPTION_TCP},
    {"sink", no_argument, NULL, OPTION_SINK},
    {"source", required_argument, NULL, OPTION_SOURCE},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"core", required_argument, NULL, OPTION_CORE},
    {"status", required_argument, NULL, OPTION_STATUS},
    {"close", required_argument, NULL, OPTION_CLOSE},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"bodies-max", required_argument, NULL, OPTION_BODIES_MAX},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"cacert", required_argument, NULL, OPTION_CACERT},
    {"mtls", no_argument, NULL, OPTION_MTLS},
    {"engine", required_argument, NULL, OPTION_ENGINE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static hbk_status read_number(const char *name, struct hbk_slice text, uint64_t min, uint64_t max,
                              uint64_t *out_number, struct hbk_error *error)
{
    if (!hbk_slice_to_u64(text, max, out_number) || *out_number < min) {
        return hbk_error_set(
            error, HBK_INVALID, "--%s \"%.*s\": a whole number from %llu to %llu is allowed", name,
            HBK_SLICE_ARGS(text), (unsigned long long)min, (unsigned long long)max);
    }
    return HBK_OK;
}

/* ":8080" is every address, IPv4 too, as with Fortio. */
static hbk_status read_listen(struct hbk_slice text, struct hbk_address *out_listen,
                              struct hbk_error *error)
{
    uint64_t port = 0;
    if (text.size > 1 && text.bytes[0] == ':' &&
        hbk_slice_to_u64(hbk_slice_part(text, 1, text.size), UINT16_MAX, &port)) {
        *out_listen = (struct hbk_address){.ip = {.size = 16}, .port = (uint16_t)port};
        return HBK_OK;
    }
    return hbk_address_parse(text, out_listen)
               ? HBK_OK
               : hbk_error_set(error, HBK_INVALID,
                               "--listen \"%.*s\": 127.0.0.1:8080, [::]:8080 or :8080 is allowed",
                               HBK_SLICE_ARGS(text));
}

/* TLS; the texts are whole arguments. False: another option. */
static bool read_tls_option(int code, const char *text, struct hbk_secure_options *tls)
{
    switch (code) {
    case OPTION_CERT:
        tls->cert_path = text;
        return true;
    case OPTION_KEY:
        tls->key_path = text;
        return true;
    case OPTION_CACERT:
        tls->ca_path = text;
        return true;
    case OPTION_MTLS:
        tls->asks_client = true;
        return true;
    case OPTION_ENGINE:
        tls->is_native = strcmp(text, "native") == 0;
        return tls->is_native || strcmp(text, "openssl") == 0;
    default:
        return false;
    }
}

/* Of every answer; as long as the program runs. */
static struct hbk_buffer answer_headers;

static hbk_status read_mix(const char *name, struct hbk_slice text, enum hbk_echo_kind kind,
                           struct hbk_echo_mix *out_mix, struct hbk_error *error)
{
    hbk_status status = hbk_echo_mix_parse(text, kind, out_mix, error);
    if (status != HBK_OK) {
        hbk_error_prefix(error, "--%s", name);
    }
    return status;
}

static hbk_status set_mode(enum hbk_echo_mode mode, struct hbk_echo_options *echo,
                           struct hbk_error *error)
{
    if (echo->mode != HBK_ECHO_HTTP && echo->mode != mode) {
        return hbk_error_set(error, HBK_INVALID, "one of --tcp, --sink and --source is allowed");
    }
    echo->mode = mode;
    return HBK_OK;
}

static hbk_status read_option(int code, struct hbk_slice text, struct hbk_echo_options *echo,
                              struct hbk_error *error)
{
    uint64_t number = 0;
    switch (code) {
    case OPTION_ENGINE:
        return hbk_error_set(error, HBK_INVALID,
                             "--engine \"%.*s\": openssl and native are allowed",
                             HBK_SLICE_ARGS(text));
    case OPTION_LISTEN:
        return read_listen(text, &echo->listen, error);
    case OPTION_DELAY:
        /* A constant one takes the short way. */
        return hbk_load_duration_parse(text, &echo->delay_ns)
                   ? HBK_OK
                   : read_mix("delay", text, HBK_ECHO_DELAY, &echo->defaults.delay, error);
    case OPTION_STATUS:
        return read_mix("status", text, HBK_ECHO_STATUS, &echo->defaults.status, error);
    case OPTION_CLOSE:
        return read_mix("close", text, HBK_ECHO_CLOSE, &echo->defaults.close, error);
    case OPTION_HEADER:
        return hbk_echo_header_add(text, &answer_headers, error);
    case OPTION_SIZE:
        return read_number("size", text, 0, HBK_ECHO_BODY_BYTES_MAX, &echo->size_bytes, error);
    case OPTION_BODIES_MAX:
        return read_number("bodies-max", text, 0, INT64_MAX, &echo->bodies_bytes_max, error);
    case OPTION_TCP:
        return set_mode(HBK_ECHO_TCP, echo, error);
    case OPTION_SINK:
        return set_mode(HBK_ECHO_SINK, echo, error);
    case OPTION_SOURCE:
        HBK_TRY(set_mode(HBK_ECHO_SOURCE, echo, error));
        return read_number("source", text, 0, INT64_MAX, &echo->size_bytes, error);
    case OPTION_THREADS:
        HBK_TRY(read_number("threads", text, 1, HBK_WORKERS_MAX, &number, error));
        echo->threads = (unsigned)number;
        return HBK_OK;
    case OPTION_CORE:
        HBK_TRY(read_number("core", text, 0, CORE_MAX, &number, error));
        echo->first_core = (int)number;
        return HBK_OK;
    default:
        return HBK_INVALID; /* getopt has said why */
    }
}

static hbk_status read_arguments(int argc, char **argv, struct hbk_echo_options *echo,
                                 struct hbk_secure_options *tls, bool *out_is_help,
                                 struct hbk_error *error)
{
    *echo = (struct hbk_echo_options){
        .listen = {.ip = {.size = 16}, .port = 8080},
        .bodies_bytes_max = HBK_ECHO_BODIES_BYTES,
        .threads = 1,
        .first_core = -1,
    };
    hbk_buffer_init(&answer_headers, HBK_ECHO_HEADERS_BYTES_MAX);
    for (int code; (code = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (code == OPTION_HELP) {
            *out_is_help = true;
            return HBK_OK;
        }
        struct hbk_slice text = hbk_slice_text(optarg == NULL ? "" : optarg);
        if (read_tls_option(code, optarg, tls)) {
            continue;
        }
        HBK_TRY(read_option(code, text, echo, error));
    }
    if (optind != argc) {
        return hbk_error_set(error, HBK_INVALID, "\"%s\": only options are allowed", argv[optind]);
    }
    echo->defaults.headers = hbk_buffer_slice(&answer_headers);
    bool is_of_http = echo->delay_ns > 0 || echo->defaults.delay.count > 0 ||
                      echo->defaults.status.count > 0 || echo->defaults.close.count > 0 ||
                      echo->defaults.headers.size > 0;
    if (is_of_http && echo->mode != HBK_ECHO_HTTP) {
        return hbk_error_set(error, HBK_INVALID,
                             "--delay, --status, --close and --header are for HTTP");
    }
    bool has_tls = tls->cert_path != NULL;
    if (!has_tls && (tls->key_path != NULL || tls->ca_path != NULL || tls->asks_client)) {
        return hbk_error_set(error, HBK_INVALID, "TLS needs --cert");
    }
    if (tls->asks_client && tls->ca_path == NULL) {
        return hbk_error_set(error, HBK_INVALID, "--mtls needs --cacert");
    }
    if (has_tls && (echo->mode == HBK_ECHO_SINK || echo->mode == HBK_ECHO_SOURCE)) {
        return hbk_error_set(error, HBK_INVALID, "--sink and --source are plain");
    }
    return HBK_OK;
}

/* Which limits were met, if any were. */
static void print_refused(const struct hbk_echo_counts *counts)
{
    const struct {
        uint64_t count;
        const char *what;
    } parts[] = {
        {counts->connections, "connections (too many at once, or no memory)"},
        {counts->bodies, "bodies (413)"},
        {counts->held, "connections with requests above --bodies-max"},
        {counts->heads, "heads that were not complete in 30 s (408)"},
        {counts->malformed, "requests that are not HTTP/1.1"},
    };
    for (size_t i = 0; i < HBK_COUNT(parts); i++) {
        if (parts[i].count > 0) {
            fprintf(stderr, "refused %" PRIu64 " %s\n", parts[i].count, parts[i].what);
        }
    }
}

static void print_listening(const struct hbk_address *bound, void *argument)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    (void)argument;
    printf("listening on %s\n", hbk_address_text(bound, text));
    (void)fflush(stdout);
}

static int run(struct hbk_echo_options *echo, const struct hbk_secure_options *tls)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct hbk_error error = {0};
    HBK_CLEANUP(hbk_fd_close) int signal_fd = -1;
    uint64_t files_max;
    if (hbk_limits_raise_open_files(&files_max) != HBK_OK) {
        fputs("hauberk echo: the limit of open files could not be raised\n", stderr);
    }
    struct hbk_echo_counts counts = {0};
    echo->counts = &counts;
    hbk_status status = hbk_signal_open(signals, HBK_COUNT(signals), &signal_fd);
    if (status == HBK_OK && tls->cert_path != NULL) {
        status = hbk_secure_context_new(tls, &echo->tls, &error);
    }
    if (status == HBK_OK) {
        status = hbk_echo_run(echo, signal_fd, print_listening, NULL, &error);
    }
    hbk_tls_context_unref(echo->tls);
    print_refused(&counts);
    if (status != HBK_OK) {
        fprintf(stderr, "hauberk echo: %s\n",
                error.status == HBK_OK ? hbk_status_text(status) : error.text);
        return HBK_EXIT_FAILED;
    }
    return HBK_EXIT_OK;
}

int hbk_command_echo(int argc, char **argv)
{
    struct hbk_echo_options echo;
    struct hbk_secure_options tls = {.is_server = true};
    struct hbk_error error = {0};
    bool is_help = false;
    if (read_arguments(argc, argv, &echo, &tls, &is_help, &error) != HBK_OK) {
        if (error.status != HBK_OK) {
            fprintf(stderr, "hauberk echo: %s\n", error.text);
        }
        fputs("try: hauberk echo --help\n", stderr);
        return HBK_EXIT_USAGE;
    }
    if (is_help) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    int exit_status = run(&echo, &tls);
    hbk_buffer_fini(&answer_headers);
    return exit_status;
}
