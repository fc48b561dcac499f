"""The contract with the two private PyIceberg names that staging needs, and the catalog's reading."""

from __future__ import annotations

import inspect
from datetime import date

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table as IcebergTable

from jobs.lake.catalog import StagingCatalog
from jobs.lake.registry import TABLES
from jobs.night import Night
from jobs.settings import Settings
from tests.jobs.lake.conftest import publish_run


def test_the_private_names_are_as_staging_uses_them() -> None:
    stage = inspect.signature(SqlCatalog._update_and_stage_table)
    assert list(stage.parameters) == ["self", "current_table", "table_identifier", "requirements", "updates"]
    write = inspect.signature(SqlCatalog._write_metadata)
    assert list(write.parameters) == ["metadata", "io", "metadata_path"]
    # A transaction must go through `commit_table`: there it is caught.
    assert "commit_table" in inspect.getsource(IcebergTable._do_commit)


def test_an_ordinary_commit_through_the_staging_catalog_stays_invisible(lake_settings: Settings) -> None:
    publish_run(lake_settings, "2026-01-01", "a")
    night = Night(lake_settings, date(2026, 1, 1), "b")
    catalog = night.catalog.iceberg
    assert isinstance(catalog, StagingCatalog)
    before = night.catalog.pointers()
    catalog.load_table(("nightshelf", "intake")).transaction().set_properties({"x": "y"}).commit_transaction()
    assert night.catalog.pointers() == before


def test_every_table_can_be_staged_empty_and_read(lake_settings: Settings) -> None:
    night = Night(lake_settings, date(2026, 1, 1), "a")
    for table in TABLES:
        night.stage(
            table.name, table.schema.empty_table(), [night.run_id] if table.partition != "ds" else None
        )
        assert night.read(table.name).schema == table.schema


def test_registry_is_sound() -> None:
    names = [t.name for t in TABLES]
    assert len(set(names)) == len(names)
    for table in TABLES:
        assert table.partition in table.schema.names
        assert set(table.key) <= set(table.schema.names)
        assert set(table.depends_on) <= set(names)
        assert all(c.doc for c in table.columns)
        # By this column a shopper's rows are found when the shopper is forgotten; `quarantine` is as it came.
        assert not table.pii or "user_id" in table.pii or table.name == "quarantine"
