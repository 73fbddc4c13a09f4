"""What an operator does to an agent, and what must not happen meanwhile."""

import json

import pytest

from harness import certificates, hbone, http, mesh, service, wait
from harness.agent import READY_PORT, Agent
from harness.callers import Callers
from harness.capture import Capture
from harness.program import hauberk
from harness.town import ENGINES, Town

MARKER = b"marker-that-must-not-be-on-any-wire"


@pytest.fixture
def cart_service(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok) as server:
        yield server


def test_a_good_change_of_the_mesh_file_acts_under_load_and_no_request_fails(town, cart_service):
    front, cart = town.pair.front, town.pair.cart
    with Callers(front.namespace, cart.v4, mesh.CART_PORT) as callers:
        for number in range(5):
            callers.wait_for_more(10)
            town.mesh.add_policy(f"deny-{number}", "Deny", principals=[mesh.principal("intruder")])
            town.reload()
        callers.wait_for_more(10)
    assert callers.failures == []
    assert http.is_refused(town.pair.intruder.namespace, cart.v4, mesh.CART_PORT)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("workloads: [\n", r":2:1: "),
        ("workload: []\n", r":1:1: .*workload.*workloads"),
        ("policies:\n- name: x\n  namespace: y\n  action: Perhaps\n", r":4:11: .*Perhaps"),
    ],
    ids=["not YAML", "unknown key", "unknown value"],
)
def test_a_bad_mesh_file_changes_nothing_and_is_reported_with_its_place(
    town, cart_service, text, complaint
):
    town.mesh.write_text(text)
    for agent in (town.alpha, town.beta):
        agent.wait_for_log(complaint)
    cart = town.pair.cart
    assert http.get(town.pair.front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    checked = hauberk("node", "--mesh", town.mesh.path, "--node", "alpha", "--check")
    assert checked.returncode == 1
    assert str(town.mesh.path) in checked.stderr + checked.stdout


def test_check_accepts_a_good_mesh_file_and_starts_nothing(town):
    checked = hauberk("node", "--mesh", town.mesh.path, "--node", "alpha", "--check")
    assert checked.returncode == 0, checked.stderr


def test_after_kill_nine_no_plain_text_leaves_and_a_restart_serves_again(
    town, cart_service, start
):
    front, cart = town.pair.front, town.pair.cart
    assert http.get(front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    with Capture(town.pair.alpha.namespace, "wire", MARKER) as wire:
        town.alpha.program.kill()
        for _ in range(20):
            assert http.is_refused(front.namespace, cart.v4, mesh.CART_PORT, timeout=2)
    assert wire.packets_with_marker == 0
    town.alpha = town.start_agent(town.pair.alpha)
    assert http.get(front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    assert set(cart_service.peers) == {front.v4}


def test_a_killed_agent_of_the_destination_lets_no_plain_text_in(town, cart_service):
    town.beta.program.kill()
    outside = town.pair.alpha.namespace
    assert http.is_refused(outside, town.pair.cart.v4, mesh.CART_PORT, timeout=2)
    assert cart_service.peers == []


def test_sigterm_lets_connections_end_and_takes_no_new_ones(town):
    front, cart = town.pair.front, town.pair.cart
    with (
        service.Service(cart.namespace, cart.v4, 7000, service.echo),
        service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok),
    ):
        with front.namespace.connect(cart.v4, 7000) as connection:
            connection.sendall(b"one")
            assert connection.recv(10) == b"one"
            town.alpha.program.signal(15)
            wait.until(
                lambda: http.is_refused(front.namespace, cart.v4, mesh.CART_PORT, timeout=2),
                "new connections to be refused",
            )
            connection.sendall(b"two")
            assert connection.recv(10) == b"two"
        assert town.alpha.program.wait_exit() == 0


def test_cleanup_takes_the_redirection_away(town):
    front, cart = town.pair.front, town.pair.cart
    town.alpha.program.terminate()
    town.beta.program.terminate()
    assert "table" in front.namespace.run("nft", "list", "ruleset").stdout
    for host in (town.pair.alpha, town.pair.beta):
        done = host.namespace.run(
            town.binary, "node", "--mesh", town.mesh.path, "--node", host.name, "--cleanup"
        )
        assert done.returncode == 0
    for pod in (front, cart):
        assert pod.namespace.run("nft", "list", "ruleset").stdout == ""
        assert "32764" not in pod.namespace.run("ip", "rule").stdout
    with service.Service(cart.namespace, cart.v4, 7000, service.http_ok):
        assert http.get(front.namespace, cart.v4, 7000).text == "ok"


def test_a_restart_repairs_a_redirection_that_somebody_broke(town, cart_service):
    front, cart = town.pair.front, town.pair.cart
    town.alpha.program.terminate()
    front.namespace.run("nft", "flush", "ruleset")
    town.alpha = town.start_agent(town.pair.alpha)
    assert http.get(front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    town.beta.wait_metric(
        "istio_tcp_connections_opened_total", 1, connection_security_policy="mutual_tls"
    )


def test_metrics_count_bytes_of_both_directions(town):
    front, cart = town.pair.front, town.pair.cart
    with service.Service(cart.namespace, cart.v4, 7000, service.digest):
        with front.namespace.connect(cart.v4, 7000) as connection:
            connection.sendall(b"x" * 1000)
            connection.shutdown(1)
            assert len(service.read_to_end(connection)) == 64
    for agent, reporter in ((town.alpha, "source"), (town.beta, "destination")):
        agent.wait_metric("istio_tcp_connections_closed_total", 1, reporter=reporter)
        agent.wait_metric("istio_tcp_received_bytes_total", 1000, reporter=reporter)
        agent.wait_metric("istio_tcp_sent_bytes_total", 64, reporter=reporter)


@pytest.mark.parametrize(
    "arguments, found",
    [
        ([], "--mesh"),
        (["--mesh", "m.yaml"], "--node"),
        (["--mesh", "m.yaml", "--node", "a"], "--ca DIR"),
        (["--mesh", "m.yaml", "--node", "a", "--ca", "b", "--identities", "c"], "--identities"),
        (["--mesh", "m.yaml", "--node", "a", "--ca", "b", "--workers", "0"], "--workers"),
        (["--mesh", "m.yaml", "--node", "a", "--ca", "b", "--cert-ttl", "soon"], "soon"),
        (["--mesh", "m.yaml", "--node", "a", "--ca", "b", "more"], "more"),
    ],
)
def test_a_wrong_command_line_of_node_is_a_usage_error(arguments, found):
    done = hauberk("node", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert found in done.stderr


@pytest.mark.parametrize("what", ["mesh file", "CA"])
def test_an_agent_does_not_start_without_its_files(town, what):
    options = {
        "mesh file": ["--mesh", town.folder / "none.yaml", "--ca", town.ca],
        "CA": ["--mesh", town.mesh.path, "--ca", town.folder / "none"],
    }
    done = hauberk("node", "--node", "alpha", *options[what])
    assert done.returncode == 1
    assert "none" in done.stderr + done.stdout


@pytest.fixture
def short_lived(pair, tmp_path, start, engine):
    """The town with certificates of a few seconds."""
    return Town(pair, tmp_path, start, ttl="4s", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_certificates_rotate_and_no_request_fails(short_lived):
    town = short_lived
    front, cart = town.pair.front, town.pair.cart
    outsider = town.pair.alpha.add_pod("outsider").namespace
    authority = certificates.Authority.from_files(
        town.folder / "forged", town.ca / "root.pem", town.ca / "root-key.pem"
    )
    identity = authority.issue("front", [mesh.spiffe_id("front")])

    def serial_of_cart():
        with hbone.Client(outsider, cart.v4, identity) as client:
            return client.tls.getpeercert()["serialNumber"]

    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok):
        with Callers(front.namespace, cart.v4, mesh.CART_PORT) as callers:
            seen = set()
            wait.until(
                lambda: callers.failures or seen.add(serial_of_cart()) or len(seen) >= 3,
                "a third certificate of cart",
                deadline_s=30,
            )
            callers.wait_for_more(10)
    assert callers.failures == []


def test_connections_that_ended_leave_no_descriptor_behind(town, cart_service):
    front, cart = town.pair.front, town.pair.cart
    assert http.get(front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    wait.until(
        lambda: town.alpha.metrics().sum("istio_tcp_connections_closed_total") >= 1,
        "the first connection to be counted",
    )
    before = town.alpha.program.descriptors()
    for _ in range(200):
        assert http.get(front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    wait.until(
        lambda: town.alpha.program.descriptors() <= before, f"{before} descriptors or fewer"
    )
def test_the_admin_port_shows_the_model_and_no_key(town):
    dump = town.alpha.get("/config_dump")
    assert dump.status == 200
    document = json.loads(dump.text)
    assert "workloads" in document and "certificates" in document
    assert mesh.uid("cart") in dump.text
    assert "PRIVATE KEY" not in dump.text


def test_the_log_level_is_changed_while_the_agent_runs(town, cart_service):
    assert town.alpha.get("/logging?level=debug", method="POST").status == 200
    assert http.get(
        town.pair.front.namespace, town.pair.cart.v4, mesh.CART_PORT
    ).text == "ok"
    town.alpha.wait_for_log(r"\tdebug\t")




def test_an_agent_without_certificates_is_not_ready(pair, tmp_path, start):
    empty = tmp_path / "identities"
    empty.mkdir()
    made = hauberk("ca", "init", tmp_path / "ca")
    assert made.returncode == 0
    (empty / "bundle.pem").write_bytes((tmp_path / "ca" / "root.pem").read_bytes())
    document = mesh.of_demo(tmp_path / "mesh.yaml", pair)
    document.write()
    options = ["--identities", empty]
    agent = Agent(start, pair.beta, document.path, options, is_awaited=False)
    agent.wait_for_log(r"is served as|is ready:")
    assert agent.get("/healthz/ready", READY_PORT).status != 200
    issued = hauberk(
        "ca", "issue", "--ca", tmp_path / "ca", "--out", empty,
        "--spiffe-id", mesh.spiffe_id("cart"),
    )
    assert issued.returncode == 0, issued.stderr
    agent.wait_ready()
