"""Planted secrets: an S3 key, a catalog's password, a pseudonym key; none is told, logged or written."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.sample.shop import generate
from jobs.settings import ROOT
from jobs.steps import STEPS
from tests.jobs.erasure.scan import places

DS = "2026-01-14"
S3_ACCESS, S3_SECRET = "planted-access-7d1f", "planted-s3-secret-91c0"
PASSWORD, KEY = "planted-catalog-password-5be2", "planted-pseudonym-key-c4a8"
SECRETS = (S3_ACCESS, S3_SECRET, PASSWORD, KEY)


@dataclass
class Told:
    """A lake, the environment with the secrets, and all that its commands have told."""

    folder: Path
    environment: dict[str, str]
    out: list[str] = field(default_factory=list)

    def run(self, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=self.environment | changes, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
        )  # fmt: skip
        self.out += [done.stdout, done.stderr]
        return done

    def cli(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return self.run("jobs.cli", *arguments, **changes)

    def assert_silent(self) -> None:
        told = "\n".join(self.out)
        assert [s for s in SECRETS if s in told] == []
        for secret in SECRETS:
            assert places(self.folder, secret) == set()


@pytest.fixture
def told(postgres_url: str, tmp_path: Path) -> Told:
    """A lake on PostgreSQL, whose server takes any password; everything is logged that can be."""
    name = f"lake_{uuid.uuid4().hex[:12]}"
    with sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    url = postgres_url.replace("nightshelf@", f"nightshelf:{PASSWORD}@").rsplit("/", 1)[0] + f"/{name}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTSHELF_", "AWS_"))}
    planted = {
        "NIGHTSHELF_CONFIG": "/dev/null",
        "NIGHTSHELF_LAKE": str(tmp_path / "lake"),
        "NIGHTSHELF_CATALOG": url,
        "NIGHTSHELF_S3_ACCESS_KEY": S3_ACCESS,
        "NIGHTSHELF_S3_SECRET_KEY": S3_SECRET,
        "NIGHTSHELF_PSEUDONYM_KEY": KEY,
        "NIGHTSHELF_LOG": "DEBUG",
        "PYTHONPATH": str(ROOT),
    }
    return Told(tmp_path, kept | planted)


def test_commands_and_their_errors_keep_secrets(told: Told) -> None:
    assert told.cli("pin_inputs", "--ds", DS).returncode == 0
    assert told.cli("forget", "--user", "zoe").returncode == 0
    assert told.cli("doctor").returncode in (0, 1)
    # What is wrong is told in one line: of a password that is refused, a server that is away, and a URL in
    # which the password's own signs make another port of it.
    catalog = told.environment["NIGHTSHELF_CATALOG"]
    broken = {
        catalog.rsplit("/", 1)[0] + "/no_such_database": (2, 'database "no_such_database" does not exist'),
        f"postgresql+psycopg2://u:{PASSWORD}@127.0.0.1:1/x": (20, "the catalog does not answer"),
        f"postgresql+psycopg2://u:x@y:{PASSWORD}@127.0.0.1/x": (2, "write '@' as %40"),
        f"postgresql+psycopg2://u:p@{PASSWORD}@127.0.0.1/x": (2, "write '@' as %40"),
        f"postgresql:/u:{PASSWORD}@127.0.0.1/x": (2, "not a URL that SQLAlchemy can read"),
        f"nosql://u:{PASSWORD}@127.0.0.1/x": (2, "give a SQLAlchemy URL of PostgreSQL or SQLite"),
    }
    for url, (code, sentence) in broken.items():
        done = told.cli("tables", NIGHTSHELF_CATALOG=url, NIGHTSHELF_LOG="WARNING")
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        assert sentence in done.stderr
    told.assert_silent()


@pytest.mark.slow
@pytest.mark.timeout(1700)
def test_a_whole_night_keeps_secrets(told: Told, tmp_path: Path) -> None:
    """Every step a process, as in Airflow: its log, its last line (the XCom), all files of lake and run."""
    raw = tmp_path / "raw"
    generate(raw, seed=7, products=160, users=60, start=date(2026, 1, 1), days=14)
    told.environment |= {
        "NIGHTSHELF_SOURCES": f'[{{"mapping": "sample-shop", "files": ["{raw}"]}}]',
        "NIGHTSHELF_SPARK_MASTER": "local[2]",
        "NIGHTSHELF_SPARK_MEMORY": "1g",
        "NIGHTSHELF_WRITER_STEPS": "10",
        "NIGHTSHELF_LANGUAGES": '["en"]',
        "NIGHTSHELF_CHANNELS": '["title", "description"]',
    }
    for step in STEPS:
        done = told.run(f"jobs.{step.name}", "--ds", DS, "--run-id", "night")
        assert done.returncode == 0, f"{step.name}: {done.stderr[-3000:]}"
    # The look sees what it must not see: the run, the report, and who the shoppers are by now.
    assert places(told.folder, "night")
    assert any(p.endswith("report.html") for p in places(told.folder, "<html"))
    assert places(raw, "u000017")
    assert places(told.folder / "lake", "u000017") == set()
    told.assert_silent()
