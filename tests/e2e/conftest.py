"""Fixtures, and the one rule about skipping: a missing peer or a forbidden namespace skips with its
reason, unless HBK_REQUIRE_PEERS is set, where it fails.
"""

import contextlib
import os
import pathlib
import shutil

import pytest

from harness import namespace, program, tls_peer, topology
from harness.town import Town

PEERS = pathlib.Path(os.environ.get("HBK_PEERS", program.ROOT / "build" / "peers"))

namespaces_forbidden = None


def pytest_sessionstart(session):
    global namespaces_forbidden
    try:
        namespace.enter_private_namespaces()
    except OSError as error:
        namespaces_forbidden = str(error)


def pytest_collection_modifyitems(config, items):
    """What a test finds out about Envoy alone is asked in the ordinary run, not of each variant."""
    if "HBK_VARIANT" not in os.environ:
        return
    envoys = [item for item in items if is_envoys_alone(item)]
    if envoys:
        config.hook.pytest_deselected(items=envoys)
        items[:] = [item for item in items if not is_envoys_alone(item)]


def is_envoys_alone(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return "envoy" in (parameters.get("proxy"), parameters.get("serve"))


def skip_or_fail(reason):
    if os.environ.get("HBK_REQUIRE_PEERS"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the programs of the test wrote last."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for running in getattr(item, "programs", []):
            report.sections.append((f"log of {running.name}", running.log()[-8000:]))


@pytest.fixture
def start(request, tmp_path):
    """start(name, command, namespace=None, environment=None): a Program that ends with the test."""
    programs = []
    request.node.programs = programs

    def start_program(name, command, inside=None, environment=None):
        command = inside.command(*command) if inside is not None else command
        running = program.Program(name, command, tmp_path, environment)
        programs.append(running)
        return running

    yield start_program
    complaints = [running.end() for running in programs]
    for complaint in filter(None, complaints):
        pytest.fail(complaint, pytrace=False)


@pytest.fixture(scope="session")
def find_peer_program():
    """find_peer_program(name): the path of another project's program, or a skip with the reason."""

    def find(name):
        places = {
            "hbk-fortio": [os.environ.get("HBK_FORTIO", ""), str(PEERS / "bin" / "hbk-fortio")],
            "hbk-go-tls": [str(PEERS / "bin" / "hbk-go-tls")],
            "hbk-h2spec": [str(PEERS / "bin" / "hbk-h2spec")],
            "wolfssl-tls": [str(tls_peer.path_of("wolfssl-tls"))],
            "envoy": [os.environ.get("HBK_ENVOY", ""), *find_in_peers("envoy/_bin/envoy")],
        }.get(name, [])
        for place in [*places, shutil.which(name)]:
            if place and os.access(place, os.X_OK):
                return place
        return skip_or_fail(f"{name} is not installed (make peers, tools/packages.txt)")

    return find


@pytest.fixture
def peer_program(find_peer_program):
    return find_peer_program


def find_in_peers(path):
    return sorted(map(str, PEERS.glob(f"lib/python3*/site-packages/{path}")))


@pytest.fixture(scope="module")
def private_namespaces():
    """The test is in namespaces of its own, or is skipped."""
    if namespaces_forbidden is not None:
        skip_or_fail(f"namespaces are forbidden here: {namespaces_forbidden}")


@contextlib.contextmanager
def two_hosts():
    alpha = topology.Host("alpha", 1)
    beta = topology.Host("beta", 2)
    try:
        topology.join(alpha, beta)
        for name in ("front", "neighbour", "intruder"):
            alpha.add_pod(name)
        beta.add_pod("cart")
        yield Pair(alpha, beta)
    finally:
        alpha.close()
        beta.close()


@pytest.fixture
def pair(private_namespaces):
    """Two hosts with the pods of the demo; see harness.topology."""
    with two_hosts() as pair:
        yield pair


class Pair:
    def __init__(self, alpha, beta):
        self.alpha = alpha
        self.beta = beta
        self.front = alpha.pods["front"]
        self.neighbour = alpha.pods["neighbour"]
        self.intruder = alpha.pods["intruder"]
        self.cart = beta.pods["cart"]


@pytest.fixture(scope="session")
def engine():
    """The TLS engine of a town's agents, as Town takes it. Tests and modules that are parametrized
    by this name run with each engine (harness.town.ENGINES)."""
    return None


@pytest.fixture
def town(pair, tmp_path, start, engine):
    """The pair with a CA, a mesh file and both agents ready; see harness.town."""
    return Town(pair, tmp_path, start, engine=engine)


@pytest.fixture(scope="module")
def standing_town(request, tmp_path_factory, engine):
    """A town for all tests of a module, whose agents have the options in its AGENT_OPTIONS. At its
    end both must leave in peace: under a sanitizer that means without a leak."""
    if namespaces_forbidden is not None:
        skip_or_fail(f"namespaces are forbidden here: {namespaces_forbidden}")
    folder = tmp_path_factory.mktemp("town")
    programs = []

    def start_program(name, command, inside=None, environment=None):
        command = inside.command(*command) if inside is not None else command
        running = program.Program(name, command, folder, environment)
        programs.append(running)
        return running

    try:
        with two_hosts() as pair:
            options = request.module.AGENT_OPTIONS
            town = Town(pair, folder, start_program, options=options, engine=engine)
            town.programs = programs
            yield town
            for agent in (town.alpha, town.beta):
                assert agent.program.terminate() == 0, agent.log()[-8000:]
    finally:
        for running in programs:
            running.kill()
