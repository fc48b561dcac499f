"""The session that every Spark step shares."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

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


class Builder:
    """Keeps what it is asked, and starts no Java."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}

    def config(self, key: str, value: str) -> Builder:
        self.asked[key] = value
        return self

    def appName(self, name: str) -> Builder:
        return self.config("spark.app.name", name)

    def master(self, name: str) -> Builder:
        return self.config("spark.master", name)

    def getOrCreate(self) -> Builder:
        return self


@pytest.mark.parametrize("jar", ["hadoop-aws-3.4.2.jar", "org.apache.hadoop_hadoop-aws-3.4.2.jar", ""])
def test_maven_is_asked_for_s3_only_where_spark_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jar: str
) -> None:
    """An image carries these 600 MB once: no job fetches them, and none ships them to its executors."""
    (tmp_path / "jars").mkdir()
    if jar:
        (tmp_path / "jars" / jar).touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    builder = Builder()
    room._with_s3(builder, load_settings(lake="s3://bucket/lake"))
    assert ("spark.jars.packages" in builder.asked) is not bool(jar)
    assert builder.asked["spark.hadoop.fs.s3a.committer.name"] == "directory"


@pytest.mark.parametrize(
    ("master", "given", "address"),
    [
        ("local[2]", None, "127.0.0.1"),
        ("local-cluster[2,1,1024]", None, "127.0.0.1"),
        ("spark://127.0.0.1:7077", None, "127.0.0.1"),
        ("spark://localhost:7077", None, "127.0.0.1"),
        ("spark://[::1]:7077", None, "127.0.0.1"),
        # A name that a resolver knows may be anywhere.
        ("spark://spark-master:7077", None, None),
        ("spark://localhost.example.com:7077", None, None),
        ("spark://127.example.com:7077", None, None),
        ("spark://10.0.0.7:7077", None, None),
        ("spark://127.0.0.1:7077,10.0.0.7:7077", None, None),
        ("k8s://https://127.0.0.1:6443", None, None),
        ("yarn", None, None),
        # What a deployment says itself stays.
        ("local[2]", "10.0.0.8", "10.0.0.8"),
        ("spark://spark-master:7077", "10.0.0.8", "10.0.0.8"),
    ],
)
def test_a_driver_listens_on_the_loopback_only_where_its_executors_are_here(
    monkeypatch: pytest.MonkeyPatch, master: str, given: str | None, address: str | None
) -> None:
    """Elsewhere executors would look for it on their own loopback, and no job would start."""
    environment = {"SPARK_LOCAL_IP": given} if given else {}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(room, "find_java", lambda settings: "java")
    session = SimpleNamespace(getActiveSession=lambda: None, builder=Builder())
    monkeypatch.setattr("pyspark.sql.SparkSession", session)
    room.spark(load_settings(lake="/lake", spark_master=master))
    assert environment.get("SPARK_LOCAL_IP") == address
