"""What `hauberk echo` answers by flag and by query, as Fortio's echo server does."""

import json
import os
import time
import urllib.error
import urllib.request

import pytest

from harness import wait
from harness.program import BINARY, hauberk


@pytest.fixture
def echo(start, private_namespaces):
    """echo(*options): the URL of a running echo server, with its slash."""

    def begin(*options):
        running = start("echo", [BINARY, "echo", "--listen", "127.0.0.1:0", *options])
        port = running.wait_for_log(r"^listening on .*:(\d+)$").group(1)
        return f"http://127.0.0.1:{port}/"

    return begin


def ask(url, data=None, headers=None, method=None):
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, dict(reply.headers), reply.read()
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read()


def test_a_port_alone_is_every_address_of_both_families(start, private_namespaces):
    running = start("echo", [BINARY, "echo", "--listen", ":0"])
    port = running.wait_for_log(r"^listening on \[::\]:(\d+)$").group(1)
    for host in ("127.0.0.1", "[::1]"):
        assert ask(f"http://{host}:{port}/")[2] == b"ok"


def test_a_body_is_sent_back_with_its_type(echo):
    url = echo()
    for size in (1, 1000, 300000, 16 << 20):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        status, headers, received = ask(url, body, {"Content-Type": "application/test"})
        assert (status, headers["Content-Type"]) == (200, "application/test")
        assert received == body


def test_a_body_that_is_too_large_is_refused_in_words_and_not_cut(echo):
    status, _, text = ask(echo(), b"x" * ((16 << 20) + 1))
    assert status == 413 and b"16 MiB" in text


def queued_between(port, other_port):
    """Bytes that one of the two has sent and the other's program has not read (IPv4)."""
    total = 0
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            ports = {int(address.split(":")[1], 16) for address in fields[1:3]}
            if ports == {port, other_port}:
                total += sum(int(queue, 16) for queue in fields[4].split(":"))
    return total


def test_bodies_held_at_once_have_a_limit_together_that_is_told_and_given_back(start, echo):
    import socket

    url = echo("--bodies-max", "1000000")
    assert ask(url, b"x" * 900000)[0] == 200
    port = int(url.rsplit(":", 1)[1].rstrip("/"))
    with socket.create_connection(("127.0.0.1", port), 30) as holder:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900001\r\n\r\n"
        holder.sendall(head + b"x" * 900000)
        own = holder.getsockname()[1]
        wait.until(lambda: queued_between(port, own) == 0, "the server to have read all of it")
        status, _, text = ask(url, b"x" * 200000)
        assert status == 413 and b"1000000 bytes" in text
        assert ask(url, b"x" * 90000)[0] == 200
        holder.sendall(b"x")
        received = b""
        while len(received) < 900001:
            piece = holder.recv(1 << 20)
            assert piece
            received += piece
        assert received.startswith(b"HTTP/1.1 200")
    assert ask(url, b"x" * 200000)[0] == 200


def test_a_reset_while_the_answer_waits_closes_and_half_a_close_does_not(start, private_namespaces):
    import socket
    import struct

    running = start("echo", [BINARY, "echo", "--listen", "127.0.0.1:0"])
    port = int(running.wait_for_log(r"^listening on .*:(\d+)$").group(1))
    idle = len(os.listdir(f"/proc/{running.pid}/fd"))

    def ask_late(delay):
        connection = socket.create_connection(("127.0.0.1", port), 30)
        connection.sendall(f"GET /?delay={delay} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return connection

    def count():
        return len(os.listdir(f"/proc/{running.pid}/fd")) - idle

    held = [ask_late("3000s") for _ in range(20)]
    wait.until(lambda: count() == 20, "all connections to be taken")
    for connection in held:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    wait.until(lambda: count() == 0, "all connections to be closed")
    with ask_late("50ms") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_query_wishes_for_status_size_header_and_delay(echo):
    url = echo()
    assert ask(url + "?status=503")[0] == 503
    assert len(ask(url + "?size=3000000")[2]) == 3000000
    assert ask(url + "?header=X-A:%20b&header=X-C:d")[1]["X-A"] == "b"
    started = time.monotonic()
    ask(url + "?delay=300ms")
    assert time.monotonic() - started >= 0.3
    assert ask(url + "?status=204")[0] == 204
    status, _, text = ask(url + "?delay=soon")
    assert status == 400 and b"200ms" in text


def test_wishes_of_pipelined_requests_are_answered_in_order(start, echo):
    import socket

    url = echo()
    port = int(url.rsplit(":", 1)[1].rstrip("/"))
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        wishes = ["/?delay=100ms&status=201", "/", "/?size=5", "/?delay=50ms&status=202", "/"]
        connection.sendall(b"".join(
            f"GET {wish} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for wish in wishes))
        received = b""
        while received.count(b"HTTP/1.1") < 5 or not received.endswith(b"ok"):
            piece = connection.recv(65536)
            assert piece, received
            received += piece
    assert received.startswith(b"HTTP/1.1 201")
    assert [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]] == [201, 200, 200, 202, 200]


def test_flags_are_shares_of_all_requests(echo):
    url = echo("--status", "503:20", "--delay", "1ms:50", "--header", "X-All: yes")
    assert ask(url)[1]["X-All"] == "yes"
    done = hauberk("load", "-quiet", "--json", "-c", "8", "-qps", "0", "-n", "2000", url)
    codes = json.loads(done.stdout)["RetCodes"]
    assert sum(codes.values()) == 2000 and 280 <= codes["503"] <= 520


def test_close_ends_the_connection_behind_the_answer(echo):
    url = echo("--close", "true")
    done = hauberk("load", "-quiet", "--json", "-c", "2", "-qps", "100", "-t", "500ms", url)
    report = json.loads(done.stdout)
    assert report["RetCodes"] == {"200": 50} and report["SocketCount"] >= 50


def test_a_connection_that_ends_while_its_answer_waits_harms_nobody(echo):
    import socket

    url = echo()
    port = int(url.rsplit(":", 1)[1].rstrip("/"))
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(b"GET /?delay=200ms HTTP/1.1\r\nHost: a\r\n\r\n")
    assert ask(url + "?delay=300ms")[0] == 200


@pytest.mark.parametrize("arguments, found", [
    (["--status", "99"], "--status"), (["--close", "maybe"], "--close"),
    (["--delay", "1s:200"], "--delay"), (["--header", "none"], "Name: value"),
    (["--tcp", "--status", "503"], "HTTP"),
])
def test_flags_that_make_no_sense_are_refused_by_name(arguments, found):
    done = hauberk("echo", *arguments)
    assert done.returncode == 2 and found in done.stderr
