"""Where listeners listen and where connections come from: with both, with one file."""

import contextlib
import socket

import pytest

from harness import dns, gateway, health

UPSTREAM, DNS = 24370, 24371
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
TCP_LISTENER = f"""
  - name: front
    address: {{socket_address: {{address: 127.0.0.1, port_value: {health.FRONT}}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config: {{"@type": {TCP_PROXY}, stat_prefix: tcp, cluster: up}}
"""


@pytest.fixture(params=["hauberk", "envoy"])
def proxy(request, private_namespaces, start, tmp_path, find_peer_program):
    envoy = find_peer_program("envoy") if request.param == "envoy" else None

    def run(clusters, listeners=None):
        return health.start_proxy(start, tmp_path, envoy, clusters, listeners)

    return run


def tell_peer(_, connection, stream):
    """Answers a line or a head with the address that the connection comes from."""
    stream.readline()
    body = connection.getpeername()[0].encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    connection.sendall(head + body)


@pytest.mark.parametrize("listener", [None, TCP_LISTENER], ids=["http", "tcp_proxy"])
def test_connections_to_upstreams_come_from_the_address_that_a_cluster_names(proxy, listener):
    bind = "upstream_bind_config: {source_address: {address: 127.0.0.6, port_value: 0}}"
    with gateway.Stage(UPSTREAM, tell_peer):
        running = proxy(gateway.http_cluster(UPSTREAM, bind), listener)
        assert running.get().body == b"127.0.0.6"


def takes(address):
    with contextlib.suppress(OSError), socket.create_connection((address, health.FRONT), 5):
        return True
    return False


@pytest.mark.parametrize("compat", [False, True])
def test_an_ipv6_wildcard_takes_ipv4_where_it_says_so(proxy, compat):
    address = f'address: "::", ipv4_compat: {str(compat).lower()}'
    listener = gateway.http_listener(health.FRONT, health.TO_UP)
    proxy(gateway.http_cluster(UPSTREAM), listener.replace("address: 127.0.0.1", address))
    assert takes("::1")
    assert takes("127.0.0.1") == compat


def test_the_bootstrap_names_the_servers_of_clusters_that_name_none(proxy):
    cluster = gateway.http_cluster(UPSTREAM, "type: STRICT_DNS\n    dns_lookup_family: V4_ONLY")
    cluster = cluster.replace("address: 127.0.0.1", "address: up.mesh.test")
    resolver = (
        "typed_dns_resolver_config: {name: cares, typed_config: {"
        '"@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3'
        ".CaresDnsResolverConfig, resolvers: [{socket_address: {address: 127.0.0.1, "
        f"port_value: {DNS}}}}}], dns_resolver_options: {{no_default_search_domain: true}}}}}}\n"
    )
    with (
        dns.Server(DNS, lambda query, _: [dns.answer(query, ["127.0.0.1"])]) as server,
        gateway.Stage(UPSTREAM, tell_peer),
    ):
        proxy(cluster + resolver).wait_for_bodies(b"127.0.0.1")
        assert server.queries[0][0] == "up.mesh.test"
