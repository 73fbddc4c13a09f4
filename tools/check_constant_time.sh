#!/bin/sh
# Builds tests/constant_time.c and the kernels with clang's memory sanitizer and runs them: see
# there. Exit status 77 where clang or the processor cannot.
set -eu
cd "$(dirname "$0")/.."

if ! command -v clang >/dev/null || ! grep -q avx512ifma /proc/cpuinfo; then
    echo "skipped: needs clang and a processor with AVX-512 IFMA"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
clang -std=gnu17 -D_GNU_SOURCE -O1 -g -fsanitize=memory -fno-omit-frame-pointer \
    -fno-strict-aliasing -Isrc \
    -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx512ifma -mavx512vbmi2 -mbmi2 \
    tests/constant_time.c src/crypto/vector/*.c src/base/secret.c src/base/assert.c \
    -o "$out/constant_time" -lpthread
"$out/constant_time"
