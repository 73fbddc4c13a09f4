"""The gateway's admin port beside Envoy's: dumps, certificates, states, what may be asked for."""

import json
import pathlib
import re
import string

import pytest

import conftest
from harness import gateway, program, wait
from harness.tls_gateway import make_pair

OURS, ENVOYS, ALONE = 24100, 24200, 24300
CONFIG = string.Template(
    (pathlib.Path(__file__).parent / "fixtures" / "gateway_admin.yaml").read_text(encoding="utf-8")
)
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
# What a dump must never show.
HIDDEN = ("hidden-password", "BEGIN PRIVATE KEY", "tickets-of-eighty-bytes")


def ask(port, path, method="GET"):
    request = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    return gateway.Reply(gateway.exchange(port, request.encode()))


def read(port, path):
    reply = ask(port, path)
    assert reply.status == b"HTTP/1.1 200 OK", reply
    return json.loads(reply.body)


def write_config(folder, name, base, before=""):
    path = folder / f"{name}.yaml"
    values = {"folder": folder, "admin": base + 9, "key": (folder / "inline.key").read_text()}
    text = CONFIG.substitute(
        {f"port{i}": base + i for i in range(3)}, **values | {"key": json.dumps(values["key"])}
    )
    path.write_text(before + text)
    return path


def ours(path):
    return [
        program.BINARY, "gateway", "-c", path, "--concurrency", "1",
        "--service-node", "n", "--service-cluster", "c",
    ]  # fmt: skip


def start_ours(start, path):
    start("gateway", ours(path)).wait_for_log("ready: ")


def make_files(folder):
    make_pair(folder, "server")
    make_pair(folder, "inline", host="inline.test", kind="ec")
    secret = {"name": "watched", "@type": f"{TLS}.Secret"}
    secret["tls_certificate"] = {
        "certificate_chain": {"filename": f"{folder}/server.pem"},
        "private_key": {"filename": f"{folder}/server.key"},
    }
    (folder / "sds.json").write_text(json.dumps({"resources": [secret]}))
    return folder


@pytest.fixture
def files(tmp_path, private_namespaces):
    return make_files(tmp_path)


@pytest.fixture(scope="module")
def twins(find_peer_program, tmp_path_factory):
    """Both, from one file but for the ports."""
    if conftest.namespaces_forbidden is not None:
        conftest.skip_or_fail(f"namespaces are forbidden here: {conftest.namespaces_forbidden}")
    folder = make_files(tmp_path_factory.mktemp("twins"))
    envoy = [
        find_peer_program("envoy"), "-c", write_config(folder, "envoys", ENVOYS),
        "--concurrency", "1", "--service-node", "n", "--service-cluster", "c",
        "--use-dynamic-base-id", "-l", "error",
    ]  # fmt: skip
    running = [
        program.Program("gateway", ours(write_config(folder, "ours", OURS)), folder),
        program.Program("envoy", envoy, folder),
    ]
    try:
        for base in (OURS, ENVOYS):
            wait.until(lambda base=base: is_live(base + 9), f"port {base + 9}", 30)
        yield folder
    finally:
        complaints = [one.end() for one in running]
    assert complaints[0] is None, complaints[0]


def is_live(port):
    try:
        return ask(port, "/ready").body == b"LIVE\n"
    except (OSError, ValueError, IndexError):
        return False


def name_of(element):
    """Of a cluster in a list of them."""
    cluster = element.get("cluster", element) if isinstance(element, dict) else {}
    return cluster.get("name", "") if isinstance(cluster, dict) else ""


def alike(value, base):
    """A dump without what differs by nature: times, ports, Envoy's build, and what was set to its
    own default, which ours does not tell from what was not set."""
    if isinstance(value, dict):
        return {
            key: alike(inner, base)
            for key, inner in value.items()
            if key not in ("last_updated", "node", "require_client_certificate")
        }
    if isinstance(value, list):
        inner = [alike(inner, base) for inner in value]
        # Envoy keeps clusters in a table without an order.
        return sorted(inner, key=name_of) if inner and all(map(name_of, inner)) else inner
    if isinstance(value, int) and base <= value < base + 10:
        return value - base
    return value


def both(path):
    """(ours, Envoy's), made alike."""
    return tuple(alike(read(base + 9, path), base) for base in (OURS, ENVOYS))


def test_the_dump_is_envoys_part_by_part(twins):
    ours, envoys = both("/config_dump")
    for part, other in zip(ours["configs"], envoys["configs"], strict=True):
        if part["@type"].endswith("SecretsConfigDump"):
            # Envoy waits for a secret that no validation context names; ours is in force.
            (watched,) = part.pop("dynamic_active_secrets")
            assert watched["name"] == "watched"
            assert watched["secret"]["tls_certificate"]["private_key"] == {"filename": "[redacted]"}
            other.pop("dynamic_active_secrets", None)
            other.pop("dynamic_warming_secrets", None)
        assert part == other
    text = ask(OURS + 9, "/config_dump").body.decode()
    assert text.count("[redacted]") >= 8
    for word in HIDDEN:
        assert word not in text


@pytest.mark.parametrize(
    "query",
    [
        "resource=static_listeners",
        "resource=static_clusters&mask=cluster.name",
        "resource=static_secrets&name_regex=stat.*",
        "resource=static_route_configs",
        "mask=bootstrap.admin",
    ],
)
def test_a_dump_may_be_asked_for_in_part(twins, query):
    ours, envoys = both(f"/config_dump?{query}")
    assert ours["configs"]
    assert ours == envoys


