"""`hauberk bench paper`: short series with the real programs, broken descriptors, its page."""

import csv
import json
import os
import re
import resource
import signal
import subprocess
import time

import pytest

from harness import wait
from harness.program import BINARY, hauberk

# A burst of all connections needs two of its half seconds; what runs as fast as it can needs less.
SHORT = ["--blocks", "1", "--duration", "1s"]
SHORTEST = ["--blocks", "1", "--duration", "500ms"]


@pytest.fixture
def paper(private_namespaces, tmp_path):
    """paper(*options, status=0): runs a series into a folder; returns (folder, standard error)."""

    def run(*options, status=0, folder=tmp_path / "out", **extra):
        done = hauberk("bench", "paper", "-o", folder, *options, timeout=300, **extra)
        assert done.returncode == status, done.stderr
        return folder, done.stderr

    return run


def samples(folder):
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def children_of(pid):
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True,
                           check=True).stdout
    parents = [line.split(None, 2) for line in found.splitlines()]
    family, size = {str(pid)}, 0
    while size != len(family):
        size = len(family)
        family |= {one[0] for one in parents if one[1] in family}
    return {one[0]: one[2] for one in parents if one[0] in family and one[0] != str(pid)}


SIDECARS = ["sidecar-l7", "sidecar-l7-log", "sidecar-l7-plain", "sidecar-tcp-plain",
            "sidecar-tcp-quiet"]


