#!/usr/bin/env bash
# Builds the images, starts the whole stack beside whatever else runs, has Airflow run a night of a small sample
# shop, reads the tables from outside, looks at every container's health, stops and starts the stack with its data
# kept, and takes everything down. `make docker-test` calls it.
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

# Wait until every container that runs is healthy; else say which is not, and fail.
healthy() {
  local states sick end=$((SECONDS + 180))
  local format='{{if .State.Running}}{{.Name}} {{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}{{end}}'
  while true; do
    states=$(stack ps -q | xargs docker inspect --format "$format" | grep .)
    sick=$(grep -v ' healthy$' <<<"$states") || break
    if [ "$SECONDS" -gt "$end" ]; then
      printf 'not healthy:\n%s\n' "$sick" >&2
      return 1
    fi
    sleep 5
  done
  echo "healthy: $(wc -l <<<"$states") containers"
}

began=$SECONDS
# `nightshelf` too, which stands in a profile of its own.
stack --profile tools build -q
echo "built in $((SECONDS - began)) s"
docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' 'nightshelf-*'
began=$SECONDS
# Each part starts after what it needs is healthy; of those that nothing waits for, `healthy` asks later.
stack up -d 2>&1 | tail -1
echo "up in $((SECONDS - began)) s"
../.venv/bin/python try_night.py "$folder"
echo "memory:"
stack ps -q | xargs docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'
healthy
stack run --rm nightshelf tables >"$folder/tables"
cat "$folder/tables"
began=$SECONDS
stack down 2>&1 | tail -1
stack up -d 2>&1 | tail -1
healthy
stack run --rm nightshelf tables | diff "$folder/tables" -
echo "down and up again in $((SECONDS - began)) s: the same tables"
