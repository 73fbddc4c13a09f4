#!/bin/sh
# run_bogo.sh BUILD: drives BUILD/tests/tls-shim by the outside conformance runner (BoringSSL's Go
# program, docs/tls-shim.md), which is not part of this repository. Writes BUILD/bogo.json
# and ends with one line "bogo: N passed, N failed, N skipped" for tools/count_results.py.
#
# HBK_BOGO_RUNNER   the runner's test binary, in the folder with the files that it needs; unset:
#                   skipped, and said to be
# HBK_BOGO_TESTS    patterns of tests, separated by semicolons; unset: all
# HBK_BOGO_FLOOR    fewer passed tests than this are a failure (0)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)

if [ -z "${HBK_BOGO_RUNNER:-}" ]; then
    echo "run_bogo: HBK_BOGO_RUNNER names no runner; skipped"
    echo "bogo: 0 passed, 0 failed, 1 skipped"
    exit 0
fi

folder=$(cd "$(dirname "$HBK_BOGO_RUNNER")" && pwd)
runner=$folder/$(basename "$HBK_BOGO_RUNNER")
rm -f "$build/bogo.json"
cd "$folder"
status=0
"$runner" -shim-path "$build/tests/tls-shim" -shim-config "$root/tests/shim/bogo.json" \
    -allow-unimplemented -pipe -json-output "$build/bogo.json" \
    ${HBK_BOGO_TESTS:+-test "$HBK_BOGO_TESTS"} </dev/null || status=1
/usr/bin/python3 - "$build/bogo.json" "${HBK_BOGO_FLOOR:-0}" <<'END' || status=1
import json
import sys

with open(sys.argv[1], encoding="utf-8") as source:
    counts = json.load(source)["num_failures_by_type"]
passed, failed, skipped = (counts.get(kind, 0) for kind in ("PASS", "FAIL", "SKIP"))
if passed < int(sys.argv[2]):
    print(f"run_bogo: {passed} tests passed, at least {sys.argv[2]} are expected")
    failed += 1
print(f"bogo: {passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
END
exit $status
