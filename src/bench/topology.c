#include "bench/topology.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "os/fd.h"
#include "os/netlink.h"
#include "os/netns.h"

enum { POD_BITS_IPV4 = 24, WIRE_BITS_IPV4 = 30, BITS_IPV6 = 64, FIRST_OF_PAIRS = 101 };

static const char namespaces[] = "/run/netns"; /* where `ip netns` looks, too */
static const char files[] = "/run/hauberk";    /* on the file system of the private world */

/* Where each place is. A host's address is the one on its wire. */
static const struct plan {
    const char *name;
    enum hbk_place host;
    const char *ipv4, *ipv6;
} plans[HBK_PLACES] = {
    [HBK_PLACE_ALPHA] = {"alpha", HBK_PLACE_ALPHA, "10.77.0.1", "fd77::1"},
    [HBK_PLACE_BETA] = {"beta", HBK_PLACE_BETA, "10.77.0.2", "fd77::2"},
    [HBK_PLACE_FRONT] = {"front", HBK_PLACE_ALPHA, "10.77.1.11", "fd77:1::11"},
    [HBK_PLACE_NEIGHBOUR] = {"neighbour", HBK_PLACE_ALPHA, "10.77.1.12", "fd77:1::12"},
    [HBK_PLACE_INTRUDER] = {"intruder", HBK_PLACE_ALPHA, "10.77.1.13", "fd77:1::13"},
    [HBK_PLACE_CART] = {"cart", HBK_PLACE_BETA, "10.77.2.11", "fd77:2::11"},
    [HBK_PLACE_DIRECT_CLIENT] = {"direct-client", HBK_PLACE_ALPHA, "10.77.1.21", "fd77:1::21"},
    [HBK_PLACE_DIRECT_SERVER] = {"direct-server", HBK_PLACE_BETA, "10.77.2.21", "fd77:2::21"},
    [HBK_PLACE_RELAY_CLIENT] = {"relay-client", HBK_PLACE_ALPHA, "10.77.1.22", "fd77:1::22"},
    [HBK_PLACE_RELAY_SERVER] = {"relay-server", HBK_PLACE_BETA, "10.77.2.22", "fd77:2::22"},
    [HBK_PLACE_HAPROXY_CLIENT] = {"haproxy-client", HBK_PLACE_ALPHA, "10.77.1.23", "fd77:1::23"},
    [HBK_PLACE_HAPROXY_SERVER] = {"haproxy-server", HBK_PLACE_BETA, "10.77.2.23", "fd77:2::23"},
};

/* The bridge of each host: the gateway of its pods, and their network. */
static const struct bridge {
    const char *ipv4, *ipv6;
    const char *network4, *network6;
} bridges[] = {
    [HBK_PLACE_ALPHA] = {"10.77.1.1", "fd77:1::1", "10.77.1.0/24", "fd77:1::/64"},
    [HBK_PLACE_BETA] = {"10.77.2.1", "fd77:2::1", "10.77.2.0/24", "fd77:2::/64"},
};

static const char bridge_name[] = "pods";
static const char wire_name[] = "wire";
static const char pod_link_name[] = "eth0";

/* For texts of the tables above, which are ours. */
static struct hbk_ip ip_of(const char *text)
{
    struct hbk_ip ip = {0};
    return hbk_ip_parse(hbk_slice_text(text), &ip) ? ip : (struct hbk_ip){0};
}

static struct hbk_cidr cidr_of(const char *text)
{
    struct hbk_cidr cidr = {0};
    return hbk_cidr_parse(hbk_slice_text(text), &cidr) ? cidr : (struct hbk_cidr){0};
}

static bool is_host(enum hbk_place place)
{
    return place == HBK_PLACE_ALPHA || place == HBK_PLACE_BETA;
}

static hbk_status set_all(int netns_fd, const char *const (*settings)[2], size_t count,
                          struct hbk_error *error)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_TRY(hbk_netns_enter(netns_fd, &visit));
    for (size_t i = 0; i < count; i++) {
        HBK_TRY(hbk_netns_set(settings[i][0], settings[i][1], error));
    }
    return HBK_OK;
}

static const char *const host_settings[][2] = {
    {"net/ipv4/ip_forward", "1"},
    {"net/ipv6/conf/all/forwarding", "1"},
    {"net/ipv6/conf/default/accept_dad", "0"},
};

/* Where the kernel has it built in, bridged packets pass netfilter by default, which most hosts do
 * without. Where there is no such setting, there is nothing to switch off. */
static const char *const optional_host_settings[][2] = {
    {"net/bridge/bridge-nf-call-iptables", "0"},
    {"net/bridge/bridge-nf-call-ip6tables", "0"},
};

