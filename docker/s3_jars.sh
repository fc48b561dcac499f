#!/usr/bin/env bash
# Inside a build: puts Spark's part for S3 into Spark's own folder, so that no job fetches or ships it.
set -euo pipefail

PATH=/opt/venv/bin:$PATH
coordinates=$(sed -nE 's/^HADOOP_AWS = "(.+)"$/\1/p' "$1")
work=$(mktemp -d)
echo "" >"$work/nothing.py"
spark-submit --master 'local[1]' --conf spark.jars.ivy="$work/ivy" --conf spark.ui.enabled=false \
  --packages "${coordinates:?no HADOOP_AWS in $1}" "$work/nothing.py" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
cd "$work/ivy/jars"
sha256sum --strict --check "$2"
[ "$(find . -name '*.jar' | wc -l)" = "$(wc -l <"$2")" ]
install -m 644 -- *.jar /opt/venv/lib/python3.11/site-packages/pyspark/jars/
rm -rf "$work"
