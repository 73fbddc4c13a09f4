"""Other people's programs through the mesh."""

import json
import re
import textwrap

import pytest

from harness import certificates, hbone, http, mesh, service


@pytest.fixture
def cart_service(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok) as server:
        yield server


@pytest.fixture
def authority(town, tmp_path):
    return certificates.Authority.from_files(
        tmp_path / "peers", town.ca / "root.pem", town.ca / "root-key.pem"
    )


def test_curl_goes_through_the_mesh(town, cart_service, peer_program):
    done = town.pair.front.namespace.run(
        peer_program("curl"), "-sS", "--max-time", "10", f"http://{mesh.VIP_V4}/"
    )
    assert done.stdout == "ok"


def test_wrk_goes_through_the_mesh_without_an_error(town, cart_service, peer_program):
    done = town.pair.front.namespace.run(
        peer_program("wrk"), "-t1", "-c20", "-d1", f"http://{mesh.VIP_V4}/"
    )
    assert re.search(r"(\d+) requests in", done.stdout).group(1) != "0"
    assert "errors" not in done.stdout


def test_openssl_s_client_sees_the_pods_certificate(town, peer_program, authority):
    identity = authority.issue("front", [mesh.spiffe_id("front")])
    outsider = town.pair.alpha.add_pod("outsider").namespace
    done = outsider.run(
        peer_program("openssl"),
        *("s_client", "-connect", f"{town.pair.cart.v4}:{hbone.HBONE_PORT}", "-alpn", "h2"),
        *("-cert", identity.chain, "-key", identity.key, "-CAfile", identity.roots),
        *("-verify_return_error", "-tls1_3"),
        input="",
    )
    assert "Verify return code: 0 (ok)" in done.stdout
    assert "ALPN protocol: h2" in done.stdout


ENVOY_TLS = """
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.%(side)s
    %(require)s
    common_tls_context:
      alpn_protocols: [h2]
      tls_params: {tls_maximum_protocol_version: TLSv1_3}
      tls_certificates:
      - certificate_chain: {filename: "%(chain)s"}
        private_key: {filename: "%(key)s"}
      validation_context:
        trusted_ca: {filename: "%(roots)s"}
"""


def envoy_tls(identity, is_server, indent):
    text = ENVOY_TLS % {
        "side": "DownstreamTlsContext" if is_server else "UpstreamTlsContext",
        "require": "require_client_certificate: true" if is_server else "",
        "chain": identity.chain,
        "key": identity.key,
        "roots": identity.roots,
    }
    return textwrap.indent(text, " " * indent)


def envoy_client_config(cart_ip, identity):
    """A TCP proxy on 8000 that tunnels to cart's 15008 by CONNECT."""
    return f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: 8000}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tunnel
          cluster: hbone
          tunneling_config: {{hostname: "{cart_ip}:{mesh.CART_PORT}"}}
  clusters:
  - name: hbone
    type: STATIC
    load_assignment:
      cluster_name: hbone
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: "{cart_ip}", port_value: 15008}}}}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{allow_connect: true}}}}
{envoy_tls(identity, False, 4)}
"""


def envoy_server_config(ip, port, identity):
    """An HBONE server on 15008 that ends CONNECT and dials the service beside it."""
    return f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: "{ip}", port_value: 15008}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.\
HttpConnectionManager
          stat_prefix: hbone
          http2_protocol_options: {{allow_connect: true}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{connect_matcher: {{}}}}
                route:
                  cluster: service
                  upgrade_configs: [{{upgrade_type: CONNECT, connect_config: {{}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{envoy_tls(identity, True, 6)}
  clusters:
  - name: service
    type: STATIC
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: "{ip}", port_value: {port}}}}}
"""


@pytest.fixture
def envoy(start, tmp_path, peer_program):
    """envoy(namespace, config, port): an Envoy that accepts on `port`."""

    def run(namespace, ip, port, config):
        path = tmp_path / "envoy.yaml"
        path.write_text(config)
        command = [peer_program("envoy"), "-c", path, "--disable-hot-restart", "-l", "warn"]
        running = start("envoy", [*command, "--concurrency", "1"], namespace)

        def accepts():
            namespace.connect(ip, port).close()
            return True

        running.wait_until(accepts, "to accept")
        return running

    return run


def test_envoy_sends_hbone_to_a_pod(town, cart_service, authority, envoy):
    cart = town.pair.cart.v4
    outsider = town.pair.alpha.add_pod("outsider").namespace
    identity = authority.issue("envoy", [mesh.spiffe_id("front")])
    envoy(outsider, "127.0.0.1", 8000, envoy_client_config(cart, identity))
    assert http.get(outsider, "127.0.0.1", 8000).text == "ok"
    tunnelled = {"reporter": "destination", "connection_security_policy": "mutual_tls"}
    opened = town.beta.metrics().sum(
        "istio_tcp_connections_opened_total",
        source_principal=mesh.spiffe_id("front"),
        **tunnelled,
    )
    assert opened >= 1


def test_envoy_receives_hbone_from_a_pod(town, authority, envoy):
    peer = town.pair.beta.add_pod("peer")
    town.mesh.add_pod(peer, node="elsewhere")
    del town.mesh.document["pods"][mesh.uid("peer")]
    town.reload()
    identity = authority.issue("peer", [mesh.spiffe_id("peer")])
    with service.Service(peer.namespace, peer.v4, 7000, service.http_ok):
        envoy(peer.namespace, peer.v4, 15008, envoy_server_config(peer.v4, 7000, identity))
        assert http.get(town.pair.front.namespace, peer.v4, 7000).text == "ok"
    town.alpha.wait_metric(
        "istio_tcp_connections_opened_total",
        1,
        reporter="source",
        connection_security_policy="mutual_tls",
    )


def test_hauberk_load_reports_in_the_shape_of_fortio(town, cart_service):
    done = town.pair.front.namespace.run(
        *(town.binary, "load", "-c", "4", "-qps", "200", "-t", "1s", "--json"),
        f"http://{mesh.VIP_V4}/",
    )
    report = json.loads(done.stdout)
    assert report["RetCodes"] == {"200": report["DurationHistogram"]["Count"]}
