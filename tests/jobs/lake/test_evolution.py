"""A lake from before a column was declared: the next night adds it, and nothing old is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME, DOUBLE, INT, STRING, Column, Table
from jobs.night import Night
from jobs.settings import Settings
from tests.duckdb_extensions import lay_extensions
from tests.jobs.lake.conftest import publish_run, similar

Declare = Callable[[tuple[Column, ...]], Table]
OLD = BY_NAME["similar_items"]
NEW = (*OLD.columns[:-1], Column("why", STRING, "new"), Column("seen", INT, "new"), OLD.columns[-1])


ORDER = [("ds", "ascending"), ("product_id", "ascending")]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    def as_(columns: tuple[Column, ...]) -> Table:
        table = replace(OLD, columns=columns)
        monkeypatch.setitem(BY_NAME, OLD.name, table)
        return table

    return as_


def test_a_new_column_is_added_and_old_rows_read_as_null(
    any_catalog: Settings, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_run(any_catalog, "2026-01-01", "old")
    declare(NEW)
    # A reader with the new code sees the old lake before any night has run.
    night = Night(any_catalog, date(2026, 1, 1), "reader")
    night.pin()
    assert night.read(OLD.name)["why"].to_pylist() == [None] * 3
    with monkeypatch.context() as patch:
        patch.setattr("tests.jobs.lake.conftest.similar", with_columns)
        publish_run(any_catalog, "2026-01-02", "new", rows=2)
    after = Night(any_catalog, date(2026, 1, 2), "after")
    after.pin()
    found = after.read(OLD.name, date.min, after.ds).sort_by(
        [("ds", "ascending"), ("product_id", "ascending")]
    )
    assert found["why"].to_pylist() == [None, None, None, "near", "near"]
    assert found["seen"].to_pylist() == [None, None, None, 7, 7]
    assert found["score"].null_count == 0
    # So do readers of the table itself, and the schema still has the old columns at the old ids.
    metadata = after.pins[OLD.name]
    iceberg = after.catalog.open(metadata)
    assert {f.name: f.field_id for f in iceberg.schemas()[0].fields}.items() <= {
        f.name: f.field_id for f in iceberg.schema().fields
    }.items()
    arrow = iceberg.scan().to_arrow().sort_by(ORDER)
    assert arrow["why"].to_pylist() == found["why"].to_pylist()
    # Staged again for another date, the table is as it is.
    with monkeypatch.context() as patch:
        patch.setattr("tests.jobs.lake.conftest.similar", with_columns)
        publish_run(any_catalog, "2026-01-03", "next", rows=1)
    assert len(after.catalog.open(after.catalog.pointers()[OLD.name]).schemas()) == len(iceberg.schemas())


def with_columns(ds: date, rows: int, version: str = "v") -> pa.Table:
    table = similar(ds, rows, version).append_column("why", pa.array(["near"] * rows))
    return table.append_column("seen", pa.array([7] * rows, pa.int32()))


def test_duckdb_reads_old_and_new_rows(
    lake_settings: Settings, declare: Declare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish_run(lake_settings, "2026-01-01", "old")
    declare(NEW)
    monkeypatch.setattr("tests.jobs.lake.conftest.similar", with_columns)
    publish_run(lake_settings, "2026-01-02", "new", rows=2)
    metadata = (
        Night(lake_settings, date(2026, 1, 2), "r").catalog.pointers()[OLD.name].removeprefix("file://")
    )
    folder = str(lay_extensions(tmp_path / "extensions"))
    with duckdb.connect(config={"extension_directory": folder}) as connection:
        connection.load_extension("avro")
        connection.load_extension("iceberg")
        rows = connection.sql(
            f"SELECT why, count(*) FROM iceberg_scan('{metadata}') GROUP BY ALL ORDER BY ALL"
        )
        assert rows.fetchall() == [("near", 2), (None, 3)]


def test_a_rollback_to_before_the_column_and_a_night_after_it(
    lake_settings: Settings, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_run(lake_settings, "2026-01-01", "old")
    declare(NEW)
    monkeypatch.setattr("tests.jobs.lake.conftest.similar", with_columns)
    publish_run(lake_settings, "2026-01-02", "new", rows=2)
    night = Night(lake_settings, date(2026, 1, 2), "r")
    Publisher(night.catalog).rollback("old")
    publish_run(lake_settings, "2026-01-02", "again", rows=2)
    night = Night(lake_settings, date(2026, 1, 2), "s")
    night.pin()
    assert night.read(OLD.name, date.min, night.ds)["why"].to_pylist().count("near") == 2


def test_a_changed_type_is_refused_and_nothing_moves(lake_settings: Settings, declare: Declare) -> None:
    publish_run(lake_settings, "2026-01-01", "old")
    declare(tuple(replace(c, type=DOUBLE) if c.name == "rank" else c for c in OLD.columns))
    night = Night(lake_settings, date(2026, 1, 2), "new")
    before = night.catalog.pointers()
    with pytest.raises(ValueError, match=r"similar_items.rank is int in the lake and double in the registry"):
        night.stage(OLD.name, similar(night.ds, 1))
    assert night.catalog.pointers() == before
