/*
 * One request, one acknowledgement. Messages are built with libmnl in a buffer of fixed size: all
 * that goes in is numbers, addresses and interface names, whose lengths the kernel bounds.
 */
#include "os/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "os/netns.h"

enum { MESSAGE_BYTES = 2048, TRIED_BYTES = 160 };

struct hbk_netlink {
    struct mnl_socket *socket; /* owned */
    uint32_t sequence;
};

struct request {
    struct nlmsghdr *header; /* in `bytes` */
    char tried[TRIED_BYTES]; /* for the error: "add route 10.0.0.0/8" */
    union {
        struct nlmsghdr align;
        char bytes[MESSAGE_BYTES];
    };
};

HBK_PRINTF(4, 5)
static void request_init(struct request *request, uint16_t type, uint16_t flags, const char *tried,
                         ...)
{
    memset(request->bytes, 0, sizeof request->bytes);
    request->header = mnl_nlmsg_put_header(request->bytes);
    request->header->nlmsg_type = type;
    request->header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    va_list values;
    va_start(values, tried);
    (void)vsnprintf(request->tried, sizeof request->tried, tried, values);
    va_end(values);
}

hbk_status hbk_netlink_open(struct hbk_netlink **out_netlink, struct hbk_error *error)
{
    struct hbk_netlink *netlink = calloc(1, sizeof *netlink);
    if (netlink == NULL) {
        return HBK_NO_MEMORY;
    }
    netlink->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (netlink->socket == NULL || mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        hbk_status status = hbk_status_from_errno(errno);
        hbk_netlink_close(&netlink);
        return hbk_error_set(error, status, "cannot open a netlink socket: %s",
                             hbk_status_text(status));
    }
    int one = 1; /* acknowledgements carry the kernel's reason as a sentence, without our request */
    (void)mnl_socket_setsockopt(netlink->socket, NETLINK_EXT_ACK, &one, sizeof one);
    (void)mnl_socket_setsockopt(netlink->socket, NETLINK_CAP_ACK, &one, sizeof one);
    *out_netlink = netlink;
    return HBK_OK;
}

hbk_status hbk_netlink_open_in(int netns_fd, struct hbk_netlink **out_netlink,
                               struct hbk_error *error)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    hbk_status status = hbk_netns_enter(netns_fd, &visit);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot enter the network namespace: %s",
                             hbk_status_text(status));
    }
    return hbk_netlink_open(out_netlink, error);
}

void hbk_netlink_close(struct hbk_netlink **netlink)
{
    if (*netlink == NULL) {
        return;
    }
    if ((*netlink)->socket != NULL) {
        (void)mnl_socket_close((*netlink)->socket);
    }
    free(*netlink);
    *netlink = NULL;
}

static int take_sentence(const struct nlattr *attribute, void *out_sentence)
{
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG &&
        mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0) {
        *(const char **)out_sentence = mnl_attr_get_str(attribute);
    }
    return MNL_CB_OK;
}

/* The kernel's sentence in an acknowledgement; NULL when it gave none. */
static const char *kernel_reason(const struct nlmsghdr *answer)
{
    const char *sentence = NULL;
    if ((answer->nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
        (void)mnl_attr_parse(answer, sizeof(struct nlmsgerr), take_sentence, &sentence);
    }
    return sentence;
}

/* Sends and waits for the acknowledgement; `forgiven` is an errno value that counts as success. */
static hbk_status talk(struct hbk_netlink *netlink, struct request *request, int forgiven,
                       struct hbk_error *error)
{
    union {
        struct nlmsghdr header;
        char bytes[MESSAGE_BYTES + 1024];
    } answer;
    request->header->nlmsg_seq = ++netlink->sequence;
    ssize_t got = mnl_socket_sendto(netlink->socket, request->header, request->header->nlmsg_len);
    do {
        got = got < 0 ? got : mnl_socket_recvfrom(netlink->socket, answer.bytes, sizeof answer);
    } while (got > 0 && mnl_nlmsg_ok(&answer.header, (int)got) &&
             answer.header.nlmsg_seq != netlink->sequence);
    if (got < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot %s: %s", request->tried,
                             strerror(errno));
    }
    if (!mnl_nlmsg_ok(&answer.header, (int)got) || answer.header.nlmsg_type != NLMSG_ERROR ||
        mnl_nlmsg_get_payload_len(&answer.header) < sizeof(struct nlmsgerr)) {
        return hbk_error_set(error, HBK_IO, "cannot %s: no acknowledgement", request->tried);
    }
    const struct nlmsgerr *verdict = mnl_nlmsg_get_payload(&answer.header);
    if (verdict->error == 0 || -verdict->error == forgiven) {
        return HBK_OK;
    }
    const char *reason = kernel_reason(&answer.header);
    return hbk_error_set(error, hbk_status_from_errno(-verdict->error), "cannot %s: %s%s%s",
                         request->tried, strerror(-verdict->error), reason == NULL ? "" : ": ",
                         reason == NULL ? "" : reason);
}

