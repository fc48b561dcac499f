"""A shop with one delivery: its rows go through the real steps as far as `clean`, the toy's end the night."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.settings import ROOT
from tests.faults.conftest import Done, Toy, plain_environment
from tests.faults.forks import Forks
from tests.faults.reader import Outside

# New York's clocks go from 02:00 to 03:00 on this day, at 07:00 UTC.
DAY = "2026-03-08"
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
HEADER = "id,who,what,when,kind,price"
HOURS = [f"hour-{h:02d},ada,tea,{DAY} {h:02d}:30:00,view,2" for h in range(24)]
CLEANED = ("events_clean", "quarantine", "intake")
_UNTIL_CLEAN = """
import sys
from jobs.settings import load_settings
from tests.nights import run_night
run_night(load_settings(), sys.argv[1], sys.argv[2], until="clean")
"""


@dataclass
class Shop:
    """A lake in a folder of its own, and the commands that run on it."""

    folder: Path
    processes: Forks
    environment: dict[str, str]

    @staticmethod
    def of(folder: Path, processes: Forks, rows: list[str], zone: str) -> Shop:
        (folder / "raw").mkdir(parents=True)
        (folder / "shop.toml").write_text(MAPPING)
        source = {"mapping": str(folder / "shop.toml"), "files": [f"{folder}/raw/e-{{ds}}.csv"]}
        environment = plain_environment(
            folder,
            NIGHTSHELF_SOURCES=json.dumps([source]),
            NIGHTSHELF_SPARK_MASTER="local[2]",
            NIGHTSHELF_SPARK_MEMORY="1g",
            TZ=zone,
        )
        shop = Shop(folder, processes, environment)
        shop.deliver(rows)
        return shop

    def deliver(self, rows: list[str], day: str = DAY, header: str = HEADER) -> None:
        """The rows are a night's own delivery, so they arrived on that day, whatever they say."""
        (self.folder / "raw" / f"e-{day}.csv").write_text("\n".join([header, *rows]) + "\n")

    @property
    def lake(self) -> Outside:
        return Outside(str(self.folder / "lake"), f"sqlite:///{self.folder}/lake/catalog.db?timeout=60")

    def cleaned(self, run: str = "night", day: str = DAY) -> dict[str, list[dict[str, Any]]]:
        """What the real steps up to `clean`, in one process, make of the rows."""
        command = [sys.executable, "-c", _UNTIL_CLEAN, day, run]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        records = {t: self.lake.json(f"runs/{run}/staged/{t}.json") for t in CLEANED}
        return {t: self.lake.rows(record["metadata"]) for t, record in records.items()}

    def start(self, step: str, run: str, **more: str) -> subprocess.Popen[str]:
        """Starts the command of one step of a run of `DAY`."""
        return subprocess.Popen(
            [sys.executable, "-m", f"jobs.{step}", "--ds", DAY, "--run-id", run],
            env=self.environment | more, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def publish(self, run: str = "night", day: str = DAY) -> Done:
        """The toy's steps: rows for the tables that `clean` does not make, marks, and the real publish."""
        toy = Toy(self.folder, self.environment, self.lake, self.processes)
        return toy.run("features,audit,publish", ds=day, run=run)
