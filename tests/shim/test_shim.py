"""
The shim driven as an outside runner drives it: every case starts build/tests/tls-shim, plays the
other side with a TLS 1.3 stack that can be broken on purpose, and holds alert, names on standard
error and exit status to what the runner would want. HBK_TLS_SHIM names another build of the shim.
"""

import json
import re
import subprocess

import pytest

from cases import alerts, certificates, extensions, order, plain, records, resume, retry
from harness import OK, ROOT, SHIM, UNIMPLEMENTED, check

TABLES = (plain, order, retry, resume, records, alerts, extensions, certificates)
CASES = [case for table in TABLES for case in table.CASES]


def label(case):
    return case.name.replace(" ", "_")


@pytest.mark.parametrize("case", CASES, ids=label)
def test_the_shim_answers_the_runner(case):
    check(case)


def test_no_two_cases_have_the_same_name():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def test_split_handshakes_are_not_supported():
    run = subprocess.run([SHIM, "-is-handshaker-supported"], capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (OK, b"No\n", b"")


@pytest.mark.parametrize("flags", [
    ["-dtls"], ["-quic"], ["-max-version", "771"], ["-enable-early-data"], ["-curves", "25"],
    ["-curves", "4588"], ["-signing-prefs", "1539"], ["-verify-prefs", "2308"],
    ["-on-shim-handshake-hints"], ["-on-retry-verify-fail"],
    ["-expect-early-data-reason", "accept"],
    ["-new-rpk-credential"], ["-ticket-key", "abc"], ["-no-such-flag"],
    ["-expect-ticket-age-skew", "1"], ["-select-empty-alpn"],
], ids=" ".join)
def test_what_is_out_of_scope_is_unimplemented(flags):
    run = subprocess.run([SHIM, "-port", "1", "-shim-id", "1", *flags], capture_output=True,
                         check=False)
    assert (run.returncode, run.stderr) == (UNIMPLEMENTED, b"")


@pytest.mark.parametrize("flags", [
    ["-port"], ["-port", "x"], ["-curves", "29x"], ["-resume-count", ""], ["plain"],
    ["-verify-prefs", "99999"], ["-shim-id", "18446744073709551616"],
], ids=" ".join)
def test_a_malformed_value_is_an_error(flags):
    run = subprocess.run([SHIM, *flags], capture_output=True, check=False)
    assert run.returncode == 1 and run.stderr


def test_the_runners_configuration_gives_a_reason_for_each_disabled_test():
    config = json.loads((ROOT / "tests/shim/bogo.json").read_text())
    assert set(config) == {"DisabledTests", "ErrorMap"}
    assert all(len(reason) > 10 for reason in config["DisabledTests"].values())
    names = [*config["ErrorMap"], *sum(config["ErrorMap"].values(), [])]
    assert [name for name in names if not re.fullmatch(r":[A-Z0-9_]+:", name)] == []


def test_every_mapped_sentence_is_one_of_the_engines():
    source = "".join(path.read_text() for path in (ROOT / "src/tls").glob("*.c"))
    joined = re.sub(r'"\s*\n\s*"', "", source)
    for name in re.findall(r'ROW\(\w+, "(\w+)"\)', source):  # put together by a macro
        joined += f'the extension {name} is malformed"'
    table = (ROOT / "tests/shim/error.c").read_text()
    table = table[table.index("by_text[]") : table.index("name_of_alert")]
    sentences = re.findall(r'\{"([^:"][^"]*)",', table)
    assert len(sentences) > 40
    assert [text for text in sentences if f'{text}"' not in joined] == []
