"""A small lake content that every lake test stages: two tables, one run."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from jobs.lake.publish import Published, Publisher
from jobs.night import Night
from jobs.settings import Settings

TABLES = ("intake", "similar_items")


def intake(ds: date, rows: int, source: str = "a") -> pa.Table:
    return pa.table(
        {
            "source": [source] * rows,
            "entity": [f"e{i}" for i in range(rows)],
            "rows_in": [1] * rows,
            "good": [1] * rows,
            "quarantined": [0] * rows,
            "duplicates": [0] * rows,
            "late": [0] * rows,
            "forgotten": [0] * rows,
            "ds": pa.array([ds] * rows, pa.date32()),
        }
    )


def similar(ds: date, rows: int, version: str = "v") -> pa.Table:
    return pa.table(
        {
            "product_id": [f"p{i}" for i in range(rows)],
            "rank": pa.array([1] * rows, pa.int32()),
            "similar_id": ["q"] * rows,
            "score": [1.0] * rows,
            "source": ["item_graph"] * rows,
            "model_version": [version] * rows,
            "ds": pa.array([ds] * rows, pa.date32()),
        }
    )


def stage_run(settings: Settings, ds: str, run_id: str, rows: int = 3) -> Night:
    """Stage both tables for one run, audited, not published."""
    night = Night(settings, date.fromisoformat(ds), run_id)
    night.pin()
    night.stage("intake", intake(night.ds, rows, run_id))
    night.stage("similar_items", similar(night.ds, rows, run_id))
    for table in TABLES:
        night.mark_audited(table)
    return night


def publish_run(settings: Settings, ds: str, run_id: str, rows: int = 3) -> Published:
    night = stage_run(settings, ds, run_id, rows)
    return Publisher(night.catalog).publish(night.staging, ds)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_catalog(request: pytest.FixtureRequest, lake_settings: Settings) -> Settings:
    """The lake with each kind of catalog."""
    if request.param == "sqlite":
        return lake_settings
    import sqlalchemy as sa

    url: str = request.getfixturevalue("postgres_url")
    name = f"lake_{abs(hash(request.node.nodeid)) % 10**12}"
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    return lake_settings.model_copy(update={"catalog": url.rsplit("/", 1)[0] + f"/{name}"})
