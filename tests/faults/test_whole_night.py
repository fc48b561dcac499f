"""One whole night of a very small shop, each step a process, killed in its midst and at its end."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.sample.shop import generate
from jobs.settings import ROOT
from jobs.steps import STEPS
from tests.faults.conftest import KILLED, plain_environment
from tests.faults.invariants import View
from tests.faults.reader import Outside
from tests.faults.recorder import Case

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1700)]

START, DAYS, DS = date(2026, 1, 1), 14, "2026-01-14"
# Points within a step, besides its end.
WITHIN = {
    "train_recommender": ("before_card:recommender",),
    "recommend": ("before_shard:recommendations@2",),
    "describe": ("after_shard:product_descriptions@2",),
}


def environment(folder: Path, raw: Path) -> dict[str, str]:
    return plain_environment(
        folder,
        NIGHTSHELF_SOURCES=f'[{{"mapping": "sample-shop", "files": ["{raw}"]}}]',
        NIGHTSHELF_SPARK_MASTER="local[2]",
        NIGHTSHELF_SPARK_MEMORY="1g",
        NIGHTSHELF_WRITER_STEPS="10",
        NIGHTSHELF_BLOCK_SIZE="16",
        NIGHTSHELF_LANGUAGES='["en"]',
        NIGHTSHELF_CHANNELS='["title", "description"]',
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
    generate(folder, seed=7, products=160, users=60, start=START, days=DAYS)
    for file in folder.iterdir():
        # In so small a shop no product is new on some day; an empty file is refused.
        if file.stat().st_size == 0:
            file.unlink()
    return folder


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(environment(folder, raw), "tests.nights", DS, "night")
    assert done.returncode == 0, done.stderr[-3000:]
    return outside(folder).published(DS)


def test_every_step_killed_and_tried_again(raw: Path, tmp_path: Path, case: Case, undisturbed: Any) -> None:
    env, lake = environment(tmp_path, raw), outside(tmp_path)
    for step in STEPS:
        arguments = (f"jobs.{step.name}", "--ds", DS, "--run-id", "night")
        for point in (*WITHIN.get(step.name, ()), f"after_step:{step.name}"):
            done = run(env, *arguments, fail_at=point)
            case.fault()
            case.exit(done.returncode, KILLED, told=f"{point}: {done.stderr}")
            case.check(View(lake, settled=False, ds=DS))
        done = run(env, *arguments)
        case.exit(done.returncode, 0, told=f"{step.name}: {done.stderr}")
    case.check(View(lake, ds=DS, expected=undisturbed))
    assert [p["run_id"] for p in lake.publishes()] == ["night"]
