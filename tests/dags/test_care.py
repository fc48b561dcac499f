"""The DAGs of care: when they run, what command each task is, and that no log shows a shopper's id."""

from __future__ import annotations

import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="module")
def modules() -> SimpleNamespace:
    import forget_user
    import lake_maintenance
    import nightshelf_step

    return SimpleNamespace(forget=forget_user, maintain=lake_maintenance, step=nightshelf_step)


def context(**params: Any) -> dict[str, Any]:
    return {"params": params, "dag_run": SimpleNamespace(run_id="manual", logical_date=None, dag_id="d")}


def words(modules: SimpleNamespace, dag: Any, **params: Any) -> list[str]:
    (task,) = dag.tasks
    command: list[str] = task.command(context(**params))
    return command[len(modules.step.COMMAND) :]


def test_commands_are_as_reviewed(modules: SimpleNamespace) -> None:
    forget, maintain = modules.forget.dag, modules.maintain.dag
    assert words(modules, forget, user_id="zoe") == ["forget", "--json", "--user=zoe"]
    assert words(modules, maintain, dry_run=False, grace_days=None) == ["maintain", "--json"]
    limited = ["maintain", "--json", "--dry-run", "--grace-days", "7"]
    assert words(modules, maintain, dry_run=True, grace_days=7) == limited


@pytest.mark.parametrize("user_id", ["--help", "a b; rm -rf /", "$(id)", '"', "小明", "-"])
def test_whatever_the_id_is_it_is_one_argument(modules: SimpleNamespace, user_id: str) -> None:
    assert words(modules, modules.forget.dag, user_id=user_id) == ["forget", "--json", f"--user={user_id}"]


def test_when_they_run(modules: SimpleNamespace) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in (modules.forget.dag, modules.maintain.dag):
        # The scheduler reads them back from what is stored.
        assert DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).dag_id == dag.dag_id
        assert dag.catchup is False
        assert dag.max_active_runs == 1
        assert all(t.execution_timeout for t in dag.tasks)
    assert type(modules.forget.dag.timetable).__name__ == "NullTimetable"
    assert type(modules.maintain.dag.timetable).__name__ == "CronTriggerTimetable"
    assert modules.maintain.CRON == "0 12 * * 0"


@pytest.mark.parametrize(
    ("user_id", "good"),
    [
        ("u1", True),
        ("a b", True),
        ("", False),
        ("x" * 201, False),
        ("a\nb", False),
        ("a\n", False),
        (7, False),
    ],
)
def test_the_id_is_checked_before_a_run_begins(modules: SimpleNamespace, user_id: Any, good: bool) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    param = modules.forget.dag.params.get_param("user_id")
    if good:
        assert param.resolve(user_id) == user_id
    else:
        with pytest.raises(ParamValidationError):
            param.resolve(user_id)


def test_the_log_hides_the_id(
    modules: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code = "import json, sys; print(json.dumps({'words': len(sys.argv)}))"
    monkeypatch.setattr(modules.step, "COMMAND", [sys.executable, "-c", code])
    (task,) = modules.forget.dag.tasks
    with caplog.at_level(logging.INFO):
        answer = task.execute(context(user_id="zoe.secret-77"))
    # One word each for `forget`, `--json` and the option with its value, behind the program's own name.
    assert answer == {"words": 4}
    assert "zoe" not in caplog.text + json.dumps(answer)
    assert "--user=…" in caplog.text
