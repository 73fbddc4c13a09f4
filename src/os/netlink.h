/*
 * Routes, addresses and links of one network namespace, by rtnetlink. A connection belongs to the
 * namespace where it was opened and speaks to it from then on, wherever the thread goes.
 *
 * Every change fails with HBK_DENIED, HBK_NOT_FOUND (no such link), HBK_EXISTS, HBK_INVALID,
 * HBK_UNSUPPORTED or HBK_IO, and the error names what was tried and the kernel's reason.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"
#include "base/status.h"

struct hbk_netlink;

/* Opens a connection to the calling thread's namespace. Owned; one thread at a time. */
HBK_MUST_USE hbk_status hbk_netlink_open(struct hbk_netlink **out_netlink, struct hbk_error *error);

/* The same to another namespace; the thread is back home afterwards. */
HBK_MUST_USE hbk_status hbk_netlink_open_in(int netns_fd, struct hbk_netlink **out_netlink,
                                            struct hbk_error *error);
void hbk_netlink_close(struct hbk_netlink **netlink);

/* A pair of virtual cables: `name` here, `peer_name` in `peer_netns_fd` (-1: here, too). */
HBK_MUST_USE hbk_status hbk_netlink_add_veth(struct hbk_netlink *netlink, const char *name,
                                             const char *peer_name, int peer_netns_fd,
                                             struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_netlink_add_bridge(struct hbk_netlink *netlink, const char *name,
                                               struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_netlink_raise(struct hbk_netlink *netlink, const char *name,
                                          struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_netlink_join_bridge(struct hbk_netlink *netlink, const char *name,
                                                const char *bridge, struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_netlink_delete_link(struct hbk_netlink *netlink, const char *name,
                                                struct hbk_error *error);

/* An address with the size of its network; without duplicate address detection, so that IPv6
 * works at once. One that exists is fine. */
HBK_MUST_USE hbk_status hbk_netlink_add_address(struct hbk_netlink *netlink, const char *name,
                                                const struct hbk_ip *ip, uint8_t prefix_bits,
                                                struct hbk_error *error);

struct hbk_route {
    struct hbk_cidr to;    /* 0.0.0.0/0 or ::/0: the default route */
    struct hbk_ip gateway; /* size 0: directly on the link */
    const char *link;      /* NULL: found by the gateway */
    uint32_t table;        /* 0: main */
    bool is_local;         /* delivers here instead of sending on */
};

/* Adds the route or replaces one to the same place. */
HBK_MUST_USE hbk_status hbk_netlink_set_route(struct hbk_netlink *netlink,
                                              const struct hbk_route *route,
                                              struct hbk_error *error);
/* One that does not exist is fine. */
HBK_MUST_USE hbk_status hbk_netlink_delete_route(struct hbk_netlink *netlink,
                                                 const struct hbk_route *route,
                                                 struct hbk_error *error);

/* Packets with (mark & mask) == mark are routed by `table`. */
struct hbk_route_rule {
    bool is_ipv6;
    uint32_t mark, mask;
    uint32_t table;
    uint32_t preference;
};

/* One that exists is fine; so is one that does not, when it is deleted. */
HBK_MUST_USE hbk_status hbk_netlink_add_rule(struct hbk_netlink *netlink,
                                             const struct hbk_route_rule *rule,
                                             struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_netlink_delete_rule(struct hbk_netlink *netlink,
                                                const struct hbk_route_rule *rule,
                                                struct hbk_error *error);