@pytest.fixture(scope="module")
def series(private_namespaces, tmp_path_factory):
    """One series of our own systems, for all tests that only look at what comes out."""
    folder = tmp_path_factory.mktemp("series") / "out"
    done = hauberk("bench", "paper", "-o", folder, *SHORT, "--only",
                   "table2,fig6,fig7,pods", "--systems",
                   ",".join(["node", "node-plain", *SIDECARS]),
                   timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_short_series_measures_every_system_and_writes_its_three_files(series):
    folder = series
    runs = samples(folder)
    assert all(run["ok"] for run in runs), [run for run in runs if not run["ok"]]
    assert len(list(csv.DictReader((folder / "results.csv").open()))) == len(runs)
    runs = [run for run in runs if run["placement"] == "inter" and run["connections"] == 1600
            and run["pods"] == 1 and run["system"] in ("baseline", "node")]
    assert {(run["system"], run["arrivals"]) for run in runs} == {
        ("baseline", "burst"), ("baseline", "uniform"), ("node", "burst"), ("node", "uniform")}
    for run in runs:
        values = run["values"]
        assert values["failed"] == 0 and values["calls"] >= 3200, run
        assert values["p99_ms"] >= 200 and values["fortio_p99_ms"] >= 200, run
        assert values["client_cpu_cores"] > 0 and values["server_cpu_cores"] > 0, run
        # Each side holds its 1,600 connections, an agent holds them twice.
        assert 1600 <= values["client_sockets"] <= 1610, run
        assert 1600 <= values["server_sockets"] <= 1610, run
        assert ("client_agent_private_mib" in values) == (run["system"] == "node"), run
    report = json.loads((folder / "results.json").read_text())
    assert report["indicative"] is True
    assert re.search(r"[\d.]+ us of the client's CPU a request", report["calibration"]), report
    assert {one["name"] for one in report["systems"] if one["measured"]} == {
        "baseline", "node", "node-plain", *SIDECARS}
    assert all(target["verdict"] in ("met", "missed", "unknown") for target in report["targets"])
    page = (folder / "report.html").read_text()
    assert "Table II" in page and "Indicative" in page
    assert "nan" not in page.lower().split("</style>")[1]
    commands = page.split('id="commands"')[1]
    cells = {one["cell"] for one in report["cells"]}
    told = dict(re.findall(r"<li>(.*?): <code>(hauberk bench paper .*?) -o DIR</code>", commands))
    assert set(told) == cells, told
    assert re.fullmatch(r"hauberk bench paper --only table2 --blocks 1 --cores \d,\d "
                        r"--duration 1000ms --systems baseline,node,sidecar-l7",
                        told["inter burst 3200/s 1600c 200ms 1000ms"]), told
    assert "paper: no mesh</td><td>220<" in page and "%%" not in page


def test_the_gateway_stands_as_a_pair_of_sidecars_and_its_variants_in_figure_7_alone(series):
    runs = [run for run in samples(series) if run["system"] in ("baseline", *SIDECARS)]
    assert all(run["ok"] and run["values"]["failed"] == 0 for run in runs), runs
    closed = {run["system"] for run in runs if run["arrivals"] == "closed"}
    assert closed == {"baseline", *SIDECARS}
    assert {run["system"] for run in runs if run["arrivals"] == "uniform"} == {
        "baseline", "sidecar-l7"}
    for run in runs:
        if run["system"] != "baseline":
            assert run["values"]["client_agent_cpu_cores"] > 0, run
            assert run["values"]["server_agent_cpu_cores"] > 0, run
    page = (series / "report.html").read_text()
    tables, rest = page.split("Table III", 1)
    assert "sidecar pair, HTTP" in tables and "plain text" not in tables
    assert "sidecar-l7-plain" in rest and "Figure 7" in rest


def test_the_features_have_their_measured_costs_and_what_was_not_measured_says_so(series):
    page = (series / "report.html").read_text()
    rows = page.split('id="features"')[1].split("</table>")[0].split("<tr><td>")[1:]
    measured = {pair for row in rows if "not measured in this run" not in row
                for pair in re.findall(r"<td>(\S+) &minus; (\S+)</td>", row)}
    assert measured == {
        ("node", "node-plain"), ("node", "baseline"), ("sidecar-l7", "sidecar-l7-plain"),
        ("sidecar-l7-plain", "sidecar-tcp-plain"), ("sidecar-tcp-plain", "sidecar-tcp-quiet"),
        ("sidecar-l7-log", "sidecar-l7")}
    assert sum("not measured in this run" in row for row in rows) >= 5
    values = {run["system"]: run["values"] for run in samples(series)
              if run["arrivals"] == "closed"}
    us = [1e6 * (values[name]["client_agent_cpu_cores"] + values[name]["server_agent_cpu_cores"]) /
          values[name]["achieved_rps"] for name in ("sidecar-l7-log", "sidecar-l7")]
    row = next(row for row in rows if "sidecar-l7-log &minus; sidecar-l7<" in row)
    told = float(re.search(r"([+-][\d.]+) us a request", row).group(1))
    assert told == pytest.approx(us[0] - us[1], abs=0.006)


def test_the_same_load_over_more_pods_is_held_by_one_agent_a_node(series):
    runs = {run["pods"]: run for run in samples(series)
            if run["system"] == "node" and run["arrivals"] == "uniform"}
    assert set(runs) == {1, 10, 50}
    for pods, run in runs.items():
        values = run["values"]
        assert values["calls"] >= 1600, run
        # A hundred processes at once on a busy machine may not all have a processor within their
        # time-outs of 10 s: the clients' for calls, the agents' for the handshake of a tunnel.
        failed_max = values["calls"] / 20 if pods == 50 else 0
        assert values["failed"] <= failed_max, run
        assert (values["failed"] > 0) == ("failed: " in run["why"]), run
        assert 1600 <= values["client_sockets"] <= 1600 + 10 * pods, run
        # An agent holds each of the connections once more, and tunnels, and each pod's listeners.
        assert values["client_agent_sockets"] >= 1600 + 2 * pods, run
        assert values["client_agent_cpu_cores"] > 0 < values["server_agent_cpu_cores"], run
        assert values["client_agent_private_mib"] > 0 < values["server_agent_private_mib"], run
    rows = list(csv.DictReader((series / "results.csv").open()))
    assert {row["pods"] for row in rows} == {"1", "10", "50"}
    cells = {one["cell"]: one["systems"]["node"]["absolute"]
             for one in json.loads((series / "results.json").read_text())["cells"]}
    found = [one for key, one in cells.items() if key.endswith(" 50 pods")]
    assert len(found) == 1 and found[0]["client_agent_mib"]["median"] == pytest.approx(
        runs[50]["values"]["client_agent_private_mib"])
    page = (series / "report.html").read_text().split('id="pods"')[1].split("<h2")[0]
    assert [re.match(r"\d+", row).group() for row in page.split("<tr><td>")[1:]] == [
        "1", "10", "50"]
    assert page.count("<figure") == 2


def test_wireguard_between_the_nodes_encrypts_on_both_and_does_nothing_inside_one(
        paper, find_peer_program):
    find_peer_program("wireguard-go")
    find_peer_program("wg")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("no /dev/net/tun here")
    folder, _ = paper(*SHORT, "--only", "table1,fig7", "--systems", "wireguard")
    runs = [run for run in samples(folder) if run["system"] == "wireguard"]
    assert [run["placement"] for run in runs] == ["inter"]
    values = runs[0]["values"]
    assert runs[0]["ok"] and values["failed"] == 0 and values["calls"] > 0, runs
    # What is encrypted by a program costs that program time, on either node.
    assert values["client_agent_cpu_cores"] > 0.02 < values["server_agent_cpu_cores"], values
    assert "it encrypts between nodes, and nothing inside one" in (
        folder / "report.html").read_text()


def test_fortio_and_a_go_server_are_the_control_of_the_papers_cell(paper, peer_program):
    folder, _ = paper(*SHORT, "--only", "table2", "--systems", "fortio", "--binary",
                      f"fortio={peer_program('hbk-fortio')}")
    runs = [run for run in samples(folder) if run["system"] == "fortio"]
    assert [(run["placement"], run["arrivals"]) for run in runs] == [("inter", "burst")]
    values = runs[0]["values"]
    assert runs[0]["ok"] and values["failed"] == 0 and values["calls"] >= 3200, runs
    assert values["fortio_p99_ms"] >= 200 and values["client_sockets"] >= 1600, values
    assert values["client_cpu_cores"] > 0 and values["server_cpu_cores"] > 0, values
    assert runs[0]["command"].startswith("hbk-fortio load"), runs
    page = (folder / "report.html").read_text()
    row = page.split("<td>control: Fortio and a Go server</td>")[1].split("</tr>")[0]
    assert re.match(r"\s*<td>[+-]\d", row), row
    report = json.loads((folder / "results.json").read_text())
    versions = {one["name"]: one["version"] for one in report["systems"]}
    assert re.fullmatch(r"fortio v\d+\.\d+\.\d+, server of go\d+\.\S+ net/http",
                        versions["fortio"]), versions
    assert f"<td>{versions['fortio']}</td>" in page


def test_an_agent_that_is_slowed_down_misses_its_target(private_namespaces, tmp_path, start):
    folder = tmp_path / "out"
    series = start("series", [BINARY, "bench", "paper", "-o", folder, "--blocks", "1", "--duration",
                              "1500ms", "--only", "table2", "--systems", "node"])

    def agents():
        return [int(pid) for pid, command in children_of(series.pid).items()
                if " node --mesh " in command]

    def is_loaded():
        return agents() and [1 for command in children_of(series.pid).values()
                             if " load --arrival " in command]

    # While an agent carries load it stands still most of the time.
    while series.is_running():
        if is_loaded():
            for number, pause_s in ((signal.SIGSTOP, 0.5), (signal.SIGCONT, 0.2)):
                for pid in agents():
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        pass
                time.sleep(pause_s)
        else:
            time.sleep(0.05)
    report = json.loads((folder / "results.json").read_text())
    verdicts = {target["target"]: target["verdict"] for target in report["targets"]}
    found = [verdict for text, verdict in verdicts.items() if "P99 in Fortio's" in text]
    assert found == ["missed", "missed"], verdicts
    assert 'class="verdict missed"' in (folder / "report.html").read_text()


BROKEN = {
    "missing": ("name: missing\ntitle: t\nbinary: /no/such/program\nencrypts: true\nprocesses:\n"
                "- {name: p, side: client, command: [], port: 15001}\n", None),
    "dies": ("name: dies\ntitle: t\nbinary: /bin/false\nencrypts: true\nprocesses:\n"
             "- {name: p, side: client, command: [], port: 15001}\n", "ended at its start"),
    "typo": ("name: typo\ntitle: t\nbinary: /bin/sleep\nencrypts: true\nprocesses:\n"
             "- {name: p, side: client, command: [\"@TIEM@\"], port: 15001}\n", "@TIEM@"),
    "template": ("name: template\ntitle: t\nbinary: /bin/sleep\nencrypts: true\n"
                 "files: {a: \"@WHERE@\"}\nprocesses:\n"
                 "- {name: p, side: client, command: [\"9\"], port: 15001}\n", "@WHERE@"),
    "taken": ("name: taken\ntitle: t\nbinary: /usr/bin/python3\nencrypts: true\nprocesses:\n"
              "- {name: first, side: client, command: [\"-m\", \"http.server\", \"15001\"], "
              "port: 15001}\n"
              "- {name: second, side: client, command: [\"-m\", \"http.server\", \"15001\"], "
              "port: 15001}\n", "port 15001 is in use"),
    "deaf": ("name: deaf\ntitle: t\nbinary: /bin/sleep\nencrypts: true\nprocesses:\n"
             "- {name: p, side: client, command: [\"54321\"], port: 15001, "
             "ready_within_s: 1}\n", "it never accepted connections"),
    "silent": ("name: silent\ntitle: t\nbinary: /bin/sleep\nencrypts: true\nprocesses:\n"
               "- {name: p, side: client, command: [\"54321\"], ready_file: \"@DIR@/no\", "
               "ready_within_s: 1}\n", "its ready_file never appeared"),
    "leaks": ("name: leaks\ntitle: t\nbinary: /bin/sh\nencrypts: true\nprocesses:\n"
              "- {name: p, side: client, command: [\"-c\", \"sleep 12345 & exit 1\"], "
              "port: 15001}\n", "ended at its start"),
}


def test_broken_systems_fail_alone_and_leave_nothing_behind(paper, tmp_path):
    files = []
    for name, (text, _) in BROKEN.items():
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(text)
    folder, complaints = paper(*SHORTEST, "--only", "fig7", "--systems",
                               ",".join(["node", "sidecar-tcp", *map(str, files)]))
    runs = {run["system"]: run for run in samples(folder)}
    assert runs["baseline"]["ok"] and runs["node"]["ok"] and runs["sidecar-tcp"]["ok"]
    assert "/no/such/program" in complaints and "missing" not in runs
    for name, (_, found) in BROKEN.items():
        if found is not None:
            assert not runs[name]["ok"] and found in runs[name]["why"], runs[name]
    left = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    for command in ("sleep 12345", "sleep 54321", "http.server 15001"):
        assert command not in left


@pytest.mark.parametrize("text, found", [
    ("name: x\n", "x.yaml:1"),
    ("name: x\ntitle: t\nbinary: b\nencrypts: maybe\nprocesses: []\n", "x.yaml:4"),
])
def test_a_descriptor_with_errors_is_refused_with_its_line(paper, tmp_path, text, found):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    _, complaints = paper(*SHORT, "--systems", file, status=1)
    assert found in complaints


# Ctrl-C has a test of its own below, in every stage.
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_series_leaves_no_process_and_goes_on(private_namespaces, tmp_path, start,
                                                             number):
    folder = tmp_path / "out"
    command = [BINARY, "bench", "paper", "-o", folder, *SHORTEST, "--only", "fig7", "--systems",
               "node"]
    series = start("series", command)
    family = {}

    def is_loaded():
        family.update(children_of(series.pid))
        done = (folder / "samples.jsonl").exists()
        return done and any(" load --arrival " in command for command in family.values())

    wait.until(is_loaded, "the second run to begin")
    os.kill(series.pid, number)
    series.wait_exit()
    wait.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family),
               "all its processes to end")
    before = samples(folder)
    assert len(before) == 1
    done = hauberk(*command[1:], timeout=120)
    assert done.returncode == 1 and "--resume" in done.stderr
    done = hauberk(*command[1:], "--resume", "--cores", "0,0", timeout=120)
    assert done.returncode == 1 and "cannot be resumed" in done.stderr
    done = hauberk(*command[1:], "--resume", timeout=120)
    assert done.returncode == 0, done.stderr
    after = samples(folder)
    assert len(after) == 2 and after[0] == before[0]
    assert (folder / "report.html").exists()


