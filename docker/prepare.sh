#!/usr/bin/env bash
# Makes what compose.yaml reads and git ignores: a folder `secrets` with random values, and `.env` with the settings.
# What is there already stays. Usage: docker/prepare.sh [FOLDER, default: docker/]
set -euo pipefail

folder=${1:-$(dirname "$0")}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
secrets=$folder/secrets
umask 077
mkdir -p "$secrets"
# The folder is closed to everybody else. The files in it are open, for a container's user has another number
# than the one who runs this, and gets each file without the folder.
chmod 700 "$secrets"

hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
secret() {
  if [ ! -e "$secrets/$1" ]; then
    printf '%s' "$2" >"$secrets/.$1.part"
    chmod "${3:-444}" "$secrets/.$1.part"
    mv "$secrets/.$1.part" "$secrets/$1"
  fi
}
same() { [ -s "$secrets/$1" ] && cat "$secrets/$1"; }
database() { echo "postgresql+psycopg2://$1:$(<"$secrets/$1_password")@postgres/$1"; }

secret admin_password "$(hex 12)"
secret airflow_password "$(hex 24)"
secret catalog_password "$(hex 24)"
secret airflow_database "$(database airflow)"
secret catalog "$(database catalog)"
secret api_secret_key "$(hex 32)"
secret jwt_secret "$(hex 64)"
secret fernet_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
secret s3_access_key "$(hex 10)"
secret s3_secret_key "$(hex 20)"
# Of the store in the stack. Jobs reach it with the two above, until those are another store's or emptied.
secret s3_root_access_key "$(same s3_access_key || hex 10)"
secret s3_root_secret_key "$(same s3_secret_key || hex 20)"
secret spark_secret "$(hex 32)"
# Empty until somebody writes them: a key of shoppers' pseudonyms, and how people are told (docs/deploy.md).
secret pseudonym_key "" 644
secret notify_webhook "" 644
secret smtp_connection "" 644

if [ ! -e "$folder/.env" ]; then
  cat >"$folder/.env" <<ENV
# Settings of this deployment: those of compose.yaml, and any NIGHTSHELF_* of the README. No secret: 'docker inspect'
# shows what stands here. Keys, and addresses and connections that hold one, are files in the folder below.
COMPOSE_PROJECT_NAME=nightshelf
NIGHTSHELF_SECRETS=$secrets
NIGHTSHELF_ENV_FILE=$folder/.env
# NIGHTSHELF_SOURCES=[{"mapping": "sample-shop", "files": ["s3://nightshelf/raw/"]}]
# NIGHTSHELF_CRON=0 2 * * *
# NIGHTSHELF_SPARK_MEMORY=2g
# GPU_SLOTS=1
# SPARK_WORKER_CORES=1
# SPARK_WORKER_MEMORY=2g
# SPARK_EXECUTOR_MEMORY=1g
# AIRFLOW_BIND=127.0.0.1:8080
# S3_BIND=127.0.0.1:7070
ENV
fi
echo "prepared: $secrets and $folder/.env; the login is admin with the password in $secrets/admin_password"
