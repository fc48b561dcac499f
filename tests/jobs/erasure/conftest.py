"""A small shop with a past: three nights, late and refused rows, lists, shards, notes; built once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs import clean
from jobs.intake.landing import land
from jobs.lake.publish import Published, Publisher
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.settings import Settings, load_settings
from tests.expectations.good_rows import good
from tests.jobs.intake.conftest import small_shuffles  # noqa: F401

# As long as the bounds in a manifest, which cut longer ids: it must not stand there either.
ZOE = "zoe.secret-77"
MAPPING = """
source = "shop"
[events]
files = "e*.csv"
[events.columns]
event_id = "id"
user_id = "who"
product_id = "what"
event_time = "when"
price = "price"
quantity = "n"
[events.sql]
event_type = "'purchase'"
[products]
files = "e*.csv"
[products.columns]
product_id = "what"
title_en = "what"
day = "when"
[users]
files = "u*.csv"
[users.columns]
user_id = "who"
city = "city"
day = "when"
"""
HEAD = "id,who,what,when,price,n\n"
# Every day has an event of hers: good, twice, refused, late; one row cannot be told apart, and names her.
DAYS: dict[str, dict[str, str]] = {
    "2026-01-01": {
        "e1.csv": HEAD
        + f"1,{ZOE},tea,2026-01-01 10:00:00,2,1\n2,ada,tea,2026-01-01 11:00:00,2,17\n"
        + "3,bob,cup,2026-01-01 12:00:00,-3,17\n",
        "u1.csv": f"who,city,when\nada,Rome,2026-01-01\n{ZOE},Oslo,2026-01-01\nbob,Bonn,2026-01-01\n",
    },
    "2026-01-02": {
        "e2.csv": HEAD
        + f"4,{ZOE},cup,2026-01-02 10:00:00,3,1\n4,{ZOE},cup,2026-01-02 10:00:00,3,1\n"
        + f"5,{ZOE},pot,2026-01-02 10:00:00,-3,1\n6,ada,cup,2026-01-02 11:00:00,3,1\n"
        + f"7,{ZOE},pot,2026-01-02 10:00:00,1,1,too,many\n8,cyd,pot,2026-01-02 10:00:00,1,1,too,many\n",
    },
    "2026-01-03": {
        "e3.csv": HEAD
        + f"9,{ZOE},tea,2026-01-02 23:00:00,2,1\n10,17,tea,2026-01-03 10:00:00,2,1\n"
        + f"11,ada,tea,2026-01-03 11:00:00,-2,1\n12,{ZOE},tea,2026-01-03 11:00:00,-2,1\n",
    },
}
LAST = date(2026, 1, 3)


class Shop:
    """The lake, and what a test does with it."""

    def __init__(self, settings: Settings, raw: Path, spark: SparkSession) -> None:
        self.settings, self.raw, self.spark = settings, raw, spark

    @property
    def lake(self) -> Path:
        return Path(self.settings.lake)

    def deliver(self, ds: str, files: dict[str, str] | None = None) -> None:
        for name, text in (files or DAYS[ds]).items():
            (self.raw / name).write_text(text)
        (self.raw / "shop.toml").write_text(MAPPING)
        paths = [str(self.raw / name) for name in files or DAYS[ds]]
        land(self.settings, self.raw / "shop.toml", paths, date.fromisoformat(ds), self.spark)

    def staged(self, ds: str, run_id: str) -> Night:
        """A night as far as its audit: cleaned, with a list and features for each of its shoppers."""
        night = Night(self.settings, date.fromisoformat(ds), run_id)
        night.pin()
        clean.run(night)
        users = sorted(night.read("users")["user_id"].to_pylist())
        for table in ("user_features", "user_profiles", "recommendations", "audiences"):
            rows = [
                good(table, user_id=u, ds=night.ds, **({"rank": n} if table == "audiences" else {}))
                for n, u in enumerate(users, start=1)
            ]
            night.stage(table, pa.Table.from_pylist(rows, schema=BY_NAME[table].schema))
        night.stage("runs", pa.Table.from_pylist([self._run(night)], schema=BY_NAME["runs"].schema), [run_id])
        night.note("samples", {"who": users, "rows": 17})
        night.store.write(night.key("report.html"), f"<p>{', '.join(users)}</p>".encode())
        night.store.write_parquet(night.work("scoring/0.parquet"), pa.table({"user_id": users}))
        for record in night.staging.records():
            night.mark_audited(record.table)
        return night

    @staticmethod
    def _run(night: Night) -> dict[str, Any]:
        return good("runs", run_id=night.run_id, ds=night.ds)

    def publish(self, night: Night) -> Published:
        return Publisher(night.catalog).publish(night.staging, night.ds.isoformat(), night.sequence)

    def night(self, ds: str, run_id: str) -> Published:
        return self.publish(self.staged(ds, run_id))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All published rows of a table."""
        night = Night(self.settings, LAST, "reader")
        night.pin()
        found = night.read(table, start=date.min, end=date(2026, 1, 31)).to_pylist()
        return sorted(found, key=lambda r: json.dumps(r, default=str, sort_keys=True))

    def clone(self) -> Path:
        copy = self.raw.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.lake, copy)
        return copy

    def restore(self, copy: Path) -> None:
        shutil.rmtree(self.lake, ignore_errors=True)
        shutil.copytree(copy, self.lake)


def three_nights(base: Path, spark: SparkSession, **changed: Any) -> tuple[Shop, Path]:
    """A shop with three deliveries and two nights below `base`, and a copy of its lake."""
    (base / "raw").mkdir()
    settings = load_settings(lake=str(base / "lake"), spark_master="local[2]", spark_memory="1g", **changed)
    shop = Shop(settings, base / "raw", spark)
    shop.deliver("2026-01-01")
    shop.deliver("2026-01-02")
    shop.night("2026-01-02", "n2")
    shop.deliver("2026-01-03")
    shop.night("2026-01-03", "n3")
    template = base / "template"
    shutil.copytree(shop.lake, template)
    return shop, template


@pytest.fixture(scope="package")
def built(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, request: pytest.FixtureRequest
) -> Iterator[tuple[Shop, Path]]:
    request.getfixturevalue("small_shuffles")
    base = tmp_path_factory.mktemp("forget")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
        yield three_nights(base, spark)


@pytest.fixture
def shop(built: tuple[Shop, Path], monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The lake as the three nights left it."""
    monkeypatch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
    found, template = built
    found.restore(template)
    return found