STAGES = {
    "the mesh starts": lambda family, lines: any(" node --mesh " in one for one in family),
    "the server is there": lambda family, lines: any(" echo --listen " in one for one in family),
    "the load runs": lambda family, lines: any(" load --arrival " in one for one in family),
    "a run has been kept": lambda family, lines: lines > 0,
}


def test_ctrl_c_in_any_stage_leaves_nothing_and_the_rest_is_measured_once(
        private_namespaces, tmp_path, start):
    folder = tmp_path / "out"
    command = [BINARY, "bench", "paper", "-o", folder, "--duration", "500ms", "--blocks", "2",
               "--only", "fig7", "--systems", "node", "--resume"]
    named = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()

    def kept():  # whole lines, since one may be half written
        lines = folder / "samples.jsonl"
        return lines.read_text().count("\n") if lines.exists() else 0

    before = []
    for stage, is_reached in STAGES.items():
        series = start(f"series until {stage}", command)
        seen = {}

        def has_come():
            seen.update(children_of(series.pid))
            current = list(children_of(series.pid).values())
            assert series.is_running(), f"it ended before {stage}"
            return is_reached(current, kept() - len(before))

        wait.until(has_come, f"the stage in which {stage}")
        os.kill(series.pid, signal.SIGINT)
        series.wait_exit()
        wait.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in seen),
                   f"all processes to end after {stage}")
        found = samples(folder) if kept() else []
        assert found[:len(before)] == before  # what was kept stays as it was
        before = found
    assert (set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()) == named
    done = hauberk(*command[1:], timeout=120)
    assert done.returncode == 0, done.stderr
    runs = samples(folder)
    assert runs[:len(before)] == before
    good = [(run["system"], run["block"]) for run in runs if run["ok"]]
    assert sorted(good) == [(system, block) for system in ("baseline", "node") for block in (0, 1)]


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(paper):
    started = time.monotonic()
    _, complaints = paper(*SHORT, folder="/proc/no-such-folder", status=1)
    assert "/proc/no-such-folder" in complaints
    assert time.monotonic() - started < 30


