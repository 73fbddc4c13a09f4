"""The command line: what it prints and how it exits."""

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
