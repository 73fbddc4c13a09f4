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

# What a sanitizer or one of our assertions writes.
COMPLAINT = r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|: runtime error: |hauberk: bug at "


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
        self.command = list(map(str, command))
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                self.command,
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

    def forget_log(self):
        """log() begins anew with what is written from now on."""
        self.log_start = self.log_path.stat().st_size

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

    def end(self):
        """Ends the program as the test does; returns what was wrong with its life, or None.

        Ours is asked to end, so that the sanitizers have their say about what it leaves behind.
        """
        is_ours = BINARY in self.command
        was_running = self.is_running()
        try:
            for _ in range(2 if is_ours and was_running else 0):
                if self.is_running():
                    self.signal(signal.SIGINT)  # the second one ends a drain
            if is_ours and was_running and self.wait_exit() != 0:
                return f"{self.name} ended with {self.process.returncode}:\n{self.log()[-8000:]}"
        except subprocess.TimeoutExpired:
            return f"{self.name} did not end when it was asked to:\n{self.log()[-8000:]}"
        finally:
            self.kill()
        found = re.search(COMPLAINT, self.log()) if is_ours else None
        return found and f"{self.name} wrote:\n{self.log()[found.start():][:8000]}"

    def memory_private_dirty_bytes(self):
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            return 1024 * int(re.search(r"^Private_Dirty:\s+(\d+) kB", file.read(), re.M).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
