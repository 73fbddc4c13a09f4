#!/bin/sh
# run_variant.sh clang|asan|tsan [suites|programs]: builds the program another way and runs the
# tests on it: all, Meson's suites alone, or what starts programs alone (tools/run_tests.sh).
#
#   clang   the other compiler, warnings as errors
#   asan    address and undefined behaviour sanitizers; leaks at exit count
#   tsan    thread sanitizer
set -eu

variant=$1
part=${2:-all}
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
build="build-$variant"
run=""
# End-to-end files that a variant leaves out. All: what measures. Clang and the thread sanitizer:
# what drives other people's programs at length, or looks at pages, and tells nothing that the
# ordinary run has not told. Hostile peers meet clang's code in the corpora and in tests/shim, and
# gcc's in the ordinary run and under both sanitizers.
measures="test_bench_gateway test_bench_paper test_fortio"
peers="test_gateway_clients test_gateway_dashboard test_gateway_page test_gateway_scanners"
peers="$peers test_tls_fuzzer test_tls_strangers"
hostile="test_gateway_hostile test_hostile_client test_hostile_peer test_hostile_server"

case $variant in
clang)
    compiler=clang
    ignored="$measures $peers $hostile"
    options="-Dwerror=true"
    ;;
asan)
    compiler=gcc
    ignored="$measures"
    options="-Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug -Doptimization=1"
    ;;
tsan)
    compiler=gcc
    ignored="$measures $peers"
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
exec $run tools/run_tests.sh "$build" "$part"
