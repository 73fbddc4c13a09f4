#!/usr/bin/python3
"""Shows that no jump and no address in the compiled kernels depends on data.

usage: check_jumps.py FILE...

Reads the disassembly of each object or archive and follows, along every path through every
function, which registers and stack slots hold values that came out of memory or out of vector and
mask registers. Such values may be data, so no conditional jump may depend on them, and no address
may be made of them. What remains are counted loops: constants, arguments, and what is computed from
these. Tables and constants of the object itself are public where they are read at a public place.
Indirect jumps and calls are not allowed at all.

It also adds up how deep the stack gets below each function: its frame, and the deepest of what it
calls. The largest frame of an object, hbk_vector_wipe's, is what is wiped after a kernel; a kernel
that may leave something below that is complained about. Frames of called functions outside of the
archive (memset and the like) are not known and not counted.

What some functions may do besides is listed below, with the reason. An object without a single
conditional jump is an error too: it would show that the disassembly was not understood. The last
line counts the objects.
"""

import re
import subprocess
import sys

LOADED = 1  # came out of memory, by a general instruction
VECTOR = 2  # came out of a vector or mask register, where all numbers live
UNKNOWN = 4  # what a called function has left in a register

# Function (a regular expression), what it may depend on, and why.
RSA_COUNTS = "numbers of digits and windows, and which lanes are filled, are fields of the batch"
EXCEPTIONS = [
    (r"hbk_vector_p256_verify|multiply_both|verify\w*", VECTOR, "a verification has no secrets"),
    (r"hbk_vector_rsa_(begin|step|public)|load_\w+|begin_half|one_window|raise_public|"
     r"lane_to_bytes|row_reduce_picking", LOADED, RSA_COUNTS),
    (r"hbk_vector_rsa_finish", LOADED | VECTOR, RSA_COUNTS + "; which lanes agree is public"),
]

GENERAL = {}
for index, names in enumerate(
    [
        ("rax", "eax", "ax", "al", "ah"),
        ("rbx", "ebx", "bx", "bl", "bh"),
        ("rcx", "ecx", "cx", "cl", "ch"),
        ("rdx", "edx", "dx", "dl", "dh"),
        ("rsi", "esi", "si", "sil"),
        ("rdi", "edi", "di", "dil"),
        ("rbp", "ebp", "bp", "bpl"),
        ("rsp", "esp", "sp", "spl"),
    ]
    + [(f"r{n}", f"r{n}d", f"r{n}w", f"r{n}b") for n in range(8, 16)]
):
    for name in names:
        GENERAL["%" + name] = names[0]

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
CALL_CLOBBERED = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
CONDITIONAL = re.compile(r"^j(?!mp)[a-z]+$")
MEMORY = re.compile(r"^(%[fg]s:)?(-?0x[0-9a-f]+|-?\d+)?\(([^)]*)\)$|^(%[fg]s:)-?0x[0-9a-f]+$")
SETS_FLAGS_ONLY = ("cmp", "test", "bt")
FLAGS_OF_VECTORS = ("kortest", "ktest", "vptest", "ptest", "vtestp", "vucomi", "vcomi", "ucomi",
                    "comi")
VECTOR_OF_VECTORS = ("vptestm", "vptestn")  # these set a mask register instead
# Instructions whose last operand is only written.
NEW_DESTINATION = ("shlx", "shrx", "sarx", "rorx", "pext", "pdep", "andn", "bzhi", "bextr",
                   "popcnt", "lzcnt", "tzcnt", "bsf", "bsr", "blsr", "blsi", "blsmsk")
KEEPS_FLAGS = ("not", "shlx", "shrx", "sarx", "rorx", "mulx", "pext", "pdep", "bswap", "xchg")
NO_EFFECT = ("nop", "endbr", "ret", "leave", "ud2", "hlt", "push", "prefetch", "cltq", "cqto",
             "cltd", "cwtl", "data16")


class Instruction:
    def __init__(self, address, mnemonic, operands):
        self.address, self.mnemonic, self.operands = address, mnemonic, operands
        self.symbol = None  # of another object, that a call goes to


class Finding(Exception):
    pass


