#!/usr/bin/env bash
# Inside a build: installs locked Python packages, by hash, into /opt/venv. Usage: install.sh REQUIREMENTS…
# pip and uv are gone when it ends; what is installed is compiled, because containers may not write there.
set -euo pipefail

here=$(dirname "$0")
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt UV_SYSTEM_CERTS=true
tools=$(mktemp -d)
python3 -m venv "$tools"
"$tools/bin/pip" install -q --no-cache-dir --disable-pip-version-check --require-hashes -r "$here/requirements-uv.lock"
uv=$tools/bin/uv
[ -d /opt/venv ] || "$uv" venv -q --python /usr/bin/python3 /opt/venv

args=()
for file in "$@"; do args+=(-r "$file"); done
# Checks every hash, those of the constraints too.
"$uv" pip install -q --no-cache --compile-bytecode --python /opt/venv/bin/python --require-hashes \
  -c "$here/requirements.lock" --override "$here/overrides.txt" "${args[@]}"
rm -rf "$tools" /root/.cache
