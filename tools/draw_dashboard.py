#!/usr/bin/python3
"""draw_dashboard.py BINARY OUT.png: runs a gateway under a load that rises and falls, lets a real
Prometheus scrape it, asks the queries of deploy/grafana/gateway.json, and draws the answers.

Needs the packages of the group test (prometheus, chromium, openssl), and ports 24000 to 24009 of
this machine. Takes half a minute.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["HBK_BINARY"] = str(pathlib.Path(sys.argv[1]).resolve())
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests" / "e2e"))
from harness import dashboard, program, tls_gateway  # noqa: E402
from test_gateway_dashboard import PORT, PROMETHEUS, load  # noqa: E402
from test_gateway_statistics import cpu_has_kernels, plainly, with_provider  # noqa: E402

STEPS = ((4, 200), (4, 600), (4, 1200), (4, 2400), (4, 600), (4, 100))  # seconds, per second


def main():
    running = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def start(title, command):
            running.append(program.Program(title, command, folder))
            return running[-1]

        try:
            tls_gateway.make_pair(folder, "server")
            tls = (with_provider if cpu_has_kernels() else plainly)(folder)
            listener = tls_gateway.chain(PORT, tls, tls_gateway.HELLO)
            tls_gateway.serve(start, folder, listener)
            prometheus = dashboard.Prometheus(
                start, "prometheus", folder, PROMETHEUS, tls_gateway.ADMIN_PORT
            )
            begin_s = time.time()
            for seconds, rate in STEPS:
                load(seconds, connections=64, rate=rate).communicate()
            page = folder / "page.html"
            page.write_text(dashboard.draw(prometheus, begin_s, time.time()), encoding="utf-8")
            subprocess.run([
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder / 'profile'}", "--window-size=1284,1050",
                f"--screenshot={pathlib.Path(sys.argv[2]).resolve()}", f"file://{page}",
            ], check=True, capture_output=True)  # fmt: skip
        finally:
            for one in running:
                one.end()


if __name__ == "__main__":
    main()
