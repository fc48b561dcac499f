"""What a step left under `work/`: a shop that was written for Spark goes whole, shards go one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from jobs import recommend, spark_scoring
from jobs.erasure import texts
from jobs.erasure.person import Person
from jobs.lake.store import LocalStore
from tests.conftest import MakeNight
from tests.jobs.test_spark_scoring import same_rows, trained

ZOE = Person("zoe.secret-77")
SHOP = ("arrays.npz", "catalogue.parquet", "shop.json", "users.parquet")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def left(store: LocalStore, prefix: str, *users: str) -> set[str]:
    """The files of a shop, as `save_shop` writes them."""
    store.write(f"{prefix}/arrays.npz", b"numbers of shoppers")
    store.write_parquet(f"{prefix}/catalogue.parquet", pa.table({"product_id": ["tea"]}))
    store.write_parquet(f"{prefix}/users.parquet", pa.table({"user_id": users}))
    store.write(f"{prefix}/shop.json", json.dumps({"known": len(users)}).encode())
    return {f"{prefix}/{name}" for name in SHOP}


def test_a_killed_runs_shop_goes_whole_where_it_has_the_shopper(store: LocalStore) -> None:
    """Its arrays name nobody, and hold what each bought and when under their place among the ids."""
    hers = left(store, "work/killed/scoring/1", "ada", ZOE.user_id)
    left(store, "work/other/scoring/1", "ada", "bob")
    assert {*texts.shards(store, ZOE)} == hers


def test_shards_go_one_by_one(store: LocalStore) -> None:
    """Other shoppers' lists need not be made again."""
    for number, user in enumerate(("ada", ZOE.user_id, "bob")):
        rows = pa.table({"user_id": [user]})
        store.write_parquet(f"work/killed/recommendations/1/shard-{number}.parquet", rows)
    assert texts.shards(store, ZOE) == ["work/killed/recommendations/1/shard-1.parquet"]


def test_arrays_without_ids_go_for_nobody_can_tell(store: LocalStore) -> None:
    """A run died before it wrote the ids, or while it wrote; the arrays of models are numbers of products."""
    store.write("work/killed/scoring/1/arrays.npz", b"numbers of shoppers")
    hidden = {
        f"{folder}/.arrays.npz.1f.part" for folder in ("work/killed/scoring/2", "models/recommender/v1")
    }
    for key in hidden:
        store.write(key, b"numbers")
    assert texts.shards(store, ZOE) == ["work/killed/scoring/1/arrays.npz"]
    assert texts.unfinished(store, ZOE) == ["work/killed/scoring/2/.arrays.npz.1f.part"]


@pytest.mark.slow
def test_a_retry_writes_the_shop_again_that_an_erasure_removed(
    make_night: MakeNight, spark: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    night, calm = trained(make_night, "killed", scoring="spark"), trained(make_night, "calm")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(spark_scoring, "Plan", dies)
        with pytest.raises(KeyboardInterrupt):
            recommend.run(night)
    there = night.store.list("work/killed/scoring")
    assert {key.rsplit("/", 1)[-1] for key in there} == {*SHOP}
    assert texts.shards(night.store, Person("u0007")) == there
    night.store.delete(there)
    for one in (night, calm):
        recommend.run(one)
    same_rows(night, calm)
