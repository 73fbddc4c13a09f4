"""TLS at the gateway: the paper's own steps, whom it trusts, and certificates that change."""

import contextlib
import os
import pathlib
import re
import socket
import ssl
import threading
import time

import pytest

from harness import gateway, program, wait
from harness.tls_gateway import (
    ADMIN_PORT,
    HELLO,
    TLS,
    chain,
    client,
    cluster,
    fetch,
    make_pair,
    serve,
)

FIXTURES = program.ROOT / "tests" / "unit" / "config" / "fixtures"


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


def test_the_papers_steps_for_cryptomb_work_as_they_are_written(
    tmp_path, start, find_peer_program
):
    curl = find_peer_program("curl")
    program.run(
        "openssl", "req", "-x509", "-new", "-batch", "-newkey", "rsa:2048", "-nodes",
        "-subj", "/CN=localhost", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
    )  # fmt: skip
    mended = program.hauberk("config", "fix", FIXTURES / "cryptomb-printed.yaml")
    assert mended.returncode == 0
    # The container's mounts: the files lie here instead of in /etc/ssl.
    path = tmp_path / "conf.yaml"
    path.write_text(mended.stdout.replace("/etc/ssl", str(tmp_path)))
    running = start("gateway", [program.BINARY, "gateway", "-c", path])
    running.wait_for_log("ready: ")
    seen = program.run(
        curl,
        "-s",
        "--cacert",
        tmp_path / "cert.pem",
        "https://localhost:9000",
        "-w",
        "%{http_code}",
    )
    assert seen == "200"
    assert "ssl.handshake: 1" in program.run(curl, "-s", "http://localhost:9001/stats?filter=ssl")


def test_a_policy_of_the_command_line_makes_handshakes_wait(tmp_path, start):
    make_pair(tmp_path, "a")
    tls = (
        "common_tls_context: {tls_certificates: "
        f"{{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}}}"
    )
    path = tmp_path / "slow.yaml"
    path.write_text("static_resources:\n  listeners:" + chain(24000, tls, HELLO))
    command = [program.BINARY, "gateway", "-c", path, "--concurrency", "1"]
    running = start("gateway", [*command, "--batch-policy", "fixed", "--batch-delay", "300ms"])
    running.wait_for_log("ready: ")
    begin = time.monotonic()
    assert fetch(24000, client(tmp_path / "a.pem"))[1].body == b"hello"
    assert time.monotonic() - begin >= 0.3  # a key share and a signature, each alone


def test_qat_without_a_device_is_refused_by_name(tmp_path):
    make_pair(tmp_path, "cert")
    os.rename(tmp_path / "cert.key", tmp_path / "key.pem")
    text = (FIXTURES / "qat-corrected.yaml").read_text().replace("/etc/ssl", str(tmp_path))
    (tmp_path / "conf.yaml").write_text(text)
    done = program.hauberk("gateway", "-c", tmp_path / "conf.yaml")
    assert done.returncode == 1
    assert "Failed to load private key provider: qat: " in done.stderr
    assert "libqat.so.4 cannot be loaded" in done.stderr


def qat(folder, rest=""):
    """What a chain says whose key is at QAT."""
    method = "type.googleapis.com/envoy.extensions.private_key_providers.qat.v3alpha"
    return (
        f"common_tls_context: {{tls_certificates: {{certificate_chain: {{filename: {folder}/a.pem}}"
        ", private_key_provider: {provider_name: qat"
        f', typed_config: {{"@type": {method}.QatPrivateKeyMethodConfig, poll_delay: 0.005s, '
        f"private_key: {{filename: {folder}/a.key}}}}{rest}}}}}}}"
    )


def make_rsa_pair(folder):
    program.run(
        "openssl", "req", "-x509", "-new", "-batch", "-newkey", "rsa:2048", "-nodes",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", folder / "a.key", "-out", folder / "a.pem",
    )  # fmt: skip


def test_qat_that_does_not_start_is_replaced_by_its_fallback_and_the_log_says_why(tmp_path, start):
    make_rsa_pair(tmp_path)
    running = serve(start, tmp_path, chain(24000, qat(tmp_path, ", fallback: true"), HELLO))
    assert fetch(24000, client(tmp_path / "a.pem"))[1].body == b"hello"
    running.wait_for_log("served without the provider qat: .*libqat.so.4 cannot be loaded")


QAT_COUNTS = (
    "device_operations", "device_answered", "device_overflow", "device_down", "device_failed",
    "device_wrong", "device_late", "fell_back_to_batcher", "fell_back_to_software",
)  # fmt: skip


