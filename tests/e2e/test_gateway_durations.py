"""max_stream_duration of connection managers, routes and clusters: the same requests to Envoy and
to the gateway, with one file."""

import concurrent.futures

import pytest

from harness import gateway, twins, wait

OURS, ENVOYS, UPSTREAM = 21000, 22000, 23000

SHORT = "common_http_protocol_options: {max_stream_duration: 0.3s}"
UP = "{match: {prefix: /}, route: {cluster: %s, timeout: 0s%s}}"
# name -> fields of the manager, the route; what a silent upstream's client gets
CASES = {
    "manager": (SHORT, UP % ("up", "")),
    "route": ("", UP % ("up", ", max_stream_duration: {max_stream_duration: 0.3s}")),
    "route over manager": (SHORT.replace("0.3s", "60s"),
                           UP % ("up", ", max_stream_duration: {max_stream_duration: 0.3s}")),
    "route without": (SHORT, UP % ("up", ", max_stream_duration: {max_stream_duration: 0s}, "
                                         "idle_timeout: 0.6s")),
    "cluster": ("", UP % ("short", "")),
    "cluster, tried again": ("", UP % ("short", ", retry_policy: {retry_on: reset, "
                                                "num_retries: 1, retry_back_off: "
                                                "{base_interval: 0.001s}}")),
}  # fmt: skip
LOG = (
    "access_log: [{name: log, typed_config: "
    '{"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, '
    'path: %s, log_format: {text_format_source: {inline_string: "%%RESPONSE_CODE%% '
    '%%RESPONSE_CODE_DETAILS%% %%RESPONSE_FLAGS%% %%RESPONSE_FLAGS_LONG%%\\n"}}}}]'
)


def write(folder, name, base):
    listeners = "".join(
        gateway.http_listener(
            base + i, routes, manager + "\n          " + LOG % (folder / f"{name}{i}.log"),
            name=f"manager{i}",
        )
        for i, (manager, routes) in enumerate(CASES.values())
    )  # fmt: skip
    connections = SHORT.replace("stream", "connection") + "\n          drain_timeout: 0.1s"
    listeners += gateway.http_listener(
        base + len(CASES), UP % ("up", ""), connections, name="connections"
    )  # fmt: skip
    path = folder / f"{name}.yaml"
    clusters = gateway.http_cluster(UPSTREAM) + gateway.http_cluster(UPSTREAM, SHORT, "short")
    path.write_text(gateway.bootstrap(base + 99, listeners, clusters), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory, find_peer_program):
    folder = tmp_path_factory.mktemp("durations")
    upstreams = [gateway.Upstream(UPSTREAM)]
    with twins.run(
        folder, find_peer_program("envoy"), (OURS, ENVOYS), write, upstreams
    ) as running:
        yield running


REQUESTS = {
    "whole": "GET /silent HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
    "half": "POST /silent HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n"
    "Content-Length: 9\r\n\r\nhalf",
}


def test_a_connection_that_lasts_too_long_is_counted(pair):
    for base in (OURS, ENVOYS):
        request = REQUESTS["whole"].replace("/silent", "/").replace("Connection: close\r\n", "")
        assert b" 200 OK" in gateway.exchange(base + len(CASES), request.encode())
        gateway.Running(None, base + 99).wait_for(
            "http.connections.downstream_cx_max_duration_reached", 1
        )


def log_lines(path, count):
    def find():
        lines = path.read_text().splitlines() if path.exists() else []
        return lines if len(lines) >= count else None

    return sorted(wait.until(find, f"{count} lines in {path}"))


def test_an_exchange_that_lasts_too_long_ends_as_with_envoy(pair):
    names = ("hauberk", "envoy")
    cases = [(i, kind) for i in range(len(CASES)) for kind in REQUESTS]

    def ask(base, case):
        # Not closed by us: a body that is late may still come, and so no end may be seen.
        reply = gateway.exchange(
            base + case[0],
            REQUESTS[case[1]].encode(),
            until=lambda received: received.count(b"timeout") or b"reached" in received,
        )
        return gateway.Reply(reply)

    with concurrent.futures.ThreadPoolExecutor(2 * len(cases)) as pool:
        found = {
            name: list(pool.map(lambda case, base=base: ask(base, case), cases))
            for name, base in zip(names, (OURS, ENVOYS))
        }
    seen = {
        name: [(*case, reply.status, reply.body) for case, reply in zip(cases, replies)]
        for name, replies in found.items()
    }
    assert seen["hauberk"] == seen["envoy"]
    statuses = {reply.status.split(b" ")[1] for reply in found["hauberk"]}
    assert statuses == {b"408", b"504"}
    for i, case in enumerate(CASES):
        ours, envoys = (log_lines(pair.folder / f"{name}{i}.log", 2) for name in names)
        assert (case, ours) == (case, envoys)
    stats = [
        {
            line for line in gateway.Running(None, base + 99).admin("/stats").splitlines()
            if "rq_max_duration_reached" in line
            and line.startswith(("http.manager", "cluster.short", "cluster.up"))
        }
        for base in (OURS, ENVOYS)
    ]  # fmt: skip
    assert stats[0] == stats[1]
    assert "cluster.short.upstream_rq_max_duration_reached: 6" in stats[0]
