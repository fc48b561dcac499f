"""One shop's own last days: what the night's models would have listed, against what was bought then."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.formats import online_retail
from models.recommender import metrics
from models.recommender.base import Recommender
from models.recommender.blend import Blend
from models.recommender.evaluation import AT, Holdout, per_buyer
from models.recommender.item_graph import ItemGraph
from models.recommender.popularity import Popularity
from models.recommender.selection import choose


def row(
    name: str, model: Recommender, holdout: Holdout, seed: int, chosen_in: float = 0.0
) -> dict[str, object]:
    """One model's figures; `cpu_seconds` is choosing, fitting and scoring the holdout's buyers."""
    start = time.process_time()
    model.fit(holdout.past, holdout.items, holdout.cut)
    table, _ = per_buyer(model, holdout, 2 * AT)
    with_past = np.diff(holdout.histories.indptr)[holdout.buyers] > 0
    known = {measure: values[with_past] for measure, values in table.items()}
    low, high = metrics.bootstrap_interval(known["ndcg"], seed)
    return {
        "model": name,
        "users": int(with_past.sum()),
        **{f"{m}@{AT}": round(float(known[m].mean()), 4) for m in ("ndcg", "recall", "hr", "map", "mrr")},
        "ndcg_low": round(low, 4),
        "ndcg_high": round(high, 4),
        "cpu_seconds": round(chosen_in + time.process_time() - start, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(folder: Path, holdout_days: int, seed: int) -> None:
    """Prints a table of shoppers with a past, then one JSON line a model. The seed is the bootstrap's."""
    events, items, as_of = online_retail(folder)
    holdout = Holdout.split(events, items, as_of, holdout_days)
    start = time.process_time()
    recipe, tried = choose(holdout.past, items, holdout.cut, holdout_days)
    chosen_in = time.process_time() - start
    rows = [
        row("popularity, 7 days", Popularity(), holdout, seed),
        row("item graph, start", ItemGraph(), holdout, seed),
        row("item graph, chosen", ItemGraph(**recipe["graph"]), holdout, seed, chosen_in),
        row("blend, chosen", Blend(**recipe), holdout, seed, chosen_in),
    ]
    print(pd.DataFrame(rows).to_string(index=False))
    print(f"chosen among {len(tried)}: {json.dumps(recipe)}")
    for figures in rows:
        print(json.dumps({"dataset": "online-retail", **figures}))
