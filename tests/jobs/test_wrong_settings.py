"""Wrong settings on the real command line: one line and exit code 2, nothing made or removed on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs import cli, doctor
from jobs.settings import ROOT, settings

CLOSED = "127.0.0.1:9"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """`run("tables", LAKE="…")` → exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
    monkeypatch.setenv("NIGHTSHELF_LAKE", str(tmp_path / "lake"))

    def call(*arguments: str, **variables: str) -> tuple[int, str, str]:
        settings.cache_clear()
        for name, value in variables.items():
            monkeypatch.setenv(f"NIGHTSHELF_{name}", value)
        monkeypatch.setattr(sys, "argv", ["nightshelf", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    yield call
    settings.cache_clear()


@pytest.mark.parametrize("command", ["tables", "maintain", "doctor"])
@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LAKE", "", "setting 'lake'"),
        ("LAKE", "s3a://bucket/lake", "setting 'lake'"),
        ("CATALOG", "postgresql+asyncpg://u:planted@host/db", "setting 'catalog'"),
        ("S3_ENDPOINT", CLOSED, "setting 's3_endpoint'"),
        ("S3_REGION", "", "setting 's3_region'"),
        ("CONFIG", "/nope/x.toml", "NIGHTSHELF_CONFIG: /nope/x.toml"),
    ],
)
def test_a_wrong_setting_is_one_line(run: Run, command: str, variable: str, value: str, told: str) -> None:
    (code, out, err) = run(command, **{variable: value})
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"nightshelf: {told}")
    assert "planted" not in line
    assert "Value error" not in line


def test_a_tag_is_taken_away_of_a_run_that_is_named(run: Run) -> None:
    code, out, err = run("tag", "--remove")
    assert (code, out) == (2, "")
    assert err == "nightshelf: --remove: name the run too: nightshelf tag --run RUN --remove\n"


@pytest.mark.parametrize("lake", ["/etc/passwd", "/etc/passwd/lake", "/proc/nightshelf/lake"])
@pytest.mark.parametrize("command", [["tables"], ["maintain"], ["pin_inputs", "--ds", "2026-01-01"]])
@pytest.mark.parametrize("catalog", ["in the lake", "elsewhere"])
def test_a_lake_that_cannot_be_made_is_one_line(
    run: Run, tmp_path: Path, command: list[str], lake: str, catalog: str
) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db" if catalog == "elsewhere" else ""
    code, _, err = run(*command, LAKE=lake, CATALOG=url)
    if catalog == "elsewhere" and command[0] != "pin_inputs":
        # Nothing is there to look at, or to sweep, and nothing is written.
        assert (code, err) == (0, "")
        return
    (line,) = err.splitlines()
    assert code == 2
    assert line.startswith("nightshelf: setting 'lake': the folder /")
    assert "cannot be made" in line


def test_a_folder_without_a_lake_is_not_swept(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "models/a/b.py"
    source.parent.mkdir(parents=True)
    source.write_text("x = 1\n")
    os.utime(source, (0, 0))
    code, _, err = run("maintain", "--json", LAKE=str(tmp_path))
    assert (code, len(err.splitlines())) == (2, 1)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [source]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_a_postgresql_that_is_away_may_come_back(run: Run, scheme: str) -> None:
    url = f"{scheme}://u:planted@{CLOSED}/db"
    code, _, err = run("tables", CATALOG=url)
    (line,) = err.splitlines()
    assert code == 20
    assert line.startswith("nightshelf: the catalog does not answer: ")
    assert "planted" not in line


@pytest.mark.parametrize(
    ("variable", "value", "wrong"),
    [
        ("LAKE", "/etc/passwd", ["store", "catalog"]),
        ("CATALOG", f"postgresql://u:planted@{CLOSED}/db", ["catalog"]),
    ],
)
def test_doctor_tells_of_every_check(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, wrong: list[str]
) -> None:
    checks = tuple(c for c in doctor.CHECKS if c not in (doctor.java, doctor.memory, doctor.disk))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    code, out, err = run("doctor", "--json", **{variable: value})
    assert (code, err) == (1, "")
    found = json.loads(out)
    assert [f["check"] for f in found] == ["store", "catalog", "readers", "keys"]
    assert [f["check"] for f in found if not f["ok"]] == wrong
    assert "planted" not in out


def test_settings_of_pyiceberg_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    """It reads them on import, so in a process of its own."""
    (tmp_path / ".pyiceberg.yaml").write_text("catalog:\n  a:\n    password: [planted\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTSHELF_", "PYICEBERG_"))}
    environment |= {"PYICEBERG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment |= {"NIGHTSHELF_CONFIG": "/dev/null", "NIGHTSHELF_LAKE": str(tmp_path / "lake")}

    def nightshelf(command: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "jobs.cli", command]
        return subprocess.run(
            words, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    tables, told = nightshelf("tables"), nightshelf("doctor")
    (line,) = tables.stderr.splitlines()
    assert tables.returncode == 2
    assert line.startswith("nightshelf: .pyiceberg.yaml, line ")
    assert (told.returncode, told.stderr) == (1, "")
    assert [f"wrong {c}" in told.stdout for c in ("store", "catalog", "readers", "keys")] == [
        False, True, True, False
    ]  # fmt: skip
    assert "planted" not in line + told.stdout