def split_operands(text):
    """Commas inside parentheses and braces do not separate."""
    operands, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        if letter in "({":
            depth += 1
        elif letter in ")}":
            depth -= 1
        elif letter == "," and depth == 0:
            operands.append(text[start:at].strip())
            start = at + 1
    if text[start:].strip():
        operands.append(text[start:].strip())
    return operands


def disassemble(path):
    """Pairs of an object's name and its functions, name to instructions; an archive has several."""
    text = subprocess.run(
        ["objdump", "-dr", "--no-show-raw-insn", path], check=True, capture_output=True, text=True
    ).stdout
    objects, current = [], None
    for line in text.splitlines():
        member = re.match(r"^(\S.*):\s+file format ", line)
        if member:
            objects.append((member.group(1).rsplit("/", 1)[-1], {}))
            continue
        start = re.match(r"^([0-9a-f]+) <([^>]+)>:$", line)
        if start:
            current = objects[-1][1].setdefault(start.group(2), [])
            continue
        relocation = re.match(r"^\s*[0-9a-f]+:\s+R_X86_64_\w+\s+(\S+?)([-+]0x[0-9a-f]+)?$", line)
        if relocation:
            current[-1].symbol = relocation.group(1)
            continue
        match = re.match(r"^\s*([0-9a-f]+):\s+(\S.*)$", line)
        if match is None or current is None:
            continue
        words = match.group(2).split("#")[0].split("<")[0].strip()
        prefix = re.match(r"^((?:lock|rep[nz]*|repz|notrack|bnd|data16|cs|ds|rex\S*)\s+)+", words)
        words = words[prefix.end():] if prefix else words
        mnemonic, _, rest = words.partition(" ")
        current.append(Instruction(int(match.group(1), 16), mnemonic, split_operands(rest.strip())))
    return objects


class State:
    """Taints of registers and of known places on the stack, and which registers point to tables."""

    def __init__(self):
        self.registers, self.slots, self.flags, self.tables = {}, {}, 0, set()

    def copy(self):
        other = State()
        other.registers, other.slots = dict(self.registers), dict(self.slots)
        other.flags, other.tables = self.flags, set(self.tables)
        return other

    def key(self):
        return (
            sorted((name, taint) for name, taint in self.registers.items() if taint),
            sorted(self.slots.items()),
            self.flags,
            sorted(self.tables),
        )

    def join(self, other):
        """Takes in another way to the same place; whether anything is new."""
        before = self.key()
        for name, taint in other.registers.items():
            self.registers[name] = self.registers.get(name, 0) | taint
        self.slots = {
            name: taint | other.slots[name]
            for name, taint in self.slots.items()
            if name in other.slots
        }
        self.flags |= other.flags
        self.tables &= other.tables
        return before != self.key()


def vector_register(operand):
    """The name of a vector or mask register, without what is written behind it."""
    match = re.match(r"%([xyz]mm|k)(\d+)", operand)
    return None if match is None else ("k" if match.group(1) == "k" else "v") + match.group(2)


def written_registers(instructions, by_address):
    """What a call may change. gcc knows it of static functions and relies on it (-fipa-ra)."""
    written, work, seen = set(), [instructions], set()
    while work:
        body = work.pop()
        if body[0].address in seen:
            continue
        seen.add(body[0].address)
        for instruction in body:
            if instruction.mnemonic.startswith("call"):
                callee = by_address.get(call_target(instruction))
                if callee is None:
                    return set(CALL_CLOBBERED)
                work.append(callee)
            written |= {GENERAL[name] for name in instruction.operands[-2:] if name in GENERAL}
            if instruction.mnemonic.startswith(("mul", "div", "cltq", "cqto", "cltd")):
                written |= {"rax", "rdx"}
    return written & set(CALL_CLOBBERED)


def call_target(instruction):
    operand = instruction.operands[0] if instruction.operands else ""
    return int(operand, 16) if re.fullmatch(r"[0-9a-f]+", operand) else None


