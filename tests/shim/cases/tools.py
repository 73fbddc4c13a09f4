"""Words that the tables of cases are written with."""

import atexit
import functools
import pathlib
import shutil
import tempfile

from credential import Credential, key_usage
from harness import CHECK, UNIMPLEMENTED, Case
from peer import Plan
from record import ALERT, CCS, DATA, HANDSHAKE, P256, P384, X25519, number, vector

import hello as h

__all__ = [
    "ALERT", "CCS", "CHECK", "Case", "DATA", "HANDSHAKE", "P256", "P384", "Plan", "UNIMPLEMENTED",
    "X25519", "add", "client", "clip", "credential", "drop", "extend", "h", "leave_out", "number",
    "put", "repeat", "retype", "server", "vector",
]

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="tls-shim-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


@functools.lru_cache(maxsize=None)
def credential(kind, name=None, usage=None):
    bits = key_usage(**{usage: True}) if usage else None
    return Credential(FOLDER, kind, name, bits)


def server(name, *plans, flags=(), own="p256", **rest):
    """The shim is the server, with a certificate of that kind."""
    given = credential(own).flags() if own else []
    return Case(f"server: {name}", "server", *plans, flags=[*given, *flags], **rest)


def client(name, *plans, flags=(), peer="p256", **rest):
    """The shim is the client; the peer has a certificate of that kind where its plan names none."""
    for plan in plans:
        plan.credential = plan.credential or credential(peer)
    return Case(f"client: {name}", "client", *plans, flags=list(flags), **rest)


# ---- what happens to a message


def resize(raw, body):
    return raw[:1] + vector(3, body)


def retype(kind):
    return lambda peer, raw: bytes([kind]) + raw[1:]


def extend(more=b"\0"):
    return lambda peer, raw: resize(raw, raw[4:] + more)


def clip(size=1):
    return lambda peer, raw: resize(raw, raw[4:-size])


def leave_out(peer, raw):
    return None


def repeat(peer, raw):
    return raw + raw


def add(data):
    """Bytes behind the message, in the same record."""
    return lambda peer, raw: raw + data


def put(kind, body):
    """An extension, in place of one of its type."""
    def bend(peer, item):
        item.extensions.put(kind, body)
    return bend


def drop(kind):
    def bend(peer, item):
        item.extensions.drop(kind)
    return bend

