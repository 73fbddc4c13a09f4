"""`hauberk load` against Fortio itself: its arithmetic, its schedule, its readers of results."""

import json
import os
import pathlib
import random
import subprocess
import urllib.request

import pytest

from harness import wait
from harness.program import BINARY, hauberk

TOOL = pathlib.Path(BINARY).resolve().parent / "tests" / "fortio_histogram"


@pytest.fixture
def fortio(peer_program):
    return peer_program("hbk-fortio")


def samples(kind):
    numbers = random.Random(kind)
    return {
        "server of 200 ms": [0.2005 + numbers.expovariate(1000) for _ in range(5000)] + [0.24],
        "whole units": [count / 1000 for count in range(0, 300)] * 2,
        "microseconds": [numbers.expovariate(20000) for _ in range(20000)],
        "beyond the buckets": [0.05, 99, 100, 101, 250, 1000],
        "one": [0.123456789],
        "negative and zero": [-1, 0, 0.0005, 0.0011],
        "long tail": [numbers.paretovariate(1.1) / 1000 for _ in range(3000)],
    }[kind]


def run_histogram(command, values):
    text = "\n".join(map(repr, values))
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True,
                          timeout=60)
    return json.loads(done.stdout)


def flat(histogram):
    """All numbers of an exported histogram, in order, with their names."""
    for name in ("Count", "Min", "Max", "Sum", "Avg", "StdDev"):
        yield name, histogram[name]
    for place, bucket in enumerate(histogram["Data"]):
        for name in ("Start", "End", "Percent", "Count"):
            yield f"bucket {place} {name}", bucket[name]
    for entry in histogram["Percentiles"]:
        yield f"p{entry['Percentile']}", entry["Value"]


@pytest.mark.parametrize("unit, offset", [(0.001, 0), (0.0001, 0), (1e-6, 0), (0.001, 0.2)])
@pytest.mark.parametrize("kind", [
    "server of 200 ms", "whole units", "microseconds", "beyond the buckets", "one",
    "negative and zero", "long tail",
])
def test_buckets_and_percentiles_are_fortios_to_nine_digits(fortio, kind, unit, offset):
    values = samples(kind)
    theirs = run_histogram([fortio, "histogram", "-r", str(unit), "-offset", str(offset)], values)
    ours = run_histogram([TOOL, str(unit), str(offset)], values)
    theirs, ours = list(flat(theirs)), list(flat(ours))
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    for (name, found), (_, expected) in zip(ours, theirs):
        # A deviation is a small difference of large sums; Fortio's own last digits are noise.
        tolerance = 1e-6 if name == "StdDev" else 1e-9
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance), name


@pytest.fixture
def server(start, fortio, private_namespaces):
    """server(*options): the URL of the paper's server."""

    def begin(*options):
        running = start("server", [fortio, "server", *options])
        address = running.wait_for_log(r"^listening on (\S+)$").group(1)
        return f"http://{address}/"

    return begin


SCHEDULES = [
    ["-c", "8", "-qps", "100", "-t", "1s"],
    ["-c", "8", "-qps", "100", "-t", "1s", "-uniform"],
    ["-c", "16", "-qps", "10", "-t", "1s"],  # lowered to 5 connections
    ["-c", "3", "-qps", "50", "-n", "20"],
    ["-c", "4", "-qps", "0", "-n", "50"],
    ["-c", "4", "-qps", "40", "-t", "1s", "-nocatchup"],
]


@pytest.mark.parametrize("flags", SCHEDULES, ids=" ".join)
def test_a_run_in_fortios_manner_makes_fortios_calls(server, fortio, flags):
    url = server("-delay", "5ms")
    theirs = json.loads(subprocess.run([fortio, "load", *flags, url], capture_output=True,
                                       text=True, check=True, timeout=60).stdout)
    done = hauberk("load", "--fortio", "--json", "-quiet", *flags, url)
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)
    for key in ("RunType", "RequestedQPS", "RequestedDuration", "RetCodes", "Exactly", "Uniform",
                "NoCatchUp", "Jitter", "NumConnections"):
        assert ours[key] == theirs[key], key
    found, expected = ours["DurationHistogram"], theirs["DurationHistogram"]
    assert found["Count"] == expected["Count"]
    assert found.keys() == expected.keys()
    assert [set(bucket) for bucket in found["Data"]] and found["Data"][0].keys() == \
        expected["Data"][0].keys()
    assert ours["Sizes"]["Avg"] > 0 and ours["hauberk"]["response_us"]["p99"] >= 5000


