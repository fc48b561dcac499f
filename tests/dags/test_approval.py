"""When a person is asked, what the night looks like then, and what an answer does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.steps import STEPS
from tests.dags.conftest import Instance, context
from tests.dags.webhook import Hook

USUAL = {"status": "ok", "warnings": 0, "warned": [], "list_change": 0.4}
ODD = {"status": "warning", "warnings": 2, "warned": ["rows are few", "so are users"], "list_change": 0.9}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (USUAL, []),
        # The first night has nothing to compare with.
        (USUAL | {"list_change": None}, []),
        (USUAL | {"list_change": 0.8}, []),
        (USUAL | {"list_change": 0.81}, ["81% of the products"]),
        (USUAL | {"warnings": 1}, ["1 warning of the audit"]),
        (ODD, ["2 warnings of the audit", "90% of the products"]),
        # Not known is not usual.
        (None, ["could not be read"]),
        ({}, ["could not be read"]),
    ],
)
def test_only_an_unusual_night_is_asked_about(answer: dict[str, Any] | None, says: list[str]) -> None:
    from nightshelf_approval import unusual

    found = unusual(answer, 0.8)
    assert len(found) == len(says)
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))


@pytest.mark.parametrize("mode", ["off", "ask", "keep"])
def test_nothing_is_published_before_the_audit_nor_before_the_answer(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    monkeypatch.setenv("NIGHTSHELF_APPROVE", mode)
    dag = load("nightly").dag
    before = dag.get_task("publish").get_flat_relative_ids(upstream=True)
    asked = set() if mode == "off" else {"approve"}
    assert before == {s.name for s in STEPS} - {"publish", "report"} | asked
    # Waiting for a person is no step: nothing but publish and the report hangs on it.
    for name in asked:
        assert dag.get_task(name).get_flat_relative_ids(upstream=True) == before - asked
        assert dag.get_task(name).get_flat_relative_ids(upstream=False) == {"publish", "report"}
        assert dag.get_task(name).ask is (mode == "ask")
    assert DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).dag_id == "nightly"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("APPROVE", "maybe", "NIGHTSHELF_APPROVE 'maybe': use off, ask or keep"),
        ("APPROVE_CHANGE", "much", "NIGHTSHELF_APPROVE_CHANGE 'much': give a number from 0 to 1"),
        ("APPROVE_CHANGE", "80", "NIGHTSHELF_APPROVE_CHANGE '80': give a number from 0 to 1"),
        (
            "APPROVE_MINUTES",
            "8h",
            "NIGHTSHELF_APPROVE_MINUTES '8h': give a number above 0, such as 480;",
        ),
        # Airflow would take no time at all for none given, and wait as long as the task may run.
        ("APPROVE_MINUTES", "0", "'0': give a number above 0, such as 480; .* set NIGHTSHELF_APPROVE=keep"),
        ("APPROVE_MINUTES", "-5", "'-5': give a number above 0, such as 480; .* set NIGHTSHELF_APPROVE=keep"),
        ("DEADLINE_MINUTES", "inf", "NIGHTSHELF_DEADLINE_MINUTES 'inf': give a number, not below 0, such as"),
        ("RETRY_SECONDS", "-1", "NIGHTSHELF_RETRY_SECONDS '-1': give a number, not below 0, such as 120"),
        ("RUN_WITH", "docker", "NIGHTSHELF_RUN_WITH 'docker': use process, spark-submit or kubernetes"),
    ],
)
def test_a_wrong_setting_is_named(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv("NIGHTSHELF_APPROVE", "ask")
    monkeypatch.setenv(f"NIGHTSHELF_{name}", value)
    with pytest.raises(ValueError, match=says):
        load("nightly")


def test_where_nobody_is_asked_no_time_to_answer_is_wanted(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who follows the message about a time of 0 is refused once more."""
    monkeypatch.setenv("NIGHTSHELF_APPROVE", "keep")
    monkeypatch.setenv("NIGHTSHELF_APPROVE_MINUTES", "0")
    approve = load("nightly").dag.get_task("approve")
    assert approve.ask is False
    # Airflow takes it away where there is no time to answer.
    assert approve.execution_timeout


