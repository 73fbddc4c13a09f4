#!/usr/bin/python3
"""embed.py OUT FUNCTION FILE...: writes a C file with the texts of files, for programs that carry
their data with them. FUNCTION is the prefix of its two symbols, see src/bench/descriptor.h.
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
    with open(out, "w", encoding="utf-8") as target:
        target.write('#include "bench/descriptor.h"\n\n')
        target.write(f"const struct hbk_descriptor_text {prefix}[] = {{\n")
        for file in map(pathlib.Path, files):
            target.write(f'    {{"{file.stem}",\n{literal(file.read_text(encoding="utf-8"))}}},\n')
        target.write("};\n")
        target.write(f"const unsigned {prefix}_count = {len(files)};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
