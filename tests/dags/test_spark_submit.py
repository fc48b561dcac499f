"""Steps as Spark applications: spark-submit, its exit codes and last line, a cluster of two workers."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import Settings
from jobs.spark import HADOOP_AWS, find_java
from jobs.steps import STEPS
from tests import servers
from tests.dags.conftest import ROOT, context

DS = "2026-01-10"


@pytest.fixture(autouse=True)
def submitting(monkeypatch: pytest.MonkeyPatch, lake_settings: Settings) -> None:
    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", "spark-submit")
    monkeypatch.setenv("NIGHTSHELF_LAKE", lake_settings.lake)
    monkeypatch.setenv("NIGHTSHELF_SPARK_MEMORY", "1g")
    monkeypatch.setenv("JAVA_HOME", find_java(lake_settings))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    # The environment's own spark-submit, wherever the tests' Python lies.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    master(monkeypatch, "local[1]")


def master(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({"conn_type": "spark", "host": url}))


def task(name: str) -> Any:
    from airflow.sdk import DAG
    from nightshelf_factory import step

    with DAG("d"):
        return step(name)


def session_makers(module: str) -> set[str]:
    """Modules of `jobs` that a step's module imports at its top, itself included, as far as they go."""
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        file = ROOT / (name.replace(".", "/") + ".py")
        if name in seen or not file.exists():
            continue
        seen.add(name)
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "jobs":
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return seen


def test_the_steps_that_are_submitted_are_those_that_use_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    from nightshelf_factory import SPARK, SPARK_WHERE, uses_spark

    found = {s.name for s in STEPS if "jobs.spark" in session_makers(f"jobs.{s.name}")}
    assert found == SPARK
    assert not uses_spark("recommend")
    monkeypatch.setenv("NIGHTSHELF_SCORING", "spark")
    assert {s.name for s in STEPS if uses_spark(s.name)} == SPARK | {"recommend"}
    assert set(SPARK_WHERE) == {"recommend", "describe"}


