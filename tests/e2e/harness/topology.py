"""Two hosts and their pods, as namespaces joined by veth pairs and one bridge on each host.

                 alpha                                     beta
    front ----+                                         +---- cart
 neighbour ---+-- br0 -- routes -- wire ==== wire -- routes -- br0
  intruder ---+

Pods of host N have 10.1.N.x and fd00:1:N::x; hosts have 192.0.2.N and fd00:2::N on the wire. No
address waits for duplicate detection.
"""

import itertools

from harness.namespace import Namespace

FIRST_POD = 10


class Pod:
    """A pod: a namespace with one address of each family."""

    def __init__(self, host, name, number):
        self.host = host
        self.name = name
        self.namespace = Namespace(name)
        self.v4 = f"10.1.{host.number}.{number}"
        self.v6 = f"fd00:1:{host.number}::{number}"
        self.interface = f"p-{name}"[:15]  # the host's end

    def ip(self, family):
        """The address of family "v4" or "v6"."""
        return self.v4 if family == "v4" else self.v6


class Host:
    """A host: a namespace with a bridge for its pods and a wire to the other host."""

    def __init__(self, name, number):
        self.name = name
        self.number = number
        self.namespace = Namespace(name)
        self.pods = {}
        self.pod_numbers = itertools.count(FIRST_POD)
        self.v4 = f"192.0.2.{number}"
        self.v6 = f"fd00:2::{number}"
        self.mac = f"02:00:00:00:02:{number:02x}"
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.namespace.set_sysctl(f"net/{setting}", 1)
        self.namespace.set_sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.namespace.ip(
            "link add br0 type bridge forward_delay 0 mcast_snooping 0",
            f"addr add 10.1.{number}.1/24 dev br0",
            f"addr add fd00:1:{number}::1/64 dev br0 nodad",
            "link set br0 up",
        )

    def add_pod(self, name):
        pod = Pod(self, name, next(self.pod_numbers))
        self.pods[name] = pod
        pod.namespace.set_sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.namespace.ip(
            f"link add {pod.interface} type veth peer name eth0 netns {pod.namespace.holder.pid}",
            f"link set {pod.interface} master br0 up",
        )
        pod.namespace.ip(
            f"addr add {pod.v4}/24 dev eth0",
            f"addr add {pod.v6}/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via 10.1.{self.number}.1",
            f"route add default via inet6 fd00:1:{self.number}::1",
        )
        return pod

    def close(self):
        for pod in self.pods.values():
            pod.namespace.close()
        self.namespace.close()


def join(alpha, beta):
    """Lays the wire between two hosts and the routes to each other's pods."""
    alpha.namespace.ip(
        f"link add wire address {alpha.mac} type veth"
        f" peer name wire address {beta.mac} netns {beta.namespace.holder.pid}",
    )
    for here, there in ((alpha, beta), (beta, alpha)):
        here.namespace.ip(
            f"addr add {here.v4}/24 dev wire",
            f"addr add {here.v6}/64 dev wire nodad",
            "link set wire up",
            # A solicitation right after the link came up may be lost, which costs a second.
            f"neigh add {there.v4} lladdr {there.mac} dev wire nud permanent",
            f"neigh add {there.v6} lladdr {there.mac} dev wire nud permanent",
            f"route add 10.1.{there.number}.0/24 via {there.v4}",
            f"route add fd00:1:{there.number}::/64 via inet6 {there.v6}",
        )