@pytest.mark.parametrize(
    ("way", "file", "missing"),
    [
        ("kubernetes", "nightshelf_kubernetes", "airflow.providers.cncf.kubernetes.operators.pod"),
        ("spark-submit", "nightshelf_spark", "airflow.providers.apache.spark.hooks.spark_submit"),
    ],
)
def test_a_missing_package_is_named(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, way: str, file: str, missing: str
) -> None:
    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", way)
    monkeypatch.delitem(sys.modules, file, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f"NIGHTSHELF_RUN_WITH={way}: install this package's extra '{way}'"):
        load("nightly")


def approval(answer: dict[str, Any] | None, ask: bool = True) -> tuple[Any, dict[str, Any]]:
    from airflow.sdk import DAG
    from nightshelf_approval import PublishApproval
    from nightshelf_step import StepOperator

    with DAG("nightly"):
        task = PublishApproval(task_id="approve", audit="audit", most=0.8, ask=ask)
        publish = StepOperator(task_id="publish", step="publish")
        report = StepOperator(task_id="report", step="report").as_teardown()
        task >> publish >> report
    return task, context() | {"ti": Instance("approve", return_value=answer), "task": task}


def test_a_usual_night_goes_through_without_a_person() -> None:
    task, given = approval(USUAL)
    assert task.execute(given) == {"asked": False}
    assert "kept" not in given["ti"].xcoms


def test_no_answer_is_a_refusal() -> None:
    task, _ = approval(ODD)
    assert task.defaults == [task.REJECT]


def test_where_nobody_is_asked_an_unusual_night_is_kept_back(webhook: Hook) -> None:
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    task, given = approval(ODD, ask=False)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        task.execute(given)
    assert skipped.value.tasks == ["publish"], "the report is written all the same"
    assert given["ti"].xcoms["kept"].startswith("2 warnings of the audit; 90% of the products")
    assert given["ti"].xcoms["kept"].endswith("nobody is asked here")
    assert [(m["event"], m["why"]) for m in webhook.got] == [("kept", given["ti"].xcoms["kept"])]


@pytest.mark.parametrize(
    ("chosen", "timed_out", "says"),
    [
        ("Approve", False, ""),
        ("Reject", False, "a person refused"),
        ("Reject", True, "nobody answered in time"),
    ],
)
def test_an_answer_decides(chosen: str, timed_out: bool, says: str, webhook: Hook) -> None:
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    task, given = approval(ODD)
    given["ti"].xcoms["why"] = "2 warnings of the audit"
    event = {"chosen_options": [chosen], "params_input": {}, "timedout": timed_out}
    event |= {
        "responded_at": datetime(2026, 2, 1, tzinfo=UTC),
        "responded_by_user": {"id": "7", "name": "Ada"},
    }
    if not says:
        assert task.execute_complete(given, event) == {"asked": True, "approved": True}
        assert "kept" not in given["ti"].xcoms
        assert webhook.got == []
        return
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        task.execute_complete(given, event)
    assert skipped.value.tasks == ["publish"]
    assert given["ti"].xcoms["kept"] == f"2 warnings of the audit; {says}"
    assert [message["event"] for message in webhook.got] == ["kept"]
    assert "Ada" not in str(given["ti"].xcoms), "who answered is Airflow's to know"


def test_the_report_is_told_why_and_only_then(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHELF_APPROVE", "ask")
    report = load("nightly").dag.get_task("report")
    assert "--kept" not in report.command(context())
    told = context() | {"ti": Instance(kept="2 warnings of the audit; a person refused")}
    assert report.command(told)[-2:] == ["--kept", "2 warnings of the audit; a person refused"]
    monkeypatch.setenv("NIGHTSHELF_APPROVE", "off")
    # Without the task `approve` nothing is asked of it.
    without = context() | {"ti": SimpleNamespace()}
    assert "--kept" not in load("nightly").dag.get_task("report").command(without)
