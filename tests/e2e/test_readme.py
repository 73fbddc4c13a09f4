"""The README's second example, word for word: its blocks are run by shells on two hosts."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from harness import http, wait
from harness.namespace import die_with_parent
from harness.program import BINARY, ROOT

BLOCK = re.compile(r"^```sh (alpha|beta|both)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END = "end-of-block"
FAILED = "end-of-shell"


class Shell:
    """A shell on a host, in a folder of its own, with our build in its PATH."""

    def __init__(self, host, folder, shims):
        self.host = host
        self.folder = folder / host.name
        self.folder.mkdir()
        self.process = subprocess.Popen(
            host.namespace.command("bash", "-e"),
            cwd=self.folder,
            env=os.environ | {"PATH": f"{shims}:{os.environ['PATH']}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=die_with_parent,
        )
        # It stays until close(), or what it started would hold its output open for ever.
        self.process.stdin.write(f"trap 'echo {FAILED}; wait' EXIT\n")

    def run(self, block):
        """Runs one block; returns what it printed. A command that fails ends the shell."""
        self.process.stdin.write(f"set -m\n{block}echo {END}\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.strip() == END:
                return "".join(lines)
            if line.strip() == FAILED:
                break
            lines.append(line)
        raise AssertionError(f"on {self.host.name}, in\n{block}\n{''.join(lines)}")

    def close(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            children = file.read().split()
        for child in children:
            os.kill(int(child), 9)
        self.process.kill()
        self.process.wait()


def write_shim(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


@pytest.fixture
def shells(pair, tmp_path):
    """A Shell for alpha and one for beta. `make install` and `scp` are stood in for."""
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "hauberk").symlink_to(os.path.abspath(BINARY))
    write_shim(shims / "make", '[ "$*" = install ]\n')
    target = shlex.quote(str(tmp_path / "beta"))
    write_shim(shims / "scp", f'[ "$1" = -r ] && cp -r "$2" {target}/"${{3#192.0.2.2:}}"\n')
    found = {host.name: Shell(host, tmp_path, shims) for host in (pair.alpha, pair.beta)}
    yield found
    for shell in found.values():
        shell.close()


def is_ready(host):
    return http.get(host.namespace, "127.0.0.1", 15021, "/healthz/ready").status == 200


def test_the_example_of_two_real_servers_runs_as_it_is_written(pair, shells):
    assert shutil.which("curl")
    outsider = pair.beta.add_pod("outsider")
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 8
    called = 0
    for where, block in blocks:
        if "curl" in block:
            for host in (pair.alpha, pair.beta):
                wait.until(lambda host=host: is_ready(host), f"the agent of {host.name}")
            assert http.is_refused(outsider.namespace, pair.beta.v4, 9000)
        if "grep" in block:  # a reader is slower than the log, a test is not
            said = re.search(r"grep '(.*)' (\S+)", block)
            log = shells[where].folder / said.group(2)
            wait.until(lambda log=log, said=said: said.group(1) in log.read_text(), "the log")
        outputs = [shells[host].run(block) for host in shells if where in (host, "both")]
        if "curl" in block:
            called += 1
            assert pair.alpha.v4 in outputs[0], "the service sees who called"
        if "grep" in block:
            assert "direction=" in outputs[0]
    assert called == 1
    assert http.get(pair.alpha.namespace, pair.beta.v4, 9000).text == "ok", "given back"
