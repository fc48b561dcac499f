"""The session that every Spark step shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import spark as room
from jobs.settings import load_settings


def test_java_has_room_for_the_code_of_a_long_session(spark: SparkSession) -> None:
    """With one compiler alone Java reserves 48 MB for compiled code; a session of some 200 stages filled
    them and died.
    """
    pools = spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()
    code = [p.getUsage().getMax() for p in pools if "Code" in p.getName()]
    assert sum(code) >= 200 << 20


@pytest.mark.parametrize("jar", ["hadoop-aws-3.4.2.jar", "org.apache.hadoop_hadoop-aws-3.4.2.jar", ""])
def test_maven_is_asked_for_s3_only_where_spark_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jar: str
) -> None:
    """An image carries these 600 MB once: no job fetches them, and none ships them to its executors."""
    (tmp_path / "jars").mkdir()
    if jar:
        (tmp_path / "jars" / jar).touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    asked: dict[str, str] = {}

    class Builder:
        def config(self, key: str, value: str) -> Builder:
            asked[key] = value
            return self

    room._with_s3(Builder(), load_settings(lake="s3://bucket/lake"))
    assert ("spark.jars.packages" in asked) is not bool(jar)
    assert asked["spark.hadoop.fs.s3a.committer.name"] == "directory"
