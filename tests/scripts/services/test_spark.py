"""A Spark with its part for S3: made of links, checked, and left out where it cannot be had."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from jobs.spark import HADOOP_AWS, QUICK_JAVA
from scripts.services import spark
from scripts.services.stack import Stack

JAR = "org.apache.hadoop_hadoop-aws-1.jar"


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Spark keeps what Maven gave, with one jar, in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    sums = tmp_path / "sums"
    sums.write_text(f"{hashlib.sha256(b'classes').hexdigest()}  {JAR}\n")
    monkeypatch.setattr(spark, "_S3_JARS", sums)
    folder = tmp_path / ".ivy2.5.2" / "jars"
    folder.mkdir(parents=True)
    (folder / JAR).write_bytes(b"classes")
    return folder


def test_it_is_pyspark_with_one_jar_more(given: Path, tmp_path: Path) -> None:
    home = spark.make_home(tmp_path / "spark")
    spark.add_s3(home, "no-java-is-asked")
    own = spark._pyspark()
    assert {p.name for p in home.iterdir()} == {"conf"} | {p.name for p in own.iterdir()}
    assert {p.name for p in (home / "jars").iterdir()} == {JAR} | {p.name for p in (own / "jars").iterdir()}
    assert (home / "jars" / JAR).read_bytes() == b"classes"
    assert not (own / "jars" / JAR).exists()


def test_another_file_is_refused_and_what_was_there_is_gone(given: Path, tmp_path: Path) -> None:
    spark.add_s3(spark.make_home(tmp_path / "spark"), "")
    (given / JAR).write_bytes(b"other classes")
    home = spark.make_home(tmp_path / "spark")
    with pytest.raises(spark.NoS3Part, match=f"{JAR} is not the file"):
        spark.add_s3(home, "")
    assert not (home / "jars" / JAR).exists()


@pytest.mark.parametrize(("cores", "quick"), [(2, True), (4, True), (5, False), (64, False)])
def test_few_cores_have_no_optimising_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, quick: bool
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    settings = spark.make_home(tmp_path) / "conf" / "spark-defaults.conf"
    told = settings.read_text().splitlines() if settings.exists() else []
    options = [f"spark.{who}.defaultJavaOptions {QUICK_JAVA}" for who in ("driver", "executor")]
    assert told == options * quick


def test_without_maven_services_start_and_say_so(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (given / JAR).unlink()
    monkeypatch.setattr(spark, "HADOOP_AWS", "no coordinates")
    told: list[str] = []
    stack = Stack(tmp_path / "services", told.append)
    stack._make_spark_home()
    assert len(told) == 1
    assert told[0].startswith("Maven did not give no coordinates: requirement failed: Provided Maven Coord")
    assert told[0].endswith("; each step will ask Maven itself")
    assert "\n" not in told[0]
    assert not list((stack._spark_home / "jars").glob("*hadoop-aws*"))


def test_the_sums_are_of_the_version_that_jobs_ask_for() -> None:
    assert f"hadoop-aws-{HADOOP_AWS.rsplit(':', 1)[1]}.jar" in spark._S3_JARS.read_text()
