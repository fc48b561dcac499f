"""A Spark with its part for S3: made of links, checked, and left out where it cannot be had."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from jobs.spark import HADOOP_AWS
from scripts.services import spark
from scripts.services.process import DidNotStart
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
    home = spark.bring_s3(tmp_path / "spark", "no-java-is-asked")
    own = spark._pyspark()
    assert {p.name for p in home.iterdir()} == {p.name for p in own.iterdir()}
    assert {p.name for p in (home / "jars").iterdir()} == {JAR} | {p.name for p in (own / "jars").iterdir()}
    assert (home / "jars" / JAR).read_bytes() == b"classes"
    assert not (own / "jars" / JAR).exists()


def test_another_file_is_refused_and_what_was_there_is_gone(given: Path, tmp_path: Path) -> None:
    home = spark.bring_s3(tmp_path / "spark", "")
    (given / JAR).write_bytes(b"other classes")
    with pytest.raises(DidNotStart, match=f"{JAR} is not the file"):
        spark.bring_s3(tmp_path / "spark", "")
    assert not home.exists()


def test_without_maven_services_start_and_say_so(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (given / JAR).unlink()
    monkeypatch.setattr(spark, "HADOOP_AWS", "no coordinates")
    told: list[str] = []
    stack = Stack(tmp_path / "services", told.append)
    stack._bring_s3()
    assert len(told) == 1
    assert told[0].startswith("Maven did not give no coordinates: requirement failed: Provided Maven Coord")
    assert told[0].endswith("; each step will ask Maven itself")
    assert "\n" not in told[0]
    assert stack._spark_home() == {}


def test_the_sums_are_of_the_version_that_jobs_ask_for() -> None:
    assert f"hadoop-aws-{HADOOP_AWS.rsplit(':', 1)[1]}.jar" in spark._S3_JARS.read_text()
