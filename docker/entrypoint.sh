#!/usr/bin/env bash
# Before a container's command: secrets from files, and Spark's configuration.
set -euo pipefail

# NAME_FILE=/run/secrets/… becomes NAME=<what the file holds>: no secret stands in the container's definition.
# The empty file of a secret that is not used leaves a NAME that is set already as it is.
while IFS= read -r name; do
  file=${!name}
  case $name:$file in
    *_FILE:/run/secrets/*)
      if [ ! -r "$file" ]; then
        echo "entrypoint: $name: $file cannot be read; docker/prepare.sh makes the secrets" >&2
        exit 2
      fi
      value=$(<"$file")
      secret=${name%_FILE}
      if [ -n "$value" ] || [ -z "${!secret+set}" ]; then export "$secret=$value"; fi
      unset "$name"
      ;;
  esac
done < <(compgen -e)
unset value

# Who does not know the secret can neither join the cluster nor give it work, and nobody on the network reads along.
if [ -n "${SPARK_SECRET:-}" ]; then
  export SPARK_CONF_DIR=/run/nightshelf/spark
  (
    umask 077
    mkdir -p "$SPARK_CONF_DIR"
    {
      echo "spark.authenticate true"
      echo "spark.authenticate.secret $SPARK_SECRET"
      echo "spark.network.crypto.enabled true"
      echo "spark.executor.memory ${SPARK_EXECUTOR_MEMORY:-1g}"
      # QUICK_JAVA of jobs/spark.py, which says why.
      if [ "$(nproc)" -le 4 ]; then
        for who in driver executor; do
          echo "spark.$who.defaultJavaOptions -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
        done
      fi
    } >"$SPARK_CONF_DIR/spark-defaults.conf"
  )
  unset SPARK_SECRET
  # The address by which other containers reach this one.
  SPARK_LOCAL_IP=$(hostname -i | cut -d' ' -f1)
  export SPARK_LOCAL_IP
fi

exec "$@"
