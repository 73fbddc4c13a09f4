"""The main job: the demonstration and the benchmark, as a user runs them."""

import json
import os
import signal
import subprocess

import pytest

from harness import wait
from harness.program import BINARY, hauberk
from harness.siege import IS_MEMORY_TOLD

# The agents that it starts run under the thread sanitizer in all other tests.
pytestmark = pytest.mark.skipif(
    os.environ.get("HBK_VARIANT") == "tsan",
    reason="the thread sanitizer delays signals of the process that holds the namespaces",
)


def check_report(told):
    failed = [step for step in told["steps"] if step["verdict"] != "passed"]
    assert (failed, told["passed"], len(told["steps"])) == ([], True, 7)
    assert told["captures"]["wire_without_mesh"]["markers"] > 0
    assert told["captures"]["wire_with_mesh"]["markers"] == 0
    assert told["rotation"]["certificates_cart"] >= 3
    if IS_MEMORY_TOLD:
        assert all(agent["private_dirty_bytes"] < 4 << 20 for agent in told["agents"])


def test_the_demonstration_holds_in_all_points_and_says_how_to_look_around(
    private_namespaces, tmp_path
):
    report = tmp_path / "report.json"
    commands = tmp_path / "commands.txt"
    with open(report, "wb") as output, open(commands, "wb") as errors:
        running = subprocess.Popen(
            [BINARY, "demo", "--keep", "--json", "--duration", "1s"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
    try:
        wait.until(
            lambda: "in_place front sh" in commands.read_text() or running.poll() is not None,
            "the commands",
            120,
        )
        check_report(json.loads(report.read_text()))
        lines = commands.read_text().splitlines()
        functions = "\n".join(line for line in lines if "() { " in line)
        ask = next(line for line in lines if "in_place front curl" in line)
        reply = subprocess.run(
            ["bash", "-c", f"{functions}\n{ask}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert reply.stdout.startswith("HTTP/1.1 200"), reply.stderr
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demonstration_and_all_it_started(private_namespaces, number):
    running = subprocess.Popen(
        [BINARY, "demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    # Its first line comes before the first step; whoever holds the pipe is still there.
    assert running.stdout.readline().startswith("Two hosts")
    running.send_signal(number)
    running.stdout.read()
    assert running.wait(timeout=10) == 128 + number


def test_the_benchmark_tells_every_figure_of_every_system(private_namespaces):
    done = hauberk(
        "bench", "path", "--json", "--seconds", "1", "--rounds", "1",
        "--only", "(direct|two-relays|hauberk)/one-core/32$",
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [case["system"] for case in told] == ["direct", "two-relays", "hauberk"]
    for case in told:
        assert (case["mode"], case["connections"], case["errors"]) == ("one-core", 32, 0)
        assert case["achieved_rps"] > 0 and case["total_cpu_us_per_request"] > 0
        assert case["p99_us"] >= case["p50_us"] > 0
    assert told[0]["agent_cpu_us_per_request"] == 0
    assert all(case["agent_cpu_us_per_request"] > 0 for case in told[1:])


def test_the_benchmark_of_handshakes_tells_what_each_engine_did(private_namespaces):
    done = hauberk(
        "bench", "handshakes", "--json", "--seconds", "1", "--rounds", "1", timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(row["engine"], row["mode"]) for row in told] == [
        ("native", "handshakes"),
        ("native", "requests"),
        ("openssl", "handshakes"),
        ("openssl", "requests"),
        (None, "requests"),
    ]
    for row in told[0::2][:2]:
        assert row["handshakes_per_core_second"] > 0 and row["handshakes_per_second"] > 0
        assert row["cpu_us_per_handshake"] > 0 and row["native_to_openssl"] > 0
    for row in told[1::2] + told[-1:]:
        assert (row["handshakes_per_second"] > 0) == (row["engine"] is not None)
        assert row["achieved_rps"] > 0 and row["p99_us"] >= row["p50_us"] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--rate", "0"),
        ("demo", "--duration", "10"),
        ("demo", "word"),
        ("bench",),
        ("bench", "road"),
        ("bench", "path", "--rounds", "99"),
        ("bench", "path", "--only", "("),
        ("bench", "path", "--cores", "0"),
        ("bench", "path", "--engine", "wolfssl"),
        ("bench", "handshakes", "--rounds", "0"),
        ("bench", "handshakes", "--seconds", "1h"),
        ("bench", "handshakes", "now"),
        ("redirect", "apply", "--kind", "node"),
        ("redirect", "print", "--outbound", "80"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_happens(arguments):
    done = hauberk(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr != ""
