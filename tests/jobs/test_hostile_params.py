"""Dates, runs and shoppers as an attacker would give them: told as wrong, or taken as plain text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from jobs.errors import BadInput
from jobs.forget_user import forget_user
from jobs.lake.publish import Publisher
from jobs.lake.store import LocalStore
from jobs.night import Night, safe_run_id
from jobs.settings import ROOT, Settings
from tests.jobs.lake.conftest import publish_run

RUN_IDS = (
    "../../x",
    "a/b/c",
    "a\\b",
    "x'; DROP TABLE iceberg_tables; --",
    "$(id)",
    "a\nb",
    "C:\\x",
    "*",
    "a" * 999,
)
USERS = ("o'brien", 'a"b', "x' OR '1'='1", "../../../etc/passwd", "--help", "*", "%", "a\\'b", "{}", "小明")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTSHELF_", "AWS_"))}
    ours = {
        "NIGHTSHELF_CONFIG": "/dev/null",
        "NIGHTSHELF_LAKE": str(tmp_path / "in" / "lake"),
    }
    return kept | ours | {"PYTHONPATH": str(ROOT)}


def cli(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("ds", ["../../x", "2026-01-01/../../x", "2026-01-01; rm -rf /", "' OR 1=1"])
def test_a_date_that_is_none_writes_nothing(environment: dict[str, str], tmp_path: Path, ds: str) -> None:
    done = cli(environment, "pin_inputs", "--ds", ds)
    assert done.returncode == 2
    assert f"--ds '{ds}': give a date as YYYY-MM-DD" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_a_run_id_with_slashes_stays_in_the_lake(environment: dict[str, str], tmp_path: Path) -> None:
    done = cli(environment, "pin_inputs", "--ds", "2026-01-01", "--run-id", "../../../x/y")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run_id"] == "..-..-..-x-y"
    files = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.parts[:2] for p in files} == {("in", "lake")}
    assert tmp_path / "in/lake/runs/..-..-..-x-y/run.json" in tmp_path.rglob("run.json")


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_any_run_id_becomes_one_folders_name(lake_settings: Settings, run_id: str) -> None:
    name = safe_run_id(run_id) if run_id.strip("*") else ""
    if not name:
        with pytest.raises(BadInput, match="--run-id"):
            safe_run_id(run_id)
        return
    assert Path(name).name == name
    assert name not in (".", "..")
    assert len(name) <= 200
    publish_run(lake_settings, "2026-01-01", run_id)
    assert LocalStore(lake_settings.lake).exists(f"runs/{name}/run.json")
    catalog = Night(lake_settings, date(2026, 1, 1), "reader").catalog
    assert set(catalog.pointers()) == {"intake", "similar_items"}
    with pytest.raises(BadInput, match="was never published"):
        Publisher(catalog).rollback(run_id + "'")


@pytest.mark.parametrize("run_id", ["..", ".", "", "---", "./.."])
def test_a_run_id_that_would_be_no_name_is_refused(run_id: str) -> None:
    with pytest.raises(BadInput, match="use letters, digits"):
        safe_run_id(run_id)


@pytest.mark.parametrize("user_id", USERS)
def test_any_user_id_is_plain_text(lake_settings: Settings, user_id: str) -> None:
    publish_run(lake_settings, "2026-01-01", "r1")
    catalog = Night(lake_settings, date(2026, 1, 1), "reader").catalog
    before = {t: catalog.open(m).scan().to_arrow().num_rows for t, m in catalog.pointers().items()}
    done = forget_user(lake_settings, user_id)
    assert done.rows == 0
    after = {t: catalog.open(m).scan().to_arrow().num_rows for t, m in catalog.pointers().items()}
    assert after == before | {"erasures": 1}
    # Its tombstone is a file of the lake by its hash alone.
    (tombstone,) = (k for k in LocalStore(lake_settings.lake).list("forgotten") if k.endswith(".json"))
    assert tombstone == f"forgotten/{done.user_hash}.json"


def test_a_look_for_a_user_with_quotes_finds_nobody_else(environment: dict[str, str]) -> None:
    settings = {k: environment[k] for k in ("NIGHTSHELF_LAKE", "NIGHTSHELF_CONFIG")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        from jobs.settings import load_settings

        publish_run(load_settings(), "2026-01-01", "r1")
    done = cli(environment, "show", "similar_items", "--product", "p1' OR '1'='1")
    assert done.returncode == 2
    assert "has no row for" in done.stderr
    assert cli(environment, "show", "similar_items", "--product", "p1").returncode == 0
    assert cli(environment, "show", "../../etc/passwd").returncode == 2
    assert cli(environment, "maintain", "--grace-days", "nan").returncode == 2


@pytest.mark.parametrize("key", ["../x", "a/../../x", ".."])
def test_no_key_leaves_the_lake(tmp_path: Path, key: str) -> None:
    store = LocalStore(tmp_path / "lake")
    with pytest.raises(ValueError, match="leaves the lake"):
        store.write(key, b"x")
    assert not (tmp_path / "x").exists()


def test_a_word_that_is_no_level_of_logging_is_told(environment: dict[str, str]) -> None:
    done = cli(environment | {"NIGHTSHELF_LOG": "loud"}, "tables")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nightshelf: NIGHTSHELF_LOG 'loud': use DEBUG, INFO, WARNING or ERROR\n"
    assert cli(environment | {"NIGHTSHELF_LOG": "info"}, "tables").returncode == 0
