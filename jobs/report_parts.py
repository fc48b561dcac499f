"""The sections of the report: notes of the run in, what the template shows out.

Each function returns None where its step left no note. Nothing here reads the
lake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from jobs import plots
from jobs.evaluation_note import ACCEPTED, REFUSED

Note = Mapping[str, Any]

# What the gate looks at first; other measures follow in the table.
_HEADLINES = ("ndcg@10", "recall@10", "hr@10", "coverage", "bleu", "chrf", "ser", "loss")
_BARS = 20


def number(value: Any) -> str:
    """As people write it: 12,345 · 0.1234 · –."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1):
        return f"{value:,.0f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def intake(note: Note | None) -> dict[str, Any] | None:
    """Where the rows went, per source, and the rules that refused rows."""
    if not note:
        return None
    sources = note["sources"]
    labels = list(sources)[:_BARS]
    kinds = {"good": "accepted", "quarantined": "refused", "duplicates": "duplicates"}
    series = {word: [float(sources[x].get(k, 0)) for x in labels] for k, word in kinds.items()}
    rules = note.get("rules", [])
    return {
        "totals": note["totals"],
        "sources": sources,
        "plot": plots.stacked(labels, series, (plots.BLUE, plots.RED, plots.GREY)) if labels else None,
        "rules": rules,
        "rules_plot": _rules_plot(rules),
        "days": len(note.get("days", [])),
    }


def _rules_plot(rules: Sequence[Note]) -> Any:
    counted: dict[str, float] = {}
    for rule in rules:
        counted[rule["rule"]] = counted.get(rule["rule"], 0.0) + float(rule["rows"])
    top = sorted(counted, key=lambda r: (-counted[r], r))[:12]
    return plots.stacked(top, {"rows": [counted[r] for r in top]}, (plots.RED,)) if top else None


def quality(inputs: Note | None, audit: Note | None) -> dict[str, Any] | None:
    """What the checks found, worst first; tables with the rules that some rows break."""
    if not inputs and not audit:
        return None
    given = [n for n in (inputs, audit) if n]
    tables: dict[str, dict[str, Any]] = {}
    failures: list[dict[str, Any]] = []
    for note in given:
        for name, entry in note["tables"].items():
            outcomes = entry["outcomes"]
            failed = [o for o in outcomes if not o["ok"]]
            passed = len(outcomes) - len(failed)
            grave = any(o["severity"] != "info" for o in failed)
            tone = "warning" if grave else "ok"
            tables[name] = {"rows": entry["rows"], "rules": len(outcomes), "passed": passed, "tone": tone}
            seen = {(f["table"], f["rule"]) for f in failures}
            failures += [{"table": name, **o} for o in failed if (name, o["rule"]) not in seen]
    order = ("critical", "warning", "info")
    return {
        "critical": [s for n in given for s in n["critical"]],
        "warnings": [s for n in given for s in n["warnings"]],
        "tables": tables,
        "failures": sorted(failures, key=lambda f: (order.index(f["severity"]), f["table"], f["rule"])),
        "docs": [_relative(n["docs"]) for n in given],
    }


def _relative(key: str) -> str:
    """From the run's folder, where the report lies: `runs/<run>/docs/…` → `docs/…`."""
    return key.split("/", 2)[2]


# title, (table, metric) → name of the line, a share?
_CHARTS: tuple[tuple[str, dict[tuple[str, str], str], bool], ...] = (
    ("Events a day", {("events_clean", "rows"): "events", ("events_clean", "purchases"): "purchases"}, False),
    ("Active shoppers a day", {("events_clean", "users"): "shoppers"}, False),
    (
        "Catalogue and shoppers known",
        {("products", "rows"): "products", ("users", "rows"): "shoppers"},
        False,
    ),
    ("Hours from the newest event to the day's end", {("events_clean", "age_hours"): "hours"}, False),
    (
        "Missing values in events",
        {("events_clean", f"null_share.{c}"): c for c in ("user_id", "price", "quantity", "session_id")},
        True,
    ),
    (
        "Lists and copy that fall back",
        {
            ("recommendations", "popularity_share"): "lists by popularity",
            ("product_descriptions", "template_share"): "copy by template",
            ("product_descriptions", "refused_share"): "copy refused",
        },
        True,
    ),
)


