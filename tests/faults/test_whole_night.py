"""One whole night of a very small shop, each step a process, killed at every point that it passes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.sample.shop import generate
from jobs.settings import ROOT
from jobs.steps import STEPS
from tests.faults.conftest import KILLED, plain_environment
from tests.faults.invariants import View
from tests.faults.points import of_step
from tests.faults.reader import Outside
from tests.faults.recorder import Case

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1700)]

START, DAYS, DS = date(2026, 1, 1), 14, "2026-01-14"


def environment(folder: Path, raw: Path) -> dict[str, str]:
    return plain_environment(
        folder,
        NIGHTSHELF_SOURCES=f'[{{"mapping": "sample-shop", "files": ["{raw}"]}}]',
        NIGHTSHELF_SPARK_MASTER="local[2]",
        NIGHTSHELF_SPARK_MEMORY="1g",
        NIGHTSHELF_WRITER_STEPS="10",
        NIGHTSHELF_BLOCK_SIZE="16",
        NIGHTSHELF_LANGUAGES='["en", "zh"]',
        NIGHTSHELF_CHANNELS='["title", "description"]',
        # So that the first import writes the key's fingerprint, which is a point of its own.
        NIGHTSHELF_PSEUDONYM_KEY="0123456789abcdef0123456789abcdef",
    )


def run(
    env: dict[str, str], module: str, *arguments: str, fail_at: str = ""
) -> subprocess.CompletedProcess[str]:
    env = env | ({"NIGHTSHELF_FAIL_AT": fail_at} if fail_at else {})
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=env, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def outside(folder: Path) -> Outside:
    return Outside(str(folder / "lake"), f"sqlite:///{folder}/lake/catalog.db")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    # Products and languages enough that a writer is trained, whose model has points of its own.
    generate(folder, seed=7, products=200, users=60, start=START, days=DAYS)
    return folder


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(environment(folder, raw), "tests.nights", DS, "night")
    assert done.returncode == 0, done.stderr[-3000:]
    return outside(folder).published(DS)


@dataclass
class Night:
    """A night step by step, each a process; what the tests before did not come to is run undisturbed."""

    folder: Path
    environment: dict[str, str]
    done: list[str] = field(default_factory=list)

    @property
    def lake(self) -> Outside:
        return outside(self.folder)

    def attempt(self, step: str, fail_at: str = "") -> subprocess.CompletedProcess[str]:
        command = (f"jobs.{step}", "--ds", DS, "--run-id", "night")
        return run(self.environment, *command, fail_at=fail_at)

    def end(self, step: str) -> subprocess.CompletedProcess[str]:
        done = self.attempt(step)
        self.done.append(step)
        return done

    def reach(self, step: str) -> None:
        """Run what comes before a step."""
        for earlier in STEPS[: [s.name for s in STEPS].index(step)]:
            if earlier.name not in self.done:
                done = self.end(earlier.name)
                assert done.returncode == 0, f"{earlier.name}: {done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def night(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("killed")
    return Night(folder, environment(folder, raw))


@pytest.mark.parametrize("step", [s.name for s in STEPS])
def test_every_step_killed_at_every_point(step: str, night: Night, case: Case) -> None:
    """In turn, from its first point to its last; one of them alone runs the earlier steps as they are."""
    night.reach(step)
    for point in of_step(step):
        killed = night.attempt(step, fail_at=point)
        case.fault()
        case.exit(killed.returncode, KILLED, told=f"{point}: {killed.stderr}")
        case.check(View(night.lake, settled=False, ds=DS))
    done = night.end(step)
    case.exit(done.returncode, 0, told=f"{step}: {done.stderr}")
    case.check(View(night.lake, ds=DS))


def test_after_all_the_night_is_an_undisturbed_one(night: Night, undisturbed: Any, case: Case) -> None:
    night.reach("report")
    case.check(View(night.lake, ds=DS, expected=undisturbed))
    assert [p["run_id"] for p in night.lake.publishes()] == ["night"]
