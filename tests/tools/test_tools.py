"""The checkers are tested too: a check that cannot fail checks nothing."""

import contextlib
import io
import json
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import bench_load  # noqa: E402
import check_floors  # noqa: E402
import check_jumps  # noqa: E402
import lint  # noqa: E402
import tls_conformance  # noqa: E402


class Tree(unittest.TestCase):
    """A source tree of a few files, made for one test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def assert_one(self, complaints, part):
        self.assertEqual(len(complaints), 1, complaints)
        self.assertIn(part, complaints[0])


class Jumps(Tree):
    """Each body is compiled and must, or must not, be complained about."""

    PRELUDE = """
        #include <immintrin.h>
        #include <stdint.h>
        void sink(uint64_t);
    """

    def check(self, body):
        self.write("control.c", self.PRELUDE + body)
        source, target = self.root / "control.c", self.root / "control.o"
        flags = ["-O2", "-mavx512f", "-mavx512dq", "-mavx512ifma", "-fcf-protection"]
        subprocess.run(["cc", *flags, "-c", source, "-o", target], check=True)
        with contextlib.redirect_stdout(io.StringIO()):
            return check_jumps.check_file(str(target))[0]

    def setUp(self):
        super().setUp()
        if platform.machine() != "x86_64" or shutil.which("cc") is None:
            self.skipTest("needs a C compiler for x86-64")

    def test_a_counted_loop_is_allowed(self):
        self.assertEqual(
            self.check(
                "void loop(const __m512i *x, __m512i *out) {"
                "  for (int i = 0; i < 90; i++)"
                "    out[i % 3] = _mm512_madd52lo_epu64(out[i % 3], x[i], x[i + 1]); }"
            ),
            [],
        )

    def test_a_selection_by_mask_is_allowed(self):
        self.assertEqual(
            self.check(
                "void pick(const __m512i *table, const __m512i *index, __m512i *out) {"
                "  for (int i = 0; i < 99; i++)"
                "    *out = _mm512_mask_mov_epi64(*out, _mm512_cmpeq_epi64_mask(*index,"
                "      _mm512_set1_epi64(i)), table[i]); }"
            ),
            [],
        )

    def test_a_jump_on_what_was_loaded_is_refused(self):
        self.assert_one(
            self.check("void f(const uint64_t *x) { if (x[3] & 1) sink(1); }"), "a jump on data"
        )

    def test_a_stack_that_is_deeper_than_what_is_wiped_is_refused(self):
        body = (
            "#define N __attribute__((noinline)) \n"
            "N void hbk_vector_wipe(void) { volatile char all[8192];"
            "  for (int i = 0; i < 8192; i++) all[i] = 0; }"
            "static N void inner(void) { volatile char row[5000]; row[7] = 1; }"
            "static N void outer(void) { volatile char row[%d]; row[7] = 1; inner(); row[8] = 2; }"
            "void kernel(void) { outer(); hbk_vector_wipe(); }"
        )
        self.assertEqual(self.check(body % 2000), [])
        self.assert_one(self.check(body % 4000), "outer > inner use ")

    def test_a_loop_that_data_ends_is_refused(self):
        complaints = self.check("void f(const uint8_t *x) { while (*x++ != 0) sink(2); }")
        self.assertIn("a jump on data", "".join(complaints))

    def test_a_jump_on_a_mask_register_is_refused(self):
        self.assert_one(
            self.check(
                "void f(const __m512i *x) { if (_mm512_test_epi64_mask(*x, *x) != 0) sink(3); }"
            ),
            "a jump on data",
        )

    def test_a_jump_on_a_word_of_a_vector_is_refused_also_in_a_called_function(self):
        word = "_mm_cvtsi128_si64(_mm512_castsi512_si128(_mm512_add_epi64(*x, *x)))"
        self.assert_one(
            self.check("void f(const __m512i *x) { if (%s > 5) sink(4); }" % word), "a jump on data"
        )
        self.assert_one(
            self.check(
                "static __attribute__((noinline)) void g(uint64_t w, uint64_t *o)"
                "  { if (w > 5) { *o = 3; sink(w); } }"
                "void f(const __m512i *x, uint64_t *o) { g(%s, o); *o += 1; }" % word
            ),
            "g+",
        )

    def test_an_address_made_of_data_is_refused(self):
        loop = "for (int i = 0; i < 99; i++) sink(i);"
        body = "uint64_t f(const uint64_t *t, const uint8_t *x) { %s return t[*x]; }"
        self.assert_one(self.check(body % loop), "an address made of data")
        complaints = self.check(
            "void f(const uint64_t *t, const __m512i *x, __m512i *o) { %s"
            "  *o = _mm512_i64gather_epi64(*x, t, 8); }" % loop
        )
        self.assertIn("an address made of data", "".join(complaints))

    def test_an_indirect_jump_and_call_are_refused(self):
        complaints = self.check(
            "void f(void (**t)(void)) { for (int i = 0; i < 9; i++) { t[i](); sink(i); } }"
        )
        self.assertIn("an indirect call", "".join(complaints))

    def test_an_object_without_any_jump_is_refused(self):
        self.assert_one(self.check("int f(int x) { return x + 1; }"), "no conditional jump found")


class Floors(Tree):
    def check(self):
        return check_floors.check(self.root / "src")

    def test_a_room_may_include_itself_and_what_is_below(self):
        self.write("src/net/meson.build", "uses = ['base', 'os']\n")
        self.write("src/net/relay.c", '#include "net/relay.h"\n#include "base/slice.h"\n')
        self.assertEqual(self.check(), [])

    def test_an_include_of_a_higher_floor_is_refused(self):
        self.write("src/base/slice.c", '#include "net/relay.h"\n')
        self.assert_one(self.check(), "only lower floors")

    def test_an_include_of_the_same_floor_is_refused(self):
        self.write("src/os/meson.build", "uses = ['base']\n")
        self.write("src/os/socket.c", '  #  include "wire/http1.h"\n')
        self.assert_one(self.check(), "only lower floors")

    def test_an_include_without_a_room_is_refused(self):
        self.write("src/base/slice.c", '#include "slice.h"\n')
        self.assert_one(self.check(), "names no room")

    def test_an_unknown_room_is_refused_as_folder_and_as_include(self):
        self.write("src/attic/box.c", "int box;\n")
        self.write("src/base/slice.c", '#include "attic/box.h"\n')
        self.assertEqual(len(self.check()), 2)

    def test_a_room_that_is_included_must_be_in_uses(self):
        self.write("src/net/meson.build", "uses = ['base']\n")
        self.write("src/net/relay.c", '#include "os/socket.h"\n')
        self.assert_one(self.check(), "must name 'os'")

    def test_a_room_that_is_reached_through_another_need_not_be_in_uses(self):
        self.write("src/tls/meson.build", "uses = ['identity']\n")
        self.write("src/identity/meson.build", "uses = ['base']\n")
        self.write("src/tls/engine.c", '#include "base/slice.h"\n')
        self.assertEqual(self.check(), [])

    def test_uses_may_not_point_upwards(self):
        self.write("src/os/meson.build", "uses = ['base', 'net']\n")
        self.assert_one(self.check(), "not below it")

    def test_protocol_rooms_include_no_system_calls(self):
        self.write("src/wire/http1.c", "#include <sys/socket.h>\n")
        self.assert_one(self.check(), "does no I/O")


class HouseRules(Tree):
    def check_source(self, text, name="src/base/x.c"):
        self.write("src/base/meson.build", "sources = files('x.c')\n")
        self.write(name, text)
        return lint.check(self.root)

    def test_plain_code_passes(self):
        text = '/* A // in a comment, */\nconst char *u = "http://x"; /* strcpy( */\n'
        self.assertEqual(self.check_source(text), [])

    def test_line_comments_are_found(self):
        self.assert_one(self.check_source("int a; // why\n"), "x.c:1: // comment")

    def test_unsafe_calls_are_found(self):
        self.assert_one(self.check_source("void f(void) { strcpy(a, b); }\n"), "strcpy")

    def test_snprintf_is_not_sprintf(self):
        self.assertEqual(self.check_source("int f(void) { return snprintf(a, 1, b); }\n"), [])

    def test_long_lines_are_found(self):
        self.assert_one(self.check_source("int " + "a" * 100 + ";\n"), "columns")

    def test_long_files_are_found(self):
        self.assert_one(self.check_source("int a;\n" * 801), "801 lines")

    def test_tables_may_be_long_files(self):
        self.write("src/base/huffman_table.c", "int a;\n" * 801)
        self.write("src/base/meson.build", "sources = files('huffman_table.c')\n")
        self.assertEqual(lint.check(self.root), [])

    def test_long_functions_are_found(self):
        text = "/* Says much. */\nint f(void)\n{\n" + "    a();\n" * 71 + "}\n"
        self.assert_one(self.check_source(text), "function of 71 lines")

    def test_long_functions_that_are_flat_say_so(self):
        text = "/* A flat table. */\nint f(int a,\n      int b)\n{\n" + "    a();\n" * 71 + "}\n"
        self.assertEqual(self.check_source(text), [])

    def test_headers_need_pragma_once(self):
        self.assert_one(self.check_source("int a;\n", "src/base/x.h"), "#pragma once")

    def test_libc_assert_is_refused_and_static_assert_is_not(self):
        text = "_Static_assert(1, \"\");\nvoid f(void) { assert(1); }\n"
        self.assert_one(self.check_source(text), "x.c:2: libc's assert")

    def test_unfinished_work_is_found(self):
        self.assert_one(self.check_source("/* TO" "DO: later */\n"), "unfinished")

    def test_machine_paths_are_found(self):
        self.assert_one(self.check_source('const char *p = "/wo' 'rk/main";\n'), "machine")

    def test_files_that_are_not_built_are_found(self):
        self.write("src/base/y.c", "int y;\n")
        self.assert_one(self.check_source("int x;\n"), "never built")

    def test_documents_that_name_missing_files_are_found(self):
        self.write("README.md", "See `src/base/gone.c`, src/ROOM/name.c and tools/gone.sh.\n")
        self.write("tools/gone.sh", "")
        self.assert_one(lint.check(self.root), "there is no src/base/gone.c")

    def test_rooms_without_a_name_are_found(self):
        self.write("src/common/meson.build", "sources = files()\n")
        self.assert_one(lint.check(self.root), "src/common")


class Conformance(Tree):
    def test_a_citation_is_listed_with_its_test(self):
        self.write(
            "tests/e2e/test_a.py",
            'CASES = {\n    # RFC 8446 4.2: no two\n    "twice": 1,\n}\n\n'
            "def test_b():\n    # RFC 8446 D.5: none of SSL 3.0\n    pass\n",
        )
        self.write(
            "tests/unit/tls/test_c.c",
            "/* RFC 8446 4.10: ten */\nstatic void d(void **state)\n{\n}\n",
        )
        page = tls_conformance.page(self.root)
        self.assertIn("| 4.2 | no two | `tests/e2e/test_a.py`: CASES: twice |", page)
        self.assertIn("| D.5 | none of SSL 3.0 | `tests/e2e/test_a.py`: test_b |", page)
        self.assertIn("| 4.10 | ten | `tests/unit/tls/test_c.c`: d |", page)
        self.assertLess(page.index("| 4.2 |"), page.index("| 4.10 |"))
        self.assertLess(page.index("| 4.10 |"), page.index("| D.5 |"))

    def test_a_citation_without_a_test_is_refused(self):
        self.write("tests/e2e/test_a.py", "# RFC 8446 4.2: no two\nx = 1\n")
        with self.assertRaises(SystemExit):
            tls_conformance.page(self.root)


class Lateness(unittest.TestCase):
    GOOD = {"lateness_us": {"p99": 900.0}, "achieved_rps": 12800.0, "failed": 0, "calls": 25600,
            "late_sends": 0, "busy_share": 0.5, "wait_share": 0.01}

    def judge(self, *runs):
        """Of runs that are as good as the target asks but for what is named."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            is_missed = bench_load.judge_lateness([{**self.GOOD, **run} for run in runs])
        return is_missed, printed.getvalue().split()[0]

    def test_every_part_of_the_target_can_be_missed(self):
        self.assertEqual(self.judge({}), (False, "met"))
        self.assertEqual(self.judge({"late_sends": 256}), (False, "met"))
        for part in ({"lateness_us": {"p99": 1000.0}}, {"failed": 1}, {"late_sends": 257},
                     {"achieved_rps": 12600.0}):
            self.assertEqual(self.judge(part), (True, "MISSED"), part)

    def test_the_quietest_run_counts_and_not_the_least_late_one(self):
        late = {"lateness_us": {"p99": 5000.0}}
        self.assertEqual(self.judge({"wait_share": 0.04}, late), (True, "MISSED"))
        self.assertEqual(self.judge({}, {**late, "wait_share": 0.04}), (False, "met"))

    def test_a_machine_that_is_never_quiet_says_nothing_of_what_is_missed(self):
        noisy = {"wait_share": 0.06}
        self.assertEqual(self.judge({"failed": 1, **noisy}), (False, "unknown"))
        self.assertEqual(self.judge(noisy), (False, "met"))