static void set_optional(int netns_fd)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    bool is_there = hbk_netns_enter(netns_fd, &visit) == HBK_OK;
    for (size_t i = 0; is_there && i < HBK_COUNT(optional_host_settings); i++) {
        (void)!hbk_netns_set(optional_host_settings[i][0], optional_host_settings[i][1], NULL);
    }
}

/* Ports for tens of thousands of connections, and a queue that takes them all at once. */
static const char *const pod_settings[][2] = {
    {"net/ipv4/ip_local_port_range", "16384 65535"},
    {"net/core/somaxconn", "65535"},
    {"net/ipv4/tcp_max_syn_backlog", "65535"},
    {"net/ipv6/conf/default/accept_dad", "0"},
};

static void plan_place(struct hbk_topology_place *place, enum hbk_place which)
{
    const struct plan *plan = &plans[which];
    (void)snprintf(place->name, sizeof place->name, "%s", plan->name);
    place->host = plan->host;
    place->ipv4 = ip_of(plan->ipv4);
    place->ipv6 = ip_of(plan->ipv6);
    (void)snprintf(place->host_link, sizeof place->host_link, "%s",
                   is_host(which) ? wire_name : plan->name);
}

/* "client-7" at 10.77.1.108 and fd77:1::108, "server-7" at 10.77.2.108 and fd77:2::108. */
static void plan_member(struct hbk_topology_place *place, unsigned pair, bool is_server)
{
    char ipv4[HBK_ADDRESS_TEXT_BYTES_MAX], ipv6[HBK_ADDRESS_TEXT_BYTES_MAX];
    unsigned network = is_server ? 2 : 1;
    (void)snprintf(ipv4, sizeof ipv4, "10.77.%u.%u", network, FIRST_OF_PAIRS + pair);
    (void)snprintf(ipv6, sizeof ipv6, "fd77:%u::%u", network, FIRST_OF_PAIRS + pair);
    (void)snprintf(place->name, sizeof place->name, "%s-%u", is_server ? "server" : "client", pair);
    memcpy(place->host_link, place->name, sizeof place->name);
    place->host = is_server ? HBK_PLACE_BETA : HBK_PLACE_ALPHA;
    place->ipv4 = ip_of(ipv4);
    place->ipv6 = ip_of(ipv6);
}

void hbk_topology_plan(struct hbk_topology *topology, unsigned count)
{
    HBK_ASSERT(count <= HBK_PLACES);
    *topology = (struct hbk_topology){.count = count};
    (void)snprintf(topology->directory, sizeof topology->directory, "%s", files);
    for (enum hbk_place place = 0; place < HBK_PLACES; place++) {
        plan_place(&topology->places[place], place);
    }
    for (unsigned pair = 0; pair < HBK_PAIRS_MAX; pair++) {
        plan_member(&topology->places[hbk_place_client(pair)], pair, false);
        plan_member(&topology->places[hbk_place_server(pair)], pair, true);
    }
    for (unsigned i = 0; i < HBK_PLACES_MAX; i++) {
        struct hbk_topology_place *place = &topology->places[i];
        place->netns_fd = -1;
        (void)snprintf(place->path, sizeof place->path, "%s/%s", namespaces, place->name);
    }
}

static hbk_status make_place(struct hbk_topology_place *place, enum hbk_place which,
                             struct hbk_error *error)
{
    HBK_TRY(hbk_netns_create(place->path, error));
    HBK_TRY(hbk_netns_open(place->path, &place->netns_fd, error));
    if (is_host(which)) {
        set_optional(place->netns_fd);
        return set_all(place->netns_fd, host_settings, HBK_COUNT(host_settings), error);
    }
    return set_all(place->netns_fd, pod_settings, HBK_COUNT(pod_settings), error);
}

/* Gives a link both its addresses and raises it. */
static hbk_status equip(struct hbk_netlink *netlink, const char *link, const struct hbk_ip *ipv4,
                        uint8_t bits_ipv4, const struct hbk_ip *ipv6, struct hbk_error *error)
{
    HBK_TRY(hbk_netlink_add_address(netlink, link, ipv4, bits_ipv4, error));
    HBK_TRY(hbk_netlink_raise(netlink, link, error));
    return hbk_netlink_add_address(netlink, link, ipv6, BITS_IPV6, error);
}

static hbk_status route_both(struct hbk_netlink *netlink, const char *to_ipv4, const char *via_ipv4,
                             const char *to_ipv6, const char *via_ipv6, struct hbk_error *error)
{
    struct hbk_route route4 = {.to = cidr_of(to_ipv4), .gateway = ip_of(via_ipv4)};
    struct hbk_route route6 = {.to = cidr_of(to_ipv6), .gateway = ip_of(via_ipv6)};
    HBK_TRY(hbk_netlink_set_route(netlink, &route4, error));
    return hbk_netlink_set_route(netlink, &route6, error);
}