def serve_at_qat_double(tmp_path, start, monkeypatch, **settings):
    """A gateway whose key is at the double of libqat, which may be told to misbehave."""
    double = pathlib.Path(program.BINARY).parent / "tests/unit/device/libqat_double.so"
    if not double.exists():
        pytest.skip(f"{double} is not built")
    for name in ("libqat.so.4", "libusdm.so.0"):
        (tmp_path / name).symlink_to(double)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    for name, value in {"INSTANCES": 2, **settings}.items():
        monkeypatch.setenv(f"QAT_DOUBLE_{name}", str(value))
    make_rsa_pair(tmp_path)
    return serve(start, tmp_path, chain(24000, qat(tmp_path), HELLO))


def qat_statistics():
    request = b"GET /stats?filter=qat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    reply = gateway.Reply(gateway.exchange(ADMIN_PORT, request))
    shown = dict(line.split(": ") for line in reply.body.decode().splitlines())
    return {name: int(value) for name, value in shown.items()}


def test_keys_at_qat_sign_for_the_gateway(tmp_path, start, monkeypatch):
    running = serve_at_qat_double(tmp_path, start, monkeypatch)
    for _ in range(3):
        assert fetch(24000, client(tmp_path / "a.pem"))[1].body == b"hello"
    shown = qat_statistics()
    counts = {name: shown.pop(f"listener.127.0.0.1_24000.qat.{name}") for name in QAT_COUNTS}
    assert counts.pop("device_operations") == counts.pop("device_answered") == 3
    assert set(counts.values()) == {0}
    assert shown.pop("qat.instances_with_descriptors") == 0
    assert shown == {"qat.instances": 2, "qat.instances_up": 2, "qat.in_flight": 0}
    assert running.terminate() == 0
    assert "QAT double: 3 answered, 0 bad calls" in running.log()


@pytest.mark.parametrize(
    ("settings", "counted", "taken"),
    [
        ({"SUBMIT_STATUS": -2}, "device_overflow", 0),  # CPA_STATUS_RETRY: the rings are full
        ({"SUBMIT_STATUS": -7}, "device_down", 0),  # CPA_STATUS_RESTARTING
        ({"SUBMIT_STATUS": -1}, "device_failed", 0),  # CPA_STATUS_FAIL
        ({"ANSWER_STATUS": -1}, "device_failed", 1),
        ({"IS_WRONG": 1}, "device_wrong", 1),
    ],
)
def test_what_qat_does_not_do_falls_back_and_is_counted(
    tmp_path, start, monkeypatch, settings, counted, taken
):
    serve_at_qat_double(tmp_path, start, monkeypatch, **settings)
    assert fetch(24000, client(tmp_path / "a.pem"))[1].body == b"hello"
    shown = qat_statistics()
    counts = {name: shown[f"listener.127.0.0.1_24000.qat.{name}"] for name in QAT_COUNTS}
    wanted = {counted: 1, "fell_back_to_batcher": 1, "device_operations": taken}
    assert counts == {name: wanted.get(name, 0) for name in QAT_COUNTS}


def test_the_protocol_is_agreed_on(tmp_path, start):
    make_pair(tmp_path, "a")
    tls = (
        "common_tls_context: {alpn_protocols: [h2, http/1.1], tls_certificates: "
        f"{{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}}}"
    )
    serve(start, tmp_path, chain(24000, tls, HELLO))
    ca = tmp_path / "a.pem"
    assert fetch(24000, client(ca, protocols=["http/1.1"]))[0] == "http/1.1"
    protocol, reply = fetch(24000, client(ca))
    assert (protocol, reply.body) == (None, b"hello")
    assert client(ca, protocols=["h2", "http/1.1"]) is not None
    with socket.create_connection(("127.0.0.1", 24000), timeout=10) as plain:
        context = client(ca, protocols=["h2", "http/1.1"])
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            assert secure.selected_alpn_protocol() == "h2"


def versions(least=None, most=None, ca=None, certificate=None):
    context = client(ca, certificate)
    if least is not None:
        context.minimum_version = least
    if most is not None:
        context.maximum_version = most
    return context


