"""The same on S3, with tables alone: what an object store lists, reads and removes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.forget_user import forget_user
from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME
from jobs.lake.store import Store
from jobs.night import Night
from jobs.settings import Settings
from tests.expectations.good_rows import good
from tests.jobs.erasure.scan import places

ZOE = "zoe.secret-77"
TABLES = ("events_clean", "users", "recommendations")


def night(settings: Settings, ds: str, run_id: str) -> None:
    found = Night(settings, date.fromisoformat(ds), run_id)
    found.pin()
    for table in TABLES:
        rows = [good(table, user_id=u, ds=found.ds) for u in ("ada", ZOE, "bob")]
        if table == "events_clean":
            rows = [r | {"event_id": f"{n}-{ds}"} for n, r in enumerate(rows)]
        found.stage(table, pa.Table.from_pylist(rows, schema=BY_NAME[table].schema))
        found.mark_audited(table)
    Publisher(found.catalog).publish(found.staging, ds, found.sequence)


def fetched(settings: Settings, folder: Path) -> Path:
    """Every object of the lake, as files."""
    store = Store.of(settings)
    for prefix in ("warehouse", "runs", "forgotten"):
        for entry in store.entries(prefix):
            store.fetch(entry.key, folder / entry.key)
    return folder


@pytest.mark.s3
def test_nothing_is_left_in_the_bucket(s3_settings: Settings, tmp_path: Path) -> None:
    night(s3_settings, "2026-01-01", "a")
    night(s3_settings, "2026-01-02", "b")
    assert len(places(fetched(s3_settings, tmp_path / "before"), ZOE)) >= 12
    done = forget_user(s3_settings, ZOE)
    assert done.tables == {"events_clean": 2, "users": 2, "recommendations": 2}
    assert places(fetched(s3_settings, tmp_path / "after"), ZOE) == set()
    night_after = Night(s3_settings, date(2026, 1, 2), "reader")
    night_after.pin()
    users = night_after.read("users", date.min, date(2026, 1, 2))["user_id"].to_pylist()
    assert sorted(users) == ["ada", "ada", "bob", "bob"]
    assert not forget_user(s3_settings, ZOE).found
