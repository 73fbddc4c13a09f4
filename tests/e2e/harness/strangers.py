"""Other people's TLS: each is a server that echoes, or a client that awaits its echo.

A server is started with the certificate's kind and gives back the line that our client sends and
the one that it must get; a client runs `count` connections, the later ones resuming. What was
agreed on is read from our own side, which the tests restrict to one suite or group.
"""

import contextlib
import socket
import ssl
import subprocess
import threading

from harness import envoy, wait
from harness.tls_peer import HOST, TIMEOUT_S

LINE = "hello from a stranger"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Wish:
    """What one case asks of a stranger."""

    def __init__(self, hosts, key, client_key=None, group=None, protocol=None, count=1):
        self.hosts, self.identity = hosts, hosts.of(key)
        self.client = hosts.of(client_key) if client_key else None
        self.group, self.protocol, self.count = group, protocol, count


def run_until(command, line, answer, environment=None):
    """Runs an interactive client: writes a line, waits for the answer, ends its input."""
    process = subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    output = []
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        for text in process.stdout:
            output.append(text)
            if answer in text:
                break
        else:
            raise AssertionError(f"{command[0]} never got {answer!r}:\n{''.join(output)}")
        process.stdin.close()
        output.append(process.stdout.read())
        process.wait(timeout=TIMEOUT_S)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    return "".join(output)


