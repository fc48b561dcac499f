"""Params that an attacker types into Airflow's form: refused before a run begins, or one plain argument."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="module")
def modules() -> SimpleNamespace:
    import forget_user
    import lake_maintenance
    import nightly
    import nightshelf_step

    return SimpleNamespace(
        nightly=nightly.dag, forget=forget_user.dag, maintain=lake_maintenance.dag, step=nightshelf_step
    )


@pytest.mark.parametrize(
    ("dag", "param", "value"),
    [
        ("nightly", "ds", "../../x"),
        ("nightly", "ds", "2026-01-01; rm -rf /"),
        ("nightly", "ds", "2026-01-01/../x"),
        ("nightly", "max_users", "1; rm -rf /"),
        ("nightly", "retrain", "--help"),
        ("nightly", "accept_changes", "yes"),
        ("nightly", "accept_changes", None),
        ("nightly", "run_id", {"a": 1}),
        ("forget", "user_id", "a\nb"),
        ("forget", "user_id", ["zoe"]),
        ("maintain", "grace_days", 0),
        ("maintain", "grace_days", "1 --force"),
        ("maintain", "dry_run", "no"),
    ],
)
def test_what_cannot_be_meant_is_refused(modules: SimpleNamespace, dag: str, param: str, value: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        getattr(modules, dag).params.get_param(param).resolve(value)


@pytest.mark.parametrize("run_id", ["../../x", "a b; id", "$(id)", "--help", "'", '"'])
def test_a_run_id_is_one_argument_and_no_shell_sees_it(modules: SimpleNamespace, run_id: str) -> None:
    assert modules.nightly.params.get_param("run_id").resolve(run_id) == run_id
    params = {
        "ds": "2026-01-31",
        "run_id": run_id,
        "retrain": "auto",
        "max_users": None,
        "max_products": None,
        "accept_changes": False,
    }
    run = SimpleNamespace(run_id="manual", logical_date=None, dag_id="nightly")
    command = modules.nightly.get_task("clean").command({"params": params, "dag_run": run})
    assert command[len(modules.step.COMMAND) :] == ["clean", "--ds", "2026-01-31", "--run-id", run_id]


@pytest.mark.parametrize("user_id", ["o'brien", 'a"b', "x' OR '1'='1", "../../x", "; rm -rf /"])
def test_a_user_id_with_quotes_is_one_argument(modules: SimpleNamespace, user_id: str) -> None:
    assert modules.forget.params.get_param("user_id").resolve(user_id) == user_id
    (task,) = modules.forget.tasks
    run = SimpleNamespace(run_id="manual", logical_date=None, dag_id="forget_user")
    command = task.command({"params": {"user_id": user_id}, "dag_run": run})
    assert command[-1] == f"--user={user_id}"
