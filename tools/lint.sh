#!/bin/sh
# lint.sh: what a reader of the code should not have to check: format, floors, house rules, scripts.
# Every check runs; the last line counts them.
set -u

cd "$(dirname "$0")/.." || exit 1
export PYTHONDONTWRITEBYTECODE=1
passed=0
failed=0
skipped=0

check() {
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "lint: $name: FAILED" >&2
    fi
}

format_is_ours() {
    find src tests bench provider -name '*.[ch]' -print0 2>/dev/null |
        xargs -0 clang-format --dry-run -Werror
}

shell_parses() {
    bad=0
    for script in tools/*.sh; do
        sh -n "$script" || bad=1
    done
    bash -n .ci/run || bad=1
    return $bad
}

python_compiles() {
    # compile() and not compileall, which would leave its files behind
    find tools tests -name '*.py' -print0 | xargs -0 /usr/bin/python3 -c '
import sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as source:
        compile(source.read(), name, "exec")
'
}

# Each by itself: they plant one bug each. A copy without git's directory cannot tell.
planted_bugs_fit() {
    bad=0
    for patch in tests/planted/*.patch; do
        git apply --check "$patch" || bad=1
    done
    return $bad
}

check "clang-format" format_is_ours
check "floors" /usr/bin/python3 tools/check_floors.py
check "house rules" /usr/bin/python3 tools/lint.py
check "docs/tls-conformance.md" /usr/bin/python3 tools/tls_conformance.py --check
check "shell syntax" shell_parses
check "python syntax" python_compiles
if git rev-parse --git-dir >/dev/null 2>&1; then
    check "planted bugs" planted_bugs_fit
else
    skipped=$((skipped + 1))
    echo "lint: planted bugs: not a git checkout; skipped"
fi
if command -v shellcheck >/dev/null 2>&1; then
    check "shellcheck" shellcheck tools/*.sh .ci/run
else
    skipped=$((skipped + 1))
    echo "lint: shellcheck is not installed; skipped"
fi

echo "lint: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
