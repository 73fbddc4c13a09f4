"""The ground under the other tests: a capture that sees nothing must be able to see something."""

import threading

import pytest

from harness.capture import Capture

MARKER = b"marker-of-the-topology-test"


def answer_once(listener):
    """A thread that echoes one connection to its end."""

    def serve():
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_a_pod_reaches_a_pod_on_the_other_host_and_the_capture_sees_it(pair, family):
    ip = pair.cart.ip(family)
    with pair.cart.namespace.listen(ip, 9000) as listener:
        thread = answer_once(listener)
        with Capture(pair.alpha.namespace, "wire", MARKER) as wire:
            with pair.front.namespace.connect(ip, 9000) as connection:
                connection.sendall(MARKER)
                assert connection.recv(100) == MARKER
        thread.join(timeout=10)
    assert wire.packets_with_marker == 2
    assert wire.packets > wire.packets_with_marker


def test_pods_of_one_host_meet_on_its_bridge(pair):
    with pair.neighbour.namespace.listen(pair.neighbour.v4, 9000) as listener:
        thread = answer_once(listener)
        with Capture(pair.alpha.namespace, pair.front.interface, MARKER) as veth:
            with pair.front.namespace.connect(pair.neighbour.v4, 9000) as connection:
                connection.sendall(MARKER)
                assert connection.recv(100) == MARKER
        thread.join(timeout=10)
    assert veth.packets_with_marker == 2