def speaks(port, context):
    """The version of TLS that one request was answered in; None: the handshake failed."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                data = b""
                while piece := secure.recv(65536):
                    data += piece
                assert data.endswith(b"hello")
                return secure.version()
    except (ssl.SSLError, ConnectionError):
        return None


@pytest.mark.parametrize("kind", ["rsa:2048", "ec"])
def test_tls_1_2_is_spoken_with_those_who_have_no_newer_where_it_is_named(tmp_path, start, kind):
    make_pair(tmp_path, "a", kind=kind)
    pair = (
        f"tls_certificates: {{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}"
    )

    def listener(port, parameters, more=""):
        tls = f"{more} common_tls_context: {{tls_params: {{{parameters}}}, {pair}}}"
        return chain(port, tls, HELLO, f"front{port}")

    mutual = (
        f"{pair}, validation_context: {{trusted_ca: {{filename: {tmp_path}/a.pem}}}}",
        "require_client_certificate: true,",
    )
    listeners = listener(24000, "") + listener(
        24001, "tls_minimum_protocol_version: TLSv1_2"
    ) + listener(24002, "tls_maximum_protocol_version: TLSv1_2") + chain(
        24003,
        f"{mutual[1]} common_tls_context: {{tls_params: "
        f"{{tls_minimum_protocol_version: TLSv1_2}}, {mutual[0]}}}",
        HELLO,
        "mutual",
    )
    serve(start, tmp_path, listeners)
    ca = tmp_path / "a.pem"
    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    spoken = {
        (port, name): speaks(port, versions(*bounds, ca=ca))
        for port in (24000, 24001, 24002)
        for name, bounds in (("any", (None, None)), ("old", (None, old)), ("new", (new, None)))
    }
    assert spoken == {
        (24000, "any"): "TLSv1.3", (24000, "old"): None, (24000, "new"): "TLSv1.3",
        (24001, "any"): "TLSv1.3", (24001, "old"): "TLSv1.2", (24001, "new"): "TLSv1.3",
        (24002, "any"): "TLSv1.2", (24002, "old"): "TLSv1.2", (24002, "new"): None,
    }  # fmt: skip
    for most in (old, new):
        assert speaks(24003, versions(None, most, ca, tmp_path / "a")) is not None
        assert speaks(24003, versions(None, most, ca)) is None


@pytest.mark.parametrize(
    "parameters, said",
    [
        (
            "tls_minimum_protocol_version: TLSv1_1",
            "TLSv1_1 is not supported yet; allowed: TLS_AUTO, TLSv1_2, TLSv1_3",
        ),
        (
            "tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_2",
            "the minimum version is above the maximum",
        ),
    ],
)
def test_versions_that_cannot_be_are_refused_by_name(tmp_path, parameters, said):
    make_pair(tmp_path, "a")
    tls = (
        f"common_tls_context: {{tls_params: {{{parameters}}}, tls_certificates: "
        f"{{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}}}"
    )
    path = tmp_path / "gateway.yaml"
    path.write_text(f"static_resources:\n  listeners:{chain(24000, tls, HELLO)}")
    done = program.hauberk("gateway", "-c", path)
    assert done.returncode == 1
    assert said in done.stderr


def named(port, folder, names):
    """A listener whose chains are chosen by the name that a ClientHello asks for."""
    chains = []
    for name in names:
        whole = chain(
            port,
            "common_tls_context: {tls_certificates: "
            f"{{certificate_chain: {{filename: {folder}/{name}.pem}}, "
            f"private_key: {{filename: {folder}/{name}.key}}}}}}",
            HELLO.replace('"hello"', f'"{name}"'),
            name,
        )
        head, rest = whole.split("    - transport_socket:", 1)
        chains.append(
            f"    - filter_chain_match: {{server_names: ['{names[name]}']}}\n"
            f"      transport_socket:{rest}"
        )
    return head + "".join(chains)


def test_a_chain_is_chosen_by_the_name_that_is_asked_for(tmp_path, start):
    names = {"one": "localhost", "wide": "*.wide.test"}
    make_pair(tmp_path, "one")
    make_pair(tmp_path, "wide", "*.wide.test")
    serve(start, tmp_path, named(24000, tmp_path, names))
    for name, asked in (("one", "localhost"), ("wide", "a.wide.test")):
        context = client(tmp_path / f"{name}.pem")
        for size in (None, 3):
            reply = ask_slowly(24000, context, asked, size)
            assert reply.body == name.encode()
    with pytest.raises(OSError):
        ask_slowly(24000, client(tmp_path / "one.pem"), "nobody.test", None)
    assert gateway.exchange(24000, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b""


def ask_slowly(port, context, asked, size):
    """One request; the ClientHello goes out in pieces of a size, or at once."""
    inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(inbound, outbound, server_hostname=asked)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def until_done(step):
            while True:
                try:
                    done = step()
                    plain.sendall(outbound.read())
                    return done
                except ssl.SSLWantReadError:
                    data = outbound.read()
                    for at in range(0, len(data), size or 65536):
                        plain.sendall(data[at : at + (size or 65536)])
                    piece = plain.recv(65536)
                    if not piece:
                        raise ConnectionError("closed") from None
                    inbound.write(piece)

        until_done(secure.do_handshake)
        request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        until_done(lambda: secure.write(request))
        data = b""
        while not data.endswith((b"one", b"wide")):
            data += until_done(lambda: secure.read(65536))
        return gateway.Reply(data)


def test_only_clients_whom_the_context_names_are_served(tmp_path, start):
    for name, host in (("a", "localhost"), ("good", "good.test"), ("other", "other.test")):
        make_pair(tmp_path, name, host)
    ca = tmp_path / "clients.pem"
    ca.write_text("".join((tmp_path / f"{name}.pem").read_text() for name in ("good", "other")))
    tls = (
        "require_client_certificate: true, common_tls_context: {tls_certificates: "
        f"{{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}, validation_context: {{trusted_ca: "
        f"{{filename: {ca}}}, match_typed_subject_alt_names: "
        "[{san_type: DNS, matcher: {exact: good.test}}]}}"
    )
    serve(start, tmp_path, chain(24000, tls, HELLO))
    assert fetch(24000, client(tmp_path / "a.pem", tmp_path / "good"))[1].body == b"hello"
    for certificate in (None, tmp_path / "other", tmp_path / "a"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            fetch(24000, client(tmp_path / "a.pem", certificate))
    stats = gateway.exchange(
        ADMIN_PORT, b"GET /stats?filter=ssl HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert b"ssl.fail_verify_error: 0" not in stats


def test_an_upstream_must_be_who_its_cluster_says(tmp_path, start):
    make_pair(tmp_path, "a")
    pair = (
        f"tls_certificates: {{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}"
    )
    routes = (
        "{match: {prefix: /good}, route: {cluster: good}}, "
        "{match: {prefix: /bad}, route: {cluster: bad}}"
    )
    clusters = "  clusters:\n" + "".join(
        cluster(name, 24001, tmp_path / "a.pem", host)
        for name, host in (("good", "localhost"), ("bad", "elsewhere.test"))
    )
    common = f"common_tls_context: {{{pair}}}"
    listeners = chain(24000, common, routes) + chain(24001, common, HELLO, "back")
    serve(start, tmp_path, listeners, clusters)
    ca = tmp_path / "a.pem"
    assert fetch(24000, client(ca), "/good")[1].body == b"hello"
    assert fetch(24000, client(ca), "/bad")[1].status == b"HTTP/1.1 503 Service Unavailable"


def sds(folder, name):
    return f"""
