"""deploy/grafana: each panel's queries asked of a real Prometheus that scrapes a real gateway."""

import subprocess
import time

from harness import dashboard, program
from harness.tls_gateway import ADMIN_PORT, HELLO, chain, make_pair, serve
from test_gateway_statistics import cpu_has_kernels, plainly, with_provider

PORT, PROMETHEUS = 24000, 24008
# What has no reason to be above zero in a run in which all goes well.
QUIET = {"of these, resumed", "refused", "computed again", "3xx", "4xx", "5xx", "handshakes",
         "connections"}  # fmt: skip


def load(seconds, connections=24, rate=600):
    """New connections all the time: a handshake and a request each."""
    return subprocess.Popen([
        program.BINARY, "load", "-c", str(connections), "-qps", str(rate), "-t", f"{seconds}s",
        "-k", "-keepalive=false", "-quiet", f"https://127.0.0.1:{PORT}/",
    ], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip


def test_every_panel_shows_numbers_of_a_run(
    tmp_path, start, find_peer_program, private_namespaces
):
    make_pair(tmp_path, "server")
    has_kernels = cpu_has_kernels()
    tls = (with_provider if has_kernels else plainly)(tmp_path)
    serve(start, tmp_path, chain(PORT, tls, HELLO))
    prometheus = dashboard.Prometheus(
        start, find_peer_program("prometheus"), tmp_path, PROMETHEUS, ADMIN_PORT
    )
    client = load(2, connections=8, rate=100)  # a sanitizer's build bears it, too
    _, complaint = client.communicate(timeout=60)
    assert client.returncode == 0, complaint
    end_s = time.time()  # whenever the questions are asked, they are about the load
    seen = {
        (panel["title"], target["legendFormat"]): prometheus.values(
            dashboard.query_of(target, 5), end_s
        )
        for panel in dashboard.panels()
        for target in panel["targets"]
    }
    for (title, legend), values in seen.items():
        if title == "Queue sizes of cryptomb" and (legend == "ECDSA" or not has_kernels):
            assert not values  # an RSA key has no such queue; without kernels there is none
        elif legend in QUIET:
            assert all(value >= 0 for value in values.values()), (title, legend, values)
            assert len(values) == 1, (title, legend, values)
        else:
            assert sum(values.values()) > 0, (title, legend, values)
    assert set(seen["Operations by path", "{{path}}"]) == {"libcrypto", "vector"}
    lanes = seen["Lanes per batch", "{{queue}}"]
    # Prometheus guesses what lies before a series' first value, of dividend and divisor apart.
    assert all(0.8 < value < 10 for value in lanes.values()), lanes
    assert seen["Handshake latency", "P50"][""] <= seen["Handshake latency", "P99"][""] < 3
    assert seen["CPU", "{{instance}}"][""] < 8