def test_a_full_disk_ends_the_series_with_its_reason(paper):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    _, complaints = paper(*SHORTEST, "--only", "fig7", "--systems", "node", status=1,
                          preexec_fn=limit)
    assert "limit" in complaints or "samples.jsonl" in complaints or "File too large" in complaints


def test_one_core_is_enough(paper):
    folder, _ = paper(*SHORTEST, "--only", "fig7", "--systems", "node", "--cores", "0,0",
                      preexec_fn=lambda: os.sched_setaffinity(0, {0}))
    assert all(run["ok"] for run in samples(folder))


# What stands in these files is no number: whoever read one would fail or tell something else.
CONTROL_GROUPS = {
    "none seen": [],
    "version 1": ["cpu/cpuacct.usage", "cpuacct/cpuacct.usage", "memory/memory.usage_in_bytes"],
}


@pytest.mark.parametrize("told", CONTROL_GROUPS)
def test_without_control_groups_or_with_their_first_version_everything_is_measured(
        series, tmp_path, told):
    script = "mount -t tmpfs none /sys/fs/cgroup && cd /sys/fs/cgroup && " + "".join(
        f"mkdir -p {os.path.dirname(file)} && echo nothing > {file} && "
        for file in CONTROL_GROUPS[told]) + 'cd / && exec "$0" "$@"'
    folder = tmp_path / "out"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, BINARY, "bench", "paper", "-o", folder,
         *SHORTEST, "--only", "fig7", "--systems", "node"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "results.json").read_text())["machine"]["Control groups"] == told
    runs = {run["system"]: run for run in samples(folder)}
    assert set(runs) == {"baseline", "node"} and all(run["ok"] for run in runs.values()), runs
    usual = {run["system"]: run for run in samples(series) if run["arrivals"] == "closed"}
    for system, run in runs.items():
        assert set(run["values"]) == set(usual[system]["values"])
        assert run["values"]["client_cpu_cores"] > 0 < run["values"]["server_private_mib"], run
    agent = runs["node"]["values"]
    assert agent["client_agent_cpu_cores"] > 0 < agent["client_agent_private_mib"], agent


