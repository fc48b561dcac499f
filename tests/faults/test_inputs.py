"""Poison among the rows, a host in another time zone on the day its clocks change: each row has its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from jobs.settings import ROOT
from tests.faults.conftest import Toy
from tests.faults.forks import Forks
from tests.faults.invariants import View
from tests.faults.recorder import Case
from tests.faults.shop import DAY, HOURS, MAPPING, Shop

pytestmark = pytest.mark.timeout(600)

LONG = "x" * 10_000_000
# id → what is wrong with its row.
POISON = {
    "nan": "ada,tea,{ds} 01:00:00,view,NaN",
    "infinite": "ada,tea,{ds} 01:00:00,view,Infinity",
    "negative": "ada,tea,{ds} 01:00:00,purchase,-2",
    "type": "ada,tea,{ds} 01:00:00,teleport,2",
    "past": "ada,tea,1970-01-01 00:00:00,view,2",
    "future": "ada,tea,2100-01-01 00:00:00,view,2",
    "no-product": "ada,,{ds} 01:00:00,view,2",
    "no-time": "ada,tea,,view,2",
}
TWICE = [f"twice,ada,tea,{DAY} 03:00:00,view,2", f"twice,bob,cup,{DAY} 03:00:01,view,3"]
GOOD = {f"hour-{h:02d}" for h in range(24)} | {"twice"}


def lines() -> list[str]:
    poison = [f"{name},{row.format(ds=DAY)}" for name, row in POISON.items()]
    return [*HOURS, *poison, *TWICE, f"long,ada,{LONG},{DAY} 04:00:00,view,2"]


def test_poison_rows_are_set_aside_one_by_one(tmp_path: Path, processes: Forks, case: Case) -> None:
    rows = lines()
    shop = Shop.of(tmp_path, processes, rows, "America/New_York")
    found = shop.cleaned()
    case.fault(len(POISON) + 2)
    good = Counter(r["event_id"] for r in found["events_clean"])
    refused = Counter(json.loads(r["raw"])["id"] for r in found["quarantine"])
    told = {n: sum(r[n] for r in found["intake"]) for n in ("rows_in", "good", "quarantined", "duplicates")}
    case.lost += len(rows) - told["good"] - told["quarantined"] - told["duplicates"]
    assert told["rows_in"] == len(rows)
    assert case.lost == 0
    assert set(refused) == {*POISON, "long"}
    assert set(good) == GOOD
    assert set(good.values()) == {1}
    assert told["duplicates"] == 1
    # Kept as it came, all ten megabytes of it.
    assert max(len(json.loads(r["raw"]).get("what") or "") for r in found["quarantine"]) == len(LONG)
    # Each hour of the day stands in the day, the one that New York's clocks leave out too.
    hours = {r["event_id"]: r["event_time"].hour for r in found["events_clean"]}
    assert [hours[f"hour-{h:02d}"] for h in range(24)] == list(range(24))
    assert {str(r["ds"]) for r in found["events_clean"]} == {DAY}
    done = shop.publish()
    case.exit(done.returncode, 0, told=done.stderr)
    # Published, all of it stands as it was cleaned.
    seen = shop.lake.published(DAY)
    assert {table: seen[table] for table in found} == found
    case.check(View(shop.lake, ds=DAY))


@pytest.mark.slow
def test_neither_the_zone_of_the_host_nor_the_order_of_rows_matters(
    tmp_path: Path, processes: Forks, case: Case
) -> None:
    rows = [r for r in lines() if not r.startswith("long,")]
    there = Shop.of(tmp_path / "new-york", processes, rows, "America/New_York")
    here = Shop.of(tmp_path / "utc", processes, rows[::-1], "UTC")
    case.fault(2)
    assert there.cleaned() == here.cleaned()
    for shop in (there, here):
        done = shop.publish()
        case.exit(done.returncode, 0, told=done.stderr)
    case.check(View(there.lake, ds=DAY))
    case.check(View(here.lake, ds=DAY, expected=there.lake.published(DAY)))


def test_invalid_utf8_is_a_wrong_file_named_with_its_line(toy: Toy, tmp_path: Path, case: Case) -> None:
    (tmp_path / "e1.csv").write_bytes(
        b"id,who,what,when,kind,price\n1,a,b,2026-03-08,view,2\n2,\xff\xfe,b,c,view,2\n"
    )
    (tmp_path / "shop.toml").write_text(MAPPING)
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "import", str(tmp_path / "shop.toml"), str(tmp_path / "e1.csv")],
        env=toy.environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    case.fault()
    case.exit(done.returncode, 2, told=done.stderr)
    assert "near line 3: not utf-8; set encoding" in done.stderr
    assert toy.lake.listing("landing") == []
    case.check(toy.view())
