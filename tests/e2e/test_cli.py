"""The command line: what it prints and how it exits."""

import json
import pathlib
import re
import socket
import subprocess

import pytest

from harness import program
from harness.program import hauberk


def test_version_prints_one_line():
    done = hauberk("version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("hauberk ") and done.stdout.count("\n") == 1


def test_help_names_every_command_and_goes_to_standard_output():
    done = hauberk("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: hauberk COMMAND" in done.stdout
    assert "version" in done.stdout


def test_an_unknown_command_is_a_usage_error_that_repeats_the_word():
    done = hauberk("fly")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'no command "fly"' in done.stderr


def test_no_command_is_a_usage_error():
    done = hauberk()
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: hauberk COMMAND" in done.stderr


def test_an_agent_refuses_a_kind_of_processor_that_it_does_not_know(monkeypatch):
    monkeypatch.setenv("HBK_CPU", "abacus")
    done = hauberk("node", "--mesh", "mesh.yaml", "--node", "alpha", "--ca", "ca")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'hauberk node: HBK_CPU is "abacus"; allowed are "scalar" and "avx512"\n'


COMMANDS = [
    "bench", "ca", "config", "demo", "echo", "gateway", "load", "node", "redirect", "speed",
    "version", "bench path", "bench handshakes", "bench gateway", "bench paper", "bench compare",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_had_in_each_way_that_people_try(command):
    words = command.split()
    told = [hauberk("help", *words), hauberk(*words, "--help")]
    if len(words) == 1:
        told.append(hauberk(*words, "-h"))
    for done in told:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"usage: hauberk {words[0]}")
    assert len({done.stdout for done in told}) == 1


def test_every_command_that_help_names_has_a_help_of_its_own():
    named = re.findall(r"^  (\S+) ", hauberk("help").stdout, re.M)
    assert set(named) == {command for command in COMMANDS if " " not in command}


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("bench", "config")])
def test_an_unknown_option_is_told_with_the_commands_full_name(command):
    done = hauberk(*command.split(), "--fly")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hauberk {command}: ") or command == "redirect"


@pytest.mark.parametrize(
    "arguments, status, complaint",
    [
        ("help fly", 2, 'no command "fly"'),
        ("bench road", 2, 'there is no "road"'),
        ("bench path --only nothing$", 1, "--only matches no case"),
        ("bench path --cores 0,1023", 2, "there is no core 1023 for this process"),
        ("bench paper -o out --cores 1023,0", 2, "there is no core 1023 for this process"),
        ("bench paper -o out --quick --full", 2, "--quick or --full is allowed, once"),
        ("bench paper -o out --binary haprox=/x", 1, 'no system of this series is called "haprox"'),
        ("bench gateway --only nothing", 1, "--only matches no row"),
        ("speed tls --only [", 2, '--only takes an extended regular expression; "[": '),
        ("speed tls --only a --only b", 2, "--only is given twice; alternatives are written A|B"),
        ("speed tls --core 1.5", 2, "--core takes the number of a core"),
        ("speed tls --only nothing", 1, "--only matches nothing"),
        ("speed policies --only rsa", 2, "--only is for primitives and tls"),
        ("speed tls --with-crypto-mb x.so", 2, "--with-crypto-mb is for primitives"),
        ("ca init ca --ttl 5h", 2, "--ttl is for issue"),
        ("ca init ca --key-type rsa-2048", 2, "--key-type is for issue"),
        ("ca init file", 1, "file: is not a directory"),
        ("ca show .", 1, ".: is a directory"),
        ("ca issue --ca file --spiffe-id spiffe://a/b --out o", 1, "root.pem: is not a directory"),
        ("config fix .", 1, ". cannot be read: is a directory"),
        ("echo --tcp --sink", 2, "one of --tcp, --sink and --source is allowed"),
        ("echo --listen 192.0.2.77:80", 1, "192.0.2.77:80: no such address here"),
        ("node --mesh . --check", 1, ".: cannot be read: is a directory"),
        ("node --mesh file --node n --check --cleanup", 2, "--check or --cleanup is allowed"),
        ("gateway --config-yaml {} --log-path none/log", 1, "none/log: No such file"),
        ("gateway --config-yaml {} --log-format %q", 2, "--log-format \"%q\": %q is no part of"),
        ("gateway --config-yaml {} --local-address-ip-version 4", 2, "v4 and v6 are allowed"),
        ("redirect fly", 2, 'there is no "fly"'),
        ("redirect show --netns", 2, "--netns WHERE is allowed, once"),
        ("redirect print --fly", 2, "hauberk redirect: --fly: an option with a value is allowed"),
        ("redirect print --fly 1", 2, "hauberk redirect: no option --fly; allowed are --kind"),
        ("redirect apply --kind pod --netns /none", 1, "/none: No such file or directory"),
    ],
)
def test_a_mistake_is_told_and_does_nothing(private_namespaces, tmp_path, arguments, status,
                                            complaint):
    (tmp_path / "file").write_text("")
    done = hauberk(*arguments.split(), cwd=tmp_path)
    assert complaint in done.stderr
    assert done.returncode == status
    assert not (tmp_path / "ca").exists() and not (tmp_path / "o").exists()


