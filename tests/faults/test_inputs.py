"""Poison among the rows, a host in another time zone on the day its clocks change: each row has its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import ROOT
from tests.faults.conftest import plain_environment
from tests.faults.reader import Outside
from tests.faults.recorder import Case

pytestmark = pytest.mark.timeout(600)

# New York's clocks go from 02:00 to 03:00 on this day, at 07:00 UTC.
DS = "2026-03-08"
MAPPING = """
source = "shop"
[events]
files = "e*.csv"
[events.columns]
event_id = "id"
user_id = "who"
product_id = "what"
event_time = "when"
event_type = "kind"
price = "price"
"""
HOURS = [f"hour-{h:02d},ada,tea,{DS} {h:02d}:30:00,view,2" for h in range(24)]
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
TWICE = [f"twice,ada,tea,{DS} 03:00:00,view,2", f"twice,bob,cup,{DS} 03:00:01,view,3"]
GOOD = {f"hour-{h:02d}" for h in range(24)} | {"twice"}
_RUN = """
import sys
from jobs.settings import load_settings
from tests.nights import run_night
run_night(load_settings(), sys.argv[1], "night", until="clean")
"""


def lines() -> list[str]:
    poison = [f"{name},{row.format(ds=DS)}" for name, row in POISON.items()]
    return [*HOURS, *poison, *TWICE, f"long,ada,{LONG},{DS} 04:00:00,view,2"]


def staged(folder: Path, rows: list[str], zone: str) -> dict[str, list[dict[str, Any]]]:
    """What `ingest` and `clean` make of the rows on a host of this time zone."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    # A night's own delivery: its rows arrived on that day, whatever they say.
    (raw / f"e-{DS}.csv").write_text("\n".join(["id,who,what,when,kind,price", *rows]) + "\n")
    (folder / "shop.toml").write_text(MAPPING)
    source = {"mapping": str(folder / "shop.toml"), "files": [f"{raw}/e-{{ds}}.csv"]}
    env = plain_environment(
        folder,
        NIGHTSHELF_SOURCES=json.dumps([source]),
        NIGHTSHELF_SPARK_MASTER="local[2]",
        NIGHTSHELF_SPARK_MEMORY="1g",
        TZ=zone,
    )
    done = subprocess.run(
        [sys.executable, "-c", _RUN, DS], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lake = Outside(str(folder / "lake"), "")
    tables = ("events_clean", "quarantine", "intake")
    return {t: lake.rows(lake.json(f"runs/night/staged/{t}.json")["metadata"]) for t in tables}


def test_poison_rows_are_set_aside_one_by_one(tmp_path: Path, case: Case) -> None:
    rows = lines()
    found = staged(tmp_path / "new-york", rows, "America/New_York")
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
    assert {str(r["ds"]) for r in found["events_clean"]} == {DS}


@pytest.mark.slow
def test_neither_the_zone_of_the_host_nor_the_order_of_rows_matters(tmp_path: Path, case: Case) -> None:
    rows = [r for r in lines() if not r.startswith("long,")]
    there = staged(tmp_path / "new-york", rows, "America/New_York")
    case.fault(2)
    here = staged(tmp_path / "utc", rows[::-1], "UTC")
    assert there == here


def test_invalid_utf8_is_a_wrong_file_named_with_its_line(tmp_path: Path, case: Case) -> None:
    (tmp_path / "e1.csv").write_bytes(
        b"id,who,what,when,kind,price\n1,a,b,2026-03-08,view,2\n2,\xff\xfe,b,c,view,2\n"
    )
    (tmp_path / "shop.toml").write_text(MAPPING)
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "import", str(tmp_path / "shop.toml"), str(tmp_path / "e1.csv")],
        env=plain_environment(tmp_path), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    case.fault()
    case.exit(done.returncode, 2, told=done.stderr)
    assert "near line 3: not utf-8; set encoding" in done.stderr
    assert not (tmp_path / "lake" / "landing").exists()