class OpenSsl:
    name = "openssl"
    connections_max = 8
    program = "openssl"

    def serve(self, start, path, wish):
        command = [path, "s_server", "-accept", "127.0.0.1:0", "-rev", "-tls1_3"]
        command += ["-cert", wish.identity.chain, "-key", wish.identity.key]
        if wish.client:
            command += ["-CAfile", wish.hosts.roots, "-Verify", 2, "-verify_return_error"]
        command += ["-groups", wish.group] if wish.group else []
        command += ["-alpn", wish.protocol] if wish.protocol else []
        running = start("s_server", command)
        port = running.wait_for_log(r"^ACCEPT 127\.0\.0\.1:(\d+)").group(1)
        return port, LINE + "\n", LINE[::-1] + "\n"

    def connect(self, path, port, wish, folder):
        session = folder / "session.pem"
        for i in range(wish.count):
            command = [path, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
            command += ["-CAfile", wish.hosts.roots, "-verify_return_error"]
            command += ["-servername", HOST, "-verify_hostname", HOST]
            if wish.client:
                command += ["-cert", wish.client.chain, "-key", wish.client.key]
            command += ["-alpn", wish.protocol] if wish.protocol else []
            command += ["-sess_out", session] + (["-sess_in", session] if i > 0 else [])
            run_until(command, LINE, LINE)


class GnuTls:
    name = "gnutls"
    connections_max = 2  # gnutls-cli --resume makes two
    program = "gnutls-serv"
    groups = {"X25519": "X25519", "P-256": "SECP256R1", "P-384": "SECP384R1"}

    def _priority(self, wish):
        group = f":-GROUP-ALL:+GROUP-{self.groups[wish.group]}" if wish.group else ""
        return f"NORMAL:-VERS-ALL:+VERS-TLS1.3{group}"

    def serve(self, start, path, wish):
        port = free_port()
        command = [path, "--port", port, "--echo", "--priority", self._priority(wish)]
        command += ["--x509certfile", wish.identity.chain, "--x509keyfile", wish.identity.key]
        if wish.client:
            command += ["--x509cafile", wish.hosts.roots, "--require-client-cert"]
            command += ["--verify-client-cert"]
        else:
            command += ["--disable-client-cert"]
        command += ["--alpn", wish.protocol, "--alpn-fatal"] if wish.protocol else []
        start("gnutls-serv", command).wait_for_log(r"listening on IPv4 0\.0\.0\.0 port \d+\.*done")
        return port, LINE + "\n", LINE + "\n"

    def connect(self, path, port, wish, folder):
        command = [path.replace("gnutls-serv", "gnutls-cli"), "--port", port, "127.0.0.1"]
        command += ["--x509cafile", wish.hosts.roots, "--sni-hostname", HOST]
        command += ["--verify-hostname", HOST, "--priority", self._priority(wish)]
        if wish.client:
            command += ["--x509certfile", wish.client.chain, "--x509keyfile", wish.client.key]
        command += ["--alpn", wish.protocol] if wish.protocol else []
        command += ["--resume", "--waitresumption"] if wish.count > 1 else []
        run_until(command, LINE, LINE)


class Program:
    """Small programs of ours around a stranger's library; see tests/strangers."""

    connections_max = 8

    def serve(self, start, path, wish):
        port = free_port()
        roots = wish.hosts.roots if wish.client else "-"
        command = [path, "server", port, wish.identity.chain, wish.identity.key, roots]
        start(self.name, [*command, wish.group or "-", wish.protocol or "-"]).wait_for_log(
            "^listening"
        )
        return port, LINE + "\n", LINE + "\n"

    def connect(self, path, port, wish, folder):
        client = [wish.client.chain, wish.client.key] if wish.client else ["-", "-"]
        command = [path, "client", port, wish.hosts.roots, HOST, *client, wish.count]
        command.append(wish.protocol or "-")
        finished = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert finished.stdout.split() == ["resumed", "false"] + ["resumed", "true"] * (
            wish.count - 1
        )


class WolfSsl(Program):
    name = "wolfssl"
    program = "wolfssl-tls"


class Go(Program):
    name = "go"
    program = "hbk-go-tls"


class Python:
    name = "python"
    connections_max = 8
    program = None
    curves = {"X25519": "X25519", "P-256": "prime256v1", "P-384": "secp384r1"}

    def serve(self, start, path, wish):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(wish.identity.chain, wish.identity.key)
        if wish.client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(wish.hosts.roots)
        if wish.group:
            context.set_ecdh_curve(self.curves[wish.group])
        if wish.protocol:
            context.set_alpn_protocols([wish.protocol])
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(wait.DEADLINE_S)
        threading.Thread(
            target=self._echo, args=(listening, context, wish.count), daemon=True
        ).start()
        return listening.getsockname()[1], LINE + "\n", LINE + "\n"

    def _echo(self, listening, context, count):
        with listening:
            for _ in range(count):
                accepted, _ = listening.accept()
                accepted.settimeout(wait.DEADLINE_S)
                try:
                    with context.wrap_socket(accepted, server_side=True) as connection:
                        for data in iter(lambda: connection.recv(4096), b""):
                            connection.sendall(data)
                except OSError:
                    continue  # our side says what was wrong

    def connect(self, path, port, wish, folder):
        context = ssl.create_default_context(cafile=wish.hosts.roots)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if wish.client:
            context.load_cert_chain(wish.client.chain, wish.client.key)
        if wish.protocol:
            context.set_alpn_protocols([wish.protocol])
        session = None
        for i in range(wish.count):
            plain = socket.create_connection(("127.0.0.1", port), timeout=wait.DEADLINE_S)
            with context.wrap_socket(plain, server_hostname=HOST, session=session) as connection:
                connection.sendall(LINE.encode())
                received = b""
                while len(received) < len(LINE):
                    received += connection.recv(4096)
                assert received == LINE.encode()
                assert connection.session_reused == (i > 0)
                session = connection.session


def echo_plainly():
    """A port behind which lines come back, without TLS, until the program ends."""
    listening = socket.create_server(("127.0.0.1", 0))

    def echo(accepted):
        with accepted, contextlib.suppress(OSError):
            for data in iter(lambda: accepted.recv(4096), b""):
                accepted.sendall(data)

    def accept():
        while True:
            threading.Thread(target=echo, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listening.getsockname()[1]


class Envoy:
    """Relays between TLS and TCP: the line and its echo go through it."""

    name = "envoy"
    connections_max = 8
    program = "envoy"

    def _tls(self, wish, identity, is_server):
        socket_of = envoy.tls_socket(identity, is_server, wish.hosts.roots)
        config = socket_of["typed_config"]
        common = config["common_tls_context"]
        groups = [wish.group] if wish.group else ["X25519", "P-256", "P-384"]
        common["tls_params"]["ecdh_curves"] = groups
        common["alpn_protocols"] = [wish.protocol] if wish.protocol else []
        if not is_server:
            config["sni"] = HOST
        elif wish.client:
            config["require_client_certificate"] = True
        else:
            del common["validation_context"]
        return socket_of

    def _command(self, path, listening, upstream):
        config = envoy.bootstrap([listening], [upstream])
        options = ["--disable-hot-restart", "-l", "warn", "--concurrency", 1]
        return [path, "--config-yaml", config, *options]

    def _listener(self, port):
        relay = envoy.network_filter("tcp_proxy", "TcpProxy", stat_prefix="relay", cluster="peer")
        chain = {"filters": [relay]}
        return {"address": envoy.address("127.0.0.1", port), "filter_chains": [chain]}, chain

    @staticmethod
    def _reach(port):
        """The connection itself: Envoy would dial its peer for one that only looks."""
        return socket.create_connection(("127.0.0.1", port), timeout=wait.DEADLINE_S)

    def serve(self, start, path, wish):
        port = free_port()
        listening, chain = self._listener(port)
        chain["transport_socket"] = self._tls(wish, wish.identity, is_server=True)
        upstream = envoy.cluster("peer", "127.0.0.1", echo_plainly())
        running = start("envoy", self._command(path, listening, upstream))
        running.wait_until(lambda: self._reach(port), "to accept").close()
        return port, LINE + "\n", LINE + "\n"

    def connect(self, path, port, wish, folder):
        own_port = free_port()
        listening, _ = self._listener(own_port)
        upstream = envoy.cluster("peer", "127.0.0.1", port)
        upstream["transport_socket"] = self._tls(wish, wish.client, is_server=False)
        with open(folder / "envoy.log", "w", encoding="utf-8") as log:
            command = list(map(str, self._command(path, listening, upstream)))
            running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for _ in range(wish.count):
                self._talk(own_port)
        finally:
            running.terminate()
            running.wait(timeout=TIMEOUT_S)

    def _talk(self, port):
        with wait.until(lambda: self._reach(port), "Envoy to accept") as connection:
            connection.sendall(LINE.encode())
            received = b""
            while len(received) < len(LINE):
                more = connection.recv(4096)
                assert more, f"Envoy closed behind {received!r}"
                received += more
            assert received == LINE.encode()


ALL = (OpenSsl(), GnuTls(), WolfSsl(), Go(), Python(), Envoy())
STRANGERS = {stranger.name: stranger for stranger in ALL}
