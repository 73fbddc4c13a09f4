"""Clusters of type STRICT_DNS beside a DNS server that answers late, wrong, cut off or not at all.

Tests with `proxy` run with ours and with Envoy, with the same file.
"""

import contextlib
import socket

import pytest

from harness import dns, gateway, health, program, wait

DNS, UPSTREAM = 24353, 24354
NAME = "up.mesh.test"
RESOLVER = (
    "typed_dns_resolver_config: {name: cares, typed_config: {"
    '"@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3'
    ".CaresDnsResolverConfig, resolvers: [{socket_address: {address: 127.0.0.1, "
    "port_value: %d}}], query_timeout_seconds: 1, query_tries: %d, "
    "dns_resolver_options: {no_default_search_domain: true}%s}}"
)


@pytest.fixture(params=["hauberk", "envoy"])
def proxy(request, private_namespaces, start, tmp_path, find_peer_program):
    envoy = find_peer_program("envoy") if request.param == "envoy" else None

    def run(clusters):
        return health.start_proxy(start, tmp_path, envoy, clusters)

    return run


@pytest.fixture
def ours(private_namespaces, start, tmp_path):
    return lambda clusters, **more: health.start_proxy(start, tmp_path, None, clusters, **more)


def cluster(more="dns_lookup_family: V4_ONLY", rate="0.05s", name=NAME, tries=2, options=""):
    return f"""
  - name: up
    type: STRICT_DNS
    connect_timeout: 5s
    dns_refresh_rate: {rate}
    {more}
    {RESOLVER % (DNS, tries, options)}
    load_assignment:
      cluster_name: up
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: {name}, port_value: {UPSTREAM}}}}}
"""


class Zone:
    """The addresses of the one name, and what is wrong with the server."""

    def __init__(self, *addresses):
        self.addresses = addresses
        self.code = dns.NO_ERROR
        self.ttl = 60

    def __call__(self, query, _):
        return [dns.answer(query, self.addresses, self.code, self.ttl)]


@contextlib.contextmanager
def hosts(*addresses):
    """Each answers with its address."""
    with contextlib.ExitStack() as stack:
        for address in addresses:

            def act(_, connection, stream, address=address):
                while gateway.read_head(stream):
                    body = address.encode()
                    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                    connection.sendall(head + body)

            stack.enter_context(gateway.Stage(UPSTREAM, act, address))
        yield


def update(running, name):
    return running.stat(f"cluster.up.update_{name}")


