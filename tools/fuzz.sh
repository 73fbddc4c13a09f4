#!/bin/sh
# fuzz.sh [SECONDS [NAME...]]: runs each fuzz target for SECONDS (60) under libFuzzer with the
# address and undefined behaviour sanitizers. What it learns grows in build-fuzz/corpus; an input
# that breaks a target is kept in build-fuzz/crashes and belongs into tests/fuzz/corpus/NAME with
# its fix, where every `make test` replays it.
set -eu

seconds=${1:-60}
[ $# -gt 0 ] && shift
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
build="build-fuzz"

if [ ! -f $build/build.ninja ]; then
    CC=clang meson setup $build -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dbuildtype=debug -Doptimization=1
fi
ninja -C $build

export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
passed=0
failed=0
mkdir -p $build/crashes
for program in "$build"/tests/fuzz/fuzz_*; do
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then
        continue
    fi
    name=$(basename "$program")
    name=${name#fuzz_}
    if [ $# -gt 0 ]; then
        case " $* " in *" $name "*) ;; *) continue ;; esac
    fi
    mkdir -p "$build/corpus/$name"
    echo "fuzz: $name for $seconds s"
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
        -verbosity=0 -artifact_prefix="$build/crashes/$name-" \
        "$build/corpus/$name" "tests/fuzz/corpus/$name"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "fuzz: $name failed; see $build/crashes/$name-*" >&2
    fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
