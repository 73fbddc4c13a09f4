/* The four proxies: where they are, their configurations, starting and stopping them. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/descriptor.h"
#include "bench/gateway.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/socket.h"

enum { UPSTREAM_PORT = 19000, FIRST_PORT = 20000, PLACEHOLDERS = 10, CONNECT_MS = 500 };

static const uint64_t ready_timeout_ns = 60 * HBK_NS_PER_S;
static const uint64_t look_again_ns = 5 * HBK_NS_PER_MS;

/* Names in reports; programs are looked for in these places, in this order. */
static const struct {
    const char *name;
    const char *places[3];
    const char *version; /* option that asks for it */
    const char *configuration;
} kinds[HBK_GATEWAY_PROXIES] = {
    {"hauberk", {NULL}, NULL, "envoy"},
    {"haproxy", {"/usr/sbin/haproxy"}, "-v", "haproxy"},
    {"nginx", {"/usr/sbin/nginx"}, "-v", "nginx"},
    {"envoy", {"/usr/local/bin/envoy", "/usr/bin/envoy"}, "--version", "envoy"},
    {"envoy-cryptomb", {"/usr/local/bin/envoy", "/usr/bin/envoy"}, "--version", "envoy"},
};

unsigned hbk_gateway_port(enum hbk_gateway_proxy_name proxy, enum hbk_gateway_port port)
{
    return FIRST_PORT + 10u * proxy + port;
}

static const char *configuration_of(const char *name)
{
    for (unsigned i = 0; i < hbk_gateway_configurations_count; i++) {
        if (strcmp(hbk_gateway_configurations[i].name, name) == 0) {
            return hbk_gateway_configurations[i].text;
        }
    }
    return "";
}

/* ---- configurations ---- */

static hbk_status write_configuration(const struct hbk_gateway_bench *bench,
                                      enum hbk_gateway_proxy_name name, const char *which,
                                      const char *chains, const char *path, struct hbk_error *error)
{
    char ports[HBK_GATEWAY_PORTS][8], upstream[8], rsa[160], ecdsa[160], ca[160], key[640];
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    for (unsigned i = 0; i < HBK_GATEWAY_PORTS; i++) {
        (void)snprintf(ports[i], sizeof ports[i], "%u", hbk_gateway_port(name, i));
    }
    (void)snprintf(upstream, sizeof upstream, "%d", UPSTREAM_PORT);
    (void)snprintf(rsa, sizeof rsa, "%s/rsa.pem", bench->directory);
    (void)snprintf(ecdsa, sizeof ecdsa, "%s/ecdsa.pem", bench->directory);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", bench->directory);
    if (name == HBK_GATEWAY_CRYPTOMB) {
        (void)snprintf(key, sizeof key,
                       "private_key_provider: {provider_name: cryptomb, typed_config: {\"@type\": "
                       "type.googleapis.com/envoy.extensions.private_key_providers.cryptomb."
                       "v3alpha.CryptoMbPrivateKeyMethodConfig, private_key: {filename: \"%s\"}, "
                       "poll_delay: 0.002s}}",
                       rsa);
    } else {
        (void)snprintf(key, sizeof key, "private_key: {filename: \"%s\"}", rsa);
    }
    const struct hbk_placeholder list[PLACEHOLDERS] = {
        {"RSA_PORT", ports[HBK_GATEWAY_PORT_RSA]},
        {"MUTUAL_PORT", ports[HBK_GATEWAY_PORT_MUTUAL]},
        {"PROXIED_PORT", ports[HBK_GATEWAY_PORT_PROXIED]},
        {"MANY_PORT", ports[HBK_GATEWAY_PORT_MANY]},
        {"UPSTREAM_PORT", upstream},
        {"RSA_PEM", rsa},
        {"RSA_KEY", key},
        {"ECDSA_PEM", ecdsa},
        {"CA", ca},
        {"DIR", bench->directory},
    };
    hbk_buffer_init(&text, HBK_GATEWAY_TEXT_BYTES_MAX);
    struct hbk_slice rest = hbk_slice_text(configuration_of(which));
    /* The chains are written as they are: they may be megabytes, and hold no placeholder. */
    const char *found = chains == NULL ? NULL : strstr((const char *)rest.bytes, "@CHAINS@");
    size_t mark = found == NULL ? rest.size : (size_t)(found - (const char *)rest.bytes);
    HBK_TRY(hbk_descriptor_render(hbk_slice_part(rest, 0, mark), list, PLACEHOLDERS, &text, error));
    if (found != NULL) {
        HBK_TRY(hbk_buffer_append(&text, hbk_slice_text(chains)));
    }
    return hbk_file_write(path, hbk_buffer_slice(&text), 0600);
}

/* ---- finding ---- */

static void ask_version(struct hbk_gateway_proxy *proxy, const char *option)
{
    char command[HBK_PROGRAM_PATH_BYTES_MAX + 64];
    (void)snprintf(command, sizeof command, "timeout 10 '%s' %s 2>&1", proxy->binary, option);
    FILE *stream = popen(command, "r");
    if (stream != NULL) {
        while (fgets(proxy->version, sizeof proxy->version, stream) != NULL &&
               strspn(proxy->version, "\n") == strlen(proxy->version)) {
        }
        proxy->version[strcspn(proxy->version, "\n")] = '\0';
        (void)pclose(stream);
    }
}