def test_every_key_that_fortio_writes_is_written(server, fortio):
    url = server()
    theirs = json.loads(subprocess.run([fortio, "load", "-t", "1s", url], capture_output=True,
                                       text=True, check=True, timeout=60).stdout)
    done = hauberk("load", "--fortio", "--json", "-quiet", "-t", "1s", url)
    ours = json.loads(done.stdout)
    # Of Fortio's own inner life: its resolver, its log, its clients, its list of addresses.
    not_ours = {"Insecure", "MTLS", "CACert", "Cert", "Key", "UnixDomainSocket", "Resolve",
                "FollowRedirects", "UserCredentials", "LogErrors", "NoResolveEachConn",
                "IPCountMap", "Sockets", "TLSMinVersion", "TLSMaxVersion"}
    assert set(theirs) - set(ours) <= not_ours
    for key in set(theirs) & set(ours) - {"Labels", "Version"}:
        assert isinstance(ours[key], type(theirs[key])) or \
            {type(ours[key]), type(theirs[key])} <= {int, float}, key


def test_fortios_report_reads_our_results(start, fortio, server, tmp_path):
    url = server()
    folder = tmp_path / "results"
    folder.mkdir()
    done = hauberk("load", "-quiet", "-a", "-data-dir", folder, "-labels", "ours here", "-t",
                   "500ms", "-qps", "100", url)
    assert done.returncode == 0, done.stderr
    (name,) = os.listdir(folder)
    assert name.endswith("_ours_here.json")
    report = start("report", [fortio, "report", "127.0.0.1:0", folder])
    address = report.wait_for_log(r"http://(127\.0\.0\.1:\d+)/").group(1)

    def page(path):
        return lambda: urllib.request.urlopen(f"http://{address}/{path}", timeout=10).read()

    assert name.encode() in wait.until(page(""), "the list of results")
    served = json.loads(page(f"data/{name}")())
    assert served["DurationHistogram"]["Count"] == 50
    assert served["Labels"] == "ours here"


def test_fortio_with_a_go_server_is_the_control_of_our_pair(start, fortio, server, capsys):
    """The same cell by the paper's own pair; both must make the same calls, and the report shows
    how far the two pairs lie apart."""
    cell = ["-qps", "400", "-c", "200", "-t", "3s"]
    theirs = json.loads(subprocess.run(
        [fortio, "load", *cell, "-timeout", "10s", server("-delay", "200ms")], capture_output=True,
        text=True, check=True, timeout=60).stdout)
    echo = start("echo", [BINARY, "echo", "--listen", "127.0.0.1:0", "--delay", "200ms", "--size",
                          "30"])
    port = echo.wait_for_log(r"^listening on .*:(\d+)$").group(1)
    done = hauberk("load", "--fortio", "-quiet", "--json", *cell, "-timeout", "10s",
                   f"http://127.0.0.1:{port}/")
    ours = json.loads(done.stdout)
    assert ours["RetCodes"] == theirs["RetCodes"] == {"200": 1200}
    p99 = [{entry["Percentile"]: entry["Value"]
            for entry in one["DurationHistogram"]["Percentiles"]}[99] for one in (theirs, ours)]
    assert all(value >= 0.2 for value in p99)
    with capsys.disabled():
        print(f"\ncontrol: P99 of Fortio and Go {p99[0]:.4f} s, of ours {p99[1]:.4f} s, "
              f"difference {p99[1] - p99[0]:+.4f} s")
