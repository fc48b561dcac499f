"""Time and memory of making lists as the number of shoppers grows.

    python -m benchmarks.scoring_growth [--scales 1,2,4,8,16] [--users 1000] [--items 2400] [--plot FILE.png]

A made-up shop of `--items` products; a multiple of `--users` shoppers with 20 events each. Every size is a
process of its own: it prepares pasts, bought items and reasons as `recommend` does and makes all lists, block
by block, finished rows and their checks included. Medians of `--repeats`. Memory is the process's largest
resident size, the fit of its model on at most 2,000 shoppers included. `exponent` is the slope of time over
shoppers on logarithmic scales, 1 is linear; that of CPU time means something on a machine that others use,
too. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.memory import peak_mb
from jobs.recommend import Lister
from jobs.recommender_data import PRODUCT_COLUMNS, Shop
from jobs.settings import Settings
from models.recommender.base import DAY, Interactions, Items
from models.recommender.calibration import Calibration
from models.recommender.hybrid import Hybrid
from models.recommender.scoring import LIST_FEATURES

EVENTS_EACH, CATEGORIES, DAYS = 20, 40, 60
AS_OF = 20_000 * DAY
FITTED_ON = 2000
# Every part has a say. The sequence model is not trained: it takes the same time to score and to explain.
WEIGHTS = {"item_graph": 1.0, "sequence": 0.5, "attributes": 0.3}
PARTS = {"sequence": {"epochs": 0}}
RANKER = {"weight": 1.0, "days": 7, "seed": 1}


def shop(users: int, items: int, seed: int) -> Shop:
    """Shoppers who stay in a few categories; a third of what they do is a purchase."""
    rng = np.random.default_rng(seed)
    n = users * EVENTS_EACH
    user = np.repeat(np.arange(users, dtype=np.int32), EVENTS_EACH)
    home = rng.integers(CATEGORIES, size=users)[user]
    category = np.where(rng.random(n) < 0.8, home, rng.integers(CATEGORIES, size=n))
    # Within a category some products are far more popular than others.
    place = (rng.random(n) ** 3 * (items // CATEGORIES)).astype(np.int64)
    events = Interactions(
        user=user,
        item=(category + place * CATEGORIES).astype(np.int32),
        time=np.sort(AS_OF - rng.integers(1, DAYS * DAY, n)),
        behaviour=np.where(rng.random(n) < 0.33, 3, 0).astype(np.int8),
        session=np.full(n, -1, np.int32),
        n_users=users,
        n_items=items,
    )
    ids = np.array([f"p{i:06d}" for i in range(items)])
    kinds = (np.arange(items) % CATEGORIES).astype(np.int32)
    catalogue = Items(
        product_id=ids,
        category=kinds,
        brand=(np.arange(items) % 97).astype(np.int32),
        parent=np.arange(items, dtype=np.int32),
        in_stock=rng.random(items) > 0.05,
    )
    columns: dict[str, Any] = {name: pa.nulls(items, pa.string()) for name in PRODUCT_COLUMNS}
    columns |= {
        "product_id": pa.array(ids),
        "title_en": pa.array([f"Thing {i}" for i in range(items)]),
        "category": pa.array([f"Shop > Shelf {k:02d}" for k in kinds]),
    }
    names = pa.array([f"u{i:07d}" for i in range(users)])
    return Shop(events, catalogue, pa.table(columns), np.ones(items, np.bool_), names, users, AS_OF)


def calibration() -> Calibration:
    """Any will do: it takes the same time."""
    one = np.ones(LIST_FEATURES)
    return Calibration(0 * one, one, np.append(0 * one, -3.0), np.array([-9.0, 9.0]), np.array([0.0, 1.0]))


def one_size(users: int, items: int, seed: int) -> dict[str, float]:
    """Seconds to make the lists of these shoppers, and the peak of this process in MiB."""
    made, fitted = shop(users, items, seed), shop(min(users, FITTED_ON), items, seed)
    model = Hybrid(PARTS, WEIGHTS, RANKER).fit(fitted.events, fitted.items, AS_OF)
    settings = Settings(lake="unused")
    start, busy = time.perf_counter(), time.process_time()
    ds = datetime.fromtimestamp(AS_OF - DAY, UTC).date()
    lister = Lister(settings, ds, made, model, calibration(), "benchmark")
    rows = 0
    for low in range(0, users, settings.block_size):
        rows += len(lister.recommendations(low, min(low + settings.block_size, users)))
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    return {"users": users, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak_mb(), "rows": rows}


def measured(users: int, items: int, seed: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scoring_growth", "--one", str(users), "--items", str(items)]
    done = subprocess.run([*command, "--seed", str(seed)], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def growth(scales: list[int], users: int, items: int, repeats: int, seed: int) -> list[dict[str, float]]:
    """Medians of every size; the sizes of one repeat run one after the other."""
    runs: dict[int, list[dict[str, float]]] = {scale: [] for scale in scales}
    for repeat in range(repeats):
        for scale in scales:
            run = measured(users * scale, items, seed)
            runs[scale].append(run)
            said = f"{run['users']:9,.0f} shoppers {run['seconds']:8.2f} s {run['peak_mb']:7,.0f} MiB"
            print(f"repeat {repeat + 1} of {repeats}: {said}", file=sys.stderr, flush=True)
    return [
        {
            "scale": scale,
            "users": users * scale,
            "seconds": round(statistics.median(r["seconds"] for r in found), 3),
            "cpu_seconds": round(statistics.median(r["cpu_seconds"] for r in found), 3),
            "peak_mb": round(statistics.median(r["peak_mb"] for r in found)),
            "rows": found[0]["rows"],
        }
        for scale, found in runs.items()
    ]


def exponent(sizes: list[dict[str, float]], measure: str = "seconds") -> float | None:
    """Slope of log time over log shoppers; None for one size."""
    if len(sizes) < 2:
        return None
    logs = np.log([[s["users"], s[measure]] for s in sizes])
    return round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 3)


def plot(sizes: list[dict[str, float]], file: Path) -> None:
    """Time and memory over shoppers, with the line from nothing to the largest size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    users = [s["users"] for s in sizes]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    cpu = [s["cpu_seconds"] for s in sizes]
    left.plot(users, [s["seconds"] for s in sizes], "o-", color="#3f83d9", label="wall")
    left.plot(users, cpu, "o-", color="#2f9e74", label="CPU")
    left.plot(users, [cpu[-1] * u / users[-1] for u in users], "--", color="#8b929c", label="linear (CPU)")
    left.set(xlabel="shoppers", ylabel="seconds", title="Time of making lists")
    left.legend(frameon=False)
    right.plot(users, [s["peak_mb"] for s in sizes], "o-", color="#d98a2b")
    right.set(xlabel="shoppers", ylabel="MiB", title="Peak memory of the process")
    for axes in (left, right):
        axes.set_ylim(0, 1.08 * axes.dataLim.ymax)
        axes.set_xlim(left=0)
        axes.locator_params("x", nbins=4)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.spines[["top", "right"]].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scales", default="1,2,4,8,16")
    parser.add_argument("--users", type=int, default=1000, help="shoppers at scale 1")
    parser.add_argument("--items", type=int, default=2400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, default=Path("scoring-growth.png"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(one_size(args.one, args.items, args.seed)))
        return 0
    scales = [int(text) for text in args.scales.split(",")]
    sizes = growth(scales, args.users, args.items, args.repeats, args.seed)
    plot(sizes, args.plot)
    print(f"plot: {args.plot}", file=sys.stderr)
    print(
        json.dumps(
            {"exponent": exponent(sizes), "cpu_exponent": exponent(sizes, "cpu_seconds"), "sizes": sizes}
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
