/*
 * The text of the table. A packet meets the chains in this order:
 *
 *   arriving   mark_replies (mangle; kind host only) -> inbound (nat)
 *   leaving    agent_zone (raw) -> route_replies (mangle) -> outbound (nat)
 *
 * Chains of type nat see the first packet of a connection, the others every packet: what can be
 * done once stands in the former.
 *
 * Why marks at all: the agent connects to the workload under the caller's address, so the
 * workload's replies are addressed to the caller and would leave for it. The connection is
 * therefore marked with its first packet (0x111), and replies that carry its mark are delivered to
 * this host by a routing rule. (ambient.md 3e) There are two ways for a reply to get the mark:
 *
 * - From its socket. In a namespace of its own (kind pod) net.ipv4.tcp_fwmark_accept lets the
 * socket that the workload accepts inherit the mark with which the agent calls it. It is routed
 * once, when it is accepted.
 * - From its connection (ct mark), for what has no such socket: a refusal, a program that changes
 *   the mark, a kernel where the setting may not be changed, and all of kind host, whose other
 *   sockets such a setting would change, too. Each packet is routed twice then: as it is sent, and
 *   again with the mark.
 *
 * What the agent itself sends on such a connection keeps its own mark: a packet whose mark changes
 * is routed once more.
 *
 * Invariants:
 *  1. What the agent sends (mark 0x539) is never redirected, or it would talk to itself for ever.
 *     So no socket of a workload may have that mark, and what is inherited is the other one: an
 *     accepted socket can be disconnected and connected again, to anywhere. With 0x111 that leads
 *     to this host and nowhere else, and where the routing rule is gone it is captured.
 *  2. Loopback traffic is the workload talking to itself; it is never captured.
 *  3. In kind host no rule accepts, drops or redirects a packet that the spec does not list; chains
 *     only return to the policy, so ssh and other tables are untouched.
 *  4. Nothing here drops. Refusing is the agent's work; when it is away, redirected connections
 *     meet a closed port.
 */
#include "os/redirect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CGROUP_PATH_BYTES_MAX = 255 };

/* Appends text; the first failure is kept, and later calls do nothing. */
struct text {
    struct hbk_buffer *buffer;
    hbk_status status;
};

HBK_PRINTF(2, 3) static void put(struct text *text, const char *format, ...)
{
    char line[1024];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (text->status != HBK_OK) {
        return;
    }
    if (size < 0 || (size_t)size >= sizeof line) {
        text->status = HBK_LIMIT;
        return;
    }
    text->status = hbk_buffer_append(text->buffer, hbk_slice_of(line, (size_t)size));
}

static void put_ports(struct text *text, const char *match, struct hbk_redirect_ports ports,
                      const char *verdict, const char *why)
{
    if (ports.count == 0) {
        return;
    }
    put(text, "        %s { ", match);
    for (size_t i = 0; i < ports.count; i++) {
        put(text, "%s%u", i == 0 ? "" : ", ", ports.ports[i]);
    }
    put(text, " } %s comment \"%s\"\n", verdict, why);
}

/* One rule each: blocks that overlap are no error, as they would be in one nftables set. */
static void put_cidrs(struct text *text, const struct hbk_redirect_spec *spec)
{
    for (size_t i = 0; i < spec->excluded_cidr_count; i++) {
        char cidr[HBK_ADDRESS_TEXT_BYTES_MAX];
        const struct hbk_cidr *block = &spec->excluded_cidrs[i];
        put(text, "        %s daddr %s return comment \"excluded destinations\"\n",
            block->ip.size == 4 ? "ip" : "ip6", hbk_cidr_text(block, cidr));
    }
}

/* The rules that every redirecting chain starts with. */
static void put_never(struct text *text)
{
    put(text, "        meta l4proto != tcp return comment \"only TCP is carried by the mesh\"\n");
    put(text, "        meta mark & 0x%x == 0x%x return comment \"sent by the agent itself\"\n",
        HBK_REDIRECT_MARK_MASK, HBK_REDIRECT_MARK_AGENT);
    put(text, "        ip daddr 127.0.0.0/8 return comment \"a workload talking to itself\"\n");
    put(text, "        ip6 daddr ::1 return comment \"a workload talking to itself\"\n");
}

static void put_chain(struct text *text, const char *name, const char *hook, const char *why)
{
    put(text, "    chain %s {\n        comment \"%s\"\n        type %s; policy accept;\n", name,
        why, hook);
}

/* Takes the mark of the connection over and is routed again. */
static void put_replies(struct text *text)
{
    put(text,
        "        ct direction reply ct mark & 0x%x == 0x%x meta mark set meta mark & 0x%x | 0x%x "
        "comment \"a rule sends this mark to routing table %u, which delivers here\"\n    }\n",
        HBK_REDIRECT_MARK_MASK, HBK_REDIRECT_MARK_REPLY, ~(unsigned)HBK_REDIRECT_MARK_MASK,
        HBK_REDIRECT_MARK_REPLY, HBK_REDIRECT_TABLE);
}

