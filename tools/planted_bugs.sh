#!/bin/sh
# Plants bugs in the TLS engine, one at a time, and demands that the tests notice each:
#
#     tools/planted_bugs.sh [PATCH...]     default: all of tests/planted
#
# Everything happens in a scratch copy of the tracked files. A patch says on a line "Found-by:"
# which tests of tests/unit/tls should notice; those run first, then all others. It is a failure
# when the tests are not green to begin with, when a patch does not apply or build any more, and
# when no test notices it. Ends with "planted: N passed, N failed".
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
seconds_max=120 # of one test: a bug may well make it hang
[ $# -gt 0 ] || set -- "$root"/tests/planted/*.patch

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

git -C "$root" ls-files -z | (cd "$root" && tar --null -T - -cf -) | tar -C "$scratch" -xf -
export CCACHE_BASEDIR="$scratch"
cd "$scratch"
if ! meson setup build -Dwerror=false >setup.log 2>&1; then
    cat setup.log
    exit 1
fi
tests=$(ninja -C build -t targets all |
    sed -n 's,^tests/unit/\(test_tls_[a-z0-9_]*\): c_LINKER$,\1,p')
targets=$(for test in $tests; do echo "tests/unit/$test"; done)

# build: true when all tests were built; what was said is in build.log.
build() {
    # shellcheck disable=SC2086 # one word for each target
    ninja -C build $targets >build.log 2>&1
}

# passes TEST: true when it is green.
passes() {
    timeout "$seconds_max" "build/tests/unit/$1" >test.log 2>&1
}

# first_red TEST...: prints the first that is not green, if any.
first_red() {
    for test in "$@"; do
        if ! passes "$test"; then
            echo "$test"
            return
        fi
    done
}

if ! build; then
    cat build.log
    exit 1
fi
# shellcheck disable=SC2086 # one word for each test
red=$(first_red $tests)
if [ -n "$red" ]; then
    cat test.log
    echo "planted bugs: $red is red without any of them"
    exit 1
fi

passed=0
failed=0
for patch in "$@"; do
    name=$(basename "$patch" .patch)
    hints=$(sed -n 's,^Found-by: *,,p' "$patch" | tr ' ' '\n' | sed 's,^,test_tls_,')
    found=""
    if ! git apply "$patch" 2>apply.log; then
        verdict="does not apply any more: $(head -1 apply.log)"
    elif ! build; then
        verdict="does not build: $(grep -m 1 error: build.log)"
    else
        # shellcheck disable=SC2086 # one word for each test
        found=$(first_red $hints $tests)
        verdict="no test notices it"
    fi
    if [ -n "$found" ]; then
        passed=$((passed + 1))
        echo "ok: $name, found by $found"
    else
        failed=$((failed + 1))
        echo "FAILED: $name: $verdict"
    fi
    git apply -R "$patch" 2>/dev/null || true
done
echo "planted: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
