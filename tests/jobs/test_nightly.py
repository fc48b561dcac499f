"""A night by hand, as its own process sees it; whole nights are in tests/e2e."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs import nightly
from jobs.errors import BadInput, Transient
from jobs.lake.store import LocalStore
from jobs.settings import Settings, load_settings

RECORD = {"step": "clean", "outcome": "done", "started": "1", "seconds": 2.0, "peak_mb": 3}


@pytest.mark.parametrize("trouble", [Transient("the store did not answer"), FileNotFoundError("gone")])
def test_what_the_store_does_not_tell_just_now_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trouble: Exception
) -> None:
    store = LocalStore(tmp_path)
    store.write("runs/night/steps/clean.json", json.dumps(RECORD).encode())

    def read(self: LocalStore, key: str) -> bytes:
        raise trouble

    with ExitStack() as stack:
        progress = nightly._Progress(store, "night", stack, quiet=False)
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "read", read)
            progress.look()
        assert "clean" not in capsys.readouterr().err
        progress.look()
    assert "clean" in capsys.readouterr().err


def test_whatever_ends_the_command_ends_airflow(
    lake_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would be told of a night that went on."""
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def sleeping(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        started.append(start([sys.executable, "-c", "import time; time.sleep(600)"]))
        return started[-1]

    def broken(self: object) -> None:
        raise MemoryError

    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("NIGHTSHELF_LAKE", lake_settings.lake)
    monkeypatch.setattr(nightly, "prepare_airflow", lambda *_: None)
    monkeypatch.setattr(nightly.subprocess, "Popen", sleeping)
    monkeypatch.setattr(nightly._Progress, "look", broken)
    with pytest.raises(MemoryError):
        nightly.run_with_airflow(date(2026, 1, 1), "night", None, quiet=True)
    assert started[0].poll() is not None


def told(lake: Settings, monkeypatch: pytest.MonkeyPatch, *records: dict[str, Any]) -> nightly.Summary:
    """The summary of a night that left these records of its steps."""
    store = LocalStore(Path(lake.lake))
    for number, record in enumerate(records):
        body = {"started": str(number), "seconds": 1.0, "peak_mb": 3, **record}
        store.write(f"runs/night/steps/{record['step']}.json", json.dumps(body).encode())
    monkeypatch.setattr(nightly, "settings", lambda: lake)
    return nightly._summary("night", date(2026, 1, 1), 1, Path("night.log"), 2.0)


PUBLISHED = {"step": "publish", "outcome": "done", "summary": {"rows": {"users": 12}}}
LATE = {"step": "report", "outcome": "failed", "exit_code": 20, "error": "[/b] the store did not answer"}


def test_a_failure_after_publish_takes_nothing_back(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = told(lake_settings, monkeypatch, PUBLISHED, LATE)
    assert (summary.published, summary.exit_code) == (True, 20)
    nightly.show(summary, as_json=False)
    said = capsys.readouterr().out
    assert "Published: night" in said
    assert "The night is published. Afterwards it went wrong: report: [/b] the store did not answer" in said
    assert "nightshelf tables" in said
    assert "Nothing was published" not in said


def test_a_failure_before_publish_says_that_nothing_was_published(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of the error, which may look like markup of the screen."""
    error = "[/b] 'Mug [blue] :tea:' breaks title_present"
    failed = {"step": "check_inputs", "outcome": "failed", "exit_code": 10, "error": error}
    summary = told(lake_settings, monkeypatch, failed)
    summary.models = [
        {"kind": "[k]", "model": "[m]", "version": "v1", "metrics": '{"a": 1.0}', "baseline": '{"a": 2.0}',
         "verdict": "kept", "why": "[/why]"},
    ]  # fmt: skip
    assert (summary.published, summary.exit_code) == (False, 10)
    nightly.show(summary, as_json=False)
    said = capsys.readouterr().out
    assert f"Nothing was published. check_inputs: {error}" in said
    assert "[m]: kept. [/why]" in said
    assert "[m] v1" in said
    assert "[k]" in said
    assert "The night is published" not in said


class Airflow:
    """Stands in for Airflow's command line; keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        self.asked: list[str] = []
        self.failing: set[str] = {"pools get gpu"}
        self.version = "3.3.2"
        self.environment = {"AIRFLOW_HOME": str(home)}
        self.home = home
        home.mkdir()
        monkeypatch.setattr(nightly, "version", lambda package: {"apache-airflow": self.version}[package])
        monkeypatch.setattr(nightly, "_airflow", self._call)

    def _call(self, command: list[str], environment: dict[str, str], log: Path) -> int:
        asked = " ".join(command[:3])
        self.asked.append(asked)
        if asked == "db migrate":
            # As Airflow's first command does.
            file = self.home / "airflow.db"
            file.touch()
            (self.home / "airflow.cfg").write_text(f"[database]\nsql_alchemy_conn = sqlite:///{file}\n")
        return int(asked in self.failing)

    def prepare(self, database: str = "") -> list[str]:
        """What Airflow is asked this time."""
        self.asked = []
        nightly.prepare_airflow(self.environment, self.home / "log", database)
        return self.asked


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Airflow:
    return Airflow(monkeypatch, tmp_path / "airflow")


MADE = ["db migrate", "pools get gpu", "pools set gpu"]


def test_airflow_is_prepared_once(airflow: Airflow) -> None:
    assert airflow.prepare() == MADE
    assert airflow.prepare() == []


def test_a_new_airflow_migrates_and_leaves_the_pool_alone(airflow: Airflow) -> None:
    airflow.prepare()
    airflow.version = "3.4.0"
    airflow.failing = {"db migrate"}
    with pytest.raises(BadInput, match="'airflow db migrate' failed"):
        airflow.prepare()
    airflow.failing = set()
    assert airflow.prepare() == MADE[:2]
    assert airflow.prepare() == []


def test_the_pool_is_the_one_that_the_dag_waits_for(airflow: Airflow) -> None:
    """Another name, later: that pool is not there yet, and its tasks would wait for ever."""
    airflow.prepare()
    airflow.environment["NIGHTSHELF_GPU_POOL"] = "cards"
    airflow.failing = {"pools get cards"}
    assert airflow.prepare() == ["db migrate", "pools get cards", "pools set cards"]
    assert airflow.prepare() == []


def test_a_marker_of_before_these_versions_counts_for_none(airflow: Airflow) -> None:
    (airflow.home / ".nightshelf-ready").touch()
    assert airflow.prepare() == MADE


@pytest.mark.parametrize("suffix", ["", "_CMD", "_SECRET"])
def test_another_database_is_migrated_and_its_address_kept_nowhere(airflow: Airflow, suffix: str) -> None:
    airflow.prepare()
    airflow.environment[f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN{suffix}"] = (
        "postgresql://u:planted@host/airflow"
    )
    assert airflow.prepare() == MADE
    assert airflow.prepare() == []
    marker = (airflow.home / ".nightshelf-ready").read_text()
    assert "planted" not in marker
    assert "host" not in marker


def test_another_database_in_airflow_s_configuration_is_migrated(airflow: Airflow) -> None:
    airflow.prepare()
    airflow.environment["AIRFLOW_CONFIG"] = str(airflow.home / "other.cfg")
    (airflow.home / "other.cfg").write_text(
        "# sql_alchemy_conn =\nsql_alchemy_conn=postgresql://host/airflow\n"
    )
    assert airflow.prepare() == MADE
    assert airflow.prepare() == []


def test_a_database_made_anew_is_migrated(airflow: Airflow) -> None:
    """SQLite's file was removed; another server answers at the old address."""
    airflow.prepare("1")
    (airflow.home / "airflow.db").unlink()
    assert airflow.prepare("1") == MADE
    assert airflow.prepare("2") == MADE
    assert airflow.prepare("2") == []


def test_the_steps_read_the_settings_of_the_folder_where_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that lies there is not taken for ours."""
    shop = tmp_path / "shop"
    (shop / "jobs").mkdir(parents=True)
    (shop / "jobs" / "__init__.py").write_text("raise RuntimeError('not this one')")
    (shop / "nightshelf.toml").write_text(
        'top_k = 7\nlake = "lake"\ncatalog = "sqlite:///here.db"\n'
        '[[sources]]\nmapping = "m"\nfiles = ["raw/*.csv"]\n'
    )
    monkeypatch.chdir(shop)
    for name in ("NIGHTSHELF_LAKE", "NIGHTSHELF_CONFIG", "NIGHTSHELF_SOURCES"):
        monkeypatch.delenv(name, raising=False)
    wanted = Settings()
    monkeypatch.setattr(nightly, "settings", lambda: wanted)
    environment = os.environ | nightly.steps_environment()
    # As the DAG's steps are started: from `nightshelf_step.HOME`, which this names.
    ask = "from jobs.settings import Settings; print(Settings().model_dump_json())"
    said = subprocess.run(
        [sys.executable, "-c", ask],
        env=environment, cwd=environment["NIGHTSHELF_HOME"], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert wanted.top_k == 7
    assert json.loads(said) == json.loads(wanted.model_dump_json())


def test_a_lake_that_cannot_be_made_is_told_before_airflow_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(nightly, "settings", lambda: load_settings(lake=str(tmp_path / "file" / "lake")))
    monkeypatch.setattr(nightly, "prepare_airflow", lambda *_: pytest.fail("Airflow was started"))
    with pytest.raises(BadInput, match="setting 'lake'"):
        nightly.run_with_airflow(date(2026, 1, 10), "", None)
