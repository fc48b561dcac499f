"""What the recommender reaches on purchases it has not seen.

    python -m benchmarks.recommender --data FOLDER [--holdout-days 14] [--seed 1]

FOLDER holds UCI Online Retail as CSV (plain or gzip). The last days are held out; constants are chosen on the
days before those. Prints a table of shoppers with a past, then one JSON line per model.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from models.recommender import metrics
from models.recommender.base import DAY, Behaviour, Interactions, Items, Recommender
from models.recommender.blend import Blend
from models.recommender.evaluation import AT, Holdout, per_buyer
from models.recommender.item_graph import ItemGraph
from models.recommender.popularity import Popularity
from models.recommender.selection import choose

COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]


def online_retail(folder: Path) -> tuple[Interactions, Items, int]:
    """Events, catalogue, and the midnight after the last day. Rows without a price or a name are left out."""
    files = sorted(folder.glob("*.csv*"))
    if not files:
        raise SystemExit(f"no CSV file in {folder}: --data names the folder of UCI Online Retail")
    frame = pd.read_csv(
        files[0], usecols=COLUMNS, dtype={"InvoiceNo": str, "StockCode": str, "CustomerID": str}
    )
    frame = frame[(frame["UnitPrice"] > 0) & frame["Description"].notna()]
    seconds = (pd.to_datetime(frame["InvoiceDate"]) - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    returned = frame["InvoiceNo"].str.startswith("C") | (frame["Quantity"] <= 0)
    user, users = pd.factorize(frame["CustomerID"], sort=True)
    item, items = pd.factorize(frame["StockCode"], sort=True)
    session, _ = pd.factorize(frame["InvoiceNo"], sort=True)
    events = Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        time=seconds.to_numpy().astype(np.int64),
        behaviour=np.where(returned, Behaviour.RETURN, Behaviour.PURCHASE).astype(np.int8),
        session=session.astype(np.int32),
        n_users=len(users),
        n_items=len(items),
    )
    catalogue = replace(Items.plain(len(items)), product_id=np.asarray(items, np.str_))
    return events, catalogue, (int(seconds.max()) // DAY + 1) * DAY


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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of UCI Online Retail")
    parser.add_argument("--holdout-days", type=int, default=14)
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap; the models have no randomness")
    args = parser.parse_args()
    events, items, as_of = online_retail(args.data)
    holdout = Holdout.split(events, items, as_of, args.holdout_days)
    start = time.process_time()
    recipe, tried = choose(holdout.past, items, holdout.cut, args.holdout_days)
    chosen_in = time.process_time() - start
    rows = [
        row("popularity, 7 days", Popularity(), holdout, args.seed),
        row("item graph, start", ItemGraph(), holdout, args.seed),
        row("item graph, chosen", ItemGraph(**recipe["graph"]), holdout, args.seed, chosen_in),
        row("blend, chosen", Blend(**recipe), holdout, args.seed, chosen_in),
    ]
    print(pd.DataFrame(rows).to_string(index=False))
    print(f"chosen among {len(tried)}: {json.dumps(recipe)}")
    for figures in rows:
        print(json.dumps({"dataset": "online-retail", **figures}))


if __name__ == "__main__":
    main()
