#!/bin/sh
# run_variant.sh clang|asan|tsan: builds the program another way and runs the tests on it.
#
#   clang   the other compiler, warnings as errors
#   asan    address and undefined behaviour sanitizers; leaks at exit count
#   tsan    thread sanitizer
set -eu

variant=$1
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
build="build-$variant"
run=""
# End-to-end files that a variant leaves out: they measure, or they drive programs of one thread
# that the ordinary run has driven already.
ignored=""

case $variant in
clang)
    compiler=clang
    ignored="test_bench_gateway test_bench_paper test_fortio test_gateway_scanners"
    ignored="$ignored test_tls_fuzzer test_tls_strangers"
    options="-Dwerror=true"
    ;;
asan)
    compiler=gcc
    ignored="test_bench_gateway test_bench_paper test_fortio"
    options="-Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug -Doptimization=1"
    ;;
tsan)
    compiler=gcc
    ignored="test_bench_gateway test_bench_paper test_fortio test_gateway_scanners"
    ignored="$ignored test_tls_fuzzer test_tls_strangers"
    options="-Db_sanitize=thread -Db_lundef=false -Dbuildtype=debug -Doptimization=1"
    # gcc 12's runtime does not know the address layouts that newer kernels choose at random.
    run="setarch -R"
    ;;
*)
    echo "run_variant: no variant \"$variant\" (clang, asan, tsan)" >&2
    exit 2
    ;;
esac

# The sanitizers' extra branches make gcc see values that cannot be, so only clang's build and the
# ordinary one take warnings for errors.
export ASAN_OPTIONS="${ASAN_OPTIONS:-strict_string_checks=1:check_initialization_order=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"
export HBK_VARIANT="$variant"
export HBK_E2E_IGNORED="$ignored"

if [ ! -f "$build/build.ninja" ]; then
    # shellcheck disable=SC2086 # a list of words
    CC=$compiler meson setup "$build" $options
fi
ninja -C "$build"
exec $run tools/run_tests.sh "$build"