def test_two_builds_are_compared_by_naming_the_program_of_a_system(paper, tmp_path):
    build = tmp_path / "build" / "hauberk"
    build.parent.mkdir()
    build.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/started\nexec {BINARY} "$@"\n')
    build.chmod(0o755)
    folder, _ = paper(*SHORTEST, "--only", "fig7", "--systems", "node,sidecar-tcp", "--binary",
                      f"node={build}", "--binary", f"sidecar-tcp={build}")
    assert all(run["ok"] for run in samples(folder)), samples(folder)
    started = (tmp_path / "started").read_text()
    assert started.count("node --mesh") == 2 and started.count("gateway -c") == 2, started
    report = json.loads((folder / "results.json").read_text())
    versions = {one["name"]: one["version"] for one in report["systems"]}
    for name in ("node", "sidecar-tcp"):
        assert re.fullmatch(rf"hauberk \d[\w.]* \({re.escape(str(build))}\)", versions[name])
    # What was measured with this build is not gone on with by another one.
    _, complaints = paper(*SHORTEST, "--only", "fig7", "--systems", "node,sidecar-tcp", "--resume",
                          status=1)
    assert "cannot be resumed" in complaints


@pytest.mark.parametrize("given, found", [
    ("nobody=/bin/true", 'no system of this series is called "nobody"'),
    ("baseline=/bin/true", "load and echo"),
])
def test_a_binary_for_nobody_is_refused(paper, given, found):
    _, complaints = paper("--systems", "node", "--binary", given, status=1)
    assert given in complaints and found in complaints


