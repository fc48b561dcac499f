"""Whole nights for tests: every step in one process, so that Spark and Keras start once.

`python -m tests.nights DS RUN_ID` runs one with the environment's settings.
"""

from __future__ import annotations

import importlib
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.lake.registry import BY_NAME, TABLES
from jobs.night import Night, Options
from jobs.runner import run_step
from jobs.settings import Settings, load_settings
from jobs.steps import STEPS


def run_night(
    settings: Settings, ds: str, run_id: str, options: Options | None = None, until: str = ""
) -> dict[str, dict[str, Any]]:
    """Run the steps in their order, up to and with `until`; returns their summaries."""
    day = date.fromisoformat(ds)
    summaries = {}
    for step in STEPS:
        module = importlib.import_module(f"jobs.{step.name}")
        given = options if step.name == "pin_inputs" else None
        # A Night of its own for each step, as a process of its own would have.
        summaries[step.name] = run_step(Night(settings, day, run_id, given), step.name, module.run)
        if step.name == until:
            break
    return summaries


def published(settings: Settings, table: str, ds: str) -> pa.Table:
    """The published rows of one date, in the order of the table's key."""
    spec = BY_NAME[table]
    night = Night(settings, date.fromisoformat(ds), f"reader-{ds}")
    night.pin()
    rows = night.read(table)
    return rows.sort_by([(name, "ascending") for name in spec.key])


def published_rows(settings: Settings, ds: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of one date, of every table but the log of runs."""
    return {t.name: published(settings, t.name, ds).to_pylist() for t in TABLES if t.name != "runs"}


def data_files(settings: Settings) -> dict[str, bytes]:
    """Every data file of a local lake's warehouse, with its bytes."""
    folder = Path(settings.lake, "warehouse")
    return {str(p): p.read_bytes() for p in folder.rglob("data/**/*.parquet")}


if __name__ == "__main__":
    print(json.dumps(run_night(load_settings(), sys.argv[1], sys.argv[2])["publish"]))