class Counting(Tree):
    def run_count(self, *names):
        done = subprocess.run(
            [sys.executable, ROOT / "tools/count_results.py", *(self.root / n for n in names)],
            capture_output=True,
            text=True,
            check=False,
        )
        self.stories = done.stdout.splitlines()[:-1]
        return done.returncode, done.stdout.splitlines()[-1]

    def test_all_kinds_of_results_add_up(self):
        records = [
            {"result": "OK", "stdout": "[  PASSED  ] 3 test(s).\n"},
            {"result": "OK"},
            {"result": "SKIP"},
        ]
        self.write("testlog.json", "".join(json.dumps(r) + "\n" for r in records))
        self.write("e2e.xml", '<testsuites><testsuite tests="5" failures="0" skipped="1"/>'
                              "</testsuites>")
        self.write("lint.log", "noise\nlint: 4 passed, 0 failed, 1 skipped\n")
        self.assertEqual(
            self.run_count("testlog.json", "e2e.xml", "lint.log"),
            (0, "12 passed, 0 failed, 3 skipped"),
        )
        self.assertEqual(self.stories, [])

    def test_a_crash_counts_as_a_failure(self):
        record = {"name": "net/loop", "result": "FAIL", "stdout": "half a l"}
        self.write("testlog.json", json.dumps(record) + "\n")
        self.assertEqual(self.run_count("testlog.json"), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertRegex(self.stories[0], r"^failed: .*/testlog.json: net/loop: half a l$")

    def test_a_failure_is_told_by_name_and_reason(self):
        self.write("e2e.xml", '<testsuites><testsuite tests="2" failures="1" errors="0">'
                              '<testcase classname="e2e.a" name="test_b[c]">'
                              '<failure message="assert 1 == 2&#10; where"/></testcase>'
                              '<testcase classname="e2e.a" name="test_d"/>'
                              "</testsuite></testsuites>")
        self.write("lint.log", "lint: 4 passed, 1 failed, 0 skipped\n")
        self.assertEqual(
            self.run_count("e2e.xml", "lint.log"), (1, "5 passed, 2 failed, 0 skipped")
        )
        self.assertRegex(self.stories[0], r"/e2e.xml: e2e.a: test_b\[c\]: assert 1 == 2 where$")
        self.assertRegex(self.stories[1], r"/lint.log: lint: 4 passed, 1 failed, 0 skipped$")

    def test_a_missing_result_is_a_failure(self):
        self.assertEqual(self.run_count("none.xml"), (1, "0 passed, 1 failed, 0 skipped"))

    def test_nothing_at_all_is_no_success(self):
        self.assertEqual(self.run_count(), (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()