def test_two_results_are_compared_and_a_worse_one_is_a_status(tmp_path):
    def write(name, cpu):
        folder = tmp_path / name
        folder.mkdir()
        lines = [json.dumps({
            "system": "node", "block": block, "placement": "inter", "arrivals": "burst",
            "rate": 3200, "connections": 1600, "delay_ms": 200, "duration_ms": 4000, "ok": True,
            "why": "", "command": "", "values": {
                "client_cpu_cores": cpu + block / 1000, "server_cpu_cores": 0.1,
                "client_private_mib": 8, "server_private_mib": 8, "p99_ms": 205}})
            for block in range(6)]
        (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
        return folder

    before, same, worse = write("before", 0.1), write("same", 0.1), write("worse", 0.15)
    done = hauberk("bench", "compare", before, same)
    assert done.returncode == 0 and "WORSE" not in done.stdout
    done = hauberk("bench", "compare", "--json", before, worse)
    assert done.returncode == 3
    rows = {row["quantity"]: row for row in json.loads(done.stdout)}
    assert rows["client-cpu"]["worse"] and rows["client-cpu"]["ratio"] == pytest.approx(1.48, 0.02)
    assert not rows["server-cpu"]["worse"]
    assert hauberk("bench", "compare", "--tolerance", "60", before, worse).returncode == 0
    assert hauberk("bench", "compare", before, tmp_path).returncode == 1


def fabricated(system, block, placement, arrivals):
    """A run as samples.jsonl keeps it, with figures as wide as real ones."""
    wide = 1 + block / 7
    values = {
        "achieved_rps": 3187.53 - block, "calls": 9600, "failed": 0, "p50_ms": 201.3 * wide,
        "p99_ms": 1203.7 * wide, "service_p50_ms": 200.9, "service_p99_ms": 1203.1,
        "fortio_p50_ms": 224.8, "fortio_p99_ms": 1247.9 * wide, "lateness_p99_ms": 0.4,
        "client_cpu_cores": 0.157 * wide, "server_cpu_cores": 0.162 * wide,
        "client_agent_cpu_cores": 0.213 * wide, "server_agent_cpu_cores": 0.231 * wide,
        "softirq_cores": 0.1, "uncharged_cores": 0.012 * wide, "client_private_mib": 12.4 * wide,
        "server_private_mib": 11.2 * wide, "client_agent_private_mib": 115.3 * wide,
        "server_agent_private_mib": 117.9 * wide, "client_sockets": 1602, "server_sockets": 1603,
        "client_agent_sockets": 3204, "server_agent_sockets": 3207, "kernel_mib": 96.1 * wide,
        "window_s": 1.7}
    return {"system": system, "block": block, "placement": placement, "arrivals": arrivals,
            "rate": 3200, "connections": 1600, "delay_ms": 200, "duration_ms": 2000, "ok": True,
            "why": "", "command": "hauberk load " + "x" * 300, "values": values}


def test_no_table_is_wider_than_the_page_on_a_screen_or_a_telephone(paper, find_peer_program,
                                                                    tmp_path):
    browser = find_peer_program("chromium")
    systems = ["baseline", "baseline-mtls", "node", "sidecar-tcp", "sidecar-l7"]
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "samples.jsonl").write_text("".join(
        json.dumps(fabricated(system, block, placement, arrivals)) + "\n"
        for system in systems for block in range(3) for placement in ("intra", "inter")
        for arrivals in ("burst", "uniform")))
    missing = tmp_path / "missing.yaml"
    missing.write_text(BROKEN["missing"][0].replace("title: t", "title: a pair of proxies"))
    paper("--only", "table1,table2", "--systems", ",".join([*systems, str(missing)]), "--resume")
    page = (folder / "report.html").read_text()
    assert "<small>+" in page and "not available here, because: left out: /no/such/program" in page
    (tmp_path / "measured.html").write_text(page.replace("</body>", """<script>
        const found = [...document.querySelectorAll("table")].map(table => ({
            columns: table.rows[0].cells.length,
            table: table.offsetWidth, box: table.parentElement.clientWidth,
            right: table.parentElement.getBoundingClientRect().right}));
        parent.postMessage(JSON.stringify({width: innerWidth, tables: found,
            page: document.documentElement.scrollWidth}), "*");
        </script></body>"""))
    (tmp_path / "frames.html").write_text("<pre></pre>" + "".join(
        f'<iframe src="measured.html" style="width:{width}px;height:900px;border:0"></iframe>'
        for width in (1200, 400)) + """<script>addEventListener("message", event => {
            document.querySelector("pre").textContent += event.data + "\\n"});</script>""")
    dom = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu",
                          "--allow-file-access-from-files", "--virtual-time-budget=20000",
                          f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                          f"file://{tmp_path / 'frames.html'}"],
                         capture_output=True, text=True, timeout=120, check=True).stdout
    measured = {one["width"]: one for one in map(
        json.loads, re.search(r"<pre>(.*?)</pre>", dom, re.DOTALL).group(1).split())}
    assert set(measured) == {1200, 400}, dom[:2000]
    for width, one in measured.items():
        assert one["page"] <= width, one  # the page itself never scrolls sideways
        assert len(one["tables"]) >= 8 and all(
            table["right"] <= width for table in one["tables"]), one
    # On a screen every table fits; a telephone scrolls the wide ones within their boxes.
    assert all(table["table"] <= table["box"] for table in measured[1200]["tables"]), measured[1200]


