#!/usr/bin/python3
"""Holds the rooms of src/ to their floors by reading their includes and build files.

A room may include itself and rooms on lower floors. It must be able to reach each of them through
`uses` in its meson.build. Rooms that only turn bytes and time into bytes and events may not include
the headers of system calls. See ARCHITECTURE.md.
"""

import pathlib
import re
import sys

FLOORS = [
    ["base"],
    ["os", "wire", "crypto", "plot"],
    ["runtime", "identity", "device"],
    ["model", "tls", "telemetry"],
    ["policy", "net", "config", "http"],
    ["discovery", "ca", "proxy", "admin", "load", "bench", "credential", "cluster"],
    ["agent", "exchange", "speed", "paper"],
    ["gateway"],
    ["cli"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

ROOMS_WITHOUT_IO = {"wire", "crypto", "plot", "model", "tls", "policy", "http"}
HEADERS_OF_IO = {"sys/socket.h", "sys/epoll.h", "sys/select.h", "poll.h", "sys/ioctl.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
USES = re.compile(r"^uses\s*=\s*\[([^\]]*)\]", re.MULTILINE)
WORD = re.compile(r"'([a-z0-9_]+)'")


def read_uses(room_folder):
    build_file = room_folder / "meson.build"
    if not build_file.is_file():
        return []
    match = USES.search(build_file.read_text(encoding="utf-8"))
    return WORD.findall(match.group(1)) if match else []


def reachable(room, uses):
    found, waiting = set(), [room]
    while waiting:
        for below in uses.get(waiting.pop(), []):
            if below not in found:
                found.add(below)
                waiting.append(below)
    return found


def check_include(place, room, header, uses, complain):
    target = header.split("/")[0] if "/" in header else None
    if target is None:
        complain(f'{place}: "{header}" names no room; write "{room}/{header}"')
    elif target == room:
        return
    elif target not in FLOOR_OF:
        complain(f'{place}: "{header}": there is no room {target}')
    elif FLOOR_OF[target] >= FLOOR_OF[room]:
        complain(
            f'{place}: {room} (floor {FLOOR_OF[room]}) includes "{header}" of {target} '
            f"(floor {FLOOR_OF[target]}); only lower floors are allowed"
        )
    elif room != "cli" and target not in reachable(room, uses):
        complain(f"{place}: src/{room}/meson.build must name '{target}' in `uses`")


def check(source_root):
    """Returns one sentence per violation."""
    complaints = []
    folders = sorted(entry for entry in source_root.iterdir() if entry.is_dir())
    uses = {folder.name: read_uses(folder) for folder in folders}
    for folder in folders:
        room = folder.name
        if room not in FLOOR_OF:
            complaints.append(f"src/{room}: no floor has this room; they are in {__file__}")
            continue
        for below in uses[room]:
            if FLOOR_OF.get(below, len(FLOORS)) >= FLOOR_OF[room]:
                complaints.append(f"src/{room}/meson.build: uses {below}, which is not below it")
        for path in sorted(folder.rglob("*.[ch]")):
            lines = path.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines, start=1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                place = f"src/{path.relative_to(source_root)}:{number}"
                own, system = match.groups()
                if own is not None:
                    check_include(place, room, own, uses, complaints.append)
                elif room in ROOMS_WITHOUT_IO and system in HEADERS_OF_IO:
                    complaints.append(f"{place}: {room} does no I/O, so it does without <{system}>")
    return complaints


def main():
    if len(sys.argv) > 2:
        print("usage: check_floors.py [SOURCE_FOLDER]", file=sys.stderr)
        return 2
    default = pathlib.Path(__file__).resolve().parent.parent / "src"
    complaints = check(pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else default)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