def test_where_lists_and_copy_are_made_a_file_of_settings_says_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment is stronger, as it is for the step itself."""
    from nightshelf_factory import SPARK, uses_spark

    file = tmp_path / "nightshelf.toml"
    file.write_text('scoring = "spark"\nwriting = "spark"\n')
    monkeypatch.setenv("NIGHTSHELF_CONFIG", str(file))
    assert {s.name for s in STEPS if uses_spark(s.name)} == SPARK | {"recommend", "describe"}
    monkeypatch.setenv("NIGHTSHELF_SCORING", "process")
    assert {s.name for s in STEPS if uses_spark(s.name)} == SPARK | {"describe"}
    file.write_text("scoring = ")
    assert {s.name for s in STEPS if uses_spark(s.name)} == SPARK


def test_the_night_as_submitted(load: Callable[[str], Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from nightshelf_factory import SPARK
    from nightshelf_spark import HADOOP_AWS as SUBMITTED
    from nightshelf_spark import SparkStepOperator

    dag = load("nightly").dag
    spark = {t.task_id: t for t in dag.tasks if isinstance(t, SparkStepOperator)}
    assert set(spark) == SPARK
    # A task that is cleared runs again.
    assert not any(t.durable for t in spark.values())
    commands = json.loads((ROOT / "tests/dags/nightly_commands.json").read_text())["defaults"]
    assert {name: t.words(context()) for name, t in spark.items()} == {n: commands[n] for n in spark}
    assert SUBMITTED == HADOOP_AWS
    assert DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).dag_id == "nightly"


def test_no_key_stands_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHELF_LAKE", "s3://bucket/lake")
    monkeypatch.setenv("NIGHTSHELF_S3_SECRET_KEY", "planted-secret")
    operator = task("clean")
    operator.application_args = operator.words(context())
    command = operator._get_hook()._build_spark_submit_command(operator.application)
    assert HADOOP_AWS in command
    assert "planted-secret" not in " ".join(command)


def command_of(name: str) -> list[str]:
    operator = task(name)
    operator.application_args = operator.words(context())
    return list(operator._get_hook()._build_spark_submit_command(operator.application))


def test_what_a_file_of_settings_says_holds_for_the_driver_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert HADOOP_AWS not in command_of("clean")
    monkeypatch.delenv("NIGHTSHELF_LAKE")
    monkeypatch.delenv("NIGHTSHELF_SPARK_MEMORY")
    file = tmp_path / "nightshelf.toml"
    file.write_text('lake = "s3://bucket/lake"\nspark_memory = "3g"\n')
    monkeypatch.setenv("NIGHTSHELF_CONFIG", str(file))
    command = command_of("clean")
    assert command[command.index("--driver-memory") + 1] == "3g"
    assert HADOOP_AWS in command
    # An image's Spark has it, and may reach no Maven.
    jars = tmp_path / "spark" / "jars"
    jars.mkdir(parents=True)
    (jars / "hadoop-aws-3.4.2.jar").touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    assert HADOOP_AWS not in command_of("clean")


def test_without_a_connection_it_is_said_and_not_tried_on_yarn(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.delenv("AIRFLOW_CONN_SPARK_DEFAULT")
    with pytest.raises(AirflowFailException, match="there is no connection 'spark_default': add it"):
        task("clean").execute(context())


@pytest.mark.parametrize(
    ("settings", "params", "code", "says"),
    [
        ({}, {"ds": "2026-01-32"}, 2, "give a date as YYYY-MM-DD"),
        ({}, {"ds": DS}, 10, "not staged in this run"),
        ({"CATALOG": "postgresql+psycopg2://nobody@127.0.0.1:1/none"}, {"ds": DS}, 20, "catalog"),
    ],
)
def test_exit_codes_decide_about_another_try(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], params: dict[str, str], code: int, says: str
) -> None:
    """The step's own exit code, through Spark's launcher and its JVM."""
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    for name, value in settings.items():
        monkeypatch.setenv(f"NIGHTSHELF_{name}", value)
    with pytest.raises(AirflowException, match=f"exit {code}.*{says}") as caught:
        task("check_inputs").execute(context(**params))
    assert isinstance(caught.value, AirflowFailException) is (code in (2, 10))


@pytest.mark.slow
def test_steps_on_a_cluster_of_two_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lake_settings: Settings
) -> None:
    """Submitted to a standalone cluster, steps stage the rows that they stage as processes here."""
    from jobs.night import Night
    from jobs.sample.shop import generate

    generate(tmp_path / "raw", seed=7, products=60, users=50, start=date(2026, 1, 1), days=10)
    sources = [{"mapping": "sample-shop", "files": [str(tmp_path / "raw")]}]
    monkeypatch.setenv("NIGHTSHELF_SOURCES", json.dumps(sources))
    steps = ("pin_inputs", "ingest", "clean", "check_inputs", "features")

    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", "process")
    for name in steps:
        task(name).execute(context(ds=DS, run_id="here"))

    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", "spark-submit")
    with servers.spark_cluster(tmp_path / "cluster", os.environ["JAVA_HOME"]) as url:
        master(monkeypatch, url)
        for name in steps:
            answer = task(name).execute(context(ds=DS, run_id="there"))
            assert (answer["step"], answer["run_id"]) == (name, "there")
        again = task("clean").execute(context(ds=DS, run_id="there"))
    assert again["step"] == "clean", "a task that is cleared runs again"

    here, there = (Night(lake_settings, date.fromisoformat(DS), run) for run in ("here", "there"))
    for table in ("events_clean", "products", "users", "user_features", "item_features"):
        rows = [sorted(map(str, n.read(table, start=date.min, end=n.ds).to_pylist())) for n in (here, there)]
        assert rows[0]
        assert rows[0] == rows[1], table
    used = {p.parents[2].name for p in (tmp_path / "cluster").glob("worker-*/app-*/*/stderr")}
    assert used == {"worker-0", "worker-1"}, "both workers ran executors"


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.parametrize("where", ["settings", "environment"])
def test_a_step_on_s3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, s3_settings: Settings, where: str
) -> None:
    """The JVM that spark-submit started gets at the store: by our keys, or by AWS's own chain."""
    from jobs.night import Night
    from jobs.sample.shop import generate

    generate(tmp_path / "raw", seed=7, products=60, users=50, start=date(2026, 1, 1), days=10)
    sources = [{"mapping": "sample-shop", "files": [str(tmp_path / "raw")]}]
    settings = {"LAKE": s3_settings.lake, "CATALOG": s3_settings.catalog, "SOURCES": json.dumps(sources)}
    settings["S3_ENDPOINT"] = s3_settings.s3_endpoint
    key, secret = (k.get_secret_value() for k in (s3_settings.s3_access_key, s3_settings.s3_secret_key))
    if where == "settings":
        settings |= {"S3_ACCESS_KEY": key, "S3_SECRET_KEY": secret}
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    for name, value in settings.items():
        monkeypatch.setenv(f"NIGHTSHELF_{name}", value)
    for name in ("pin_inputs", "ingest", "clean"):
        task(name).execute(context(ds=DS, run_id="on-s3"))
    night = Night(s3_settings, date.fromisoformat(DS), "on-s3")
    assert night.read("events_clean", start=date.min, end=night.ds).num_rows > 0
