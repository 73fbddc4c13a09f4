#!/bin/sh
# setup.sh GROUP...: makes sure that the Debian packages of these groups (tools/packages.txt) are
# installed. Root gets them installed; anybody else is told the one command. Nothing is asked of the
# network while nothing is missing.
set -eu

list="$(dirname "$0")/packages.txt"
[ $# -gt 0 ] || set -- build test

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: no dpkg here, so nothing was checked; $list names what Debian 12 would need" >&2
    exit 0
fi

architecture=$(dpkg --print-architecture)
wanted=""
for group in "$@"; do
    packages=$(sed -n "s/^$group //p; s/^$group-$architecture //p" "$list")
    if [ -z "$packages" ]; then
        echo "setup: no group \"$group\" in $list (build, test, peer, check)" >&2
        exit 2
    fi
    wanted="$wanted $packages"
done

# shellcheck disable=SC2086 # a list of words
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
    sed -n 's/^installed //p') || true
missing=""
for package in $wanted; do
    if ! printf '%s\n' "$installed" | grep -qx "$package"; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "These packages are missing. Install them, then run make again:" >&2
    echo >&2
    echo "    sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

echo "setup: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -q </dev/null
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing </dev/null
