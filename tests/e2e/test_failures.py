"""What goes wrong around an agent: sudden death, full disks, unread logs, shared names."""

import contextlib
import os
import socket
import subprocess

import pytest

from harness import mesh, service, wait
from harness.capture import Capture
from harness.namespace import die_with_parent
from harness.program import Program, hauberk
from harness.town import Town

MARKER = b"marker-that-must-not-be-on-any-wire"


def call(namespace, ip, port=mesh.CART_PORT, data=MARKER):
    """What comes back of `data`, b"" for a reset."""
    try:
        with namespace.connect(ip, port, timeout=2) as connection:
            connection.sendall(data)
            return connection.recv(len(data), socket.MSG_WAITALL)
    except OSError:
        return b""


@pytest.fixture
def cart_service(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo) as server:
        yield server


@pytest.mark.parametrize("killed", ["the caller's", "the destination's"])
def test_no_plain_text_is_on_any_wire_while_an_agent_is_dead_and_comes_back(
    town, cart_service, killed
):
    """Captured on the wire, on the dead agent's pod and on the other one."""
    front, cart = town.pair.front, town.pair.cart
    host = town.pair.alpha if killed == "the caller's" else town.pair.beta
    agent = town.alpha if killed == "the caller's" else town.beta
    with contextlib.ExitStack() as stack:
        captures = [
            stack.enter_context(Capture(namespace, interface, MARKER))
            for namespace, interface in (
                (town.pair.alpha.namespace, "wire"),
                (town.pair.alpha.namespace, front.interface),
                (town.pair.beta.namespace, cart.interface),
            )
        ]
        with front.namespace.connect(cart.v4, mesh.CART_PORT) as live:
            live.sendall(MARKER)
            assert live.recv(100) == MARKER
            agent.program.kill()
            for _ in range(20):
                assert call(front.namespace, cart.v4) == b""
            with contextlib.suppress(OSError):
                live.sendall(MARKER)
        agent = town.start_agent(host)
        wait.until(lambda: call(front.namespace, cart.v4) == MARKER, "service to be back")
        for _ in range(20):
            assert call(front.namespace, cart.v4) == MARKER
    assert all(capture.packets > 20 for capture in captures)
    assert [capture.packets_with_marker for capture in captures] == [0, 0, 0]
    assert set(cart_service.peers) == {front.v4}


def test_an_agent_killed_five_times_leaves_one_redirection(town, cart_service):
    front = town.pair.front
    rules = front.namespace.run("nft", "list", "ruleset").stdout
    ip_rules = front.namespace.run("ip", "rule").stdout
    for _ in range(5):
        town.alpha.program.kill()
        town.alpha = town.start_agent(town.pair.alpha)
    assert front.namespace.run("nft", "list", "ruleset").stdout == rules
    assert front.namespace.run("ip", "rule").stdout == ip_rules
    assert call(front.namespace, town.pair.cart.v4) == MARKER


def test_two_pods_of_one_service_account_on_one_host_are_two(town, cart_service):
    """They share a certificate's name and nothing else: addresses and tunnels are their own."""
    twin = town.pair.alpha.add_pod("twin")
    town.mesh.add_pod(twin, serviceAccount="front")
    town.mesh.add_policy("only-front", "Allow", principals=[mesh.principal("front")])
    town.reload()
    front, cart = town.pair.front, town.pair.cart
    for pod in (front, twin):
        assert call(pod.namespace, cart.v4) == MARKER
    assert cart_service.peers == [front.v4, twin.v4]
    tunnels = cart.namespace.run("ss", "-Htn", "state", "established", "sport", "=", ":15008")
    assert {line.split()[3].rsplit(":", 1)[0].strip("[]").removeprefix("::ffff:")
            for line in tunnels.stdout.splitlines()} == {front.v4, twin.v4}
    for pod in (front, twin):
        town.beta.wait_for_log(
            rf'src.addr={pod.v4}:\d+ src.workload="{pod.name}".*'
            rf'src.identity="{mesh.spiffe_id("front")}"'
        )
    with service.Service(twin.namespace, twin.v4, 7000, service.echo):
        town.mesh.document["policies"].clear()
        town.reload()
        assert call(front.namespace, twin.v4, 7000) == MARKER


