#!/usr/bin/python3
"""Adds up the results of several test runners.

usage: count_results.py [FILE...]

A FILE is Meson's testlog.json, a JUnit file of pytest, or any log with a line "N passed, N failed,
N skipped" (a word and a colon may stand before it). A test program that reports its own cases, as
cmocka's do, counts as these cases. A FILE that does not exist counts as one failure, because a
runner that left no result did not pass. Prints a line "failed: FILE: TEST: why" for each failure
and the sum as the last line; the exit status is 1 if anything failed or nothing ran.
"""

import json
import re
import sys
import xml.etree.ElementTree

CMOCKA = {
    "passed": re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.", re.MULTILINE),
    "failed": re.compile(r"^\[  FAILED  \] (\d+) test\(s\)", re.MULTILINE),
    "skipped": re.compile(r"^\[  SKIPPED \] (\d+) test\(s\)", re.MULTILINE),
}
WHY_LENGTH = 300  # of what a failed test said, in characters
LINE = re.compile(r"(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


class Count:
    def __init__(self, passed=0, failed=0, skipped=0, stories=()):
        self.passed, self.failed, self.skipped = passed, failed, skipped
        self.stories = list(stories)  # of what failed: which, and why

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.stories += other.stories

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:WHY_LENGTH] if lines else ""


def count_meson_test(record):
    output = record.get("stdout", "") + record.get("stderr", "")
    cases = Count(
        *(sum(int(n) for n in CMOCKA[word].findall(output))
          for word in ("passed", "failed", "skipped"))
    )
    result = record["result"]
    if result == "SKIP":
        return Count(skipped=1)
    if result not in ("OK", "EXPECTEDFAIL"):
        story = f"{record.get('name', 'a test')}: {last_line(output) or result}"
        return Count(cases.passed, max(cases.failed, 1), cases.skipped, [story])
    return cases if cases.passed + cases.failed + cases.skipped > 0 else Count(passed=1)


def count_meson(text):
    total = Count()
    for line in text.splitlines():
        total.add(count_meson_test(json.loads(line)))
    return total


def junit_story(case):
    for kind in ("failure", "error"):
        node = case.find(kind)
        if node is not None:
            why = " ".join(node.get("message", kind).split())[:WHY_LENGTH]
            return f"{case.get('classname', '')}: {case.get('name', '')}: {why}"
    return None


def count_junit(text):
    total = Count()
    root = xml.etree.ElementTree.fromstring(text)
    total.stories = [story for case in root.iter("testcase") if (story := junit_story(case))]
    for suite in root.iter("testsuite"):
        tests, failed, errors, skipped = (
            int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")
        )
        total.add(Count(tests - failed - errors - skipped, failed + errors, skipped))
    return total


def count_log(text):
    for line in reversed(text.splitlines()):
        match = LINE.match(line)
        if match:
            count = Count(*(int(number or 0) for number in match.groups()))
            count.stories = [match.group(0)] if count.failed else []
            return count
    return Count(failed=1, stories=["it has no last line with a count"])


def count_file(name):
    try:
        with open(name, encoding="utf-8") as source:
            text = source.read()
    except OSError:
        return Count(failed=1, stories=["it was not written"])
    if name.endswith(".json"):
        return count_meson(text)
    return count_junit(text) if name.endswith(".xml") else count_log(text)


def main():
    total = Count()
    for name in sys.argv[1:]:
        count = count_file(name)
        count.stories = [f"failed: {name}: {story}" for story in count.stories]
        total.add(count)
    print(*total.stories, total, sep="\n")
    return 1 if total.failed > 0 or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
