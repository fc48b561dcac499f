"""What must always hold, on whole nights of the small shop: each test fails when its property is broken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.errors import GateFailed
from jobs.lake.store import Store
from jobs.settings import ROOT, Settings
from tests.e2e.conftest import LAST_DAY, Shop, environment, shop_settings
from tests.nights import data_files, published, published_rows, run_night

pytestmark = pytest.mark.e2e

EARLY_DAY = "2026-01-20"


@pytest.fixture(scope="module")
def nights(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with the last night published."""
    settings = shop_settings(tmp_path_factory.mktemp("guarantees"), shop.raw)
    run_night(settings, LAST_DAY, "one")
    return settings


def test_the_same_date_again_gives_the_same_rows(nights: Settings) -> None:
    before = published_rows(nights, LAST_DAY)
    run_night(nights, LAST_DAY, "two")
    after = published_rows(nights, LAST_DAY)
    for table, rows in before.items():
        assert after[table] == rows, table


def test_an_old_date_uses_nothing_later_and_touches_no_other_file(
    nights: Settings, shop: Shop, tmp_path: Path
) -> None:
    """A backfilled night in a lake that knows the future equals that of a shop without one."""
    files = data_files(nights)
    run_night(nights, EARLY_DAY, "backfill")
    after = data_files(nights)
    assert {path: after.get(path) for path in files} == files
    past = tmp_path / "past"
    past.mkdir()
    for path in shop.raw.glob("*-2026-*"):
        if path.stem[-10:] <= EARLY_DAY:
            shutil.copy(path, past)
    fresh = shop_settings(tmp_path, past)
    # In another process: what differs between processes, such as addresses, must not enter a row.
    command = [sys.executable, "-m", "tests.nights", EARLY_DAY, "fresh"]
    subprocess.run(command, env=environment(fresh, tmp_path), cwd=ROOT, check=True)
    assert trained_weights(fresh, EARLY_DAY) == trained_weights(nights, EARLY_DAY)
    for table in (
        "products",
        "user_features",
        "item_features",
        "user_profiles",
        "recommendations",
        "similar_items",
        "product_descriptions",
    ):
        known = published(nights, table, EARLY_DAY).to_pylist()
        assert known == published(fresh, table, EARLY_DAY).to_pylist(), table


def trained_weights(settings: Settings, ds: str) -> dict[str, bytes]:
    """The stored files of the models that were trained for a date, by name."""
    store = Store.of(settings)
    keys = [k for k in store.list("models") if f"/{ds}-" in k and k.endswith(".npz")]
    assert keys
    return {k: store.read(k) for k in keys}


def test_a_critical_failure_publishes_nothing(nights: Settings, shop: Shop, tmp_path: Path) -> None:
    """A day whose rows are mostly bad stops before publish; readers keep the last good night."""
    store = Store.of(nights)
    before = json.loads(store.read("current.json"))
    bad = tmp_path / "bad"
    bad.mkdir()
    source = (shop.raw / f"events-{LAST_DAY}.csv").read_text().splitlines()
    broken = [
        source[0],
        *(line.replace(",web,", ",web,").replace(LAST_DAY, "not a day") for line in source[1:]),
    ]
    (bad / "events-2026-01-25.csv").write_text("\n".join(broken) + "\n")
    poisoned = nights.model_copy(
        update={"sources": [nights.sources[0].model_copy(update={"files": [str(bad / "*.csv")]})]}
    )
    with pytest.raises(GateFailed):
        run_night(poisoned, "2026-01-25", "poisoned")
    assert json.loads(store.read("current.json")) == before
    assert published(nights, "events_clean", "2026-01-25").num_rows == 0


def test_every_table_carries_the_same_run(nights: Settings) -> None:
    from jobs.lake.catalog import RUN_PROPERTY, LakeCatalog

    store = Store.of(nights)
    catalog = LakeCatalog(nights, store)
    current = json.loads(store.read("current.json"))
    assert current["tables"] == catalog.pointers()
    runs = {catalog.open(m).properties[RUN_PROPERTY] for m in current["tables"].values()}
    assert runs == {current["run_id"]}
