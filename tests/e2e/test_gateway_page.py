"""The page at / of the gateway's admin port, in a browser, while load runs."""

import json

import pytest

from harness import wait
from harness.browser import Browser
from harness.tls_gateway import ADMIN_PORT, HELLO, chain, make_pair, serve
from test_gateway_dashboard import PORT, load
from test_gateway_statistics import ask, cpu_has_kernels, plainly, stat, with_provider

URL = f"http://127.0.0.1:{ADMIN_PORT}/"
NUMBERS = (
    "Object.fromEntries([...document.querySelectorAll('output')]"
    ".map(one => [one.id, Number(one.textContent)]))"
)


@pytest.fixture(scope="module")
def running_browser(tmp_path_factory, find_peer_program):
    one = Browser(find_peer_program("chromium"), tmp_path_factory.mktemp("browser"))
    yield one
    one.close()


@pytest.fixture
def browser(running_browser):
    yield running_browser
    running_browser.open("about:blank")
    running_browser.events.clear()


@pytest.fixture
def served(tmp_path, start, private_namespaces):
    make_pair(tmp_path, "server")
    tls = (with_provider if cpu_has_kernels() else plainly)(tmp_path)
    return serve(start, tmp_path, chain(PORT, tls, HELLO))


def test_the_page_shows_the_figures_while_load_runs(served, browser):
    browser.open(URL)
    browser.wait_for("document.getElementById('state').textContent.startsWith('LIVE')", "LIVE")
    client = load(60, rate=200)
    try:
        busy = f"(({NUMBERS}).handshakes > 0) && (({NUMBERS}).p50 > 0) && {NUMBERS}"
        numbers = browser.wait_for(busy, "handshakes on the page")
    finally:
        client.terminate()
        client.communicate()
    assert 0 < numbers["handshakes"] < 10000
    assert 0 < numbers["p50"] <= numbers["p99"]
    assert numbers["requests"] > 0
    assert numbers["vector"] + numbers["single"] > 0
    assert 0 < numbers["cpu"] < 64
    if cpu_has_kernels():
        assert 1 <= numbers["queue"] <= 8
    queues = browser.evaluate("document.getElementById('queues').textContent")
    assert "rsa-2048-private" in queues
    # It has counted what the gateway counts, and ends to count when that ends.
    wait.until(lambda: stat("server.total_connections") == 0, "the end of the load")
    browser.wait_for(f"({NUMBERS}).handshakes === 0", "no more handshakes")
    # Nothing came from elsewhere, nothing was refused, nothing failed.
    assert browser.complaints() == []
    assert {one for one in browser.asked() if not one.startswith(URL)} <= {"about:blank"}


def test_the_page_fits_a_telephone_and_has_a_light_and_a_dark_face(served, browser):
    grounds = {}
    for width in (320, 1280):
        for scheme in ("light", "dark"):
            browser.look(width, scheme)
            browser.open(URL)
            browser.wait_for("document.querySelectorAll('output').length === 10", "the figures")
            wide = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            scroll, client = browser.evaluate(wide)
            assert scroll <= client <= width
            colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
            grounds.setdefault(scheme, set()).add(colour)
    assert grounds == {"light": {"rgb(255, 255, 255)"}, "dark": {"rgb(20, 23, 27)"}}


def test_what_a_configuration_says_is_text_on_the_page(tmp_path, start, private_namespaces,
                                                       browser):  # fmt: skip
    """A label in Prometheus' form with marks of HTML and quotes in it."""
    make_pair(tmp_path, "server")
    serve(start, tmp_path, chain(PORT, plainly(tmp_path), HELLO))
    browser.open(URL)
    browser.wait_for("document.getElementById('state').textContent.startsWith('LIVE')", "LIVE")
    hostile = '<img src=x onerror="document.title=1">'
    line = f'envoy_batcher_lanes_count{{queue={json.dumps(hostile)}}} 7'
    browser.evaluate(
        f"{{ const one = read({json.dumps(line)}); const answer = {{at: 1, samples: [one]}};"
        "drawQueues(answer, {at: 0, samples: []}); }"
    )
    assert hostile in browser.evaluate("document.getElementById('queues').textContent")
    assert browser.evaluate("document.querySelectorAll('#queues img').length") == 0


def test_the_page_may_use_nothing_from_elsewhere_and_be_nobodys_frame(served):
    fields = dict(line.split(b": ", 1) for line in ask("/").fields)
    policy = fields[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for path, kind in (("/", "html"), ("/live.js", "javascript"), ("/live.css", "css")):
        reply = ask(path)
        assert f"content-type: text/{kind}; charset=utf-8".encode() in reply.fields
        # The one address is the name of SVG, which is fetched from nowhere.
        assert b"://" not in reply.body.replace(b"http://www.w3.org/2000/svg", b"")