class Function:
    def __init__(self, name, instructions, by_address):
        self.name, self.instructions, self.by_address = name, instructions, by_address
        self.passed = {}  # address of a callee: taints of the argument registers there
        self.findings = {}
        self.allowed = 0
        for pattern, allowed, _ in EXCEPTIONS:
            if re.fullmatch(pattern, name.split(".")[0]):
                self.allowed |= allowed

    @staticmethod
    def memory(operand):
        """Segment, offset and registers of a memory operand, else None."""
        match = MEMORY.match(re.sub(r"\{.*", "", operand))
        if match is None:
            return None
        if match.group(4):
            return match.group(4), 0, []
        registers = [part.strip() for part in match.group(3).split(",")]
        return match.group(1), int(match.group(2) or "0", 0), registers

    @staticmethod
    def is_stack(place):
        return len(place[2]) == 1 and GENERAL.get(place[2][0]) in ("rsp", "rbp")

    def is_table(self, state, place):
        """In the object's own tables and constants, at a place that is not data."""
        registers = [name for name in place[2] if name.startswith("%")]
        if registers == ["%rip"]:
            return True
        taints = [state.registers.get(GENERAL.get(name), 0) for name in registers]
        return any(GENERAL.get(name) in state.tables for name in registers) and not any(taints)

    def read(self, state, operand):
        """The taint of what is read there."""
        if operand.startswith("$"):
            return 0
        if operand in GENERAL:
            return state.registers.get(GENERAL[operand], 0)
        if vector_register(operand):
            return state.registers.get(vector_register(operand), VECTOR)
        place = self.memory(operand)
        if place is None or place[0] == "%fs:" or self.is_table(state, place):
            return 0  # %fs: the stack protector's
        if self.is_stack(place):
            is_argument = GENERAL[place[2][0]] == "rbp" and place[1] >= 16
            return state.slots.get(operand, 0 if is_argument else LOADED)
        return LOADED

    def write(self, state, operand, taint):
        if operand in GENERAL:
            state.registers[GENERAL[operand]] = taint
            state.tables.discard(GENERAL[operand])
        elif vector_register(operand):
            state.registers[vector_register(operand)] = taint
        elif self.memory(operand) and self.is_stack(self.memory(operand)):
            state.slots[re.sub(r"\{.*", "", operand)] = taint

    def find(self, instruction, what):
        self.findings[instruction.address] = (
            f"{self.name}+{instruction.address - self.instructions[0].address:#x}: "
            f"{instruction.mnemonic} {','.join(instruction.operands)}: {what}"
        )

    def check_addresses(self, state, instruction):
        for operand in instruction.operands:
            place = self.memory(operand)
            if place is None or instruction.mnemonic.startswith(("lea", "nop")):
                continue
            taint = 0
            for name in place[2]:
                if name in GENERAL or vector_register(name):
                    taint |= self.read(state, name)
            if taint & ~self.allowed:
                self.find(instruction, "an address made of data")

    def step(self, state, instruction):
        """The effect of one instruction that is no jump."""
        mnemonic, operands = instruction.mnemonic, instruction.operands
        self.check_addresses(state, instruction)
        taint = 0
        for operand in operands:
            taint |= self.read(state, operand)
        sources = 0
        for operand in operands[:-1]:
            sources |= self.read(state, operand)
            mask = re.search(r"\{(%k[1-7])\}", operands[-1])
            if mask:
                sources |= self.read(state, mask.group(1)) | self.read(state, operands[-1])

        if mnemonic.startswith("call"):
            self.step_call(state, instruction)
        elif mnemonic.startswith(FLAGS_OF_VECTORS) and not mnemonic.startswith(VECTOR_OF_VECTORS):
            state.flags = taint
        elif mnemonic[0] in "vk":
            is_zero = "xor" in mnemonic and len(operands) == 3 and operands[0] == operands[1]
            if any(self.memory(operand) and self.read(state, operand) for operand in operands[:-1]):
                sources |= VECTOR
            if operands:
                self.write(state, operands[-1], 0 if is_zero else sources)
        elif mnemonic.startswith(SETS_FLAGS_ONLY):
            state.flags = taint
        elif mnemonic.startswith("cmov"):
            self.write(state, operands[1], state.flags | taint)
        elif mnemonic.startswith("set"):
            self.write(state, operands[0], state.flags)
        elif mnemonic.startswith("lea") and len(operands) == 2:
            self.step_lea(state, operands)
        elif mnemonic.startswith("mov") and len(operands) == 2:
            is_table = operands[0] in GENERAL and GENERAL[operands[0]] in state.tables
            self.write(state, operands[1], sources)
            if is_table and operands[1] in GENERAL:
                state.tables.add(GENERAL[operands[1]])
        elif mnemonic.startswith("pop"):
            self.write(state, operands[0], 0)
        elif mnemonic.startswith("mulx"):
            sources = self.read(state, operands[0]) | self.read(state, "%rdx")
            self.write(state, operands[1], sources)
            self.write(state, operands[2], sources)
        elif mnemonic.startswith(NEW_DESTINATION) or (mnemonic, len(operands)) == ("imul", 3):
            self.write(state, operands[-1], sources)
            if not mnemonic.startswith(KEEPS_FLAGS):
                state.flags = sources
        elif operands and not mnemonic.startswith(NO_EFFECT):
            self.step_arithmetic(state, mnemonic, operands, taint)

    def step_lea(self, state, operands):
        place = self.memory(operands[0])
        taint = 0
        is_table = False
        for name in place[2] if place else []:
            taint |= self.read(state, name) if name in GENERAL else 0
            is_table |= name == "%rip" or GENERAL.get(name) in state.tables
        self.write(state, operands[1], taint)
        if is_table and not taint:
            state.tables.add(GENERAL[operands[1]])

    def step_arithmetic(self, state, mnemonic, operands, taint):
        operation = mnemonic.rstrip("bwlq")
        is_zero = len(operands) == 2 and operands[0] == operands[1] and operation in ("xor", "sub")
        taint = 0 if is_zero else taint
        if operation in ("adc", "sbb", "adcx", "adox"):
            taint |= state.flags
        is_table = operands[-1] in GENERAL and GENERAL[operands[-1]] in state.tables
        self.write(state, operands[-1], taint)
        if is_table and not taint and operation in ("add", "sub", "inc", "dec"):
            state.tables.add(GENERAL[operands[-1]])
        if not mnemonic.startswith(KEEPS_FLAGS):
            state.flags = taint

    def step_call(self, state, instruction):
        if instruction.operands and instruction.operands[0].startswith("*"):
            self.find(instruction, "an indirect call")
        callee = self.by_address.get(call_target(instruction))
        passed = self.passed.setdefault(call_target(instruction), {})
        for name in ARGUMENTS:
            # Counts and pointers are loaded, and leftovers are no arguments: only what came out of
            # a vector is followed into a function.
            passed[name] = passed.get(name, 0) | state.registers.get(name, 0) & VECTOR
        changed = CALL_CLOBBERED if callee is None else written_registers(callee, self.by_address)
        for name in changed:
            self.write(state, "%" + name, VECTOR if name == "rax" else UNKNOWN)
        for name in [name for name in state.registers if name[0] in "vk" and name[1:].isdigit()]:
            state.registers[name] = VECTOR

    def run(self, entry):
        """`entry`: taints of argument registers, from all callers."""
        places = {instruction.address: at for at, instruction in enumerate(self.instructions)}
        states = {0: State()}
        states[0].registers.update(entry)
        work = [0]
        while work:
            at = work.pop()
            state = states[at].copy()
            instruction = self.instructions[at]
            nexts = [at + 1]
            if instruction.mnemonic.startswith("jmp"):
                nexts = self.jump_targets(instruction, places)
            elif CONDITIONAL.match(instruction.mnemonic):
                if state.flags & ~self.allowed:
                    self.find(instruction, "a jump on data")
                nexts += self.jump_targets(instruction, places)
            elif instruction.mnemonic.startswith(("ret", "ud2", "hlt")):
                nexts = []
            else:
                self.step(state, instruction)
            for following in nexts:
                if following < len(self.instructions) and (
                    following not in states or states[following].join(state)
                ):
                    states.setdefault(following, state.copy())
                    work.append(following)

    def jump_targets(self, instruction, places):
        operand = instruction.operands[0] if instruction.operands else ""
        if operand.startswith("*"):
            self.find(instruction, "an indirect jump")
            return []
        if not re.fullmatch(r"[0-9a-f]+", operand):
            return []
        address = int(operand, 16)
        return [places[address]] if address in places else []  # else a call in the last place