def test_figure_8_has_two_lines_and_tells_the_difference_of_their_slopes(paper, tmp_path):
    """All points but one are there already; that one is measured."""
    folder = tmp_path / "out"
    folder.mkdir()
    points = [(system, placement, count) for system in ("node", "node-plain")
              for placement in ("inter", "intra") for count in (1000, 1600, 2400, 3200)]
    slopes_kib = {"node": 3, "node-plain": 1}
    with (folder / "samples.jsonl").open("w") as lines:
        for system, placement, count in points:
            if (system, placement, count) != ("node-plain", "inter", 1000):
                run = fabricated(system, 0, placement, "burst")
                run |= {"connections": count, "duration_ms": max(500, 2000 * count // 3200)}
                mib = 2 + slopes_kib[system] * count / 1024
                run["values"] |= {"client_agent_private_mib": mib, "server_agent_private_mib": mib}
                lines.write(json.dumps(run) + "\n")
    paper(*SHORTEST, "--only", "fig8", "--systems", "node,node-plain", "--resume")
    runs = samples(folder)
    assert len(runs) == len(points) and all(run["ok"] for run in runs), runs[-1]
    values = runs[-1]["values"]
    assert values["failed"] == 0, runs[-1]
    # A relay of plain text holds a socket on either side for each connection.
    assert values["client_agent_sockets"] >= 2000 <= values["server_agent_sockets"], values
    part = (folder / "report.html").read_text().split('id="figure8"')[1].split("<h3")[0]
    assert part.count("<figure") == 6 and "ot measured" not in part
    assert part.count(" MiB without any, R&sup2; ") == 12
    assert part.count("so mutual TLS adds ") == 6
    inside = part.split("the one agent, private memory:")[1]
    assert "with mutual TLS: 3.00 KiB a connection" in inside
    assert "switched off: 1.00 KiB a connection" in inside
    assert "so mutual TLS adds +2.00 KiB to each connection" in inside


def test_the_page_opens_in_a_browser_and_shows_its_figures(series, find_peer_program, tmp_path):
    browser = find_peer_program("chromium")
    folder = series
    common = [browser, "--headless", "--no-sandbox", "--disable-gpu",
              f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,6000"]
    page = f"file://{folder / 'report.html'}"
    dom = subprocess.run([*common, "--dump-dom", page], capture_output=True, text=True, timeout=120,
                         check=True).stdout
    for name in [*(f"table{number}" for number in (1, 2, 3)),
                 *(f"figure{number}" for number in range(2, 13))]:
        assert f'id="{name}"' in dom, name
    drawn = dict(re.findall(r'<h3 id="(figure\d+)">.*?</h3>\s*(<figure|<p)', dom, re.DOTALL))
    assert {name for name, tag in drawn.items() if tag == "<figure"} >= {
        "figure6", "figure7"}
    assert "http" not in re.sub(r'xmlns="[^"]*"|<code>.*?</code>|<td>.*?</td>', "",
                                dom.split("</style>")[1])  # nothing is fetched
    picture = tmp_path / "page.png"
    subprocess.run([*common, f"--screenshot={picture}", page], capture_output=True, timeout=120,
                   check=True)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.stat().st_size > 50000