/*
 * The agent calls under the caller's address from a port of the kernel's choice, which may be one
 * from which the caller has a connection of its own to the same port of the workload. For
 * connection tracking both would be one, and the later of them would never be answered. So what the
 * agent sends has a zone to itself in its own direction; what answers it is looked up without one.
 */
static void put_agent_zone(struct text *text, enum hbk_redirect_kind kind)
{
    put_chain(text, "agent_zone", "filter hook output priority raw",
              "tells the agent's calls from connections of the callers whose addresses it uses");
    put(text,
        "        meta mark & 0x%x == 0x%x ct original zone set %u comment \"sent by the agent, or "
        "an "
        "answer to it\"\n    }\n",
        HBK_REDIRECT_MARK_MASK,
        kind == HBK_REDIRECT_POD ? HBK_REDIRECT_MARK_REPLY : HBK_REDIRECT_MARK_AGENT,
        HBK_REDIRECT_ZONE_AGENT);
}

static void put_mark_chains_of_host(struct text *text)
{
    put_chain(text, "mark_replies", "filter hook prerouting priority mangle",
              "remembers connections that the agent makes to the workload");
    put(text,
        "        meta mark & 0x%x == 0x%x ct state new ct mark set ct mark & 0x%x | 0x%x comment "
        "\"made under the caller's address: its replies belong to the agent\"\n    }\n",
        HBK_REDIRECT_MARK_MASK, HBK_REDIRECT_MARK_AGENT, ~(unsigned)HBK_REDIRECT_MARK_MASK,
        HBK_REDIRECT_MARK_REPLY);
    put_chain(text, "route_replies", "route hook output priority mangle",
              "routes the workload's replies on those connections back to the agent");
    put_replies(text);
}

static void put_mark_chains_of_pod(struct text *text)
{
    put_chain(text, "route_replies", "route hook output priority mangle",
              "routes the workload's replies on those connections back to the agent");
    put(text, "        meta mark & 0x%x == 0x%x return comment \"routed by its socket's mark\"\n",
        HBK_REDIRECT_MARK_MASK, HBK_REDIRECT_MARK_REPLY);
    put(text,
        "        meta mark & 0x%x == 0x%x oif \"lo\" ct direction original meta mark set meta mark "
        "& "
        "0x%x | 0x%x comment \"what is called here must not inherit the agent's own mark\"\n",
        HBK_REDIRECT_MARK_MASK, HBK_REDIRECT_MARK_AGENT, ~(unsigned)HBK_REDIRECT_MARK_MASK,
        HBK_REDIRECT_MARK_REPLY);
    put_replies(text);
}

static void put_inbound(struct text *text, const struct hbk_redirect_spec *spec)
{
    char verdict[64];
    (void)snprintf(verdict, sizeof verdict, "redirect to :%u", HBK_REDIRECT_PORT_INBOUND);
    put_chain(text, "inbound", "nat hook prerouting priority dstnat",
              "brings connections to the workload to its agent");
    put_never(text);
    put(text, "        tcp dport %u return comment \"HBONE comes to the agent as it is\"\n",
        HBK_REDIRECT_PORT_HBONE);
    put_ports(text, "tcp dport", spec->excluded_inbound, "return", "excluded ports");
    if (spec->kind == HBK_REDIRECT_POD) {
        put(text, "        meta l4proto tcp %s comment \"all else that arrives\"\n", verdict);
    } else {
        put_ports(text, "fib daddr type local tcp dport", spec->captured_inbound, verdict,
                  "services of the mesh on this host");
    }
    put(text, "    }\n");
}

static void put_uids(struct text *text, const struct hbk_redirect_spec *spec, const char *verdict)
{
    for (size_t i = 0; i < spec->captured_uid_count; i++) {
        put(text, "        meta skuid %u %s comment \"a user whose programs are in the mesh\"\n",
            spec->captured_uids[i], verdict);
    }
}

static void put_cgroups(struct text *text, const struct hbk_redirect_spec *spec,
                        const char *verdict)
{
    for (size_t i = 0; i < spec->captured_cgroup_count; i++) {
        const char *path = spec->captured_cgroups[i];
        unsigned level = 1;
        for (const char *at = path; *at != '\0'; at++) {
            level += *at == '/';
        }
        put(text,
            "        socket cgroupv2 level %u \"%s\" %s comment "
            "\"a control group in the mesh\"\n",
            level, path, verdict);
    }
}

