/*
 * Redirection: the nftables table `inet hauberk` and the routes that bring a workload's connections
 * to its agent. (ambient.md 3e)
 *
 *   leaving  a connection of the workload  -> port 15001 of the agent, in the workload's namespace
 *   arriving a connection to the workload  -> port 15006; to port 15008 it comes as it is
 *   replies  to a connection that the agent made under the caller's address -> back to the agent
 *
 * The table stays when the agent stops or dies: then the workload has no network rather than no
 * encryption. Applying replaces the whole table in one transaction, so there is no moment without.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/status.h"

enum {
    HBK_REDIRECT_PORT_OUTBOUND = 15001,
    HBK_REDIRECT_PORT_INBOUND = 15006,
    HBK_REDIRECT_PORT_HBONE = 15008,

    /* Marks, in the low twelve bits. Every socket of the agent in a workload's namespace carries
     * the first, but for its connections to a workload with a namespace of its own: they, and the
     * replies on them, carry the second. */
    HBK_REDIRECT_MARK_AGENT = 0x539,
    HBK_REDIRECT_MARK_REPLY = 0x111,
    HBK_REDIRECT_MARK_MASK = 0xfff,

    HBK_REDIRECT_ZONE_AGENT = 0x539, /* of connection tracking: what the agent sends */

    HBK_REDIRECT_TABLE = 100,             /* of routes: everything is delivered here */
    HBK_REDIRECT_RULE_PREFERENCE = 32764, /* before the main table */

    HBK_REDIRECT_ENTRIES_MAX = 256, /* of each list below */
    HBK_REDIRECT_TEXT_BYTES_MAX = 64 << 10,
};

enum hbk_redirect_kind {
    HBK_REDIRECT_POD,  /* the namespace belongs to one workload: all its TCP is captured */
    HBK_REDIRECT_HOST, /* the namespace is shared: only what is listed is captured */
};

struct hbk_redirect_ports {
    const uint16_t *ports;
    size_t count;
};

/* What to capture. Everything is borrowed for the call. */
struct hbk_redirect_spec {
    enum hbk_redirect_kind kind;

    /* Left alone: connections to these ports of the workload, or from it to these ports or
     * addresses. Of kind pod, and of kind host for what the lists below would capture. */
    struct hbk_redirect_ports excluded_inbound;
    struct hbk_redirect_ports excluded_outbound;
    const struct hbk_cidr *excluded_cidrs;
    size_t excluded_cidr_count;

    /* Kind host only. A connection that leaves is captured when any of the first three fits. */
    const uint32_t *captured_uids; /* of the process that connects */
    size_t captured_uid_count;
    const char *const *captured_cgroups; /* cgroup v2 paths without the leading slash; must exist */
    size_t captured_cgroup_count;
    struct hbk_redirect_ports captured_outbound; /* destination ports */
    struct hbk_redirect_ports captured_inbound;  /* ports of the services that run here */
};

/*
 * Writes the table as nftables text that replaces whatever table of that name is there.
 *
 * Fails: HBK_LIMIT (a list is longer than HBK_REDIRECT_ENTRIES_MAX, or the buffer's limit),
 * HBK_INVALID (port 0; a cgroup path with a quote, a control character, "..", or more than
 * 255 bytes), HBK_NO_MEMORY. Pure.
 */
HBK_MUST_USE hbk_status hbk_redirect_render(const struct hbk_redirect_spec *spec,
                                            struct hbk_buffer *out_text, struct hbk_error *error);

/*
 * Applies the spec to a namespace, or takes table, rules and routes away again (taking away what is
 * not there is fine). Of kind pod net.ipv4.tcp_fwmark_accept is switched on, where that is
 * permitted, and stays on; without marks it does nothing. The work is done by a short-lived child
 * of this program, since libnftables costs memory that it never gives back; this waits for it, some
 * tens of milliseconds.
 *
 * Fails: HBK_DENIED, HBK_INVALID, HBK_UNSUPPORTED (kernel or library without nftables), HBK_LIMIT,
 * HBK_IO; the error holds what nftables said, and the old table stands. Thread: control only.
 */
HBK_MUST_USE hbk_status hbk_redirect_apply(int netns_fd, const struct hbk_redirect_spec *spec,
                                           struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_redirect_remove(int netns_fd, struct hbk_error *error);

/* What the child does, in the namespace of the calling thread; it loads libnftables for good. */
HBK_MUST_USE hbk_status hbk_redirect_apply_here(const struct hbk_redirect_spec *spec,
                                                struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_redirect_remove_here(struct hbk_error *error);

/* Runs other nftables text in the namespace of the calling thread; loads libnftables for good, so
 * do it in a child. Fails as hbk_redirect_apply(). */
HBK_MUST_USE hbk_status hbk_redirect_run_here(const char *commands, struct hbk_error *error);

/* The table as the kernel holds it. Fails: HBK_NOT_FOUND (no table). */
HBK_MUST_USE hbk_status hbk_redirect_show_here(struct hbk_buffer *out_text,
                                               struct hbk_error *error);

/*
 * A spec as arguments of `hauberk redirect apply`, and back:
 *   --kind pod|host  --exclude-inbound PORT,...  --exclude-outbound PORT,...  --exclude-cidr
 * CIDR,...
 *   --uid UID,...  --cgroup PATH (repeated)  --outbound PORT,...  --inbound PORT,...
 *
 * Memory: results borrow from `arena`. `*out_arguments` ends with NULL.
 * Fails:  HBK_NO_MEMORY; parsing also HBK_INVALID and HBK_LIMIT, and the error names the option.
 */
HBK_MUST_USE hbk_status hbk_redirect_to_arguments(const struct hbk_redirect_spec *spec,
                                                  struct hbk_arena *arena,
                                                  const char ***out_arguments, size_t *out_count);
HBK_MUST_USE hbk_status hbk_redirect_from_arguments(const char *const *arguments, size_t count,
                                                    struct hbk_arena *arena,
                                                    struct hbk_redirect_spec *out_spec,
                                                    struct hbk_error *error);
