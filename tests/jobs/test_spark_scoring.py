"""Lists made in Spark's executors are those made in one process, shard by shard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jobs import recommend, spark_scoring, train_recommender
from jobs.night import Night, Options
from jobs.recommender_data import load
from jobs.spark import find_java
from tests import servers
from tests.conftest import MakeNight
from tests.jobs.toy_lake import DS, stage_shop

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"top_k": 5, "similar_k": 4, "block_size": 16}
TABLES = ("recommendations", "similar_items")


def trained(make_night: MakeNight, run_id: str, options: Options | None = None, **changes: object) -> Night:
    night = make_night(ds=DS.isoformat(), run_id=run_id, options=options, **{**SETTINGS, **changes})
    stage_shop(night)
    train_recommender.run(night)
    return night


def same_rows(one: Night, two: Night) -> None:
    for table in TABLES:
        rows = one.read(table)
        assert len(rows) > 100
        assert rows.equals(two.read(table)), table


def test_a_shop_read_back_is_the_shop(make_night: MakeNight) -> None:
    night = make_night(ds=DS.isoformat(), **SETTINGS)
    stage_shop(night)
    shop = load(night)
    spark_scoring.save_shop(night.store, "work/x", shop)
    again = spark_scoring.load_shop(night.store, "work/x")
    assert again.fingerprint() == shop.fingerprint()
    for name in ("product_id", "category", "brand", "parent", "in_stock"):
        np.testing.assert_array_equal(getattr(again.items, name), getattr(shop.items, name))
    np.testing.assert_array_equal(again.listed, shop.listed)
    assert again.users.equals(shop.users)
    assert isinstance(again.users, pa.StringArray)


def test_spark_builds_only_the_shards_that_are_missing_and_the_same_rows(
    make_night: MakeNight, spark: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = trained(make_night, "spark", scoring="spark")
    whole, built = recommend.Lister.recommendations, []

    def dies_in_the_third(self: recommend.Lister, low: int, high: int) -> pa.Table:
        if len(built) == 2:
            raise KeyboardInterrupt
        built.append(low)
        return whole(self, low, high)

    with monkeypatch.context() as patch:
        patch.setattr(recommend.Lister, "recommendations", dies_in_the_third)
        night.settings.scoring = "process"
        with pytest.raises(KeyboardInterrupt):
            recommend.run(night)
    night.settings.scoring = "spark"
    first = night.store.list(night.work("recommendations"))
    assert len(first) == 2
    planned: list[int] = []
    monkeypatch.setattr(spark_scoring, "Plan", _noting(planned))
    recommend.run(night)
    assert planned == [6 + 4]
    monkeypatch.undo()
    calm = trained(make_night, "calm")
    recommend.run(calm)
    same_rows(night, calm)
    assert night.store.list(night.work("")) == []
    assert [k for k in night.store.list("work") if "shard" not in k] == []


def _noting(planned: list[int]) -> object:
    """Notes how many shards each plan holds."""
    real = spark_scoring.Plan

    def make(*args: object) -> spark_scoring.Plan:
        plan = real(*args)  # type: ignore[arg-type]
        planned.append(len(plan.shards))
        return plan

    return make


@pytest.mark.slow
def test_a_cluster_of_two_workers_writes_the_rows_of_one_process(
    make_night: MakeNight, tmp_path: Path
) -> None:
    night, calm = trained(make_night, "cluster"), trained(make_night, "calm")
    recommend.run(calm)
    settings = {**SETTINGS, "scoring": "spark", "spark_memory": "1g", "lake": night.settings.lake}
    with servers.spark_cluster(tmp_path / "cluster", find_java(night.settings)) as url:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("NIGHTSHELF_")},
            "NIGHTSHELF_CONFIG": "/dev/null",
            "NIGHTSHELF_SPARK_MASTER": url,
            **{f"NIGHTSHELF_{name.upper()}": str(value) for name, value in settings.items()},
        }
        command = [sys.executable, "-m", "jobs.recommend", "--ds", DS.isoformat(), "--run-id", "cluster"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    worked = [list((tmp_path / "cluster" / f"worker-{n}").glob("app-*/*/nightshelf-*.zip")) for n in (0, 1)]
    # Both workers had the code sent to them, which happens with a process's first task.
    assert all(worked)
    same_rows(night, calm)
