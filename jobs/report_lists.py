"""The sections of the report about what lists are worth: measures, estimates, experiments, trends.

Each function returns None where its step left no note, or one of an older version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs import plots
from jobs.evaluation_note import ACCEPTED, REFUSED

Note = Mapping[str, Any]

# measure, what it says, its name, whether it is a share
_ROWS: tuple[tuple[str, str, str, bool], ...] = (
    ("hr", "Shoppers for whom one of ten was right", "HR@10", True),
    ("recall", "Of what a shopper bought, shown", "recall@10", True),
    ("precision", "Of ten shown, bought", "precision@10", True),
    ("f1", "The two in one number", "F1@10", False),
    ("recall_head", "Shown of what was bought of best sellers", "recall@10, head: half of all sales", True),
    ("recall_tail", "Shown of what was bought of all else", "recall@10, tail", True),
    ("ndcg", "Right ones near the top", "NDCG@10", False),
    ("map", "… judged at each right one", "MAP@10", False),
    ("mrr", "… judged at the first right one", "MRR@10", False),
    ("coverage", "Products that anybody is shown", "coverage", True),
    ("gini", "How unequally: 0 all alike, 1 one takes all", "Gini", False),
    ("novelty", "How little known: 3 is known to 1 in 8", "novelty, bits", False),
    ("diversity", "Variety in a list: 0 none, 1 nothing alike", "intra-list diversity", False),
)
_MODELS = (ACCEPTED, REFUSED, "7-day popularity", "in service")
_SEGMENTS = {
    "all": "All who bought",
    "new": "New: nothing known of them before",
    "light": "Light: fewer than 20 events before",
    "heavy": "Heavy: 20 events or more before",
}
_METRICS = {
    "conversion": "bought a listed product",
    "purchases": "purchases a shopper",
    "revenue": "revenue a shopper",
    "click_through": "opened a listed product",
}
_SIGNALS = {"bought": "bought", "looked_at": "looked at"}


def evaluation(note: Note | None) -> dict[str, Any] | None:
    """The measures by segment: rows of measure, cells of (value, interval) per model."""
    found = (note or {}).get("evaluation")
    if not found or not found["models"]:
        return None
    # A note's keys come back sorted.
    names = [m for m in _MODELS if m in found["models"]]
    segments = []
    for segment, size in sorted(found["sizes"].items(), key=lambda s: list(_SEGMENTS).index(s[0])):
        rows = []
        for measure, says, name, share in _ROWS:
            cells = [_cell(found["models"][m].get(segment, {}).get(measure), share) for m in names]
            if any(cells):
                rows.append({"says": says, "name": name, "cells": cells})
        segments.append({"says": _SEGMENTS[segment], "users": size, "rows": rows})
    withheld = [_SEGMENTS[s].partition(":")[0].lower() for s in found["withheld"]]
    return {"models": names, "segments": segments, "withheld": withheld, "least": found["least"]}


def _cell(triple: Any, share: bool) -> tuple[str, str] | None:
    if triple is None:
        return None
    value, low, high = (_short(v, share) for v in triple)
    return value, f"{low.removesuffix(' %')}–{high}"


def _short(value: float, share: bool) -> str:
    if share:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def off_policy(note: Note | None) -> str | None:
    """One sentence on what the candidate's lists would have earned, or why that is not known."""
    if not note:
        return None
    if note.get("value") is None:
        return f"Not estimated from clicks on lists: {note['why']}."
    looked = "estimated from the log" if note["examination"] == "estimated" else "1 / log2(rank + 1)"
    interval = f"{note['low']:.3g}–{note['high']:.3g}"
    return (
        f"From {note['clicks']:,} clicks on {note['lists']:,} lists that were shown: this night's model "
        f"would have earned {note['value']:.3g} clicks a list ({interval}), and the lists shown earned "
        f"{note['logged']:.3g}. The log covers {note['overlap']:.0%} of its lists; {note['places']:,} places "
        f"shown are worth {note['effective']:,.0f} after weighing. Looks at each place: {looked}."
    )


def experiments(note: Note | None) -> dict[str, Any] | None:
    """The arms of the experiment that is on: rows as people read them."""
    if not note:
        return None
    rows = []
    for row in note["rows"]:
        share = row["metric"] in ("conversion", "click_through")
        mean = None if row.get("mean") is None else _short(row["mean"], share)
        lift = None
        if row.get("lift") is not None:
            lift = (f"{row['lift']:+.1%}", f"{row['lift_low']:+.1%} to {row['lift_high']:+.1%}")
        rows.append({
            "metric": _METRICS[row["metric"]], "arm": row["arm"], "users": row.get("users"), "mean": mean,
            "lift": lift, "p": None if row.get("p_value") is None else f"{row['p_value']:.2g}",
        })  # fmt: skip
    order = list(_METRICS.values())
    rows.sort(key=lambda r: (order.index(r["metric"]), r["arm"]))
    return {
        "name": note["experiment"],
        "shares": ", ".join(f"{arm} {100 * share:.4g}%" for arm, share in note["shares"].items()),
        "warnings": note["warnings"],
        "crossed": _crossed(note),
        "days": (note["rows"][0]["first_list"], note["rows"][0]["last_list"]) if note["rows"] else None,
        "rows": rows,
    }


def _crossed(note: Note) -> str | None:
    """How many shoppers were seen in two arms, in words; None where nobody was."""
    if note["crossed"] is None:
        return f"Fewer than {note['least']}"
    return f"{note['crossed']:,}" if note["crossed"] else None


def calibration(note: Note | None) -> dict[str, Any] | None:
    """How far the promised chances of a purchase may be trusted."""
    found = (note or {}).get("calibration")
    if not found or not found.get("curve"):
        return None
    points = [(bin["predicted"], bin["observed"]) for bin in found["curve"]]
    return {
        "error": f"{found['error']:.2%}",
        "rows": sum(int(bin["rows"]) for bin in found["curve"]),
        # Of shares that are all 0 a plot shows an empty frame.
        "plot": plots.reliability(points) if any(map(any, points)) else None,
    }


def trending(note: Note | None) -> list[dict[str, Any]] | None:
    """The shop's first trending products."""
    if not note:
        return None
    return [
        {
            "rank": row["rank"],
            "product": row["title_en"] or row["title_zh"] or row["product_id"],
            "second": row["title_zh"] if row["title_en"] else "",
            "product_id": row["product_id"],
            "signal": _SIGNALS[row["signal"]],
            "recent": row["recent"],
            "expected": f"{row['expected']:,.1f}",
            "score": f"{row['score']:.1f}",
        }
        for row in note["top"]
    ]
