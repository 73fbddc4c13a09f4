#!/usr/bin/python3
"""House rules that no compiler checks (CONTRIBUTING.md gives the reasons).

usage: lint.py [ROOT]    one line per violation on standard error, exit status 1 if there is any
"""

import pathlib
import re
import subprocess
import sys

LINE_COLUMNS_MAX = 100
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70

CODE = {".c", ".h"}
TEXT = CODE | {".py", ".sh", ".md", ".txt", ".build", ".yaml", ".yml", ".ini", ".json"}
NAMELESS_ROOMS = {"common", "util", "utils", "shared", "misc", "helpers"}

# These words are put together here so that this file passes its own check.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|tmp/" + r"wt)/")
LICENCE_BLOCKS = re.compile(r"SPDX-" + r"License|Copy" + r"right \(|Licensed " + r"under")
UNSAFE_CALLS = re.compile(r"\b(strcpy|stpcpy|strcat|sprintf|vsprintf|gets|alloca)\s*\(")
LIBC_ASSERT = re.compile(r"#\s*include\s*<assert\.h>|(?<![\w.])assert\s*\(")

TREE_PATH = re.compile(r"(?<![\w/.-])(?:src|tests|tools|docs)/[\w./*-]+")

TOKENS = re.compile(
    r"""
    (?P<comment>/\*.*?\*/)
  | (?P<line_comment>//[^\n]*)
  | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    """,
    re.DOTALL | re.VERBOSE,
)


def blank(text):
    """The same number of lines and columns, without content."""
    return re.sub(r"[^\n]", " ", text)


def split_code(source):
    """Returns (code without comments and texts, line numbers of // comments)."""
    line_comments = []

    def replace(match):
        if match.lastgroup == "line_comment":
            line_comments.append(source.count("\n", 0, match.start()) + 1)
        return blank(match.group())

    return TOKENS.sub(replace, source), line_comments


def comment_above(lines, index):
    """The comment that ends right above the declaration of which lines[index] is a part."""
    start = index
    while start > 0 and lines[start - 1].strip() and not lines[start - 1].rstrip().endswith("*/"):
        start -= 1
    end = start
    while start > 0 and lines[start - 1].strip():
        start -= 1
        if lines[start].lstrip().startswith("/*"):
            break
    return "\n".join(lines[start:end])


def long_functions(lines):
    """Yields (line number, length) of functions over the limit that are not said to be flat."""
    start = None
    for index, line in enumerate(lines):
        if line == "{":
            start = index
        elif line == "}" and start is not None:
            length = index - start - 1
            if length > FUNCTION_LINES_MAX and "flat" not in comment_above(lines, start):
                yield start + 1, length
            start = None


def check_code(name, source, complain):
    lines = source.splitlines()
    code, line_comments = split_code(source)
    for number in line_comments:
        complain(f"{name}:{number}: // comment; write /* */")
    for number, line in enumerate(code.splitlines(), start=1):
        match = UNSAFE_CALLS.search(line)
        if match:
            complain(f"{name}:{number}: {match.group(1)} knows no bound; use snprintf or memcpy")
    if len(lines) > FILE_LINES_MAX and not re.search(r"_table\.[ch]$", name):
        complain(f"{name}: {len(lines)} lines; past {FILE_LINES_MAX} a file is to be split")
    for number, length in long_functions(lines):
        complain(
            f"{name}:{number}: a function of {length} lines; past {FUNCTION_LINES_MAX} only what "
            'is flat, and the comment above says so with the word "flat"'
        )
    if name.startswith("src/"):
        for number, line in enumerate(code.splitlines(), start=1):
            if LIBC_ASSERT.search(line):
                complain(f"{name}:{number}: libc's assert goes away in release; use HBK_ASSERT")
        if LICENCE_BLOCKS.search(source):
            complain(f"{name}: a licence block; LICENSE speaks for every file")
    if name.endswith(".h") and "#pragma once" not in lines:
        complain(f"{name}: a header without #pragma once")


