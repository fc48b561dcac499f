"""Time, memory and rows per second of every step of the night, at several sizes of the sample shop.

    python -m benchmarks.steps [--scales 1,4,16] [--steps pin_inputs,ingest,…] [--keep FOLDER]

Each size gets a fresh lake in a temporary folder, and every step runs as its own process, as in production.
Memory is the largest sum of resident sizes over the step's process tree, sampled twice a second. `rows` is
what the step staged, or what it says it worked on; `events/s` is the shop's event rows over the step's time,
which compares steps and sizes. Prints one table a size, and at the end one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from jobs.steps import STEPS

SEED = 20260102
SAMPLE_SECONDS = 0.5
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Measure:
    """One step at one size. `seconds` wall, `peak_mb` MiB; `rows` None where the step has none to tell."""

    scale: float
    step: str
    exit_code: int
    seconds: float
    peak_mb: int
    rows: int | None
    rows_per_second: float | None
    events_per_second: float


def watched(command: list[str], environment: dict[str, str]) -> tuple[int, str, float, int]:
    """Run a command: exit code, last line of its stdout, seconds, peak MiB of its process tree."""
    started, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out:
        process = psutil.Popen(command, cwd=ROOT, env=environment, stdout=out)
        while True:
            peak = max(peak, _resident(process))
            try:
                code = process.wait(timeout=SAMPLE_SECONDS)
                break
            except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
                continue
        seconds = time.monotonic() - started
        out.seek(0)
        lines = out.read().strip().splitlines()
    return int(code), lines[-1] if lines else "", seconds, peak // 2**20


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    for one in family:
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue
    return total


def staged_rows(lake: Path, run_id: str) -> dict[str, int]:
    """Rows of every table that the run has staged so far."""
    folder = lake / "runs" / run_id / "staged"
    return {f.stem: int(json.loads(f.read_text())["rows"]) for f in folder.glob("*.json")}


def told_rows(last_line: str) -> int | None:
    """The `rows` of a step's summary: a number, or one per table."""
    try:
        rows = json.loads(last_line).get("rows")
    except (json.JSONDecodeError, AttributeError):
        return None
    if isinstance(rows, dict):
        return sum(rows.values())
    return rows if isinstance(rows, int) else None


def measure_size(folder: Path, scale: float, steps: list[str]) -> list[Measure]:
    """Generate the shop at one scale and run the steps over it; stops at the first that fails."""
    shop, lake, run_id = folder / "shop", folder / "lake", "benchmark"
    make = ["-m", "jobs.cli", "sample", "--folder", str(shop), "--seed", str(SEED), "--scale", str(scale)]
    environment = dict(os.environ) | {
        "NIGHTSHELF_LAKE": str(lake),
        "NIGHTSHELF_CONFIG": "/dev/null",
        "NIGHTSHELF_SOURCES": json.dumps([{"mapping": "sample-shop", "files": [str(shop)]}]),
    }
    code, _, seconds, peak = watched([sys.executable, *make], environment)
    if code:
        return [Measure(scale, "sample", code, round(seconds, 2), peak, None, None, 0.0)]
    events = int(json.loads((shop / "truth.json").read_text())["events"]["rows"])
    ds = max(f.stem.removeprefix("events-") for f in shop.glob("events-*.csv"))
    found = [_measure(scale, "sample", 0, seconds, peak, events, events)]
    _print_head(scale, events)
    _print(found[0])
    for step in steps:
        before = staged_rows(lake, run_id)
        command = [sys.executable, "-m", f"jobs.{step}", "--ds", ds, "--run-id", run_id]
        code, last, seconds, peak = watched(command, environment)
        new = [rows for table, rows in staged_rows(lake, run_id).items() if table not in before]
        rows = sum(new) if new else told_rows(last)
        found.append(_measure(scale, step, code, seconds, peak, rows, events))
        _print(found[-1])
        if code:
            break
    return found


def _measure(
    scale: float, step: str, code: int, seconds: float, peak: int, rows: int | None, events: int
) -> Measure:
    speed = None if rows is None else round(rows / seconds, 1)
    return Measure(scale, step, code, round(seconds, 2), peak, rows, speed, round(events / seconds, 1))


def _print_head(scale: float, events: int) -> None:
    print(f"\nscale {scale:g}: {events:,} event rows", file=sys.stderr)
    print(
        f"{'step':18} {'seconds':>9} {'peak MiB':>9} {'rows':>12} {'rows/s':>12} {'events/s':>12}",
        file=sys.stderr,
    )


def _print(m: Measure) -> None:
    rows = "-" if m.rows is None else f"{m.rows:,}"
    speed = "-" if m.rows_per_second is None else f"{m.rows_per_second:,.0f}"
    failed = f"  FAILED, exit {m.exit_code}" if m.exit_code else ""
    numbers = f"{m.seconds:9.1f} {m.peak_mb:9,} {rows:>12} {speed:>12} {m.events_per_second:12,.0f}"
    print(f"{m.step:18} {numbers}{failed}", file=sys.stderr)


def main() -> int:
    names = [s.name for s in STEPS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scales", default="1,4,16", help="multiples of the sample shop's events")
    parser.add_argument("--steps", default=",".join(names), help="the steps to run, in order")
    parser.add_argument("--keep", type=Path, help="keep shops and lakes here instead of a temporary folder")
    args = parser.parse_args()
    steps = args.steps.split(",")
    unknown = [s for s in steps if s not in names]
    if unknown:
        parser.error(f"unknown step {unknown[0]}; there are: {', '.join(names)}")
    found: list[Measure] = []
    for text in args.scales.split(","):
        with tempfile.TemporaryDirectory() as temporary:
            folder = (args.keep or Path(temporary)).resolve() / f"scale-{text}"
            if folder.exists():
                parser.error(f"{folder} exists already; name another folder with --keep")
            folder.mkdir(parents=True)
            found += measure_size(folder, float(text), steps)
    machine: dict[str, Any] = {
        "cpus": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    print(json.dumps({"machine": machine, "steps": [asdict(m) for m in found]}))
    return max((m.exit_code for m in found), default=0)


if __name__ == "__main__":
    sys.exit(main())
