#!/usr/bin/env bash
# Runs PostgreSQL. On an empty volume it first makes two databases, each with the role that owns it: `airflow` and
# `catalog`, with the passwords AIRFLOW_PASSWORD and CATALOG_PASSWORD. The superuser has no password and
# cannot come over the network: docker exec is its only way in.
set -euo pipefail

PATH=/usr/lib/postgresql/15/bin:$PATH
home=/var/lib/nightshelf-postgres
data=$home/15

if [ ! -e "$data/PG_VERSION" ]; then
  for password in "${AIRFLOW_PASSWORD:-}" "${CATALOG_PASSWORD:-}"; do
    if [[ ! $password =~ ^[A-Za-z0-9]{16,}$ ]]; then
      echo "postgres: AIRFLOW_PASSWORD and CATALOG_PASSWORD must be 16 or more letters and digits" >&2
      exit 2
    fi
  done
  # Made aside and renamed: a kill leaves either nothing or all of it.
  rm -rf "$home/making"
  initdb -D "$home/making" -U "$(id -un)" --auth-local=peer --auth-host=scram-sha-256 --data-checksums \
    --encoding=UTF8 --locale=C.UTF-8
  echo "host all all all scram-sha-256" >>"$home/making/pg_hba.conf"
  postgres --single -j -D "$home/making" postgres >/dev/null <<SQL
CREATE ROLE airflow LOGIN PASSWORD '$AIRFLOW_PASSWORD';

CREATE ROLE catalog LOGIN PASSWORD '$CATALOG_PASSWORD';

CREATE DATABASE airflow OWNER airflow;

CREATE DATABASE catalog OWNER catalog;

REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;

REVOKE CONNECT ON DATABASE catalog FROM PUBLIC;
SQL
  mv "$home/making" "$data"
fi
unset AIRFLOW_PASSWORD CATALOG_PASSWORD

exec postgres -D "$data" -h '*' -k /tmp
