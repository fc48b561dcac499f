"""Nights in a row: a model that goes on from yesterday's beside one that is chosen anew each night.

    python -m benchmarks.warm_start --ds 2026-01-24 [--nights 6]          the shop in the lake of the settings
    python -m benchmarks.warm_start --data FOLDER [--nights 6]            UCI Online Retail as CSV

The first night is trained from nothing, for both. Each later one is trained twice, on the same events:
NDCG@10 on its held-out days, and seconds of choosing, training and judging. Prints a table, then one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from models.recommender.base import DAY, Interactions, Items
from models.recommender.hybrid import Hybrid
from models.recommender.training import Task, Trained, train

K, SEED = 20, 1


def shop_of_the_lake(ds: str) -> tuple[Interactions, Items, int]:
    """Of the lake's tables, as the night of `ds` may see them; leaves nothing in the lake."""
    from jobs.night import Night
    from jobs.recommender_data import load
    from jobs.settings import settings

    night = Night(settings(), date.fromisoformat(ds), "benchmark-warm-start")
    try:
        shop = load(night)
    finally:
        night.store.delete(night.store.list(night.key("")))
    return shop.events, shop.items, shop.as_of


def as_it_was(trained: Trained) -> Hybrid | None:
    """The model as the next night finds it; None if there is nothing to go on from."""
    if not isinstance(trained.model, Hybrid):
        return None
    state = {name: np.array(value) for name, value in trained.model.state().items()}
    return Hybrid(**trained.model.recipe).restore(state).rewind(trained.earlier)


def timed(task: Task) -> tuple[Trained, float]:
    start = time.monotonic()
    return train(task), time.monotonic() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--ds", help="date of the last night, YYYY-MM-DD")
    source.add_argument("--data", type=Path, help="folder of UCI Online Retail")
    parser.add_argument("--nights", type=int, default=6, help="in a row, the first included")
    parser.add_argument("--holdout-days", type=int, default=7)
    args = parser.parse_args()
    if args.ds:
        events, items, as_of = shop_of_the_lake(args.ds)
    else:
        from benchmarks.formats import online_retail

        events, items, as_of = online_retail(args.data)
    rows, before = [], None
    for back in range(args.nights - 1, -1, -1):
        now = as_of - back * DAY
        task = Task(events.before(now), items, now, args.holdout_days, K, SEED)
        cold, cold_seconds = timed(task)
        if before is None:
            before = as_it_was(cold)
            continue
        warm, seconds = timed(
            Task(events.before(now), items, now, args.holdout_days, K, SEED, before, warm=True)
        )
        before = as_it_was(warm)
        rows.append(
            {
                "nights since cold": args.nights - 1 - back,
                "warm": warm.warm,
                "warm ndcg@10": round(warm.new.ndcg, 4),
                "cold ndcg@10": round(cold.new.ndcg, 4),
                "popularity": round(cold.baseline.ndcg, 4),
                "warm s": round(seconds, 1),
                "cold s": round(cold_seconds, 1),
            }
        )
        print(f"{len(rows)} of {args.nights - 1} nights", file=sys.stderr, flush=True)
    print(pd.DataFrame(rows).to_string(index=False))
    print(json.dumps({"dataset": args.ds or "online-retail", "nights": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
