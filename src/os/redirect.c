/*
 * Putting the table into the kernel. Routes and rules go in first and by netlink, since they do
 * nothing until a packet is marked; the table goes in last and whole.
 *
 * libnftables is loaded at run time: it parses the same text that an administrator reads and
 * writes, which is worth more than a second description of the rules in netlink messages; but it
 * costs 0.8 MiB, so only a short-lived child of the agent ever loads it.
 */
#include "os/redirect.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/fd.h"
#include "os/netlink.h"
#include "os/process.h"

static const char library_name[] = "libnftables.so.1";
static const uint64_t child_timeout_ns = 10 * HBK_NS_PER_S;

/* The part of libnftables that we call. (libnftables(3)) */
struct nft_ctx;
struct nft {
    struct nft_ctx *(*ctx_new)(uint32_t flags);
    void (*ctx_free)(struct nft_ctx *ctx);
    int (*buffer_output)(struct nft_ctx *ctx);
    const char *(*output)(struct nft_ctx *ctx);
    int (*buffer_error)(struct nft_ctx *ctx);
    const char *(*error)(struct nft_ctx *ctx);
    int (*run)(struct nft_ctx *ctx, const char *text);
};

static bool find_function(void *library, const char *name, void *out_function)
{
    void *found = dlsym(library, name);
    memcpy(out_function, &found, sizeof found);
    return found != NULL;
}

static hbk_status load(struct nft *nft, struct hbk_error *error)
{
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return hbk_error_set(error, HBK_UNSUPPORTED,
                             "cannot load %s (Debian package libnftables1): %s", library_name,
                             dlerror());
    }
    if (!find_function(library, "nft_ctx_new", &nft->ctx_new) ||
        !find_function(library, "nft_ctx_free", &nft->ctx_free) ||
        !find_function(library, "nft_ctx_buffer_output", &nft->buffer_output) ||
        !find_function(library, "nft_ctx_get_output_buffer", &nft->output) ||
        !find_function(library, "nft_ctx_buffer_error", &nft->buffer_error) ||
        !find_function(library, "nft_ctx_get_error_buffer", &nft->error) ||
        !find_function(library, "nft_run_cmd_from_buffer", &nft->run)) {
        return hbk_error_set(error, HBK_UNSUPPORTED, "%s lacks a function: %s", library_name,
                             dlerror());
    }
    return HBK_OK;
}

/* The first line of what nftables said; the rest repeats our text with a marker below. */
static hbk_status refuse(const char *said, struct hbk_error *error)
{
    hbk_status status = strstr(said, "Operation not permitted") != NULL ? HBK_DENIED
                        : strstr(said, "No such file") != NULL          ? HBK_NOT_FOUND
                        : strstr(said, "not supported") != NULL         ? HBK_UNSUPPORTED
                                                                        : HBK_INVALID;
    return hbk_error_set(error, status, "nftables: %.*s", (int)strcspn(said, "\n"), said);
}

/* Runs nftables text; its output goes to `out_text` unless that is NULL. */
static hbk_status run_nft(const char *commands, struct hbk_buffer *out_text,
                          struct hbk_error *error)
{
    struct nft nft = {0};
    HBK_TRY(load(&nft, error));
    struct nft_ctx *ctx = nft.ctx_new(0);
    if (ctx == NULL || nft.buffer_error(ctx) != 0 || nft.buffer_output(ctx) != 0) {
        return hbk_error_set(error, HBK_NO_MEMORY, "nftables has no memory");
    }
    hbk_status status = HBK_OK;
    if (nft.run(ctx, commands) != 0) {
        status = refuse(nft.error(ctx), error);
    } else if (out_text != NULL) {
        status = hbk_buffer_append(out_text, hbk_slice_text(nft.output(ctx)));
    }
    nft.ctx_free(ctx);
    return status;
}

hbk_status hbk_redirect_run_here(const char *commands, struct hbk_error *error)
{
    return run_nft(commands, NULL, error);
}

static struct hbk_route delivery_route(bool is_ipv6)
{
    return (struct hbk_route){
        .to = {.ip = {.size = is_ipv6 ? 16 : 4}},
        .link = "lo",
        .table = HBK_REDIRECT_TABLE,
        .is_local = true,
    };
}

static struct hbk_route_rule delivery_rule(bool is_ipv6)
{
    return (struct hbk_route_rule){
        .is_ipv6 = is_ipv6,
        .mark = HBK_REDIRECT_MARK_REPLY,
        .mask = HBK_REDIRECT_MARK_MASK,
        .table = HBK_REDIRECT_TABLE,
        .preference = HBK_REDIRECT_RULE_PREFERENCE,
    };
}

static hbk_status set_delivery(struct hbk_netlink *netlink, bool is_ipv6, struct hbk_error *error)
{
    struct hbk_route route = delivery_route(is_ipv6);
    struct hbk_route_rule rule = delivery_rule(is_ipv6);
    HBK_TRY(hbk_netlink_set_route(netlink, &route, error));
    return hbk_netlink_add_rule(netlink, &rule, error);
}

static hbk_status unset_delivery(struct hbk_netlink *netlink, bool is_ipv6, struct hbk_error *error)
{
    struct hbk_route route = delivery_route(is_ipv6);
    struct hbk_route_rule rule = delivery_rule(is_ipv6);
    HBK_TRY(hbk_netlink_delete_rule(netlink, &rule, error));
    return hbk_netlink_delete_route(netlink, &route, error);
}