resources:
- "@type": {TLS}.Secret
  name: front
  tls_certificate:
    certificate_chain: {{filename: {folder}/{name}/tls.crt}}
    private_key: {{filename: {folder}/{name}/tls.key}}
"""


class Mounted:
    """A volume as Kubernetes mounts it: files are links through ..data, which is swapped whole."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.count = 0

    def put(self, pem, key):
        self.count += 1
        fresh = self.folder / f"..{self.count}"
        fresh.mkdir()
        (fresh / "tls.crt").write_bytes(pem)
        (fresh / "tls.key").write_bytes(key)
        link = self.folder / "..new"
        link.symlink_to(fresh.name)
        os.replace(link, self.folder / "..data")
        for name in ("tls.crt", "tls.key"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")


def serial(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        context = ssl._create_unverified_context()
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.getpeercert(binary_form=True)


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_certificates_are_rotated_under_load_without_a_failed_handshake(tmp_path, start, times):
    mounted = Mounted(tmp_path / "certs")
    pairs = []
    for name in ("one", "two"):
        make_pair(tmp_path, name)
        pairs.append([(tmp_path / f"{name}.{end}").read_bytes() for end in ("pem", "key")])
    mounted.put(*pairs[0])
    (tmp_path / "sds.yaml").write_text(sds(tmp_path, "certs"))
    tls = (
        "common_tls_context: {tls_certificate_sds_secret_configs: {name: front, sds_config: "
        f"{{path_config_source: {{path: {tmp_path}/sds.yaml}}}}}}}}"
    )
    serve(start, tmp_path, chain(24000, tls, HELLO))
    failures, stop = [], threading.Event()

    def knock():
        while not stop.is_set():
            try:
                serial(24000)
            except (OSError, ssl.SSLError) as error:
                failures.append(error)

    threads = [threading.Thread(target=knock) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(1, times + 1):
            mounted.put(*pairs[i % 2])
            expected = ssl.PEM_cert_to_DER_cert(pairs[i % 2][0].decode())
            wait.until(lambda expected=expected: serial(24000) == expected, "the new certificate")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def private_number(folder, name):
    """The private number of a key of P-256, as libcrypto keeps it: the lowest byte first."""
    text = program.run("openssl", "pkey", "-in", folder / f"{name}.key", "-noout", "-text")
    digits = re.search(r"priv:([\s0-9a-f:]+)pub", text).group(1)
    return int(re.sub(r"[\s:]", "", digits), 16).to_bytes(32, "little")


def count_in_memory(process, secret):
    """How often the secret stands in what the process can write."""
    count = 0
    maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text().splitlines()
    with open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
        for places, rights, *_ in map(str.split, maps):
            start, end = (int(place, 16) for place in places.split("-"))
            if rights.startswith("rw"):
                memory.seek(start)
                with contextlib.suppress(OSError):  # it may have gone
                    count += memory.read(end - start).count(secret)
    return count


@pytest.mark.skipif(
    os.environ.get("HBK_VARIANT") in ("asan", "tsan"), reason="a sanitizer has memory of its own"
)
def test_a_key_that_was_rotated_out_leaves_the_memory(tmp_path, start):
    mounted = Mounted(tmp_path / "certs")
    pairs, secrets = [], []
    for name in ("one", "two"):
        make_pair(tmp_path, name, kind="ec")
        pairs.append([(tmp_path / f"{name}.{end}").read_bytes() for end in ("pem", "key")])
        secrets.append(private_number(tmp_path, name))
    mounted.put(*pairs[0])
    (tmp_path / "sds.yaml").write_text(sds(tmp_path, "certs"))
    make_pair(tmp_path, "other", "other.test", kind="ec")  # with a choice, workers keep forms
    other = Mounted(tmp_path / "other")
    other.put(*((tmp_path / f"other.{end}").read_bytes() for end in ("pem", "key")))
    (tmp_path / "other.yaml").write_text(sds(tmp_path, "other"))
    tls = (
        "common_tls_context: {tls_params: {tls_minimum_protocol_version: TLSv1_2, "
        "tls_maximum_protocol_version: TLSv1_3}, tls_certificate_sds_secret_configs: ["
        f"{{name: front, sds_config: {{path_config_source: {{path: {tmp_path}/sds.yaml}}}}}}, "
        f"{{name: front, sds_config: {{path_config_source: {{path: {tmp_path}/other.yaml}}}}}}]}}"
    )
    running = serve(start, tmp_path, chain(24000, tls, HELLO))
    context = ssl._create_unverified_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", 24000), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            assert secure.version() == "TLSv1.2"
            mounted.put(*pairs[1])
            expected = ssl.PEM_cert_to_DER_cert(pairs[1][0].decode())
            wait.until(lambda: serial(24000) == expected, "the new certificate")
            # The connection still has the old one.
            assert count_in_memory(running.process, secrets[0]) > 0
    wait.until(lambda: count_in_memory(running.process, secrets[0]) == 0, "the old key to go")
    assert count_in_memory(running.process, secrets[1]) > 0


def test_half_of_a_pair_leaves_the_old_one_serving(tmp_path, start):
    folder = tmp_path / "certs"
    folder.mkdir()
    for name in ("one", "two"):
        make_pair(tmp_path, name)
    (folder / "tls.crt").write_bytes((tmp_path / "one.pem").read_bytes())
    (folder / "tls.key").write_bytes((tmp_path / "one.key").read_bytes())
    (tmp_path / "sds.yaml").write_text(sds(tmp_path, "certs"))
    tls = (
        "common_tls_context: {tls_certificate_sds_secret_configs: {name: front, sds_config: "
        f"{{path_config_source: {{path: {tmp_path}/sds.yaml}}}}}}}}"
    )
    running = serve(start, tmp_path, chain(24000, tls, HELLO))
    old = serial(24000)
    os.replace(tmp_path / "two.pem", folder / "tls.crt")
    running.wait_for_log("keeps its old secrets")
    assert serial(24000) == old
    os.replace(tmp_path / "two.key", folder / "tls.key")
    wait.until(lambda: serial(24000) != old, "the new certificate")