def test_a_port_in_use_is_told_as_such(private_namespaces):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = hauberk("echo", "--listen", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"hauberk echo: cannot listen on {address}: in use already\n"


def test_a_node_that_no_workload_names_is_a_warning(private_namespaces, tmp_path):
    (tmp_path / "mesh.yaml").write_text("{}")
    done = hauberk("node", "--mesh", tmp_path / "mesh.yaml", "--node", "alfa", "--cleanup")
    assert done.returncode == 0
    assert "no workload of the mesh file is on node alfa" in done.stdout


def wycheproof(*files):
    path = pathlib.Path(program.BINARY).parent / "tests" / "wycheproof"
    command = [str(path), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_vector_that_reaches_no_code_counts_as_skipped(tmp_path):
    case = {"tcId": 1, "comment": "short", "public": "04", "private": "01", "shared": ""}
    group = {"type": "EcdhEcpointTest", "curve": "secp256r1"}
    counted = {"invalid": "0 passed, 0 failed, 1", "valid": "0 passed, 1 failed, 0"}
    for result, passed in counted.items():
        tests = [case | {"result": result}]
        file = {"algorithm": "ECDH", "testGroups": [group | {"tests": tests}]}
        (tmp_path / "one.json").write_text(json.dumps(file))
        assert f"{passed} skipped" in wycheproof(tmp_path / "one.json").stdout


def test_more_vector_files_than_are_taken_are_an_error(tmp_path):
    done = wycheproof(*[tmp_path / "none.json"] * 257)
    assert done.returncode == 1
    assert "257 files; at most 256 are taken" in done.stderr


@pytest.mark.parametrize("command", ["gateway", "node"])
@pytest.mark.parametrize(
    "options, complaint",
    [
        (["--batch-policy", "soon"], '--batch-policy "soon": now, fixed or adaptive is allowed'),
        (["--batch-delay", "2s"], '--batch-delay "2s": a length of time up to 1s is allowed'),
        (["--batch-delay", "0"], '--batch-delay "0": a length of time'),
        (["--batch-delay", "1ms"], "--batch-delay without --batch-policy fixed or adaptive"),
        (["--break-even", "p256-sign"], '--break-even "p256-sign": QUEUE=LANES is allowed'),
        (["--break-even", "p256-sign=10"], "a number from 1 to 9"),
        (["--break-even", "p256-sign=0"], "a break-even of 0 lanes"),
        (["--break-even", "dh=2"], 'no queue is called "dh"'),
        (["--break-even", "p384-sign=2"], "the queue p384-sign has no kernel"),
    ],
)
def test_a_wrong_option_of_the_batcher_is_told(command, options, complaint):
    done = hauberk(command, *options)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_speed_policies_ends_with_whether_the_rule_was_kept():
    done = hauberk("speed", "policies", "--seconds", "0.02", timeout=300)
    assert done.returncode == 0
    *lines, last = done.stdout.splitlines()
    text = "\n".join(lines)
    rows = re.findall(r"^(\S+) +(\d+) % .* cpu +[\d.]+ % \[.* p99 +\d+ us \[", text, re.M)
    assert len(set(rows)) == 25
    line = re.compile(r"  (\S+) +less (\S+) +cpu .*\[(\S+), (\S+)\] .*\[(\S+), (\S+)\](.*)")
    compared, worse = [], set()
    loads = iter(["5", "25", "50", "75", "95"])
    for match in filter(None, map(line.fullmatch, lines)):
        if len(compared) % 4 == 0:
            load = next(loads)
        policy, fixed, *bounds, verdict = match.groups()
        low_cpu, high_cpu, low_p99, high_p99 = map(float, bounds)
        assert low_cpu <= high_cpu and low_p99 <= high_p99
        compared.append((policy, fixed, load))
        if verdict:
            assert verdict == "  worse in both" and low_cpu >= 0 and low_p99 >= 0
            worse.add((policy, fixed, load))
        else:
            assert low_cpu <= 0 or low_p99 <= 0
    assert len(set(compared)) == 20
    broken = [
        f"at {load} % now and adaptive are both worse than {fixed},"
        for policy, fixed, load in compared
        if policy == "now" and {("now", fixed, load), ("adaptive", fixed, load)} <= worse
    ]
    assert last.startswith("rule broken: " + broken[0] if broken else "rule kept: ")