def check_text(name, source, complain):
    for number, line in enumerate(source.splitlines(), start=1):
        is_wide = name.endswith((".md", ".txt", ".json")) or "/fixtures/" in name
        if len(line) > LINE_COLUMNS_MAX and not is_wide:
            complain(f"{name}:{number}: {len(line)} columns; {LINE_COLUMNS_MAX} are allowed")
        if UNFINISHED.search(line):
            complain(f"{name}:{number}: unfinished work is an issue, not a comment")
        if MACHINE_PATHS.search(line):
            complain(f"{name}:{number}: a path of somebody's machine")
        if line != line.rstrip() and not name.endswith(".md"):
            complain(f"{name}:{number}: blanks at the end of the line")


def quoted(text):
    return set(re.findall(r"'[^'\n]*'", text))


def check_built(names, read, complain):
    """A file that no build file names is never compiled, and nobody notices."""
    for name in names:
        path = pathlib.PurePosixPath(name)
        if path.suffix != ".c" or len(path.parts) < 3:
            continue
        listed_as, build_file = path.name, str(path.parent / "meson.build")
        if name.startswith("tests/unit/"):
            listed_as = path.stem.removeprefix("test_")
        elif name.startswith("tests/fuzz/"):
            listed_as = path.stem.removeprefix("fuzz_")
        while build_file not in names and len(pathlib.PurePosixPath(build_file).parts) > 2:
            listed_as = f"{pathlib.PurePosixPath(build_file).parent.name}/{listed_as}"
            build_file = str(pathlib.PurePosixPath(build_file).parent.parent / "meson.build")
        if build_file not in names:
            complain(f"{name}: no meson.build beside it")
        elif not {f"'{listed_as}'", f"'{path.name}'"} & quoted(read(build_file)):
            complain(f"{name}: {build_file} does not name '{listed_as}', so it is never built")


def check_paths(name, source, exists, complain):
    """A document that names a file of the tree names one that is there."""
    for number, line in enumerate(source.splitlines(), start=1):
        for path in TREE_PATH.findall(line):
            path = path.rstrip(".")
            if not re.search(r"[A-Z]{4}|\*", path) and not exists(path):
                complain(f"{name}:{number}: there is no {path}")


def check_rooms(names, complain):
    for room in sorted({name.split("/")[1] for name in names if name.startswith("src/")}):
        if room in NAMELESS_ROOMS:
            complain(f"src/{room}: a room is named by what is in it")


def tracked(root):
    try:
        listing = subprocess.run(
            ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return sorted(name for name in set(listing.split("\0")) if (root / name).is_file())
    except (OSError, subprocess.CalledProcessError):
        return sorted(
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and not path.relative_to(root).parts[0].startswith((".git", "build"))
        )


def check(root):
    """Returns one sentence per violation in the files of the tree at `root`."""
    complaints = []
    names = tracked(root)

    def read(name):
        return (root / name).read_text(encoding="utf-8")

    for name in names:
        suffix = pathlib.PurePosixPath(name).suffix
        if name.startswith("tests/fuzz/corpus/") or name == "LICENSE":
            continue
        if suffix in TEXT or name in {"Makefile", "meson_options.txt", ".ci/run"}:
            source = read(name)
            check_text(name, source, complaints.append)
            if suffix == ".md":
                check_paths(name, source, lambda p: (root / p).exists(), complaints.append)
            if suffix in CODE:
                check_code(name, source, complaints.append)
    check_built(set(names), read, complaints.append)
    check_rooms(names, complaints.append)
    return complaints


def main():
    if len(sys.argv) > 2:
        print("usage: lint.py [ROOT]", file=sys.stderr)
        return 2
    default = pathlib.Path(__file__).resolve().parent.parent
    complaints = check(pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else default)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
