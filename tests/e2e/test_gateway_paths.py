"""What becomes of paths before they are routed: the same requests to Envoy and to the gateway, the
answers and what reached the upstream compared."""

import concurrent.futures

import pytest

from harness import gateway, twins

OURS, ENVOYS, UPSTREAM = 20800, 21800, 22800
ROUTES = (
    "{match: {prefix: /secret}, direct_response: {status: 403}}, "
    "{match: {prefix: /}, route: {cluster: up}}"
)
MANAGERS = [
    "",
    "normalize_path: true",
    "normalize_path: true\n          merge_slashes: true",
    "path_with_escaped_slashes_action: REJECT_REQUEST",
    "path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT\n          normalize_path: true",
    "path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD\n          normalize_path: true\n"
    "          merge_slashes: true",
    "path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT",
]
PATHS = [
    "/a/b/../c",
    "/a/./b",
    "/a/b/..",
    "/a/b/.",
    "/..",
    "/../../a",
    "/a//b///c",
    "//",
    "/a//../b",
    "/x/%2e%2e/secret",
    "/x/%2E%2e/secret",
    "/x/.%2e/secret",
    "/x/..%2fsecret",
    "/x/..%2Fsecret?q=%2f/../x",
    "/a%2fb",
    "/a%5cb%5Cc",
    "/a%2f%2fb",
    "/%2f",
    "/a\\b",
    "/x\\..\\secret",
    "/x%5c..%5csecret",
    "/a%41b%7e",
    "/a%zzb",
    "/a%",
    "/a%00b",
    "/a%20b%25c",
    "/a?b/../c//d%2f",
    "/a/..?b",
    "/secret%2f..%2fx",
    "/a/%2e",
    "/a;b/../c;d",
    "/a...b/.../c",
    "/a/b#c",
    "/a|b\"<>^`{}",
    "/caf\u00e9",
]  # fmt: skip


def write(folder, name, base):
    path = folder / f"{name}.yaml"
    listeners = "".join(
        gateway.http_listener(base + i, ROUTES, manager, name=f"manager{i}")
        for i, manager in enumerate(MANAGERS)
    )
    path.write_text(gateway.bootstrap(base + 99, listeners, gateway.http_cluster(UPSTREAM)))
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory, find_peer_program):
    folder = tmp_path_factory.mktemp("paths")
    upstreams = [gateway.Upstream(UPSTREAM)]
    with twins.run(
        folder, find_peer_program("envoy"), (OURS, ENVOYS), write, upstreams
    ) as running:
        yield running


def outcome(port, path):
    """The status, where a redirect leads, and the path that the upstream saw."""
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    reply = gateway.Reply(gateway.exchange(port, request.encode("latin-1")))
    where = [field for field in reply.fields if field.startswith(b"location:")]
    seen = reply.body.split(b"\r\n")[0] if b" 200 " in reply.status else b""
    return reply.status.split(b" ")[1].decode(), where, seen


def test_paths_become_what_they_become_in_envoy(pair):
    cases = [(i, path) for i in range(len(MANAGERS)) for path in PATHS]

    def both(case):
        return [outcome(base + case[0], case[1]) for base in (OURS, ENVOYS)]

    # Side by side, since Envoy takes a second to close what it refuses.
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        found = list(pool.map(both, cases))
    differences = [
        (MANAGERS[number], path, ours, envoys)
        for (number, path), (ours, envoys) in zip(cases, found)
        if ours != envoys
    ]
    assert not differences, "\n".join(map(str, differences))
