"""A worker of Spark's cluster, or its executor, dies in mid-step: the rows are as if nothing had been."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.settings import ROOT, load_settings
from jobs.spark import find_java
from tests import servers
from tests.faults.conftest import Barrier, Done, Toy, ended, of_run
from tests.faults.forks import Forks
from tests.faults.invariants import View, remember
from tests.faults.recorder import Case
from tests.faults.shop import DAY, HOURS, Shop
from tests.faults.test_catalog import one_line

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@dataclass
class Cluster:
    """A master and two workers, as children of this process."""

    url: str
    base: Path

    def worker(self, number: int) -> psutil.Process:
        folder = str(self.base / f"worker-{number}")
        return next(p for p in psutil.Process().children() if folder in p.cmdline())

    def kill(self, number: int, worker: bool) -> None:
        """SIGKILL to an executor and the Python processes below it; to its worker too, if so asked."""
        found = self.worker(number)
        executor = found.children(recursive=True)
        assert executor
        for process in [*([found] if worker else []), *executor]:
            process.kill()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
    with servers.spark_cluster(tmp_path / "cluster", find_java(load_settings())) as url:
        yield Cluster(url, tmp_path / "cluster")


def green(done: Done, again: Callable[[], Done], case: Case) -> None:
    """It ended well, or said that trying again helps, and so it did."""
    case.exit(done.returncode, 0, 20, told=done.stderr)
    if done.returncode:
        one_line(done.stderr)
        done = again()
        case.exit(done.returncode, 0, told=done.stderr)


def test_a_worker_and_its_executor_killed_in_mid_clean(
    tmp_path: Path, processes: Forks, cluster: Cluster, barrier: Callable[[str], Barrier], case: Case
) -> None:
    """What the executor had kept in memory, and its shuffle files, are gone; the tables to come need them."""
    shop, gate = Shop.of(tmp_path / "shop", processes, HOURS, "UTC"), barrier("gate")
    shop.cleaned("calm")
    assert shop.publish("calm").returncode == 0
    before, expected = remember(shop.lake), of_run(shop.lake.published(DAY), "night")
    there = {"NIGHTSHELF_SPARK_MASTER": cluster.url}
    running = shop.start(
        "clean", "night", NIGHTSHELF_FAIL_AT=f"before_stage:events_clean={gate.action}", **there
    )
    # Two executors start first, each a JVM.
    gate.await_arrival(running, timeout=600)
    cluster.kill(0, worker=True)
    case.fault(2)
    case.check(View(shop.lake, before, ds=DAY))
    gate.open()
    green(
        ended(running, timeout=600), lambda: ended(shop.start("clean", "night", **there), timeout=600), case
    )
    done = shop.publish("night")
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(View(shop.lake, before, ds=DAY, expected=expected))


_TRAINED = """
from jobs import recommend, train_recommender
from jobs.night import Night
from jobs.settings import load_settings
from tests.jobs.toy_lake import DS, stage_shop
for run in ("calm", "cluster"):
    night = Night(load_settings(), DS, run)
    night.pin()
    stage_shop(night)
    train_recommender.run(night)
    if run == "calm":
        recommend.run(night)
print(DS)
"""


def test_an_executor_killed_in_mid_scoring(toy: Toy, cluster: Cluster, case: Case) -> None:
    """Its shards are made by another one; none is missing, and none is there twice."""
    small = {"NIGHTSHELF_TOP_K": "5", "NIGHTSHELF_SIMILAR_K": "4", "NIGHTSHELF_BLOCK_SIZE": "4"}
    there = {"NIGHTSHELF_SCORING": "spark", "NIGHTSHELF_SPARK_MASTER": cluster.url}
    env = toy.environment | small | {"NIGHTSHELF_SPARK_MEMORY": "1g"}

    def start(*command: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command], env=env | more, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    trained = ended(start("-c", _TRAINED), timeout=600)
    assert trained.returncode == 0, trained.stderr[-3000:]
    recommend = ("-m", "jobs.recommend", "--ds", trained.stdout.split()[-1], "--run-id", "cluster")
    running = start(*recommend, **there)
    await_shards(toy, running)
    cluster.kill(0, worker=False)
    assert running.poll() is None
    case.fault()
    case.check(toy.view())
    green(ended(running, timeout=600), lambda: ended(start(*recommend, **there), timeout=600), case)
    case.check(toy.view())
    for table in ("recommendations", "similar_items", "audiences"):
        rows = {run: staged(toy, run, table) for run in ("calm", "cluster")}
        assert rows["calm"] == rows["cluster"], table
        assert rows["calm"]


def await_shards(toy: Toy, running: subprocess.Popen[str], seconds: float = 300) -> None:
    """Until the first shards lie there, and before the last ones do."""
    end = time.monotonic() + seconds
    while not toy.lake.listing("work/cluster/recommendations"):
        assert running.poll() is None, running.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.01)


def staged(toy: Toy, run: str, table: str) -> list[dict[str, Any]]:
    return toy.lake.rows(toy.lake.json(f"runs/{run}/staged/{table}.json")["metadata"])
