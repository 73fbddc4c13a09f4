"""`hauberk bench gateway --quick`: that it measures all proxies and says what it found."""

import json

import pytest

from harness.program import hauberk

LOADS = ["rsa", "mutual", "proxied"]
MEMORY = ["idle", "many", "lists"]


@pytest.fixture(scope="module")
def envoy(find_peer_program):
    return find_peer_program("envoy")


def run(envoy, *options):
    return hauberk("bench", "gateway", "--quick", "--envoy", envoy, *options, timeout=300)


def test_every_proxy_is_measured_and_every_target_judged(
    private_namespaces, find_peer_program, envoy
):
    find_peer_program("haproxy")
    find_peer_program("nginx")
    done = run(envoy, "--json", "--only", "^(" + "|".join(LOADS + MEMORY) + ")$")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["quick"] is True and report["machine"]["Processors"]
    proxies = {one["name"]: one for one in report["proxies"]}
    for name in ("haproxy", "nginx", "envoy"):
        assert proxies[name]["left_out"] is None, proxies[name]
        assert proxies[name]["version"], proxies[name]
    figures = {(one["row"], one["proxy"]): one for one in report["figures"]}
    for row in LOADS:
        for name in ("hauberk", "haproxy", "nginx", "envoy"):
            one = figures[row, name]
            assert one["rounds"] == 1, one
            assert one["per_cpu_second"] > 0 and one["cpu_us"] > 0 and one["p50_us"] > 0, one
            assert one["handshakes_resumed"] == 0, one
            assert (one["handshakes_full"] > 0) == (row != "proxied"), one
    for name in ("hauberk", "haproxy", "nginx", "envoy"):
        assert figures["idle", name]["bytes_per_connection"] > 0
    for name in ("hauberk", "envoy"):
        assert figures["many", name]["ready_s"] > 0 and figures["many", name]["private_mib"] > 0
        assert figures["lists", name]["copies"] is not None
    assert {one["row"] for one in report["targets"]} == set(LOADS + MEMORY)
    for one in report["targets"]:
        is_small = one["row"] in ("many", "lists")
        is_absent = one["ratio_to"] == "envoy-cryptomb" and proxies["envoy-cryptomb"]["left_out"]
        if is_small or is_absent:
            assert one["verdict"] == "not measured", one
        else:
            is_met = (
                one["found"] <= one["bound"]
                if one["must_be"] == "at most"
                else one["found"] >= one["bound"]
            )
            assert one["verdict"] == ("met" if is_met else "missed"), one


def test_a_proxy_that_is_missing_is_left_out_by_name(private_namespaces):
    done = run("/no/such/envoy", "--haproxy", "/bin/false", "--only", "^rsa$")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out: /no/such/envoy is not there" in done.stdout
    assert "it ended at its start" in done.stdout
    assert "not measured" in done.stdout


def test_options_that_cannot_be_are_refused():
    for options in (["--rounds", "99"], ["--cores", "1"], ["--only", "("], ["--nonsense"], ["x"]):
        assert hauberk("bench", "gateway", *options).returncode == 2, options
