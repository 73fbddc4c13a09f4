"""Waiting for a condition, never for a time."""

import os
import time

# A sanitizer build is several times slower, and the next build goes on beside a variant's tests
# (.ci/run); only the deadline grows, not the waiting.
SLOWNESS = {"clang": 2, "asan": 4, "tsan": 6}.get(os.environ.get("HBK_VARIANT", ""), 1)
DEADLINE_S = 10 * SLOWNESS
POLL_S = 0.005


class Expired(AssertionError):
    """The condition did not come true before the deadline."""


def until(condition, what, deadline_s=DEADLINE_S):
    """Calls `condition` until it returns something true, and returns that.

    `what` completes the sentence "waited ... s for ...". An OSError counts as not yet.
    """
    end = time.monotonic() + deadline_s
    last_error = None
    while True:
        try:
            result = condition()
            if result:
                return result
        except OSError as error:
            last_error = error
        if time.monotonic() > end:
            because = f" (last error: {last_error})" if last_error else ""
            raise Expired(f"waited {deadline_s} s for {what}{because}")
        time.sleep(POLL_S)
