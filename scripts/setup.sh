#!/usr/bin/env bash
# Makes .venv, locked to requirements.lock. Does nothing when that is done already.
# Needs Python 3.11 with its venv module; everything else comes from the package registry, a Java runtime included.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.nightshelf-stamp
want=$(cat requirements.lock requirements-uv.lock pyproject.toml | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/nightshelf ] && [ "$(cat $stamp 2>/dev/null)" = "$want" ]; then exit 0; fi

python=""
for candidate in python3.11 python3; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "setup: Nightshelf needs Python 3.11; install it (Debian 12: apt-get install python3 python3-venv)" >&2
  exit 2
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing python3-venv"
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
  else
    echo "setup: this Python has no venv module; install it (Debian: sudo apt-get install python3-venv)" >&2
    exit 2
  fi
fi

# uv lives beside the environment, not in it: a sync would remove it.
if [ ! -x .tools/uv/bin/uv ]; then
  "$python" -m venv --clear .tools/uv
  .tools/uv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.lock
fi
[ -x .venv/bin/python ] || "$python" -m venv --without-pip --clear .venv

echo "setup: installing the locked environment into .venv (about 3.5 GB)"
uv=(.tools/uv/bin/uv pip)
"${uv[@]}" sync -q --python .venv/bin/python --require-hashes requirements.lock
"${uv[@]}" install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
echo "$want" > $stamp
echo "setup: done"