enum { NOTHING_FORGIVEN = 0 };

static struct ifinfomsg *put_link(struct request *request, const char *name)
{
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(request->header, sizeof *link);
    link->ifi_family = AF_UNSPEC;
    mnl_attr_put_strz(request->header, IFLA_IFNAME, name);
    return link;
}

hbk_status hbk_netlink_add_veth(struct hbk_netlink *netlink, const char *name,
                                const char *peer_name, int peer_netns_fd, struct hbk_error *error)
{
    struct request request;
    request_init(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "add veth pair %s to %s", name,
                 peer_name);
    (void)put_link(&request, name);
    struct nlattr *info = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(request.header, VETH_INFO_PEER);
    (void)put_link(&request, peer_name);
    if (peer_netns_fd >= 0) {
        mnl_attr_put_u32(request.header, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
    }
    mnl_attr_nest_end(request.header, peer);
    mnl_attr_nest_end(request.header, data);
    mnl_attr_nest_end(request.header, info);
    return talk(netlink, &request, NOTHING_FORGIVEN, error);
}

hbk_status hbk_netlink_add_bridge(struct hbk_netlink *netlink, const char *name,
                                  struct hbk_error *error)
{
    struct request request;
    request_init(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "add bridge %s", name);
    (void)put_link(&request, name);
    struct nlattr *info = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(request.header, info);
    return talk(netlink, &request, NOTHING_FORGIVEN, error);
}

hbk_status hbk_netlink_raise(struct hbk_netlink *netlink, const char *name, struct hbk_error *error)
{
    struct request request;
    request_init(&request, RTM_NEWLINK, 0, "raise link %s", name);
    struct ifinfomsg *link = put_link(&request, name);
    link->ifi_flags = IFF_UP;
    link->ifi_change = IFF_UP;
    return talk(netlink, &request, NOTHING_FORGIVEN, error);
}

/* A link's number; asked from the kernel, since the thread may be in another namespace. */
static hbk_status link_index(struct hbk_netlink *netlink, const char *name, uint32_t *out_index,
                             struct hbk_error *error)
{
    struct request request;
    union {
        struct nlmsghdr header;
        char bytes[16 << 10];
    } answer;
    request_init(&request, RTM_GETLINK, 0, "find link %s", name);
    request.header->nlmsg_flags = NLM_F_REQUEST;
    (void)put_link(&request, name);
    request.header->nlmsg_seq = ++netlink->sequence;
    ssize_t got = mnl_socket_sendto(netlink->socket, request.header, request.header->nlmsg_len);
    got = got < 0 ? got : mnl_socket_recvfrom(netlink->socket, answer.bytes, sizeof answer);
    if (got < 0 || !mnl_nlmsg_ok(&answer.header, (int)got)) {
        return hbk_error_set(error, HBK_IO, "cannot %s", request.tried);
    }
    if (answer.header.nlmsg_type != RTM_NEWLINK) {
        return hbk_error_set(error, HBK_NOT_FOUND, "cannot %s: there is none", request.tried);
    }
    const struct ifinfomsg *link = mnl_nlmsg_get_payload(&answer.header);
    *out_index = (uint32_t)link->ifi_index;
    return HBK_OK;
}

hbk_status hbk_netlink_join_bridge(struct hbk_netlink *netlink, const char *name,
                                   const char *bridge, struct hbk_error *error)
{
    uint32_t index = 0;
    HBK_TRY(link_index(netlink, bridge, &index, error));
    struct request request;
    request_init(&request, RTM_NEWLINK, 0, "join link %s to bridge %s", name, bridge);
    (void)put_link(&request, name);
    mnl_attr_put_u32(request.header, IFLA_MASTER, index);
    return talk(netlink, &request, NOTHING_FORGIVEN, error);
}

hbk_status hbk_netlink_delete_link(struct hbk_netlink *netlink, const char *name,
                                   struct hbk_error *error)
{
    struct request request;
    request_init(&request, RTM_DELLINK, 0, "delete link %s", name);
    (void)put_link(&request, name);
    return talk(netlink, &request, NOTHING_FORGIVEN, error);
}

static uint8_t family_of(const struct hbk_ip *ip)
{
    return ip->size == 16 ? AF_INET6 : AF_INET;
}

hbk_status hbk_netlink_add_address(struct hbk_netlink *netlink, const char *name,
                                   const struct hbk_ip *ip, uint8_t prefix_bits,
                                   struct hbk_error *error)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    uint32_t index = 0;
    HBK_TRY(link_index(netlink, name, &index, error));
    struct request request;
    request_init(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "add address %s/%u to %s",
                 hbk_ip_text(ip, text), prefix_bits, name);
    struct ifaddrmsg *address = mnl_nlmsg_put_extra_header(request.header, sizeof *address);
    address->ifa_family = family_of(ip);
    address->ifa_prefixlen = prefix_bits;
    address->ifa_flags = ip->size == 16 ? IFA_F_NODAD : 0;
    address->ifa_index = index;
    mnl_attr_put(request.header, IFA_LOCAL, ip->size, ip->bytes);
    mnl_attr_put(request.header, IFA_ADDRESS, ip->size, ip->bytes);
    return talk(netlink, &request, EEXIST, error);
}