def test_a_twin_that_goes_takes_nothing_from_its_brother(town, cart_service):
    twin = town.pair.alpha.add_pod("twin")
    town.mesh.add_pod(twin, serviceAccount="front")
    town.reload()
    front, cart = town.pair.front, town.pair.cart
    with front.namespace.connect(cart.v4, mesh.CART_PORT) as live:
        live.sendall(b"before")
        assert live.recv(100) == b"before"
        assert call(twin.namespace, cart.v4) == MARKER
        workloads = town.mesh.document["workloads"]
        workloads[:] = [entry for entry in workloads if entry["name"] != "twin"]
        del town.mesh.document["pods"][mesh.uid("twin")]
        town.reload()
        live.sendall(b"after")
        assert live.recv(100) == b"after"
    assert call(front.namespace, cart.v4) == MARKER


# Disks and logs


class SmallDisk:
    """A file system of 64 KiB in a mount namespace of its own, reached through its holder."""

    def __init__(self):
        script = "mount -t tmpfs -o size=64k none /mnt && echo ready && exec cat"
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        if self.holder.stdout.readline() != b"ready\n":
            raise OSError("a tmpfs cannot be mounted here")
        self.path = os.path.join("/proc", str(self.holder.pid), "root", "mnt")
        self.filler = f"{self.path}/filler"

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))

    def empty(self):
        os.unlink(self.filler)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(timeout=10)
        self.holder.stdout.close()


@pytest.fixture
def small_disk(private_namespaces):
    try:
        disk = SmallDisk()
    except OSError as error:
        pytest.skip(str(error))
    yield disk
    disk.close()


def issue(ca, folder, account, ttl="1h"):
    return hauberk(
        *("ca", "issue", "--ca", ca, "--spiffe-id", mesh.spiffe_id(account)),
        *("--out", folder, "--ttl", ttl),
    )


def files_of(folder):
    return {
        name: open(f"{folder}/{name}", "rb").read()
        for name in sorted(os.listdir(folder))
        if name != "filler"
    }


def test_a_full_disk_spoils_no_certificate_that_is_there(small_disk, tmp_path):
    """`ca issue` over an older issue: it fails, says so, and the older files are whole."""
    ca = tmp_path / "ca"
    assert hauberk("ca", "init", ca).returncode == 0
    out = f"{small_disk.path}/front"
    os.mkdir(out)
    assert issue(ca, out, "front").returncode == 0
    before = files_of(out)
    small_disk.fill()
    done = issue(ca, out, "front")
    assert done.returncode == 1
    assert out in done.stderr
    assert files_of(out) == before
    small_disk.empty()
    assert issue(ca, out, "front").returncode == 0
    assert files_of(out) != before


def test_an_agent_whose_log_goes_to_a_full_disk_serves_on(pair, tmp_path):
    """Standard output is /dev/full from the beginning."""

    def start(name, command, inside=None, environment=None):
        command = inside.command("sh", "-c", 'exec "$@" >/dev/full', "sh", *command)
        running = Program(name, command, tmp_path, environment)
        programs.append(running)
        return running

    programs = []
    try:
        town = Town(pair, tmp_path, start)
        cart = pair.cart
        with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo):
            for _ in range(50):
                assert call(pair.front.namespace, cart.v4) == MARKER
        assert town.alpha.metrics().sum("istio_tcp_connections_opened_total") == 50
        assert town.alpha.program.terminate() == 0
    finally:
        for running in programs:
            running.kill()


@pytest.mark.parametrize("reader", ["stands still", "has gone"])
def test_an_agent_whose_log_nobody_reads_serves_on(pair, tmp_path, start, reader):
    """Lines are dropped and counted, connections are not."""
    readers = []

    def start_with_pipe(name, command, inside=None, environment=None):
        reading, writing = os.pipe()
        readers.append(reading)
        command = ["sh", "-c", f'exec "$@" >/proc/{os.getpid()}/fd/{writing}', "sh", *command]
        running = start(name, command, inside, environment)
        running.wait_until(
            lambda: os.readlink(f"/proc/{running.pid}/fd/1") == os.readlink(f"/dev/fd/{reading}"),
            "to have its pipe",
        )
        os.close(writing)
        return running

    try:
        town = Town(pair, tmp_path, start_with_pipe)
        if reader == "has gone":
            while readers:
                os.close(readers.pop())
        cart = pair.cart
        with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo):
            for _ in range(300):
                assert call(pair.front.namespace, cart.v4) == MARKER
        wait.until(
            lambda: town.alpha.metrics().sum("hauberk_log_lines_dropped_total") > 0,
            "dropped lines to be counted",
        )
        assert town.alpha.program.terminate() == 0
    finally:
        for reading in readers:
            os.close(reading)
