"""Poison among the rows, a host in another time zone on the day its clocks change: each row has its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import ROOT
from tests.faults.conftest import Toy, plain_environment
from tests.faults.forks import Forks
from tests.faults.invariants import View
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


@dataclass
class Shop:
    """A lake in a folder of its own, with one delivery before it, on a host of some time zone."""

    folder: Path
    processes: Forks
    environment: dict[str, str]

    @property
    def lake(self) -> Outside:
        return Outside(str(self.folder / "lake"), f"sqlite:///{self.folder}/lake/catalog.db?timeout=60")

    def cleaned(self) -> dict[str, list[dict[str, Any]]]:
        """What the real `ingest` and `clean` make of the rows."""
        done = subprocess.run(
            [sys.executable, "-c", _RUN, DS],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        tables = ("events_clean", "quarantine", "intake")
        return {t: self.lake.rows(self.lake.json(f"runs/night/staged/{t}.json")["metadata"]) for t in tables}

    def published(self, case: Case) -> dict[str, list[dict[str, Any]]]:
        """The rows that readers see once the toy's steps have ended the night."""
        toy = Toy(self.folder, self.environment, self.lake, self.processes)
        done = toy.run("features,audit,publish", ds=DS)
        case.exit(done.returncode, 0, told=done.stderr)
        return self.lake.published(DS)


MakeShop = Callable[[str, list[str]], Shop]


@pytest.fixture
def make_shop(tmp_path: Path, processes: Forks) -> MakeShop:
    """`make_shop("America/New_York", rows)`."""

    def make(zone: str, rows: list[str]) -> Shop:
        folder = tmp_path / zone.replace("/", "-")
        raw = folder / "raw"
        raw.mkdir(parents=True)
        # A night's own delivery: its rows arrived on that day, whatever they say.
        (raw / f"e-{DS}.csv").write_text("\n".join(["id,who,what,when,kind,price", *rows]) + "\n")
        (folder / "shop.toml").write_text(MAPPING)
        source = {"mapping": str(folder / "shop.toml"), "files": [f"{raw}/e-{{ds}}.csv"]}
        environment = plain_environment(
            folder,
            NIGHTSHELF_SOURCES=json.dumps([source]),
            NIGHTSHELF_SPARK_MASTER="local[2]",
            NIGHTSHELF_SPARK_MEMORY="1g",
            TZ=zone,
        )
        return Shop(folder, processes, environment)

    return make


def test_poison_rows_are_set_aside_one_by_one(make_shop: MakeShop, case: Case) -> None:
    rows = lines()
    shop = make_shop("America/New_York", rows)
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
    assert {str(r["ds"]) for r in found["events_clean"]} == {DS}
    # Published, all of it stands as it was cleaned.
    seen = shop.published(case)
    assert {t: seen[t] for t in found} == found
    case.check(View(shop.lake, ds=DS))


@pytest.mark.slow
def test_neither_the_zone_of_the_host_nor_the_order_of_rows_matters(make_shop: MakeShop, case: Case) -> None:
    rows = [r for r in lines() if not r.startswith("long,")]
    there, here = make_shop("America/New_York", rows), make_shop("UTC", rows[::-1])
    case.fault(2)
    assert there.cleaned() == here.cleaned()
    expected = there.published(case)
    here.published(case)
    case.check(View(there.lake, ds=DS))
    case.check(View(here.lake, ds=DS, expected=expected))


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
