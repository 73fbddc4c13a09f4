#!/usr/bin/python3
"""bench_load.py [--seconds N] [--rounds N] [--connections N] [--cores SERVER,CLIENT]: what a
request costs `hauberk load` and wrk, in turn, against one `hauberk echo` over kept-alive HTTP/1.1.

Client and server have a core each. What counts is requests per second of the client's CPU, user and
kernel, which other work on the machine disturbs less than the rate; medians of the rounds.
"""

import argparse
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys

HAUBERK = os.environ.get(
    "HBK_BINARY", str(pathlib.Path(__file__).resolve().parent.parent / "build" / "hauberk"))


def client_cpu_s(command, core):
    """Runs a client on a core to its end; returns its output and the CPU seconds it used."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["taskset", "-c", str(core), *command], capture_output=True, text=True,
                          check=True, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def measure(name, options, url):
    seconds, connections = str(options.seconds), str(options.connections)
    if name == "wrk":
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", url]
        pattern = r"(\d+) requests in"
    else:
        command = [HAUBERK, "load", "-quiet", "-c", connections, "-qps", "0", "-t", seconds + "s",
                   url]
        pattern = r"requests\s+(\d+)"
    output, cpu_s = client_cpu_s(command, options.cores[1])
    requests = int(re.search(pattern, output).group(1))
    return requests / options.seconds, requests / cpu_s


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--cores", type=lambda text: list(map(int, text.split(","))),
                        default=[0, os.cpu_count() - 1])
    options = parser.parse_args()
    found = {"hauberk load": [], "wrk": []}
    with subprocess.Popen(["taskset", "-c", str(options.cores[0]), HAUBERK, "echo", "--listen",
                           "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip().rsplit(":", 1)[1]
            for _ in range(options.rounds):
                for name in found:
                    found[name].append(measure(name, options, f"http://127.0.0.1:{port}/"))
        finally:
            server.terminate()
    print(f"{'':14}{'requests/s':>14}{'per CPU second':>18}")
    medians = {}
    for name, rounds in found.items():
        medians[name] = [statistics.median(column) for column in zip(*rounds)]
        print(f"{name:14}{medians[name][0]:14,.0f}{medians[name][1]:18,.0f}")
    ratio = medians["hauberk load"][1] / medians["wrk"][1]
    print(f"hauberk load makes {ratio:.2f} times as many requests as wrk with the same CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