WIPE = "hbk_vector_wipe"
WORD_BYTES = 8


def frame_bytes(instructions):
    """The most that a function can put on the stack, with its return address."""
    pushed, taken, aligned = 1, 0, 0
    for instruction in instructions:
        operands = instruction.operands
        is_stack = operands and operands[-1] == "%rsp" and operands[0].startswith("$")
        value = int(operands[0][1:], 0) if is_stack else 0
        value -= 1 << 64 if value >= 1 << 63 else 0
        if instruction.mnemonic.startswith("push"):
            pushed += 1
        elif is_stack and instruction.mnemonic.startswith("sub"):
            taken += max(value, 0)
        elif is_stack and instruction.mnemonic.startswith("add"):
            taken += max(-value, 0)
        elif is_stack and instruction.mnemonic.startswith("and"):
            aligned += -value
        elif operands and operands[-1] == "%rsp" and instruction.mnemonic.startswith("lea"):
            place = Function.memory(operands[0])
            is_own = place is not None and place[2] == ["%rsp"]
            taken += -place[1] if is_own and place[1] < 0 else 0
    return pushed * WORD_BYTES + taken + aligned


class Stack:
    """How deep the stack gets below the functions of an archive. Keys are (object, function)."""

    def __init__(self, objects):
        self.frames, self.calls = {}, {}
        homes = {name: home for home, functions in objects for name in functions}
        for home, functions in objects:
            starts = {body[0].address: name for name, body in functions.items() if body}
            for name, body in functions.items():
                self.frames[home, name] = frame_bytes(body)
                self.calls[home, name] = called = set()
                for each in body:
                    if not each.mnemonic.startswith(("call", "jmp")):
                        continue
                    target = each.symbol or starts.get(call_target(each))
                    if target and target != name:
                        called.add((home if target in functions else homes.get(target), target))

    def depth(self, key):
        """Bytes below whoever calls it, and the names of the deepest chain."""
        if key not in self.frames:
            return 0, []
        deepest, chain = max(map(self.depth, self.calls[key] - self.wipes()), default=(0, []))
        return self.frames[key] + deepest, [key[1], *chain]

    def wipes(self):
        return {key for key in self.frames if key[1] == WIPE}

    def check(self):
        """Complaints about what a function calls before it wipes, and the deepest such chain."""
        wiped = max((self.frames[key] for key in self.wipes()), default=0)
        wiped -= wiped % 1024  # less what its frame has beside the buffer
        complaints, deepest = [], (0, [])
        for key, called in self.calls.items():
            for each in called - self.wipes() if called & self.wipes() else ():
                found = self.depth(each)
                deepest = max(deepest, found)
                if found[0] > wiped:
                    complaints.append(
                        f"{key[0]}: {' > '.join(found[1])} use {found[0]} bytes of stack below "
                        f"{key[1]}, and {WIPE} wipes {wiped}"
                    )
        return complaints, deepest