static hbk_status put_route(struct hbk_netlink *netlink, const struct hbk_route *route,
                            uint16_t type, uint16_t flags, int forgiven, struct hbk_error *error)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    uint32_t index = 0;
    if (route->link != NULL) {
        HBK_TRY(link_index(netlink, route->link, &index, error));
    }
    struct request request;
    request_init(&request, type, flags, "%s route to %s", type == RTM_NEWROUTE ? "set" : "delete",
                 hbk_cidr_text(&route->to, text));
    struct rtmsg *message = mnl_nlmsg_put_extra_header(request.header, sizeof *message);
    message->rtm_family = family_of(&route->to.ip);
    message->rtm_dst_len = route->to.prefix_bits;
    message->rtm_protocol = RTPROT_STATIC;
    message->rtm_type = route->is_local ? RTN_LOCAL : RTN_UNICAST;
    message->rtm_scope = route->is_local            ? RT_SCOPE_HOST
                         : route->gateway.size == 0 ? RT_SCOPE_LINK
                                                    : RT_SCOPE_UNIVERSE;
    mnl_attr_put_u32(request.header, RTA_TABLE, route->table == 0 ? RT_TABLE_MAIN : route->table);
    mnl_attr_put(request.header, RTA_DST, route->to.ip.size, route->to.ip.bytes);
    if (route->gateway.size != 0) {
        mnl_attr_put(request.header, RTA_GATEWAY, route->gateway.size, route->gateway.bytes);
    }
    if (route->link != NULL) {
        mnl_attr_put_u32(request.header, RTA_OIF, index);
    }
    return talk(netlink, &request, forgiven, error);
}

hbk_status hbk_netlink_set_route(struct hbk_netlink *netlink, const struct hbk_route *route,
                                 struct hbk_error *error)
{
    return put_route(netlink, route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, NOTHING_FORGIVEN,
                     error);
}

hbk_status hbk_netlink_delete_route(struct hbk_netlink *netlink, const struct hbk_route *route,
                                    struct hbk_error *error)
{
    return put_route(netlink, route, RTM_DELROUTE, 0, ESRCH, error);
}

static hbk_status put_rule(struct hbk_netlink *netlink, const struct hbk_route_rule *rule,
                           uint16_t type, uint16_t flags, int forgiven, struct hbk_error *error)
{
    struct request request;
    request_init(&request, type, flags, "%s %s rule for mark 0x%x/0x%x to table %u",
                 type == RTM_NEWRULE ? "add" : "delete", rule->is_ipv6 ? "IPv6" : "IPv4",
                 rule->mark, rule->mask, rule->table);
    struct fib_rule_hdr *message = mnl_nlmsg_put_extra_header(request.header, sizeof *message);
    message->family = rule->is_ipv6 ? AF_INET6 : AF_INET;
    message->action = FR_ACT_TO_TBL;
    message->table = RT_TABLE_UNSPEC;
    mnl_attr_put_u32(request.header, FRA_TABLE, rule->table);
    mnl_attr_put_u32(request.header, FRA_PRIORITY, rule->preference);
    mnl_attr_put_u32(request.header, FRA_FWMARK, rule->mark);
    mnl_attr_put_u32(request.header, FRA_FWMASK, rule->mask);
    return talk(netlink, &request, forgiven, error);
}

hbk_status hbk_netlink_add_rule(struct hbk_netlink *netlink, const struct hbk_route_rule *rule,
                                struct hbk_error *error)
{
    return put_rule(netlink, rule, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, EEXIST, error);
}

hbk_status hbk_netlink_delete_rule(struct hbk_netlink *netlink, const struct hbk_route_rule *rule,
                                   struct hbk_error *error)
{
    return put_rule(netlink, rule, RTM_DELRULE, 0, ENOENT, error);
}
