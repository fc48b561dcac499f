"""The checks see what they are there to see: a lake is damaged by hand, and the right one tells."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import date
from pathlib import Path

import pytest

from jobs.lake.store import LocalStore
from tests.expectations.good_rows import good
from tests.faults.conftest import BASE, DS, Toy
from tests.faults.invariants import audited, broken_now, no_leak
from tests.faults.toy import land


@pytest.fixture
def folder(toy: Toy) -> Path:
    """A sound lake with two published nights and what landed for them."""
    lake = toy.folder / "lake"
    land(LocalStore(lake), [date(2026, 1, day) for day in (7, 8, 9, 10)])
    assert toy.run().returncode == 0
    assert not any(broken_now(toy.view()).values())
    return lake


@pytest.mark.parametrize("run", ["base", "night"])
def test_a_table_that_was_not_audited_as_it_was_published(run: str, toy: Toy, folder: Path) -> None:
    """Of any night that was published, not of the newest alone."""
    file = folder / "runs" / run / "staged" / "products.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"audited": "another"}))
    (told,) = audited(toy.view()) or []
    assert told.startswith(f"products: published by {run} as ")


def test_an_audit_that_was_red(toy: Toy, folder: Path) -> None:
    file = folder / "runs" / "base" / "steps" / "audit.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"outcome": "gate"}))
    assert audited(toy.view()) == ["the audit of base ended as gate"]


def test_records_may_go_of_an_older_night_only(toy: Toy, folder: Path) -> None:
    shutil.rmtree(folder / "runs" / "base")
    assert audited(toy.view()) == []
    shutil.rmtree(folder / "runs" / "night")
    told = audited(toy.view()) or []
    assert "products: published by night, which has no record of staging it" in told


def test_landed_rows_that_are_gone(toy: Toy, folder: Path) -> None:
    shutil.rmtree(folder / f"landing/sample/events/{BASE}-0")
    assert no_leak(toy.view()) == [f"missing: landing/sample/events/{BASE}-0, which a manifest names"]


def test_landed_rows_that_no_manifest_names_and_that_are_old(toy: Toy, folder: Path) -> None:
    (folder / f"landing/sample/_batches/{BASE}.json").unlink()
    assert no_leak(toy.view()) == []
    file = folder / f"landing/sample/events/{BASE}-0/part.parquet"
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(file, (two_days_ago, two_days_ago))
    assert no_leak(toy.view()) == [f"nobody reaches file://{file}, and it is old"]


def test_a_model_in_service_that_is_gone(toy: Toy) -> None:
    """The newest one that was accepted: later a candidate was refused, whose files nobody needs."""
    store = LocalStore(toy.folder / "lake")
    for run, ds, verdict in (("one", BASE, "accepted"), ("two", DS, "refused")):
        assert toy.run("clean", run=run, ds=ds).returncode == 0
        row = good("models", location=f"models/writer/{run}", verdict=verdict) | {"ds": ds}
        store.write(f"runs/{run}/models/writer.json", json.dumps(row).encode())
        store.write(f"models/writer/{run}/card.json", b"{}")
        done = toy.run("audit,publish", run=run, ds=ds)
        assert done.returncode == 0, done.stderr
    shutil.rmtree(toy.folder / "lake/models/writer/two")
    assert no_leak(toy.view()) == []
    shutil.rmtree(toy.folder / "lake/models/writer/one")
    assert no_leak(toy.view()) == ["missing: the writer in service, models/writer/one"]
