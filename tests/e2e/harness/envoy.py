"""Envoy as a peer: bootstrap files, and both ends of HBONE."""

import json

TYPE = "type.googleapis.com/envoy.extensions."
FILTERS = TYPE + "filters."
HTTP2_OPTIONS = TYPE + "upstreams.http.v3.HttpProtocolOptions"


def address(ip, port):
    return {"socket_address": {"address": ip, "port_value": port}}


def cluster(name, ip, port):
    endpoint = {"endpoint": {"address": address(ip, port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


def tls_socket(identity, is_server, roots):
    """TLS 1.3, with a certificate unless `identity` is None; whoever comes is judged by `roots`."""
    side = "DownstreamTlsContext" if is_server else "UpstreamTlsContext"
    common = {
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "validation_context": {"trusted_ca": {"filename": str(roots)}},
    }
    if identity is not None:
        common["tls_certificates"] = [
            {
                "certificate_chain": {"filename": str(identity.chain)},
                "private_key": {"filename": str(identity.key)},
            }
        ]
    config = {
        "@type": f"{TYPE}transport_sockets.tls.v3.{side}",
        "common_tls_context": common,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def tls(identity, is_server):
    """Mutual, for HBONE."""
    socket = tls_socket(identity, is_server, identity.roots)
    socket["typed_config"]["common_tls_context"]["alpn_protocols"] = ["h2"]
    if is_server:
        socket["typed_config"]["require_client_certificate"] = True
    return socket


def network_filter(name, kind, **config):
    typed = {"@type": f"{FILTERS}network.{name}.v3.{kind}", **config}
    return {"name": f"envoy.filters.network.{name}", "typed_config": typed}


def bootstrap(listeners, clusters):
    return json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}})


def client(port, proxy, authority, identity):
    """Takes TCP on 127.0.0.1:`port`; sends each connection as CONNECT `authority` to `proxy`, an
    address and port."""
    upstream = cluster("hbone", *proxy)
    upstream["transport_socket"] = tls(identity, is_server=False)
    upstream["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": HTTP2_OPTIONS,
            "explicit_http_config": {"http2_protocol_options": {"allow_connect": True}},
        }
    }
    proxy_filter = network_filter(
        "tcp_proxy",
        "TcpProxy",
        stat_prefix="tunnel",
        cluster="hbone",
        tunneling_config={"hostname": authority},
    )
    listener = {
        "address": address("127.0.0.1", port),
        "filter_chains": [{"filters": [proxy_filter]}],
    }
    return bootstrap([listener], [upstream])


def server(ip, service_port, identity, streams_max=None):
    """Ends CONNECT on `ip`:15008 and dials the service beside it."""
    options = {"allow_connect": True}
    if streams_max is not None:
        options["max_concurrent_streams"] = streams_max
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{FILTERS}http.router.v3.Router"},
    }
    route = {
        "match": {"connect_matcher": {}},
        "route": {
            "cluster": "service",
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }
    manager = network_filter(
        "http_connection_manager",
        "HttpConnectionManager",
        stat_prefix="hbone",
        http2_protocol_options=options,
        http_filters=[router],
        route_config={
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]
        },
    )
    listener = {
        "address": address(ip, 15008),
        "filter_chains": [
            {"filters": [manager], "transport_socket": tls(identity, is_server=True)}
        ],
    }
    return bootstrap([listener], [cluster("service", ip, service_port)])


class Envoy:
    """A running Envoy that accepts on `ip`:`port`; every start is a new process."""

    def __init__(self, start, binary, folder, namespace, ip, port, config):
        path = folder / "envoy.json"
        path.write_text(config)
        command = [binary, "-c", path, "--disable-hot-restart", "-l", "warn", "--concurrency", "1"]
        self.program = start("envoy", command, namespace)

        def accepts():
            namespace.connect(ip, port).close()
            return True

        self.program.wait_until(accepts, "to accept")
