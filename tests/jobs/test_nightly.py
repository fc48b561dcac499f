"""A night by hand, as its own process sees it; whole nights are in tests/e2e."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest

from jobs import nightly
from jobs.errors import Transient
from jobs.lake.store import LocalStore
from jobs.settings import Settings

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
