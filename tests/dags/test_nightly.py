"""The wiring of the night: what depends on what, what each task runs, and what its exit code means."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.lake.registry import BY_NAME, NIGHTLY
from jobs.steps import STEPS
from tests.dags.conftest import context

ROOT = Path(__file__).resolve().parents[2]
RENDERED = Path(__file__).with_name("nightly_commands.json")


@pytest.fixture(scope="module")
def modules() -> SimpleNamespace:
    import nightly
    import nightshelf_step

    return SimpleNamespace(nightly=nightly, step=nightshelf_step)


@pytest.fixture(scope="module")
def dag(modules: SimpleNamespace) -> Any:
    return modules.nightly.dag


def test_every_step_is_one_task(dag: Any) -> None:
    assert sorted(dag.task_ids) == sorted(s.name for s in STEPS)


def test_a_task_runs_after_the_makers_of_what_it_reads(dag: Any) -> None:
    makers = {"recommend": {"train_recommender"}, "describe": {"train_writer"}}
    for table in NIGHTLY:
        needed = {BY_NAME[name].job for name in table.depends_on if name != "models"}
        if "models" in table.depends_on:
            needed |= makers[table.job]
        upstream = dag.get_task(table.job).get_flat_relative_ids(upstream=True)
        assert needed - {table.job} <= upstream, (
            f"{table.name}: {table.job} does not wait for {needed - upstream}"
        )


def test_nothing_is_published_before_the_audit(dag: Any) -> None:
    before = dag.get_task("publish").get_flat_relative_ids(upstream=True)
    assert before == {s.name for s in STEPS} - {"publish", "report"}
    assert [a.name for a in dag.get_task("publish").outlets] == [f"nightshelf.{t.name}" for t in NIGHTLY]
    assert not any(t.outlets for t in dag.tasks if t.task_id != "publish")


def test_settings_of_the_dag(dag: Any) -> None:
    assert dag.catchup is False
    assert dag.get_task("report").is_teardown
    assert {t.task_id for t in dag.tasks if t.pool == "gpu"} == {
        "train_recommender",
        "recommend",
        "train_writer",
        "describe",
    }
    assert all(t.execution_timeout for t in dag.tasks)
    assert dag.deadline
    assert dag.on_failure_callback


@pytest.mark.parametrize(("given", "pool"), [("cards", "cards"), ("", "gpu")])
def test_the_pool_of_gpus_can_have_another_name(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, given: str, pool: str
) -> None:
    monkeypatch.setenv("NIGHTSHELF_GPU_POOL", given)
    assert {t.pool for t in load("nightly").dag.tasks} == {pool, "default_pool"}


def test_commands_are_as_reviewed(dag: Any, modules: SimpleNamespace) -> None:
    """Each task's command line, held against a stored copy, so that a change shows in review."""
    start = len(modules.step.COMMAND)
    cases = {
        "defaults": context(),
        "limits": context(retrain="never", max_users=10, max_products=5, accept_changes=True, run_id="r1"),
    }
    rendered = {
        case: {t.task_id: t.command(given)[start:] for t in sorted(dag.tasks, key=lambda t: t.task_id)}
        for case, given in cases.items()
    }
    assert rendered == json.loads(RENDERED.read_text())


def test_the_date_is_the_param_else_the_logical_date_else_a_failure(modules: SimpleNamespace) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    logical = datetime(2026, 1, 2, 2, tzinfo=UTC)
    assert modules.step.resolve_ds(context("2026-01-31", logical)) == "2026-01-31"
    assert modules.step.resolve_ds(context(None, logical)) == "2026-01-02"
    with pytest.raises(AirflowFailException, match="trigger it with the param ds"):
        modules.step.resolve_ds(context(None, None))


def test_a_run_at_two_in_the_morning_covers_the_day_that_ended(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction
    from pendulum import datetime as at

    timetable = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).timetable
    restriction = TimeRestriction(earliest=at(2026, 1, 2, 2), latest=None, catchup=True)
    info = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert info is not None
    assert info.run_after == at(2026, 1, 3, 2)
    assert info.logical_date == at(2026, 1, 2, 2)


def test_the_backfill_of_the_run_book_has_each_night_it_names_one_after_the_other(dag: Any) -> None:
    from airflow.cli.cli_parser import get_parser
    from airflow.models.backfill import _get_info_list
    from airflow.serialization.serialized_objects import DagSerialization

    page = (ROOT / "docs" / "run-book.md").read_text()
    (command,) = re.findall(r"^airflow (backfill create .*)$", page, re.MULTILINE)
    asked = get_parser().parse_args(command.split())
    known = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    nights = _get_info_list(from_date=asked.from_date, to_date=asked.to_date, reverse=False, dag=known)
    assert [night.logical_date.day for night in nights] == [1, 2, 3, 4, 5, 6, 7]
    assert asked.max_active_runs == 1


def _operator(modules: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, code: str) -> Any:
    monkeypatch.setattr(modules.step, "COMMAND", [sys.executable, "-c", code])
    return modules.step.StepOperator(task_id="t", step="clean")


@pytest.mark.parametrize(("exit_code", "again"), [(2, False), (10, False), (1, True), (20, True)])
def test_exit_codes_decide_about_another_try(
    modules: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, exit_code: int, again: bool
) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    operator = _operator(modules, monkeypatch, f"print('why'); raise SystemExit({exit_code})")
    with pytest.raises(AirflowException, match=f"exit {exit_code}.*why") as caught:
        operator.execute(context())
    assert isinstance(caught.value, AirflowFailException) is not again


def test_a_killed_step_is_tried_again(modules: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    operator = _operator(modules, monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(AirflowException, match="exit -9") as caught:
        operator.execute(context())
    assert not isinstance(caught.value, AirflowFailException)


def test_the_last_line_is_the_xcom(modules: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = _operator(modules, monkeypatch, "print('noise'); print('{\"rows\": 3}')")
    assert operator.execute(context()) == {"rows": 3}


def test_what_is_printed_after_the_answer_is_no_answer(
    modules: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the JVM does when it shuts down: a step that is done stays green."""
    code = "import sys; print('{\"rows\": 3}', flush=True); print('INFO ShutdownHook: x', file=sys.stderr)"
    assert _operator(modules, monkeypatch, code + "; print('{broken')").execute(context()) == {"rows": 3}
    # Lost among too many lines: no reason for another try.
    assert _operator(modules, monkeypatch, code + "; print('x\\n' * 200)").execute(context()) is None


def test_the_error_is_the_steps_own_sentence(
    modules: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    code = "print('nightshelf: why it failed'); print('INFO ShutdownHookManager: x'); raise SystemExit(10)"
    with pytest.raises(AirflowFailException, match=r"exit 10\): nightshelf: why it failed$"):
        _operator(modules, monkeypatch, code).execute(context())


def test_dag_files_import_none_of_our_code(tmp_path: Path) -> None:
    code = (
        "import sys, nightly\n"
        "ours = [m for m in sys.modules if m.split('.')[0] in "
        "('jobs', 'models', 'expectations', 'pyspark', 'tensorflow', 'keras', 'pandas', 'pyarrow')]\n"
        "assert not [m for m in ours if m.split('.')[0] in ('jobs', 'models', 'expectations')], ours\n"
        "assert not [m for m in ours if m.split('.')[0] in ('pyspark', 'tensorflow', 'keras')], ours\n"
    )
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "dags")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
