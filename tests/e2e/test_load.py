"""`hauberk load` and `hauberk echo`, against each other and against other people's programs."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import http, namespace, service, wait
from harness.program import BINARY, hauberk, run


class Server:
    """A running `hauberk echo` on a free port of this machine."""

    def __init__(self, start, *options):
        command = [BINARY, "echo", "--listen", "127.0.0.1:0", *options]
        self.program = start("echo", command)
        found = self.program.wait_for_log(r"^listening on 127\.0\.0\.1:(\d+)$")
        self.port = int(found.group(1))
        self.url = f"http://127.0.0.1:{self.port}/"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 10)


@pytest.fixture
def echo(start, private_namespaces):
    """echo(*options): a Server."""
    return lambda *options: Server(start, *options)


def load_json(*arguments, status=0):
    done = hauberk("load", "--json", *arguments)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_load_sends_the_planned_requests_and_counts_every_reply(echo):
    report = load_json("-c", "4", "-qps", "400", "-t", "500ms", echo().url)
    assert report["DurationHistogram"]["Count"] == 200
    assert report["RetCodes"] == {"200": 200}
    assert sum(bin["Count"] for bin in report["DurationHistogram"]["Data"]) == 200


def test_load_sends_exactly_n_requests(echo):
    report = load_json("-c", "3", "-qps", "0", "-n", "1000", echo().url)
    assert report["RetCodes"] == {"200": 1000}


def test_no_reply_is_faster_than_the_delay_of_the_server(echo):
    report = load_json("-c", "4", "-qps", "80", "-t", "1s", echo("--delay", "50ms").url)
    assert report["DurationHistogram"]["Min"] >= 0.05


def test_percentiles_do_not_fall(echo):
    report = load_json("-qps", "500", "-t", "500ms", echo().url)
    found = report["DurationHistogram"]["Percentiles"]
    assert [entry["Percentile"] for entry in found] == [50, 75, 90, 99, 99.9]
    values = [entry["Value"] for entry in found]
    assert values == sorted(values)


def test_load_without_a_server_fails_and_names_the_address(private_namespaces):
    done = hauberk("load", "-t", "200ms", "http://127.0.0.1:9/")
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr


def test_a_server_that_closes_after_ten_requests_is_connected_to_again(private_namespaces):
    def answer_ten(connection):
        for _ in range(10):
            if not connection.recv(65536):
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with service.Service(namespace.Here(), "127.0.0.1", 7800, answer_ten) as server:
        done = hauberk("load", "-c", "1", "-qps", "0", "-n", "50", "--json",
                       "http://127.0.0.1:7800/")
    report = json.loads(done.stdout)
    assert sum(report["RetCodes"].values()) == 50
    assert report["RetCodes"]["200"] >= 45
    assert len(server.peers) >= 5


@pytest.mark.parametrize(
    "arguments, found",
    [
        (["-c", "0", "http://127.0.0.1/"], "0 connections"),
        (["-c", "many", "http://127.0.0.1/"], "many"),
        (["-t", "soon", "http://127.0.0.1/"], "soon"),
        (["--fly", "http://127.0.0.1/"], "--fly"),
        (["gopher://127.0.0.1/"], "gopher"),
        ([], "URL"),
    ],
)
def test_a_wrong_command_line_of_load_is_a_usage_error(arguments, found):
    done = hauberk("load", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert found in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_echo_ends_by_signal_with_status_0(echo, number):
    server = echo()
    with server.connect() as idle:
        server.program.signal(number)
        assert server.program.wait_exit() == 0
        assert idle.recv(1) == b""


def test_echo_answers_with_as_many_bytes_as_asked_for(echo):
    with echo("--size", "70000").connect() as connection:
        assert len(http.request(connection).body) == 70000


def test_echo_tells_the_caller_who_it_is(echo):
    with echo().connect() as connection:
        reply = http.request(connection, path="/whoami", headers={"X-Test": "seen"})
        assert reply.status == 200
        assert str(connection.getsockname()[1]) in reply.text
        assert "seen" in reply.text


def test_echo_answers_requests_that_come_together_in_their_order(echo):
    with echo().connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        received = b""
        while received.count(b"\r\n\r\nok") < 3:
            piece = connection.recv(65536)
            assert piece, received
            received += piece


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 200000 + b"\r\n\r\n",
    ],
    ids=["no request", "no length", "endless header"],
)
def test_echo_refuses_what_is_no_request_and_serves_the_next(echo, request_bytes):
    server = echo()
    with server.connect() as connection:
        try:
            connection.sendall(request_bytes)
            answer = service.read_to_end(connection)
        except ConnectionError:
            answer = b""
        assert answer == b"" or re.match(rb"HTTP/1\.1 (4\d\d|505) ", answer)
    with server.connect() as connection:
        assert http.request(connection).status == 200


def test_echo_returns_and_swallows_and_sends_tcp_bytes(start, private_namespaces):
    with Server(start, "--tcp").connect() as connection:
        connection.sendall(b"there and back")
        connection.shutdown(socket.SHUT_WR)
        assert service.read_to_end(connection) == b"there and back"
    with Server(start, "--source", "1000000").connect() as connection:
        assert len(service.read_to_end(connection)) == 1000000
    with Server(start, "--sink").connect() as connection:
        connection.sendall(b"x" * 1000000)
        connection.shutdown(socket.SHUT_WR)
        assert service.read_to_end(connection) == b""


def test_curl_and_wrk_are_served_by_echo(echo, peer_program):
    server = echo()
    curl = run(peer_program("curl"), "-sS", server.url)
    assert curl == "ok"
    wrk = run(peer_program("wrk"), "-t1", "-c10", "-d1", server.url)
    assert re.search(r"(\d+) requests in", wrk).group(1) != "0"
    assert "Non-2xx" not in wrk and "Socket errors" not in wrk



def test_a_stall_of_the_server_is_seen_by_all_requests_that_it_met(echo):
    """The server stands still for a second. From when they were due, hundreds of requests were
    slow; counted from when they were sent, only those few that were under way."""
    server = echo()
    runner = subprocess.Popen(
        [BINARY, "load", "--json", "-c", "4", "-qps", "500", "-t", "6s", "-timeout", "20s",
         server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert runner.stderr.readline() == "started over 4 connections\n"
    assert "done" in runner.stderr.readline()  # a second of the run has passed
    server.program.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    wait.until(lambda: time.monotonic() - stopped > 1, "a second")
    server.program.signal(signal.SIGCONT)
    report = json.loads(runner.communicate(timeout=60)[0])
    ours = report["hauberk"]
    assert ours["failed"] == 0 and ours["calls"] == 3000
    assert ours["late_sends"] >= 400
    assert ours["response_us"]["p90"] > 300000
    assert ours["service_us"]["p90"] < 100000
