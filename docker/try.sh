#!/usr/bin/env bash
# Builds the images, starts the whole stack beside whatever else runs, has Airflow run a night of a small sample
# shop, reads the tables from outside, and takes everything down. `make docker-test` calls it.
# Needs Docker with a compose, and the environment of `make setup`. KEEP=1 leaves the stack up.
set -euo pipefail
cd "$(dirname "$0")"

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/nightshelf-try.XXXXXX")
port() { ../.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
./prepare.sh "$folder" >/dev/null
sed -i '/^COMPOSE_PROJECT_NAME=/d' "$folder/.env"
cat >>"$folder/.env" <<ENV
COMPOSE_PROJECT_NAME=nightshelf-try-$$
AIRFLOW_BIND=127.0.0.1:$(port)
S3_BIND=127.0.0.1:$(port)
NIGHTSHELF_SOURCES=[{"mapping": "sample-shop", "files": ["s3://nightshelf/raw/"]}]
NIGHTSHELF_WRITER_STEPS=30
NIGHTSHELF_RETRY_SECONDS=5
ENV
stack() { "${compose[@]}" -f compose.yaml --env-file "$folder/.env" "$@"; }

stop() {
  code=$?
  if [ "$code" != 0 ]; then stack logs --tail=60 >&2 || true; fi
  if [ "${KEEP:-}" = 1 ]; then
    echo "left up: ${compose[*]} -f docker/compose.yaml --env-file $folder/.env down -v"
  else
    stack down -v --remove-orphans >/dev/null 2>&1 || true
    rm -rf "$folder"
  fi
  exit "$code"
}
trap stop EXIT

began=$SECONDS
# `nightshelf` too, which stands in a profile of its own.
stack --profile tools build -q
echo "built in $((SECONDS - began)) s"
docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' 'nightshelf-*'
began=$SECONDS
# Waits for every health check on the way: each part starts after what it needs is healthy.
stack up -d 2>&1 | tail -1
echo "up in $((SECONDS - began)) s"
../.venv/bin/python try_night.py "$folder"
echo "memory:"
stack ps -q | xargs docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'
stack run --rm nightshelf tables