static hbk_status lay_wire(struct hbk_topology *topology, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *netlink = NULL;
    HBK_TRY(hbk_netlink_open_in(topology->places[HBK_PLACE_ALPHA].netns_fd, &netlink, error));
    return hbk_netlink_add_veth(netlink, wire_name, wire_name,
                                topology->places[HBK_PLACE_BETA].netns_fd, error);
}

static hbk_status join_host(struct hbk_topology *topology, enum hbk_place here,
                            enum hbk_place there, struct hbk_error *error)
{
    const struct hbk_topology_place *place = &topology->places[here];
    struct hbk_ip bridge4 = ip_of(bridges[here].ipv4);
    struct hbk_ip bridge6 = ip_of(bridges[here].ipv6);
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *netlink = NULL;
    HBK_TRY(hbk_netlink_open_in(place->netns_fd, &netlink, error));
    HBK_TRY(hbk_netlink_add_bridge(netlink, bridge_name, error));
    HBK_TRY(equip(netlink, bridge_name, &bridge4, POD_BITS_IPV4, &bridge6, error));
    HBK_TRY(equip(netlink, wire_name, &place->ipv4, WIRE_BITS_IPV4, &place->ipv6, error));
    return route_both(netlink, bridges[there].network4, plans[there].ipv4, bridges[there].network6,
                      plans[there].ipv6, error);
}

static hbk_status plug_in(struct hbk_netlink *host, const struct hbk_topology_place *pod,
                          struct hbk_error *error)
{
    HBK_TRY(hbk_netlink_add_veth(host, pod->host_link, pod_link_name, pod->netns_fd, error));
    HBK_TRY(hbk_netlink_join_bridge(host, pod->host_link, bridge_name, error));
    return hbk_netlink_raise(host, pod->host_link, error);
}

static hbk_status join_pod(struct hbk_topology *topology, const struct hbk_topology_place *pod,
                           struct hbk_error *error)
{
    const struct bridge *gateway = &bridges[pod->host];
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *host = NULL;
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *netlink = NULL;
    HBK_TRY(hbk_netlink_open_in(topology->places[pod->host].netns_fd, &host, error));
    HBK_TRY(plug_in(host, pod, error));
    HBK_TRY(hbk_netlink_open_in(pod->netns_fd, &netlink, error));
    HBK_TRY(equip(netlink, pod_link_name, &pod->ipv4, POD_BITS_IPV4, &pod->ipv6, error));
    return route_both(netlink, "0.0.0.0/0", gateway->ipv4, "::/0", gateway->ipv6, error);
}

static hbk_status build(struct hbk_topology *topology, struct hbk_error *error)
{
    HBK_TRY(hbk_directory_make(namespaces, 0755));
    HBK_TRY(hbk_directory_make(files, 0700));
    for (enum hbk_place place = 0; place < topology->count; place++) {
        HBK_TRY(make_place(&topology->places[place], place, error));
    }
    HBK_TRY(lay_wire(topology, error));
    HBK_TRY(join_host(topology, HBK_PLACE_ALPHA, HBK_PLACE_BETA, error));
    HBK_TRY(join_host(topology, HBK_PLACE_BETA, HBK_PLACE_ALPHA, error));
    for (enum hbk_place place = 0; place < topology->count; place++) {
        if (!is_host(place)) {
            HBK_TRY(join_pod(topology, &topology->places[place], error));
        }
    }
    return HBK_OK;
}

hbk_status hbk_topology_build(struct hbk_topology *topology, unsigned count,
                              struct hbk_error *error)
{
    hbk_topology_plan(topology, count);
    hbk_status status = build(topology, error);
    if (status != HBK_OK) {
        (void)hbk_error_set(error, status, "%s", hbk_status_text(status));
        hbk_error_prefix(error, "cannot build the two hosts");
        hbk_topology_fini(topology);
    }
    return status;
}

hbk_status hbk_topology_add_pairs(struct hbk_topology *topology, unsigned count,
                                  struct hbk_error *error)
{
    HBK_ASSERT(count <= HBK_PAIRS_MAX);
    for (; topology->pair_count < count; topology->pair_count++) {
        const enum hbk_place members[] = {hbk_place_client(topology->pair_count),
                                          hbk_place_server(topology->pair_count)};
        for (size_t i = 0; i < HBK_COUNT(members); i++) {
            struct hbk_topology_place *place = &topology->places[members[i]];
            HBK_TRY(make_place(place, members[i], error));
            HBK_TRY(join_pod(topology, place, error));
        }
    }
    return HBK_OK;
}

void hbk_topology_fini(struct hbk_topology *topology)
{
    for (unsigned i = 0; i < HBK_PLACES_MAX; i++) {
        hbk_fd_close(&topology->places[i].netns_fd);
    }
}

struct hbk_address hbk_topology_address(const struct hbk_topology *topology, enum hbk_place place,
                                        uint16_t port)
{
    return (struct hbk_address){.ip = topology->places[place].ipv4, .port = port};
}
