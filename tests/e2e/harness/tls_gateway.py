"""A gateway that speaks TLS: its configuration, its certificates, a client."""

import socket
import ssl

from . import gateway, program

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    ".HttpConnectionManager"
)
ADMIN_PORT = 24009


def make_pair(folder, name, host="localhost", kind="rsa:2048"):
    """A key and a certificate that signed itself, made as the paper makes them."""
    program.run(
        "openssl", "req", "-x509", "-new", "-batch", "-newkey", kind, "-nodes",
        *(("-pkeyopt", "ec_paramgen_curve:prime256v1") if kind == "ec" else ()),
        "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
    )  # fmt: skip


def chain(port, tls, routes, name="front"):
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config: {{"@type": {TLS}.DownstreamTlsContext, {tls}}}
      filters:
      - name: http
        typed_config:
          "@type": {MANAGER}
          stat_prefix: {name}
          http_filters: [{{name: envoy.filters.http.router}}]
          route_config:
            virtual_hosts: [{{name: any, domains: ["*"], routes: [{routes}]}}]
"""


def cluster(name, port, ca, host):
    return f"""
  - name: {name}
    load_assignment:
      cluster_name: {name}
      endpoints:
        lb_endpoints:
          endpoint:
            address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    transport_socket:
      name: tls
      typed_config:
        "@type": {TLS}.UpstreamTlsContext
        sni: localhost
        common_tls_context:
          validation_context:
            trusted_ca: {{filename: {ca}}}
            match_typed_subject_alt_names: {{san_type: DNS, matcher: {{exact: {host}}}}}
"""


HELLO = '{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "hello"}}}'


def serve(start, folder, listeners, clusters="", name="gateway"):
    path = folder / f"{name}.yaml"
    path.write_text(
        "admin: {address: {socket_address: "
        f"{{address: 127.0.0.1, port_value: {ADMIN_PORT}}}}}}}\n"
        f"static_resources:\n  listeners:{listeners}\n{clusters}"
    )
    running = start(name, [program.BINARY, "gateway", "-c", path, "--concurrency", "2"])
    running.wait_for_log("ready: ")
    return running


def client(ca=None, certificate=None, protocols=()):
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def send_all(port, context, request):
    """(negotiated protocol, what came until the end)."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(request)
            data = b""
            while piece := secure.recv(65536):
                data += piece
            return secure.selected_alpn_protocol(), data


def fetch(port, context, path="/"):
    """(negotiated protocol, reply) of one request."""
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    protocol, data = send_all(port, context, request.encode())
    return protocol, gateway.Reply(data)
