"""Starts the shim as an outside runner does, plays the other side, and judges what comes of it."""

import os
import pathlib
import socket
import struct
import subprocess

from peer import Client, Plan, Server
from record import TIMEOUT_S, Broken, Closed, PeerAlert

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIM = os.environ.get("HBK_TLS_SHIM", str(ROOT / "build/tests/tls-shim"))
SHIM_ID = 0x0123456789ABCDEF
OK, FAILED, UNIMPLEMENTED, CHECK = 0, 1, 89, 90


class Case:
    """
    One run of the shim. `plans` has a Plan for each connection. A case that must fail names the
    alert that the shim sends (None: none), and a name that standard error has.
    """

    def __init__(self, name, part, *plans, flags=(), fails=None, alert=None, status=None,
                 plain=None, cut=False, credential=None):
        self.name, self.part, self.plans, self.flags = name, part, plans, list(flags)
        self.fails, self.alert, self.plain, self.cut = fails, alert, plain, cut
        self.status = status if status is not None else OK if fails is None else FAILED
        self.credential = credential  # of a shim that is a server; "rsa" if it is not said

    def __repr__(self):
        return self.name


class Result:
    def __init__(self):
        self.alert = self.error = None
        self.closed_clean = False
        self.peers = []


def listen():
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::1", 0))
    listener.listen(8)
    listener.settimeout(TIMEOUT_S)
    return listener


def accept(listener):
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(TIMEOUT_S)
    given = b""
    while len(given) < 8:
        given += sock.recv(8 - len(given)) or b"closed??"
    if struct.unpack("<Q", given)[0] != SHIM_ID:
        raise Broken("the shim sent another id")
    return sock


def play(sock, part, plan, memory, result):
    """One connection. What the shim's refusal looks like goes into the result."""
    peer = (Client if part == "server" else Server)(sock, plan, memory, part == "client")
    result.peers.append(peer)
    try:
        result.closed_clean = peer.run()
        return True
    except PeerAlert as alert:
        result.alert = alert
        if alert.level != 2:
            result.error = Broken(f"an alert of level {alert.level}")
    except Closed:
        pass
    except (Broken, AssertionError) as error:
        result.error = error
        return False
    end(peer)
    return False


def end(peer):
    """Nothing may follow an alert; the shim waits for our end of the stream."""
    try:
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.sock.recv(1 << 16):
            pass
    except OSError:
        pass


def command(case, port):
    words = [SHIM, "-port", str(port), "-shim-id", str(SHIM_ID), "-ipv6"]
    if case.part == "server":
        words.append("-server")
    if len(case.plans) > 1:
        words += ["-resume-count", str(len(case.plans) - 1)]
    return words + case.flags


def run(case):
    """Runs the shim; returns what came of it, its status and its two streams."""
    result, memory = Result(), {}
    with listen() as listener:
        process = subprocess.Popen(
            command(case, listener.getsockname()[1]), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        try:
            for plan in case.plans:
                sock = accept_or_end(listener, process)
                if sock is None:
                    break
                with sock:
                    if not play(sock, case.part, plan, memory, result):
                        break
            output, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return result, process.returncode, output.decode(), errors.decode()


def accept_or_end(listener, process):
    """A shim that ends before it connects is no reason to wait: then None."""
    listener.settimeout(0.05)
    for _ in range(int(TIMEOUT_S / 0.05)):
        try:
            return accept(listener)
        except socket.timeout:
            if process.poll() is not None:
                return None
    raise Broken("the shim does not connect")


def strip_done(errors):
    """The mark behind which only a sanitizer speaks."""
    text, mark, late = errors.partition("--- DONE ---\n")
    assert late == "", f"a sanitizer: {late}"
    return text


def check(case):
    result, status, output, errors = run(case)
    errors = strip_done(errors)
    said = f"\nstatus {status}, stderr: {errors!r}, stdout: {output!r}, peer: {result.error!r}"
    said += f", alert: {result.alert!r}"
    assert status == case.status, f"status {case.status} expected{said}"
    if case.fails is None:
        assert errors == "" or case.status != OK, f"a good test says nothing{said}"
        assert result.error is None and (result.alert is None or case.alert is not None), said
        if case.alert is not None:
            assert result.alert is not None and result.alert.description == case.alert, said
        return result
    assert case.fails in errors, f"{case.fails} expected{said}"
    if case.alert is None:
        assert result.alert is None, f"no alert expected{said}"
    else:
        assert result.alert is not None, f"alert {case.alert} expected{said}"
        assert result.alert.description == case.alert, f"alert {case.alert} expected{said}"
        if case.plain is not None:
            assert result.alert.is_plain == case.plain, f"in the clear: {case.plain} expected{said}"
    assert not isinstance(result.error, Broken), said
    return result
