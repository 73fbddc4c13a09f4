"""Network namespaces without names: each is held by a child that ends when its input closes, so
that nothing is left behind however the tests end.

The tests' own process moves into a new network namespace first; somebody who is not root
gets a user namespace around them, in which he is.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def die_with_parent():
    """For preexec_fn: the kernel kills the child when the tests' process ends."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enter_private_namespaces():
    """Moves this process, which must have one thread, into namespaces of its own."""
    user, group = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWNET if user == 0 else CLONE_NEWNET | CLONE_NEWUSER), "unshare")
    if user != 0:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {user} 1"),
            ("gid_map", f"0 {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Here:
    """The namespace of the tests' own process."""

    @contextlib.contextmanager
    def entered(self):
        yield self

    def connect(self, ip, port, timeout=10, source=None):
        """A TCP connection from here."""
        with self.entered():
            return socket.create_connection((ip, port), timeout, source)

    def listen(self, ip, port, backlog=128):
        """A listening TCP socket here."""
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        with self.entered():
            return socket.create_server((ip, port), family=family, backlog=backlog)


class Namespace(Here):
    """A network namespace; `with namespace.entered():` makes sockets in it."""

    def __init__(self, name):
        self.name = name
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        if self.holder.stdout.readline() != b"ready\n":
            raise OSError(f"namespace {name}: unshare failed")
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.ip("link set lo up")

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(timeout=10)
        self.holder.stdout.close()

    def command(self, *arguments):
        """The command line that runs `arguments` in this namespace."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, arguments)]

    def run(self, *arguments, check=True, timeout=60, **options):
        """Runs a program here to its end; returns subprocess.CompletedProcess with text."""
        options = {"stdin": subprocess.DEVNULL} | options if "input" not in options else options
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
            **options,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{self.name}: {' '.join(map(str, arguments))}: exit status {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def ip(self, *lines):
        """Runs lines of `ip -batch`."""
        self.run("ip", "-batch", "-", input="".join(line + "\n" for line in lines))

    def set_sysctl(self, name, value):
        with self.entered():
            with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
                file.write(str(value))

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace inside the block; its sockets stay there."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                check(libc.setns(there, CLONE_NEWNET), f"setns {self.name}")
            finally:
                os.close(there)
            try:
                yield self
            finally:
                check(libc.setns(back, CLONE_NEWNET), "setns back")
        finally:
            os.close(back)
