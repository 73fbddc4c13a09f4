#!/bin/sh
# check_scalar_secrets.sh PROGRAM: runs tests/scalar_secrets.c (see there) under valgrind, first its
# control, which must be reported. Exit status 77 where there is no valgrind.
set -eu
suppressions=$(dirname "$0")/../tests/scalar_secrets.supp

if ! command -v valgrind >/dev/null; then
    echo "skipped: needs valgrind"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Debian 12's valgrind gives up over clang's debug information; symbols are enough.
strip -g -o "$folder/program" "$1"

memcheck() {
    valgrind --quiet --error-exitcode=9 --leak-check=no --suppressions="$suppressions" \
        "$folder/program" "$@"
}

status=0
memcheck control >/dev/null 2>&1 || status=$?
if [ "$status" -ne 9 ]; then
    echo "FAILED: a branch on a secret (control) was not reported"
    exit 1
fi
echo "ok: a branch on a secret (control)"
memcheck