def history(rows: Sequence[Note], notes: Mapping[str, Any], today: date) -> dict[str, Any] | None:
    """Measures over the last eight weeks. Days before the first night come from the events themselves.

    A night that was stopped has no row of its own yet; what was measured stands in the notes.
    """
    points: dict[tuple[str, str], dict[date, float]] = {}
    bad: dict[tuple[str, str], list[tuple[date, float]]] = {}
    for metric, days in notes.get("quality_inputs", {}).get("days", {}).items():
        found = points.setdefault(("events_clean", metric), {})
        found.update({date.fromisoformat(d): v for d, v in days})
    tonight = [
        {**m, "ds": today} for n in ("quality_inputs", "audit") for m in notes.get(n, {}).get("measures", ())
    ]
    for row in [*(r for r in rows if r["ds"] < today), *tonight]:
        name = (row["table_name"], row["metric"])
        if row["value"] is not None:
            points.setdefault(name, {})[row["ds"]] = row["value"]
            if row["status"] != "ok":
                bad.setdefault(name, []).append((row["ds"], row["value"]))
    charts = []
    for title, wanted, share in _CHARTS:
        series = {label: sorted(points[k].items()) for k, label in wanted.items() if points.get(k)}
        if series:
            rings = [p for k in wanted for p in bad.get(k, [])]
            charts.append({"title": title, "plot": plots.lines(series, share, rings)})
    nights = len({r["ds"] for r in rows})
    return {"charts": charts, "nights": nights} if charts else None


def models(recommender: Note | None, writer: Note | None) -> list[dict[str, Any]]:
    """Each model's verdict and its measures beside its baselines and the model in service."""
    found = []
    for name, step, note in (
        ("Recommender", "train_recommender", recommender),
        ("Writer", "train_writer", writer),
    ):
        found.append({"name": name, "step": step, "note": note, **_measures(note or {})})
    return found


def _measures(note: Note) -> dict[str, Any]:
    new = _numbers(note.get("metrics") or {})
    made = REFUSED if note.get("verdict") == "refused" else ACCEPTED
    contenders = {made: new, **_baselines(note.get("baseline") or {}, new)}
    incumbent = _numbers(note.get("incumbent") or {})
    if incumbent:
        contenders["in service"] = incumbent
    names = [m for m in _HEADLINES if m in new] or list(new)[:4]
    panels = {m: {c: v[m] for c, v in contenders.items() if m in v} for m in names[:4]}
    table = {m: {c: v.get(m) for c, v in contenders.items()} for m in new}
    plot = plots.compared(panels) if panels else None
    return {"plot": plot, "contenders": list(contenders), "table": table}


def _numbers(measures: Note) -> dict[str, float]:
    return {k: v for k, v in measures.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _baselines(baseline: Note, new: Note) -> dict[str, dict[str, float]]:
    """A baseline's measures are flat, or stand behind its name as in `template.bleu`."""
    found: dict[str, dict[str, float]] = {}
    for key, value in _numbers(baseline).items():
        name, dot, measure = key.partition(".")
        if key in new or not dot:
            name, measure = "baseline", key
        found.setdefault(name, {})[measure] = value
    return found


_SOURCES = {
    "item_graph": "what others chose next",
    "sequence": "the sequence of a past",
    "attributes": "alike products",
    "category_popularity": "best sellers of a category",
    "popularity": "best sellers",
}


def lists(note: Note | None) -> dict[str, Any] | None:
    if not note:
        return None
    shares = {_SOURCES.get(k, k): v for k, v in note.get("sources", {}).items() if v}
    deciles = note.get("exposure_deciles") or []
    labels = [f"{10 * i}–{10 * i + 10} %" for i in range(len(deciles))]
    percents = [100 * v for v in deciles]
    return {
        "note": note,
        "gini": f"{note['gini']:.2f}",
        "sources": shares,
        "exposure": plots.stacked(labels, {"% of places": percents}, (plots.BLUE,)) if deciles else None,
        # None where the note is of an older version, which held lists of single shoppers.
        "most_listed": note.get("most_listed"),
    }


def timings(records: Sequence[Note]) -> dict[str, Any] | None:
    if not records:
        return None
    starts = [datetime.fromisoformat(r["started"]) for r in records]
    first = min(starts)
    spans = [
        (r["step"], (s - first).total_seconds(), float(r.get("seconds") or 0), r["outcome"] == "failed")
        for r, s in zip(records, starts, strict=True)
    ]
    total = max(start + length for _, start, length, _ in spans)
    peak = max((r.get("peak_mb") or 0 for r in records), default=0)
    return {"plot": plots.timeline(spans), "records": records, "total": total, "peak_mb": peak}