static void put_outbound(struct text *text, const struct hbk_redirect_spec *spec)
{
    char verdict[64];
    (void)snprintf(verdict, sizeof verdict, "meta l4proto tcp redirect to :%u",
                   HBK_REDIRECT_PORT_OUTBOUND);
    put_chain(text, "outbound", "nat hook output priority -100",
              "brings the workload's connections to its agent");
    put_never(text);
    if (spec->kind == HBK_REDIRECT_POD) {
        put(text,
            "        meta mark & 0x%x == 0x%x oif \"lo\" ct mark set ct mark & 0x%x | 0x%x return "
            "comment \"made by the agent under the caller's address: so are its replies\"\n",
            HBK_REDIRECT_MARK_MASK, HBK_REDIRECT_MARK_REPLY, ~(unsigned)HBK_REDIRECT_MARK_MASK,
            HBK_REDIRECT_MARK_REPLY);
    } else {
        put(text, "        meta mark & 0x%x == 0x%x return comment \"replies to the agent\"\n",
            HBK_REDIRECT_MARK_MASK, HBK_REDIRECT_MARK_REPLY);
    }
    put(text, "        oif \"lo\" return comment \"to an address of this workload: to itself\"\n");
    put_ports(text, "tcp dport", spec->excluded_outbound, "return", "excluded ports");
    put_cidrs(text, spec);
    if (spec->kind == HBK_REDIRECT_POD) {
        put(text, "        %s comment \"all else that leaves\"\n", verdict);
    } else {
        put_uids(text, spec, verdict);
        put_cgroups(text, spec, verdict);
        put_ports(text, "tcp dport", spec->captured_outbound, verdict + strlen("meta l4proto tcp "),
                  "services of the mesh elsewhere");
    }
    put(text, "    }\n");
}

static hbk_status check_ports(const char *name, struct hbk_redirect_ports ports,
                              struct hbk_error *error)
{
    if (ports.count > HBK_REDIRECT_ENTRIES_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "%zu %s ports; %d are allowed", ports.count, name,
                             HBK_REDIRECT_ENTRIES_MAX);
    }
    for (size_t i = 0; i < ports.count; i++) {
        if (ports.ports[i] == 0) {
            return hbk_error_set(error, HBK_INVALID, "%s port 0; 1 to 65535 are allowed", name);
        }
    }
    return HBK_OK;
}

/* The path lands between quotes in nftables text, so it is held to what needs no escaping. */
static bool is_plain_path(const char *path)
{
    size_t size = strlen(path);
    if (size == 0 || size > CGROUP_PATH_BYTES_MAX || path[0] == '/' || path[size - 1] == '/' ||
        strstr(path, "..") != NULL || strstr(path, "//") != NULL) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)path[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '$') {
            return false;
        }
    }
    return true;
}

static hbk_status check_cgroups(const struct hbk_redirect_spec *spec, struct hbk_error *error)
{
    for (size_t i = 0; i < spec->captured_cgroup_count; i++) {
        if (!is_plain_path(spec->captured_cgroups[i])) {
            return hbk_error_set(error, HBK_INVALID,
                                 "control group \"%s\": a path below /sys/fs/cgroup without "
                                 "leading slash, quotes or blanks, of at most %d bytes, is allowed",
                                 spec->captured_cgroups[i], CGROUP_PATH_BYTES_MAX);
        }
    }
    return HBK_OK;
}

static hbk_status check(const struct hbk_redirect_spec *spec, struct hbk_error *error)
{
    HBK_TRY(check_ports("excluded inbound", spec->excluded_inbound, error));
    HBK_TRY(check_ports("excluded outbound", spec->excluded_outbound, error));
    HBK_TRY(check_ports("captured inbound", spec->captured_inbound, error));
    HBK_TRY(check_ports("captured outbound", spec->captured_outbound, error));
    if (spec->excluded_cidr_count > HBK_REDIRECT_ENTRIES_MAX ||
        spec->captured_uid_count > HBK_REDIRECT_ENTRIES_MAX ||
        spec->captured_cgroup_count > HBK_REDIRECT_ENTRIES_MAX) {
        return hbk_error_set(error, HBK_LIMIT,
                             "more than %d excluded CIDRs, captured users or control groups",
                             HBK_REDIRECT_ENTRIES_MAX);
    }
    return check_cgroups(spec, error);
}

hbk_status hbk_redirect_render(const struct hbk_redirect_spec *spec, struct hbk_buffer *out_text,
                               struct hbk_error *error)
{
    HBK_TRY(check(spec, error));
    struct text text = {.buffer = out_text};
    /* Deleting needs a table that exists; the empty one makes sure of it. One transaction. */
    put(&text, "table inet hauberk { }\ndelete table inet hauberk\ntable inet hauberk {\n");
    put(&text,
        "    comment \"brings the connections of a %s to the Hauberk agent; stays when the agent "
        "stops\"\n",
        spec->kind == HBK_REDIRECT_POD ? "pod" : "host's workloads");
    put_agent_zone(&text, spec->kind);
    if (spec->kind == HBK_REDIRECT_POD) {
        put_mark_chains_of_pod(&text);
    } else {
        put_mark_chains_of_host(&text);
    }
    put_inbound(&text, spec);
    put_outbound(&text, spec);
    put(&text, "}\n");
    if (text.status != HBK_OK) {
        return hbk_error_set(error, text.status, "the redirection is too long: %s",
                             hbk_status_text(text.status));
    }
    return HBK_OK;
}
