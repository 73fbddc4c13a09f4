"""What the gateway counts: histograms in all forms, providers of private keys, batches."""

import json
import re

import pytest

from harness import gateway, program, wait
from harness.tls_gateway import ADMIN_PORT, HELLO, chain, client, fetch, make_pair, serve

PROVIDER = (
    "type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha"
    ".CryptoMbPrivateKeyMethodConfig"
)
HANDSHAKES = 5
QUEUE_SIZES = "listener.127.0.0.1_24000.cryptomb.rsa_queue_sizes"


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


def ask(path, method="GET"):
    request = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    return gateway.Reply(gateway.exchange(ADMIN_PORT, request.encode()))


def body(path):
    reply = ask(path)
    assert reply.status == b"HTTP/1.1 200 OK", reply
    return reply.body.decode()


def stat(name):
    found = re.search(rf"^{re.escape(name)}: (\d+)$", body(f"/stats?filter={name}"), re.M)
    return int(found.group(1)) if found else None


def with_provider(folder):
    return (
        "common_tls_context: {tls_certificates: {"
        f"certificate_chain: {{filename: {folder}/server.pem}}, "
        "private_key_provider: {provider_name: cryptomb, typed_config: {"
        f'"@type": {PROVIDER}, poll_delay: 0.002s, '
        f"private_key: {{filename: {folder}/server.key}}}}}}}}}}"
    )


def plainly(folder):
    return (
        "common_tls_context: {tls_certificates: {"
        f"certificate_chain: {{filename: {folder}/server.pem}}, "
        f"private_key: {{filename: {folder}/server.key}}}}}}"
    )


@pytest.fixture
def shaken(tmp_path, start):
    """A gateway with cryptomb that has made some handshakes, one request in each."""
    if not cpu_has_kernels():
        pytest.skip("cryptomb needs AVX-512 IFMA")
    make_pair(tmp_path, "server")
    serve(start, tmp_path, chain(24000, with_provider(tmp_path), HELLO))
    for _ in range(HANDSHAKES):
        assert fetch(24000, client(tmp_path / "server.pem"))[1].status == b"HTTP/1.1 200 OK"
    wait.until(lambda: stat("listener.127.0.0.1_24000.downstream_cx_active") == 0, "the end")


def cpu_has_kernels():
    with open("/proc/cpuinfo", encoding="ascii") as info:
        return "avx512ifma" in info.read()


def test_the_queue_sizes_of_cryptomb_have_envoys_names_and_forms(shaken):
    assert f"{QUEUE_SIZES}: P0(nan,1.05) " in body("/stats?type=Histograms")
    disjoint = body("/stats?histogram_buckets=disjoint&filter=cryptomb")
    assert f"{QUEUE_SIZES}: B0.5(0,0) B1(0,0) B5(0,{HANDSHAKES}) B10(0,0) " in disjoint
    assert "cryptomb.ecdsa_queue_sizes: B0.5(0,0) " in disjoint
    cumulative = body("/stats?histogram_buckets=cumulative&filter=cryptomb")
    assert f" B5(0,{HANDSHAKES}) B10(0,{HANDSHAKES}) " in cumulative
    series = body("/stats/prometheus?filter=cryptomb")
    label = '{envoy_listener_address="127.0.0.1_24000"'
    family = "envoy_listener_cryptomb_rsa_queue_sizes"
    assert f"# TYPE {family} histogram\n" in series
    assert f'{family}_bucket{label},le="5"}} {HANDSHAKES}\n' in series
    assert f'{family}_bucket{label},le="+Inf"}} {HANDSHAKES}\n' in series
    assert f"{family}_sum{label}}} {HANDSHAKES}\n" in series
    assert f"{family}_count{label}}} {HANDSHAKES}\n" in series


def test_histograms_in_json_have_envoys_two_shapes(shaken):
    computed = json.loads(body("/stats?format=json&filter=rsa_queue"))["stats"]
    assert computed[0]["histograms"]["supported_quantiles"] == [
        0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100,
    ]  # fmt: skip
    (sizes,) = computed[0]["histograms"]["computed_quantiles"]
    assert sizes["name"] == QUEUE_SIZES
    assert {value["cumulative"] for value in sizes["values"]} == {1.05}
    buckets = json.loads(body("/stats?format=json&filter=rsa_queue&histogram_buckets=cumulative"))
    (sizes,) = buckets["stats"][0]["histograms"]
    assert {"upper_bound": 5, "interval": 0, "cumulative": HANDSHAKES} in sizes["buckets"]
    assert len(sizes["buckets"]) == 19