def test_parts_that_are_not_there_are_refused_as_envoy_refuses_them(twins):
    for query in ("resource=bogus", "resource=bootstrap", "mask=bogus.x"):
        ours, envoys = (ask(base + 9, f"/config_dump?{query}") for base in (OURS, ENVOYS))
        assert ours.status == envoys.status
        assert ours.body.strip() == envoys.body.strip()
    refused = ask(OURS + 9, "/config_dump?name_regex=(a)")
    assert b" 400 " in refused.status
    assert b"groups, classes, counts" in refused.body


def certificates(base):
    """Those of each context without their paths, in an order of ours, as none is promised, and
    the paths."""
    contexts = read(base + 9, "/certs")["certificates"]
    paths = set()
    for certificate in (one for lists in contexts for one in sum(lists.values(), [])):
        # Made a moment ago for thirty days: a second decides between the two.
        assert certificate.pop("days_until_expiration") in ("29", "30")
        paths.add(certificate.pop("path"))
    return sorted(json.dumps(context, sort_keys=True) for context in contexts), paths


def test_certificates_are_shown_as_envoy_shows_them(twins):
    wait.until(lambda: len(certificates(ENVOYS)[0]) == 3, "Envoy's secrets")
    shown, paths = certificates(OURS)
    assert shown == certificates(ENVOYS)[0]
    # Envoy writes the files of a watched secret into it, and then knows no path any more.
    assert paths == {f"{twins}/server.pem", f"{twins}/inline.pem"}


def test_states_have_envoys_shapes(twins):
    ours, envoys = both("/listeners?format=json")
    assert ours == envoys
    ours, envoys = both("/clusters?format=json")
    for status in ours["cluster_statuses"] + envoys["cluster_statuses"]:
        for host in status["host_statuses"]:
            host.pop("stats")  # test_gateway_host_figures.py looks at them
    assert ours == envoys
    assert read(OURS + 9, "/clusters?format=json&filter=^x")["cluster_statuses"] == []
    info, theirs = (read(base + 9, "/server_info") for base in (OURS, ENVOYS))
    assert set(info) <= set(theirs)
    assert set(info["command_line_options"]) <= set(theirs["command_line_options"])
    for name in ("concurrency", "service_node", "service_cluster", "drain_time", "mode"):
        assert info["command_line_options"][name] == theirs["command_line_options"][name]
    assert info["state"] == "LIVE"
    assert info["node"]["id"] == "n"
    assert set(read(OURS + 9, "/memory")) == set(read(ENVOYS + 9, "/memory"))


def test_a_renewed_certificate_is_the_one_that_is_shown(files, start):
    start_ours(start, write_config(files, "alone", ALONE))
    before = certificates(ALONE)[0]
    make_pair(files, "next")
    (files / "next.key").rename(files / "server.key")
    (files / "next.pem").rename(files / "server.pem")
    # The context of the watched secret has it; that of the configuration keeps what it read.
    wait.until(lambda: certificates(ALONE)[0] != before, "the new certificate")
    after = certificates(ALONE)[0]
    assert len(set(after) - set(before)) == 1
    assert len(after) == len(before)


def test_only_the_paths_that_are_allowed_are_answered(files, start):
    before = "stats_config: {stats_matcher: {inclusion_list: {patterns: [{prefix: server.}]}}}\n"
    path = write_config(files, "alone", ALONE, before)
    path.write_text(path.read_text().replace(
        "admin:\n", "admin:\n  allow_paths: [{exact: /stats}, {prefix: '/stats?'}]\n"
    ))  # fmt: skip
    start_ours(start, path)
    for forbidden in ("/ready", "/", "/quitquitquit", "/nothing", "/statsx"):
        assert b" 403 " in ask(ALONE + 9, forbidden, "POST").status
    # And of the statistics only those that the matcher admits.
    names = re.findall(r"^([^:]+):", ask(ALONE + 9, "/stats").body.decode(), re.M)
    assert "server.live" in names
    assert [name for name in names if not name.startswith("server.")] == []
    found = ask(ALONE + 9, "/stats?filter=^server\\.(").body
    assert b"filter: " in found
    found = ask(ALONE + 9, "/stats?filter=^server.*e$&type=Gauges").body
    assert found.startswith(b"server.live: 1")


def test_statistics_may_be_excluded(files, start):
    matcher = "{exclusion_list: {patterns: [{prefix: server.}]}}"
    before = f"stats_config: {{stats_matcher: {matcher}}}\n"
    start_ours(start, write_config(files, "alone", ALONE, before))
    text = ask(ALONE + 9, "/stats").body.decode()
    assert "\nserver." not in text
    assert "cluster.service.upstream_rq_total: 0\n" in text
    assert b"envoy_server_live" not in ask(ALONE + 9, "/stats/prometheus").body


def test_a_port_that_is_taken_is_an_error_that_says_which(files, start):
    path = write_config(files, "alone", ALONE)
    with gateway.socket.create_server(("127.0.0.1", ALONE)):
        running = start("gateway", ours(path))
        wait.until(lambda: not running.is_running(), "the end")
    assert running.process.returncode == 1
    assert f"127.0.0.1:{ALONE}" in running.log()
