#!/bin/sh
# run_tests.sh BUILD [suites|programs]: runs the tests of one build directory: Meson's suites
# (suites), then the end-to-end tests against its program and the cases of tests/shim (programs).
# All run even when one fails. Results are left as BUILD/meson-logs/testlog.json, BUILD/e2e.xml and
# BUILD/shim.xml for tools/count_results.py.
#
# HBK_SUITE=slow   only the slow end-to-end tests: soak, scale
set -u

build=$1
part=${2:-all}
suite=${HBK_SUITE:-quick}
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$build" && pwd)
status=0

case $part in
all | suites | programs) ;;
*)
    echo "run_tests: no part \"$part\" (suites, programs)" >&2
    exit 2
    ;;
esac

export PYTHONDONTWRITEBYTECODE=1
export HBK_BINARY="${HBK_BINARY:-$build/hauberk}"

if [ "$suite" = slow ]; then
    marks="slow"
    results="$build/e2e-slow.xml"
else
    marks="not slow"
    results="$build/e2e.xml"
fi
if [ "$suite" = quick ] && [ "$part" != programs ]; then
    rm -f "$build/meson-logs/testlog.json"
    meson test -C "$build" --no-rebuild --print-errorlogs </dev/null || status=1
fi
if [ "$part" = suites ]; then
    exit $status
fi

ignored=""
for file in ${HBK_E2E_IGNORED:-}; do
    ignored="$ignored --ignore=$root/tests/e2e/$file.py"
done

rm -f "$results"
# Debian's Python by its own path: it is the one that has the packages of tools/packages.txt.
# shellcheck disable=SC2086 # a list of words
/usr/bin/python3 -m pytest "$root/tests/e2e" $ignored -c "$root/tests/e2e/pytest.ini" \
    -p no:cacheprovider -m "$marks" -q -rs --junit-xml="$results" </dev/null
outcome=$?
# 5: no test was selected; that is a failure of the quick run only.
if [ $outcome -ne 0 ] && { [ $outcome -ne 5 ] || [ "$suite" = quick ]; }; then
    status=1
fi

# The TLS engine against a peer that breaks rules; its cases start BUILD/tests/tls-shim.
if [ "$suite" = quick ]; then
    rm -f "$build/shim.xml"
    HBK_TLS_SHIM="$build/tests/tls-shim" /usr/bin/python3 -m pytest "$root/tests/shim" \
        -c "$root/tests/shim/pytest.ini" -p no:cacheprovider -q -rs \
        --junit-xml="$build/shim.xml" </dev/null || status=1
fi
exit $status
