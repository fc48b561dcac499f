"""One shop's own last days: what the night's models would have listed, against what was bought then."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.formats import online_retail
from models.recommender import metrics
from models.recommender.base import Recommender
from models.recommender.evaluation import AT, Holdout, per_buyer
from models.recommender.hybrid import Hybrid
from models.recommender.item_graph import ItemGraph
from models.recommender.popularity import Popularity
from models.recommender.selection import choose
from models.recommender.sequence_model import SequenceModel


def row(name: str, build: Callable[[], Recommender], holdout: Holdout, seed: int) -> dict[str, object]:
    """One model's figures for buyers with a past; `seconds` is choosing, fitting and scoring, wall."""
    start = time.monotonic()
    table, _ = per_buyer(build(), holdout, 2 * AT)
    with_past = np.diff(holdout.histories.indptr)[holdout.buyers] > 0
    known = {measure: values[with_past] for measure, values in table.items()}
    low, high = metrics.bootstrap_interval(known["ndcg"], seed)
    return {
        "model": name,
        "users": int(with_past.sum()),
        **{f"{m}@{AT}": round(float(known[m].mean()), 4) for m in ("ndcg", "recall", "hr", "map", "mrr")},
        "ndcg_low": round(low, 4),
        "ndcg_high": round(high, 4),
        "seconds": round(time.monotonic() - start, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(folder: Path, holdout_days: int, seed: int) -> None:
    """Prints a table of shoppers with a past, then one JSON line a model."""
    events, items, as_of = online_retail(folder)
    holdout = Holdout.split(events, items, as_of, holdout_days)
    start = time.monotonic()
    chosen, tried = choose(holdout.past, items, holdout.cut, holdout_days, seed)
    chosen_in = round(time.monotonic() - start, 1)
    parts = chosen.recipe["parts"]
    trained = SequenceModel(**parts.get("sequence", {"seed": seed}))

    def fitted(model: Recommender) -> Callable[[], Recommender]:
        return lambda: model.fit(holdout.past, holdout.items, holdout.cut)

    def unranked() -> Recommender:
        return _without_ranker(chosen.update(holdout.past, holdout.items, holdout.cut))

    rows = [
        row("popularity, 7 days", fitted(Popularity()), holdout, seed),
        row("item graph, start", fitted(ItemGraph()), holdout, seed),
        row("item graph, chosen", fitted(ItemGraph(**parts["item_graph"])), holdout, seed),
        row("sequence model", fitted(trained), holdout, seed),
        row("blend", unranked, holdout, seed),
        row("blend and ranker", lambda: chosen, holdout, seed),
    ]
    print(pd.DataFrame(rows).to_string(index=False))
    print(f"chosen among {len(tried)} in {chosen_in} s: {json.dumps(chosen.recipe)}")
    for figures in rows:
        print(json.dumps({"dataset": "online-retail", "seed": seed, **figures}))


def _without_ranker(model: Hybrid) -> Hybrid:
    return Hybrid.of(model.parts, model.weights)
