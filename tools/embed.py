#!/usr/bin/python3
"""embed.py OUT PREFIX [--as HEADER STRUCT] FILE...: writes a C file with the texts of files, for
programs that carry their data with them. PREFIX is that of its two symbols; the struct has a name
and a text, as that of src/bench/descriptor.h, which is used without --as.
"""

import pathlib
import sys


def literal(text):
    """A C string literal, a line of the text a line."""
    lines = text.splitlines(keepends=True)
    escaped = (
        line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for line in lines
    )
    return "\n".join(f'     "{line}"' for line in escaped) or '     ""'


def main(out, prefix, *files):
    header, struct = "bench/descriptor.h", "hbk_descriptor_text"
    if files[0] == "--as":
        header, struct, *files = files[1:]
    with open(out, "w", encoding="utf-8") as target:
        target.write(f'#include "{header}"\n\n')
        target.write(f"const struct {struct} {prefix}[] = {{\n")
        for file in map(pathlib.Path, files):
            target.write(f'    {{"{file.stem}",\n{literal(file.read_text(encoding="utf-8"))}}},\n')
        target.write("};\n")
        target.write(f"const unsigned {prefix}_count = {len(files)};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
