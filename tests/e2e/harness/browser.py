"""A headless Chromium with one page, over the pipe of its DevTools protocol."""

import fcntl
import json
import os
import subprocess

from . import wait


class Browser:
    def __init__(self, binary, folder):
        replies, write_end = os.pipe()
        read_end, orders = os.pipe()
        # The browser reads orders from 3 and writes replies to 4; out of the way first.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 64) for end in (read_end, write_end)]

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [binary, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", f"--user-data-dir={folder / 'profile'}",
             "--remote-debugging-pipe", "about:blank"],
            preexec_fn=place, pass_fds=[3, 4], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (read_end, write_end, *high):
            os.close(end)
        self.out = orders
        self.stream = os.fdopen(replies, "rb", buffering=0)
        self.held = b""
        self.number = 0
        self.events = []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.stream.close()
        os.close(self.out)

    def call(self, method, **parameters):
        self.number += 1
        order = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            order["sessionId"] = self.session
        os.write(self.out, json.dumps(order).encode() + b"\0")
        while True:
            message = self.receive()
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def receive(self):
        while b"\0" not in self.held:
            piece = self.stream.read(1 << 16)
            assert piece, "the browser has ended"
            self.held += piece
        text, self.held = self.held.split(b"\0", 1)
        return json.loads(text)

    def evaluate(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script, what, deadline_s=60):
        """Asks until the script's value is true; returns it."""
        return wait.until(lambda: self.evaluate(script), what, deadline_s)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait_for(
            f"location.href === {json.dumps(url)} && document.readyState === 'complete'", url
        )

    def look(self, width, scheme):
        """As on a screen of that width, light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip

    def complaints(self):
        """What the console says: errors of scripts, of policies, of what was not found."""
        self.evaluate("0")
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [one for one in self.events if one.get("method") in kinds]

    def asked(self):
        """The addresses that were asked for."""
        return [one["params"]["request"]["url"] for one in self.events
                if one.get("method") == "Network.requestWillBeSent"]  # fmt: skip
