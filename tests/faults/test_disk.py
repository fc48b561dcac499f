"""The disk is full: one sentence, exit 20, nothing shown; with room again the same command ends well."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import ROOT
from tests.faults.conftest import BASE, KILLED, Done, Toy, ended, of_run, plain_environment
from tests.faults.forks import Forks
from tests.faults.invariants import View, remember
from tests.faults.reader import Outside
from tests.faults.recorder import Case
from tests.faults.shop import DAY, HOURS, Shop
from tests.faults.test_catalog import one_line


@dataclass
class SmallDisk:
    """A file system of its own, of which `leave` takes all but so many bytes."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / ".ballast"

    def leave(self, room: int) -> None:
        self.free()
        free = shutil.disk_usage(self.folder).free
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - room)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "lake"
    folder.mkdir()
    if os.getuid() != 0:
        pytest.skip("only root may mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def on_small_disk(disk: SmallDisk, tmp_path: Path, processes: Forks) -> Toy:
    lake = Outside(str(disk.folder), f"sqlite:///{disk.folder}/catalog.db?timeout=60")
    toy = Toy(tmp_path, plain_environment(tmp_path), lake, processes)
    assert toy.run(ds=BASE, run="base").returncode == 0
    toy.before = remember(lake)
    return toy


def full(done: Done, case: Case) -> None:
    case.exit(done.returncode, 20, told=done.stderr)
    one_line(done.stderr)
    assert "no space is left" in done.stderr
    assert "make room" in done.stderr


# Bytes left: none for the first file, some tables' worth.
@pytest.mark.parametrize("room", [0, 200_000])
def test_full_while_staging(
    room: int, on_small_disk: Toy, disk: SmallDisk, case: Case, expected: Any
) -> None:
    disk.leave(room)
    case.fault()
    full(on_small_disk.run(), case)
    case.check(on_small_disk.view())
    disk.free()
    done = on_small_disk.run()
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(on_small_disk.view(expected=expected))


def test_full_between_swap_and_current(
    on_small_disk: Toy, disk: SmallDisk, case: Case, barrier: Callable[[str], Any], expected: Any
) -> None:
    """The catalog shows the night already; `current.json` follows with the retry."""
    toy, gate = on_small_disk, barrier("gate")
    running = toy.start(fail_at=f"after_swap={gate.action}")
    gate.await_arrival(running)
    disk.leave(0)
    case.fault()
    gate.open()
    full(ended(running), case)
    case.check(toy.view(settled=False))
    disk.free()
    done = toy.run("publish")
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=expected))
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", "night"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_full_where_spark_shuffles(disk: SmallDisk, tmp_path: Path, processes: Forks, case: Case) -> None:
    """Spark's own folder is full, the lake's disk is not."""
    # Megabytes that do not compress: they go through a shuffle as they are.
    noise = random.Random(1).randbytes(2_000_000).hex()
    shop = Shop.of(tmp_path / "shop", processes, [*HOURS, f"long,ada,{noise},{DAY} 04:00:00,view,2"], "UTC")
    shop.cleaned("calm")
    assert shop.publish("calm").returncode == 0
    before, expected = remember(shop.lake), of_run(shop.lake.published(DAY), "night")
    disk.leave(256_000)
    case.fault()
    there = {"SPARK_LOCAL_DIRS": str(disk.folder)}
    full(ended(shop.start("clean", "night", **there), timeout=600), case)
    case.check(View(shop.lake, before, ds=DAY))
    disk.free()
    done = ended(shop.start("clean", "night", **there), timeout=600)
    case.exit(done.returncode, 0, told=done.stderr)
    done = shop.publish("night")
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(View(shop.lake, before, ds=DAY, expected=expected))


_STAGE = """
from jobs.night import Night
from jobs.settings import load_settings
from tests.jobs.toy_lake import DS, stage_shop
night = Night(load_settings(), DS, "night"); night.pin(); stage_shop(night); print(DS)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_full_while_a_model_is_saved(on_small_disk: Toy, disk: SmallDisk, case: Case) -> None:
    """No card, so no model: it is trained and written again. Readers see the night before."""
    toy = on_small_disk
    env = toy.environment | {"NIGHTSHELF_TOP_K": "5"}

    def run(*command: str, **more: str) -> Done:
        return subprocess.run(
            [sys.executable, *command], env=env | more, cwd=ROOT,
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip

    staged = run("-c", _STAGE)
    assert staged.returncode == 0, staged.stderr
    train = ("-m", "jobs.train_recommender", "--ds", staged.stdout.split()[-1], "--run-id", "night")
    # Room for the notes and the smaller files, not for all of them.
    disk.leave(24_000)
    case.fault()
    full(run(*train), case)
    case.check(toy.view())
    assert list(disk.folder.rglob("card.json")) == []
    assert list(disk.folder.glob("runs/night/models/*")) == []
    disk.free()
    killed = run(*train, NIGHTSHELF_FAIL_AT="before_card:recommender")
    case.fault()
    case.exit(killed.returncode, KILLED, told=killed.stderr)
    case.check(toy.view())
    assert list(disk.folder.rglob("card.json")) == []
    done = run(*train)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view())
    assert len(list(disk.folder.rglob("card.json"))) == 1
