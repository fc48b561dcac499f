#!/usr/bin/env bash
# Locks what the images install beside requirements.lock: `make lock` calls it. A package that requirements.lock
# pins is left out here, so that every package has one pin.
set -euo pipefail
cd "$(dirname "$0")"

for name in airflow gpu go; do
  ../.tools/uv/bin/uv pip compile -q "$name.in" -c ../requirements.lock --override ../overrides.txt \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links |
    awk 'NR == FNR { if ($1 ~ /==/) locked[$1] = 1; next }
         $1 ~ /==/ { keep = !($1 in locked) && $1 !~ /\[/ }
         keep { print }' ../requirements.lock - >"$name.lock"
done
