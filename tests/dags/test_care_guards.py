"""What keeps care from the wrong lake, and a shopper's id out of lineage."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "deploy.md").read_text()
CONTEXT = {"params": {"user_id": "zoe"}}


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A worker's folder; its command only says that it ran, and the worker is given no settings."""
    import nightshelf_step

    for name in ("LAKE", "CONFIG", "RUN_WITH"):
        monkeypatch.delenv(f"NIGHTSHELF_{name}", raising=False)
    monkeypatch.setattr(nightshelf_step, "HOME", tmp_path)
    monkeypatch.setattr(nightshelf_step, "COMMAND", [sys.executable, "-c", "print('{}')"])
    return tmp_path


def care(name: str) -> Any:
    import forget_user
    import lake_maintenance

    (task,) = {"forget": forget_user, "maintain": lake_maintenance}[name].dag.tasks
    return task


@pytest.mark.parametrize("name", ["forget", "maintain"])
@pytest.mark.parametrize("given", ["nothing", "an empty word", "no such file", "a file without it"])
def test_beside_pods_a_worker_without_a_lake_does_no_care(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, given: str
) -> None:
    """An erasure was green that had looked through the default lake, an empty folder of the worker's own."""
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", "kubernetes")
    if given == "an empty word":
        monkeypatch.setenv("NIGHTSHELF_LAKE", "")
        (home / "nightshelf.toml").write_text('lake = "s3://shop/lake"')
    elif given == "no such file":
        monkeypatch.setenv("NIGHTSHELF_CONFIG", str(home / "absent.toml"))
    elif given == "a file without it":
        (home / "nightshelf.toml").write_text("top_k = 10")
    with pytest.raises(AirflowFailException, match=f"{name}: .* name no lake: set NIGHTSHELF_LAKE here"):
        care(name).execute(CONTEXT)


@pytest.mark.parametrize("where", ["environment", "usual file", "named file"])
def test_beside_pods_a_worker_with_a_lake_does_care(
    home: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", "kubernetes")
    if where == "environment":
        monkeypatch.setenv("NIGHTSHELF_LAKE", "s3://shop/lake")
    else:
        path = home / ("nightshelf.toml" if where == "usual file" else "named.toml")
        path.write_text('lake = "s3://shop/lake"')
        if where == "named file":
            monkeypatch.setenv("NIGHTSHELF_CONFIG", path.name)
    assert care("forget").execute(CONTEXT) == {}


def test_a_settings_file_that_cannot_be_read_is_for_the_command_to_tell(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", "kubernetes")
    (home / "nightshelf.toml").write_text("lake = ")
    assert care("forget").execute(CONTEXT) == {}


@pytest.mark.parametrize("way", [None, "process", "spark-submit"])
def test_where_no_pods_are_the_default_lake_is_as_good_as_any(
    home: Path, monkeypatch: pytest.MonkeyPatch, way: str | None
) -> None:
    if way:
        monkeypatch.setenv("NIGHTSHELF_RUN_WITH", way)
    assert care("forget").execute(CONTEXT) == {}


def test_with_the_policy_of_the_page_erasures_send_no_lineage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's conf, and so the shopper's id, is part of its task's events, where it is not masked."""
    from airflow.providers.openlineage.utils import emission_policy as policy

    (given,) = re.findall(r"AIRFLOW__OPENLINEAGE__EMISSION_POLICY='(.*)'", PAGE)
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__EMISSION_POLICY", given)
    for name, told in (("forget", False), ("maintain", True)):
        task = care(name)
        assert policy.resolve_dag_emission_policy(task.dag.dag_id, dag=task.dag).emit is told
        assert policy.resolve_task_emission_policy(task, task.dag.dag_id, task.task_id).emit is told