def test_handshakes_have_a_gauge_and_a_time_and_requests_have_times(shaken):
    assert stat("listener.127.0.0.1_24000.ssl.handshakes_in_progress") == 0
    series = body("/stats/prometheus")
    for family in (
        'listener_ssl_handshake_time_us_count{envoy_listener_address="127.0.0.1_24000"}',
        'listener_downstream_cx_length_ms_count{envoy_listener_address="127.0.0.1_24000"}',
        'http_downstream_cx_length_ms_count{envoy_http_conn_manager_prefix="front"}',
        'http_downstream_rq_time_count{envoy_http_conn_manager_prefix="front"}',
    ):
        assert f"envoy_{family} {HANDSHAKES}\n" in series


def test_a_handshake_that_stalls_is_counted_while_it_lasts(tmp_path, start):
    make_pair(tmp_path, "server")
    serve(start, tmp_path, chain(24000, plainly(tmp_path), HELLO))
    name = "listener.127.0.0.1_24000.ssl.handshakes_in_progress"
    with gateway.socket.create_connection(("127.0.0.1", 24000)) as stalled:
        stalled.sendall(b"\x16\x03\x01")
        wait.until(lambda: stat(name) == 1, "the handshake to be counted")
    wait.until(lambda: stat(name) == 0, "its end to be counted")


def test_batches_are_counted_by_their_lanes_and_operations_by_their_path(shaken):
    lanes = body("/stats/prometheus?filter=batcher.rsa")
    assert f'envoy_batcher_lanes_count{{queue="rsa-2048-private"}} {HANDSHAKES}\n' in lanes
    series = body("/stats/prometheus?filter=batcher")
    counts = re.findall(r'^envoy_batcher_operations\{path="(\w+)"\} (\d+)$', series, re.M)
    assert {path for path, _ in counts} == {"libcrypto", "vector"}
    # A key share and a signature each, at the least.
    computed = sum(int(count) for _, count in counts)
    assert computed >= 2 * HANDSHAKES
    assert f"envoy_batcher_queue_us_count{{}} {computed}\n" in series


def test_buckets_have_the_edges_that_the_configuration_gives_them(tmp_path, start):
    if not cpu_has_kernels():
        pytest.skip("cryptomb needs AVX-512 IFMA")
    make_pair(tmp_path, "server")
    text = (
        "stats_config: {histogram_bucket_settings: [{match: {suffix: rsa_queue_sizes}, "
        "buckets: [2, 3, 4, 5, 6, 7, 8, 9]}]}\n"
    )
    path = tmp_path / "gateway.yaml"
    path.write_text(
        f"{text}admin: {{address: {{socket_address: {{address: 127.0.0.1, "
        f"port_value: {ADMIN_PORT}}}}}}}\nstatic_resources:\n  listeners:"
        + chain(24000, with_provider(tmp_path), HELLO)
    )
    running = start("gateway", [program.BINARY, "gateway", "-c", path])
    running.wait_for_log("ready: ")
    assert fetch(24000, client(tmp_path / "server.pem"))[1].status == b"HTTP/1.1 200 OK"
    shown = body("/stats?histogram_buckets=disjoint&filter=rsa_queue")
    assert shown == (
        f"{QUEUE_SIZES}: B2(0,1) B3(0,0) B4(0,0) B5(0,0) B6(0,0) B7(0,0) B8(0,0) B9(0,0)\n"
    )


def test_a_form_of_histograms_that_there_is_not_is_refused(tmp_path, start):
    make_pair(tmp_path, "server")
    serve(start, tmp_path, chain(24000, plainly(tmp_path), HELLO))
    assert b" 400 " in ask("/stats?histogram_buckets=native").status


def test_counters_are_reset_and_gauges_and_histograms_stay(tmp_path, start):
    make_pair(tmp_path, "server")
    serve(start, tmp_path, chain(24000, plainly(tmp_path), HELLO))
    fetch(24000, client(tmp_path / "server.pem"))
    handshakes = "listener.127.0.0.1_24000.ssl.handshake"
    wait.until(lambda: stat("http.front.downstream_cx_destroy") == 1, "the end")
    assert stat(handshakes) == 1
    assert "\n  /reset_counters (POST): reset all counters to zero\n" in body("/help")
    assert "\n  /stats/prometheus: " in body("/help")
    assert b" 405 " in ask("/reset_counters").status
    assert b" 200 " in ask("/reset_counters", "POST").status
    assert stat(handshakes) == 0
    assert stat("server.concurrency") == 2
    series = body("/stats/prometheus")
    assert 'http_downstream_rq_time_count{envoy_http_conn_manager_prefix="front"} 1\n' in series
    fetch(24000, client(tmp_path / "server.pem"))
    assert stat(handshakes) == 1