def test_a_name_is_looked_up_again_and_its_hosts_change(proxy):
    zone = Zone("127.0.0.2")
    with dns.Server(DNS, zone), hosts("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        running = proxy(cluster())
        running.wait_for_bodies(b"127.0.0.2")
        zone.addresses = ("127.0.0.3", "127.0.0.4")
        wait.until(lambda: running.stat("cluster.up.membership_total") == 2, "two hosts")
        running.wait_for_bodies(b"127.0.0.3", b"127.0.0.4")
        assert update(running, "success") >= 2
        assert update(running, "failure") == 0


def test_a_server_that_fails_leaves_the_hosts_that_were_found(proxy):
    zone = Zone("127.0.0.2")
    with dns.Server(DNS, zone), hosts("127.0.0.2"):
        running = proxy(cluster())
        running.wait_for_bodies(b"127.0.0.2")
        for code in (dns.SERVER_FAILURE, dns.REFUSED):
            zone.code = code
            failures = update(running, "failure")
            wait.until(lambda: update(running, "failure") > failures, "a failure")
            assert running.get().body == b"127.0.0.2"
        zone.code = dns.NO_ERROR
        successes = update(running, "success")
        wait.until(lambda: update(running, "success") > successes, "a success")
        assert running.get().body == b"127.0.0.2"


def test_a_server_that_is_gone_leaves_the_hosts_that_were_found(proxy):
    with hosts("127.0.0.2"):
        with dns.Server(DNS, Zone("127.0.0.2")):
            running = proxy(cluster())
            running.wait_for_bodies(b"127.0.0.2")
        wait.until(lambda: update(running, "failure") > 0, "a failure", 30)
        assert running.get().body == b"127.0.0.2"
        with dns.Server(DNS, Zone("127.0.0.2")):
            successes = update(running, "success")
            wait.until(lambda: update(running, "success") > successes, "a success", 30)


@pytest.mark.parametrize("code", [dns.NO_SUCH_NAME, dns.NO_ERROR])
def test_a_name_that_is_gone_takes_its_hosts_with_it(proxy, code):
    zone = Zone("127.0.0.2")
    with dns.Server(DNS, zone), hosts("127.0.0.2"):
        running = proxy(cluster())
        running.wait_for_bodies(b"127.0.0.2")
        zone.addresses, zone.code = (), code
        wait.until(lambda: running.stat("cluster.up.membership_total") == 0, "no host")
        running.wait_for_bodies(b"no healthy upstream")
        assert update(running, "failure") == 0


def test_an_answer_without_addresses_is_counted(ours):
    with dns.Server(DNS, Zone()):
        running = ours(cluster(rate="60s"))
        assert update(running, "success") == update(running, "empty") == 1


def test_an_answer_that_is_cut_off_is_asked_for_over_tcp(proxy):
    def truncate(query, over_tcp):
        if over_tcp:
            return [dns.answer(query, ["127.0.0.2"])]
        return [dns.answer(query, flags=0x200)]

    with dns.Server(DNS, truncate) as server, hosts("127.0.0.2"):
        running = proxy(cluster())
        running.wait_for_bodies(b"127.0.0.2")
        assert any(over_tcp for *_, over_tcp in server.queries)


def test_answers_that_fit_no_question_are_passed_over(ours):
    def lie(query, _):
        number = int.from_bytes(query[:2], "big")
        other = query[:12] + b"\x05other\x04test\x00" + query[-4:]
        return [
            b"",
            b"\xff" * 7,
            query[:2] + b"\x81\x80" + b"\xff" * 300,
            dns.answer(query, ["127.0.0.3"], identity=number ^ 1),
            dns.answer(other, ["127.0.0.3"]),
            dns.answer(query, ["127.0.0.2"]),
        ]

    with dns.Server(DNS, lie), hosts("127.0.0.2", "127.0.0.3"):
        running = ours(cluster(rate="60s"))
        for _ in range(4):
            assert running.get().body in (b"127.0.0.2", b"no healthy upstream")


def test_a_server_that_is_late_is_asked_again(ours):
    """The first query is never answered."""
    asked = []

    def ignore_one(query, _):
        asked.append(query)
        return [dns.answer(query, ["127.0.0.2"])] if len(asked) > 1 else []

    with dns.Server(DNS, ignore_one), hosts("127.0.0.2"):
        running = ours(cluster(rate="60s"))
        assert running.get().body == b"127.0.0.2"
        assert update(running, "attempt") == update(running, "success") == 1


def test_nothing_is_accepted_before_names_were_looked_up_and_then_all_is(ours):
    """A server that says nothing: the gateway starts without hosts when the tries are over."""
    with dns.Server(DNS, lambda *_: []) as server:
        running = ours(cluster(tries=1), waits=False)
        wait.until(lambda: server.queries, "a query")
        assert running.admin("/ready") == "INITIALIZING\n"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", health.FRONT), timeout=5)
        wait.until(running.is_ready, "the gateway to be ready", 30)
        assert update(running, "failure") >= 1
        assert running.get().body == b"no healthy upstream"


FAMILIES = {
    "V4_ONLY": [b"127.0.0.2"],
    "V6_ONLY": [b"::1"],
    "V4_PREFERRED": [b"127.0.0.2"],
    "AUTO": [b"::1"],
    "ALL": [b"127.0.0.2", b"::1"],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_chooses_among_addresses(proxy, family):
    zone = Zone("127.0.0.2", "::1")
    with dns.Server(DNS, zone), hosts("127.0.0.2"):
        running = proxy(cluster(f"dns_lookup_family: {family}"))
        total = len(FAMILIES[family])
        wait.until(lambda: running.stat("cluster.up.membership_total") == total, f"{total} hosts")
        shown = running.admin("/clusters")
        for host in FAMILIES[family]:
            text = host.decode()
            assert f"up::[{text}]:" in shown if ":" in text else f"up::{text}:" in shown


@pytest.mark.parametrize("family", ["AUTO", "V4_PREFERRED"])
def test_the_other_family_counts_where_the_first_has_nothing(proxy, family):
    zone = Zone("127.0.0.2" if family == "AUTO" else "::1")
    with dns.Server(DNS, zone):
        running = proxy(cluster(f"dns_lookup_family: {family}"))
        wait.until(lambda: running.stat("cluster.up.membership_total") == 1, "one host")


def test_the_ttl_is_the_time_to_the_next_look_up_where_it_is_respected(ours):
    zone = Zone("127.0.0.2")
    zone.ttl = 3600
    with dns.Server(DNS, zone) as server, hosts("127.0.0.2"):
        running = ours(
            cluster("dns_lookup_family: V4_ONLY, respect_dns_ttl: true".replace(", ", "\n    "))
            + cluster("dns_lookup_family: V4_ONLY", name="other.test").replace(": up", ": other")
        )
        wait.until(lambda: running.stat("cluster.other.update_success") > 5, "other look-ups")
        assert [name for name, *_ in server.queries].count(NAME) == 1


def test_failures_back_off_as_the_file_says(ours):
    """The usual rate would not come in this test's time, the rate of failures does."""
    zone = Zone("127.0.0.2")
    zone.code = dns.SERVER_FAILURE
    more = (
        "dns_lookup_family: V4_ONLY\n    "
        "dns_failure_refresh_rate: {base_interval: 0.01s, max_interval: 0.02s}"
    )
    with dns.Server(DNS, zone), hosts("127.0.0.2"):
        running = ours(cluster(more, rate="3600s"))
        wait.until(lambda: update(running, "failure") > 3, "failures")
        zone.code = dns.NO_ERROR
        wait.until(lambda: update(running, "success") == 1, "a success")
        running.wait_for_bodies(b"127.0.0.2")


def test_the_hosts_file_counts(ours):
    """Whatever it says of localhost here; no server is asked."""
    with dns.Server(DNS, Zone()) as server, hosts("127.0.0.1"):
        running = ours(cluster(name="localhost"))
        assert running.get().body == b"127.0.0.1"
        assert server.queries == []


def test_a_host_whose_name_is_gone_stays_while_its_checks_pass(proxy):
    zone = Zone("127.0.0.2")
    check = f"health_checks: [{{{health.QUICK}, tcp_health_check: {{}}}}]"
    with dns.Server(DNS, zone), hosts("127.0.0.3"):
        with hosts("127.0.0.2"):
            running = proxy(cluster(f"dns_lookup_family: V4_ONLY\n    {check}"))
            running.wait_for_bodies(b"127.0.0.2")
            zone.addresses = ("127.0.0.3",)
            wait.until(lambda: running.stat("cluster.up.membership_total") == 2, "both hosts")
            running.wait_for_bodies(b"127.0.0.2", b"127.0.0.3")
            flags = f"up::127.0.0.2:{UPSTREAM}::health_flags::/pending_dynamic_removal"
            wait.until(lambda: flags in running.admin("/clusters"), "the flag")
        wait.until(lambda: running.stat("cluster.up.membership_total") == 1, "one host")
        running.wait_for_bodies(b"127.0.0.3")


def test_a_resolver_that_is_none_is_refused(tmp_path):
    wrong = {
        cluster().replace("address: 127.0.0.1, port_value: 24353", "address: ns, port_value: 1"):
            'the resolver "ns" is a name',
        cluster("dns_failure_refresh_rate: {base_interval: 2s, max_interval: 1s}"):
            "max_interval is less",
        cluster("dns_resolvers: []"): "dns_resolvers",
    }  # fmt: skip
    listener = gateway.http_listener(health.FRONT, health.TO_UP)
    for text, reason in wrong.items():
        path = tmp_path / "wrong.yaml"
        path.write_text(gateway.bootstrap(health.ADMIN, listener, text), encoding="utf-8")
        result = program.hauberk("gateway", "-c", path, "--mode", "validate")
        assert result.returncode != 0, text
        assert reason in result.stdout + result.stderr, result.stderr


ASKED = ["stats", "stats/prometheus", "clusters", "clusters?format=json", "listeners", "certs"]
ASKED += ["config_dump", "server_info", "memory", ""]


def test_the_admin_port_answers_before_names_are_known_and_hosts_are_checked(ours):
    """A scrape that comes early, while the look-up that checks wait for is under way."""
    checked = "health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
    checked += "healthy_threshold: 1, http_health_check: {path: /}}]"
    with dns.Server(DNS, lambda *_: []) as server:
        running = ours(cluster(checked, tries=3), waits=False)
        wait.until(lambda: server.queries, "a query")
        for path in ASKED:
            assert running.admin(f"/{path}"), path
        assert running.admin("/ready") == "INITIALIZING\n"
        assert running.stat("cluster.up.health_check.attempt") == 0