/* A kernel with IPv6 switched off has no IPv6 to deliver: that is no failure. */
static bool has_ipv6(void)
{
    return access("/proc/sys/net/ipv6", F_OK) == 0;
}

typedef hbk_status delivery_fn(struct hbk_netlink *netlink, bool is_ipv6, struct hbk_error *error);

static hbk_status for_both_families(delivery_fn *change, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *netlink = NULL;
    HBK_TRY(hbk_netlink_open(&netlink, error));
    HBK_TRY(change(netlink, false, error));
    return has_ipv6() ? change(netlink, true, error) : HBK_OK;
}

/*
 * Accepted sockets inherit the mark of the agent that calls them, and with it the way back. It
 * saves a routing decision for each reply; where it may not be set, replies take the mark of their
 * connection as before. Last, since the table keeps the agent's own mark from being inherited.
 */
static void let_replies_inherit_marks(void)
{
    HBK_CLEANUP(hbk_fd_close)
    int fd = open("/proc/sys/net/ipv4/tcp_fwmark_accept", O_WRONLY | O_CLOEXEC);
    ssize_t written = fd < 0 ? -1 : write(fd, "1", 1);
    (void)written;
}

hbk_status hbk_redirect_apply_here(const struct hbk_redirect_spec *spec, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_REDIRECT_TEXT_BYTES_MAX);
    HBK_TRY(hbk_redirect_render(spec, &text, error));
    HBK_TRY(hbk_buffer_append(&text, hbk_slice_of("", 1)));
    HBK_TRY(for_both_families(set_delivery, error));
    HBK_TRY(run_nft((const char *)hbk_buffer_slice(&text).bytes, NULL, error));
    if (spec->kind == HBK_REDIRECT_POD) {
        let_replies_inherit_marks();
    }
    return HBK_OK;
}

hbk_status hbk_redirect_remove_here(struct hbk_error *error)
{
    HBK_TRY(run_nft("table inet hauberk { }\ndelete table inet hauberk\n", NULL, error));
    return for_both_families(unset_delivery, error);
}

hbk_status hbk_redirect_show_here(struct hbk_buffer *out_text, struct hbk_error *error)
{
    return run_nft("list table inet hauberk\n", out_text, error);
}

/* What the child wrote before it ended; its pipe closes with it. */
static void read_text(int fd, struct hbk_span room)
{
    size_t used = 0;
    ssize_t got = 0;
    do {
        got = read(fd, room.bytes + used, room.size - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && used < room.size - 1) || (got < 0 && errno == EINTR));
    room.bytes[used] = '\0';
}

/* Runs `hauberk redirect ARGUMENTS` in the namespace and hands its complaint on. */
static hbk_status run_child(int netns_fd, const char *const *arguments, struct hbk_error *error)
{
    char said[HBK_ERROR_TEXT_BYTES_MAX];
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot make a pipe: %s",
                             strerror(errno));
    }
    HBK_CLEANUP(hbk_fd_close) int hear = pipe_fds[0];
    HBK_CLEANUP(hbk_fd_close) int tell = pipe_fds[1];
    struct hbk_process_spec spec = hbk_process_spec_of(arguments);
    struct hbk_process child = hbk_process_none();
    spec.netns_fd = netns_fd;
    spec.error_fd = tell;
    spec.death_signal = SIGKILL;
    HBK_TRY(hbk_process_start(&spec, &child, error));
    hbk_fd_close(&tell);
    read_text(hear, hbk_span_of(said, sizeof said));
    int exit_status = 1;
    if (hbk_process_wait(&child, child_timeout_ns, &exit_status) != HBK_OK) {
        hbk_process_stop(&child, 0);
        return hbk_error_set(error, HBK_TIMEOUT, "the redirection was not set up within 10 s");
    }
    if (exit_status != 0) {
        hbk_status status = strstr(said, "not permitted") != NULL ? HBK_DENIED : HBK_INVALID;
        return hbk_error_set(error, status, "%.*s", (int)strcspn(said, "\n"), said);
    }
    return HBK_OK;
}

hbk_status hbk_redirect_apply(int netns_fd, const struct hbk_redirect_spec *spec,
                              struct hbk_error *error)
{
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    const char **options = NULL;
    size_t count = 0;
    hbk_status status = hbk_redirect_to_arguments(spec, &arena, &options, &count);
    const char **arguments =
        status == HBK_OK ? hbk_arena_array(&arena, count + 4, sizeof *arguments) : NULL;
    if (arguments != NULL) {
        arguments[0] = "/proc/self/exe";
        arguments[1] = "redirect";
        arguments[2] = "apply";
        memcpy(arguments + 3, options, count * sizeof *arguments);
        status = run_child(netns_fd, arguments, error);
    } else {
        status = hbk_error_set(error, status == HBK_OK ? HBK_NO_MEMORY : status,
                               "cannot describe the redirection");
    }
    hbk_arena_fini(&arena);
    return status;
}

hbk_status hbk_redirect_remove(int netns_fd, struct hbk_error *error)
{
    static const char *const arguments[] = {"/proc/self/exe", "redirect", "remove", NULL};
    return run_child(netns_fd, arguments, error);
}
