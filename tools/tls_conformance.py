#!/usr/bin/python3
"""Writes docs/tls-conformance.md: what RFC 8446 demands, each with the tests that show it.

usage: tls_conformance.py [--check] [ROOT]    --check: exit status 1 if the page is not up to date

A test cites what it shows in a comment of one line, `RFC 8446 SECTION: what it demands`, in front
of the test or of the row of its table, or within it.
"""

import pathlib
import re
import sys

PAGE = "docs/tls-conformance.md"
CITATION = re.compile(
    r"^\s*(?:#|//|/\*|\*)\s*RFC 8446 (?P<section>[A-E]?[0-9.]*[0-9])(?: and [A-E]?[0-9.]*[0-9])?:"
    r"\s+(?P<text>.*?)\s*(?:\*/)?\s*$"
)
PYTHON_TEST = re.compile(r"^(?:def (test_\w+)|([A-Z][A-Z_]+) = [{\[])")
ROW = re.compile(r'^    (?:"([^"]+)": |\w+\()')
C_TEST = re.compile(r"^static void (\w+)\(void \*\*\w+\)")
CASE = re.compile(r'^\s+yield (client|server)\(f?"([^"]+)"')

HEAD = """# What RFC 8446 demands, and the test that shows it

Made by `tools/tls_conformance.py` from citations in the tests; `make lint` fails when it is out of
date. A line stands for a demand within the scope of docs/tls.md that a test cites. A demand without
a line is one that no test cites: that is no claim.

`tests/e2e/test_tls_fuzzer.py` holds the cases of tlsfuzzer's scripts for TLS 1.3, written anew: the
server's side. The client's side is in the tables of `tests/shim/cases`: a server that does as a
case tells it meets `build/tests/tls-shim` (`docs/tls-shim.md`, which also says what an outside
runner asks). `tests/e2e/test_tls_strangers.py` has our engine speak with OpenSSL, GnuTLS, wolfSSL,
Go, Python and Envoy, in both roles.

"""


def python_place(lines, at):
    """The test around or behind a citation; for a row of a table, the table's name and the row."""
    row = next((ROW.match(line) for line in lines[at + 1 : at + 3] if ROW.match(line)), None)
    inside = lines[at].startswith(" ")
    around = range(at, -1, -1) if inside else range(at, len(lines))
    for i in around:
        match = PYTHON_TEST.match(lines[i])
        if match and match.group(1):
            return match.group(1)
        if match and inside and row and row.group(1):
            return f"{match.group(2)}: {row.group(1)}"
    return None


def c_place(lines, at):
    inside = lines[at].startswith(" ") and not lines[at].startswith(" *")
    for i in range(at, -1, -1) if inside else range(at, len(lines)):
        match = C_TEST.match(lines[i])
        if match:
            return match.group(1)
    return None


def case_place(lines, at):
    """The case of the shim's tables behind a citation."""
    match = next((CASE.match(line) for line in lines[at:] if CASE.match(line)), None)
    return f"{match.group(1)}: {match.group(2)}" if match else None


def place_of(path):
    if path.suffix == ".c":
        return c_place
    return case_place if path.parent.name == "cases" else python_place


def citations(root):
    """(section, text, file, place) of each; a citation that belongs to no test is an error."""
    patterns = ("tests/**/test_*.py", "tests/unit/**/test_*.c", "tests/shim/cases/*.py")
    files = sorted(path for pattern in patterns for path in root.glob(pattern))
    for path in files:
        lines = path.read_text(encoding="utf-8").splitlines()
        for at, line in enumerate(lines):
            match = CITATION.match(line)
            if match is None:
                continue
            place = place_of(path)(lines, at)
            name = path.relative_to(root).as_posix()
            if place is None:
                sys.exit(f"tls_conformance: {name}:{at + 1}: a citation that belongs to no test")
            yield match["section"], match["text"], name, place


def order(section):
    """Appendices behind the sections."""
    parts = section.split(".")
    return [(part.isalpha(), int(part) if part.isdigit() else ord(part[0])) for part in parts]


def page(root):
    found = sorted(citations(root), key=lambda citation: (order(citation[0]), citation[1:]))
    lines = ["| section | demand | shown by |", "| --- | --- | --- |"]
    for section, text, name, place in found:
        cells = [cell.replace("|", "\\|") for cell in (section, text, f"`{name}`: {place}")]
        lines.append("| " + " | ".join(cells) + " |")
    demands = len({(section, text) for section, text, _, _ in found})
    return f"{HEAD}{demands} demands, {len(found)} citations.\n\n" + "\n".join(lines) + "\n"


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parent.parent)
    wanted = page(root)
    path = root / PAGE
    if "--check" not in sys.argv:
        path.write_text(wanted, encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != wanted:
        sys.exit(f"tls_conformance: {PAGE} is out of date; run tools/tls_conformance.py")


if __name__ == "__main__":
    main()
