"""Programs that run beside the tests: started in a namespace, logged to a file, ended by pid."""

import os
import pathlib
import re
import signal
import subprocess

from harness import wait
from harness.namespace import die_with_parent

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
BINARY = os.environ.get("HBK_BINARY", str(ROOT / "build" / "hauberk"))


def hauberk(*arguments, **options):
    """Runs the program to its end; returns subprocess.CompletedProcess with text."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=options.pop("timeout", 60),
        check=False,
        **options,
    )


def run(*command):
    """Runs another program to its end, which must be a success; returns its output."""
    return subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


class Program:
    """A running program. Its output, both streams, is in `log_path`."""

    def __init__(self, name, command, folder, environment=None):
        self.name = name
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | (environment or {}),
                preexec_fn=die_with_parent,
            )
        self.pid = self.process.pid

    def log(self):
        """What this run has written."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode("utf-8", "replace")

    def is_running(self):
        return self.process.poll() is None

    def wait_for_log(self, pattern):
        """Waits for a line that matches; returns the match."""

        def found():
            match = re.search(pattern, self.log(), re.MULTILINE)
            if match is None and not self.is_running():
                raise AssertionError(
                    f"{self.name} ended with {self.process.returncode} and never wrote "
                    f"{pattern!r}:\n{self.log()}"
                )
            return match

        return wait.until(found, f"{self.name} to write {pattern!r}")

    def wait_until(self, condition, what):
        """Waits for a condition while the program lives."""

        def still():
            if not self.is_running():
                raise AssertionError(
                    f"{self.name} ended with {self.process.returncode} before {what}:\n"
                    f"{self.log()}"
                )
            return condition()

        return wait.until(still, f"{self.name}: {what}")

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, deadline_s=wait.DEADLINE_S):
        """Waits for the end; returns the exit status, negative for a signal."""
        return self.process.wait(timeout=deadline_s)

    def terminate(self):
        """SIGTERM, then the end; returns the exit status."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        return self.wait_exit()

    def kill(self):
        """SIGKILL, for tests of sudden death and for cleaning up."""
        if self.is_running():
            self.signal(signal.SIGKILL)
        self.process.wait(timeout=wait.DEADLINE_S)

    def memory_private_dirty_bytes(self):
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            return 1024 * int(re.search(r"^Private_Dirty:\s+(\d+) kB", file.read(), re.M).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