def check_functions(functions):
    """Findings, and how many conditional jumps were looked at."""
    by_address = {instructions[0].address: instructions for instructions in functions.values()}
    entries, done = {}, False
    while not done:
        done, findings, jumps = True, [], 0
        for name, instructions in functions.items():
            function = Function(name, instructions, by_address)
            function.run(entries.get(instructions[0].address, {}))
            findings += function.findings.values()
            jumps += sum(1 for each in instructions if CONDITIONAL.match(each.mnemonic))
            for address, passed in function.passed.items():
                entry = entries.setdefault(address, {})
                for register, taint in passed.items():
                    done &= entry.get(register, 0) | taint == entry.get(register, 0)
                    entry[register] = entry.get(register, 0) | taint
    return findings, jumps


def check_file(path):
    """Complaints about a file, and how many objects it has."""
    objects = disassemble(path)
    complaints, (depth, chain) = Stack(objects).check()
    if depth > 0:
        print(f"deepest stack of what is wiped: {depth} bytes ({' > '.join(chain)})")
    for name, functions in objects:
        findings, jumps = check_functions(functions)
        complaints += [f"{name}: {finding}" for finding in findings]
        if jumps == 0:
            complaints.append(f"{name}: no conditional jump found; was it disassembled?")
        print(f"{name}: {len(functions)} functions, {jumps} conditional jumps, {len(findings)} bad")
    return complaints, len(objects)


def main():
    if len(sys.argv) < 2:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    complaints, objects = [], 0
    for path in sys.argv[1:]:
        found, count = check_file(path)
        complaints += found
        objects += count
    for complaint in complaints:
        print(complaint)
    bad = len({complaint.split(":")[0] for complaint in complaints})
    print(f"jumps: {objects - bad} passed, {bad} failed")
    return 1 if bad or objects == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
