"""Load of the simplest kind, for tests in which something changes meanwhile."""

import threading

from harness import http, wait


class Callers:
    """Threads that send one request after another, each on a new connection, until stopped."""

    def __init__(self, namespace, ip, port, count=4):
        self.is_stopping = False
        self.replies = 0
        self.failures = []
        self.threads = [
            threading.Thread(target=self._call, args=(namespace, ip, port), daemon=True)
            for _ in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def _call(self, namespace, ip, port):
        while not self.is_stopping:
            try:
                assert http.get(namespace, ip, port).text == "ok"
                self.replies += 1
            except (OSError, AssertionError) as error:
                self.failures.append(error)
                return

    def wait_for_more(self, count):
        target = self.replies + count
        wait.until(
            lambda: self.replies >= target or self.failures, f"{count} more replies"
        )

    def stop(self):
        self.is_stopping = True
        for thread in self.threads:
            thread.join(timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