static void find(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name)
{
    struct hbk_gateway_proxy *proxy = &bench->proxies[name];
    proxy->name = kinds[name].name;
    proxy->program = hbk_program_none();
    if (name == HBK_GATEWAY_OURS) {
        (void)snprintf(proxy->version, sizeof proxy->version, "hauberk %s", HBK_VERSION);
        return;
    }
    const char *given = bench->options.binaries[name];
    for (unsigned i = 0; given == NULL && i < HBK_COUNT(kinds[name].places); i++) {
        const char *place = kinds[name].places[i];
        given = place != NULL && access(place, X_OK) == 0 ? place : NULL;
    }
    if (given == NULL || access(given, X_OK) != 0) {
        (void)snprintf(proxy->reason, sizeof proxy->reason, "left out: %s is not there",
                       given == NULL ? proxy->name : given);
        return;
    }
    proxy->binary = given;
    ask_version(proxy, kinds[name].version);
}

void hbk_gateway_find_proxies(struct hbk_gateway_bench *bench)
{
    bench->options.binaries[HBK_GATEWAY_CRYPTOMB] = bench->options.binaries[HBK_GATEWAY_ENVOY];
    for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
        find(bench, name);
    }
}

/* ---- starting ---- */

static bool is_port_open(unsigned port)
{
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    char text[32];
    struct hbk_address to = {0};
    const struct hbk_connect_options options = {0};
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", port);
    if (!hbk_address_parse(hbk_slice_text(text), &to) ||
        hbk_socket_connect(&to, &options, &fd) != HBK_OK) {
        return false;
    }
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    return poll(&ready, 1, CONNECT_MS) == 1 && hbk_socket_error(fd) == 0;
}

static hbk_status wait_for_port(const struct hbk_program *program, unsigned port,
                                struct hbk_error *error)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + ready_timeout_ns;
    while (!is_port_open(port)) {
        if (!hbk_process_is_running(&program->process)) {
            return hbk_program_fail(program, HBK_CLOSED, "it ended at its start", error);
        }
        if (hbk_clock_monotonic_ns() > end_ns) {
            return hbk_program_fail(program, HBK_TIMEOUT, "it never listened", error);
        }
        hbk_program_pause(look_again_ns);
    }
    return HBK_OK;
}

static hbk_status launch(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                         const char *path, struct hbk_error *error)
{
    struct hbk_gateway_proxy *proxy = &bench->proxies[name];
    char base_id[8];
    (void)snprintf(base_id, sizeof base_id, "%u", 81 + name);
    const char *const ours[] = {"gateway", "-c", path, "--concurrency", "1", "-l", "warning", NULL};
    const char *const haproxy[] = {proxy->binary, "-db", "-f", path, NULL};
    const char *const nginx[] = {proxy->binary, "-c", path, NULL};
    const char *const envoy[] = {proxy->binary, "-c",    path, "--concurrency", "1",
                                 "--base-id",   base_id, "-l", "error",         NULL};
    const char *const *const arguments[HBK_GATEWAY_PROXIES] = {ours, haproxy, nginx, envoy, envoy};
    const struct hbk_program_spec spec = {
        .name = proxy->name,
        .place = 0,
        .cpu = (int)bench->options.proxy_core,
        .arguments = arguments[name],
        .is_foreign = name != HBK_GATEWAY_OURS,
    };
    return hbk_program_start(&bench->topology, &spec, &proxy->program, error);
}

static hbk_status start(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                        const char *which, const char *chains, struct hbk_error *error)
{
    char path[HBK_MATERIAL_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s.yaml", bench->directory, kinds[name].name);
    HBK_TRY(write_configuration(bench, name, which, chains, path, error));
    return launch(bench, name, path, error);
}

hbk_status hbk_gateway_start(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                             struct hbk_error *error)
{
    struct hbk_gateway_proxy *proxy = &bench->proxies[name];
    if (proxy->reason[0] != '\0') {
        return hbk_error_set(error, HBK_NOT_FOUND, "%s", proxy->reason);
    }
    HBK_TRY(start(bench, name, kinds[name].configuration, NULL, error));
    hbk_status status =
        wait_for_port(&proxy->program, hbk_gateway_port(name, HBK_GATEWAY_PORT_PROXIED), error);
    if (status != HBK_OK) {
        hbk_gateway_stop(bench, name);
        return status;
    }
    proxy->is_up = true;
    return HBK_OK;
}

hbk_status hbk_gateway_start_many(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                                  const char *chains, double *out_ready_s, struct hbk_error *error)
{
    struct hbk_gateway_proxy *proxy = &bench->proxies[name];
    uint64_t begin_ns = hbk_clock_monotonic_ns();
    if (proxy->reason[0] != '\0') {
        return hbk_error_set(error, HBK_NOT_FOUND, "%s", proxy->reason);
    }
    HBK_TRY(start(bench, name, "many", chains, error));
    hbk_status status =
        wait_for_port(&proxy->program, hbk_gateway_port(name, HBK_GATEWAY_PORT_MANY), error);
    if (status != HBK_OK) {
        hbk_gateway_stop(bench, name);
        return status;
    }
    *out_ready_s = (double)(hbk_clock_monotonic_ns() - begin_ns) / (double)HBK_NS_PER_S;
    return HBK_OK;
}

void hbk_gateway_stop(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name)
{
    struct hbk_gateway_proxy *proxy = &bench->proxies[name];
    pid_t group = proxy->program.process.pid;
    hbk_program_stop(&proxy->program);
    if (group > 0) {
        (void)kill(-group, SIGKILL); /* workers that outlive their parent */
    }
    proxy->is_up = false;
}
