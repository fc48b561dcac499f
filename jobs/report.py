"""One self-contained HTML page about a run, whatever its outcome.

It reads what the run left behind: step records, notes, staging records and
the history in `quality_metrics`. What is not there is said to be missing, and
which step would have made it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobs import report_lists as worth
from jobs import report_parts as parts
from jobs import report_review
from jobs.cli import main
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.report_copy import copy
from jobs.runner import step_records
from jobs.steps import STEPS

KEY = "report.html"
# What the page is made from: step → record, and note → what it says.
Left = tuple[dict[str, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """The night in one word and one sentence; `tone` colours it."""

    word: str
    sentence: str
    tone: str


def run(night: Night) -> dict[str, Any]:
    told, now = None, _left(night)
    # An erasure may take a shopper out of a note, and look at the page before this one is written.
    while told != now:
        night.store.write(night.key(KEY), render(story(night, now)).encode())
        told, now = now, _left(night)
    records, notes = now
    return {"report": night.store.uri(night.key(KEY)), "verdict": verdict(records, kept(notes)).word}


def _left(night: Night) -> Left:
    return _records(night), night.notes()


def _records(night: Night) -> dict[str, dict[str, Any]]:
    """Step → record; the report's own, still running, is left out."""
    return {r["step"]: r for r in step_records(night) if r["step"] != "report"}


def kept(notes: Mapping[str, Any]) -> str:
    """Why a night that passed its audit was not approved; empty where nobody held it back."""
    return str(notes.get("approval", {}).get("kept", ""))


def verdict(records: Mapping[str, Mapping[str, Any]], kept: str = "") -> Verdict:
    """What became of the night, from its step records and from what held it back."""
    failed = [r for r in records.values() if r["outcome"] == "failed"]
    if failed:
        first = failed[0]
        word = "Stopped by a gate" if first.get("exit_code") == 10 else "Failed"
        # After a publish, a failure elsewhere takes nothing back.
        if records.get("publish", {}).get("outcome") == "done":
            return Verdict("Published", f"{first['step']} failed afterwards: {first['error']}", "warning")
        told = f"{first['step']}: {first['error'].removesuffix('.')}"
        sentence = f"{told}. Nothing was published; readers see the last good night."
        return Verdict(word, sentence, "critical")
    if records.get("publish", {}).get("outcome") == "done":
        return Verdict("Published", "All tables of the night became visible at once.", "ok")
    if kept:
        return Verdict("Not approved", f"{kept}. Readers see the last good night.", "warning")
    waiting = [s.name for s in STEPS if s.name not in records and s.name != "report"]
    sentence = f"Not run: {', '.join(waiting)}." if waiting else "A step did not finish."
    return Verdict("Not published", f"{sentence} Readers see the last good night.", "warning")


def story(night: Night, left: Left | None = None) -> dict[str, Any]:
    """Everything the page shows, as plain data and ready pictures; of what the run left, where it is read."""
    records, notes = left or _left(night)
    # A section that cannot be made must not cost the reader the others.
    sections: dict[str, Callable[[], Any]] = {
        "intake": lambda: parts.intake(notes.get("intake")),
        "quality": lambda: parts.quality(notes.get("quality_inputs"), notes.get("audit")),
        "history": lambda: parts.history(_history(night), notes, night.ds),
        "models": lambda: parts.models(notes.get("recommender"), notes.get("writer")),
        "evaluation": lambda: worth.evaluation(notes.get("recommender")),
        "calibration": lambda: worth.calibration(notes.get("recommender")),
        "off_policy": lambda: worth.off_policy(notes.get("off_policy")),
        "experiments": lambda: worth.experiments(notes.get("experiments")),
        "trending": lambda: worth.trending(notes.get("trending")),
        "lists": lambda: parts.lists(notes.get("recommendations")),
        "copy": lambda: copy(notes.get("descriptions")),
        "review": lambda: report_review.queue(notes.get("review_queue")),
        "timings": lambda: parts.timings(list(records.values())),
        "tables": lambda: _tables(night),
    }
    made: dict[str, Any] = {}
    troubles: dict[str, str] = {}
    for name, make in sections.items():
        try:
            made[name] = make()
        except Exception as error:  # notes are written by other steps, maybe of an older version
            made[name] = None
            troubles[name] = f"{type(error).__name__}: {error}"
    return {
        "run_id": night.run_id,
        "ds": night.ds.isoformat(),
        "weekday": night.ds.strftime("%A"),
        "verdict": verdict(records, kept(notes)),
        "options": night.record["options"],
        "started": _minute(records),
        "troubles": troubles,
        "missing": {s.name: _why_missing(s.name, records) for s in STEPS},
        **made,
    }


def _why_missing(step: str, records: Mapping[str, Mapping[str, Any]]) -> str:
    record = records.get(step)
    if record is None:
        return f"The step {step} did not run."
    if record["outcome"] == "failed":
        return f"The step {step} failed: {record['error']}"
    if record["outcome"] == "running":
        return f"The step {step} did not finish."
    return f"The step {step} left nothing to show here."


def _minute(records: Mapping[str, Mapping[str, Any]]) -> str:
    starts = sorted(r["started"] for r in records.values())
    return f"{datetime.fromisoformat(starts[0]):%Y-%m-%d %H:%M} UTC" if starts else ""


def _history(night: Night) -> list[dict[str, Any]]:
    """Rows of `quality_metrics` of the last eight weeks, this night's included once they are staged."""
    rows: list[dict[str, Any]] = night.read(
        "quality_metrics", night.ds - timedelta(days=56), night.ds
    ).to_pylist()
    return rows


def _tables(night: Night) -> list[dict[str, Any]]:
    return [
        {
            "name": r.table,
            "doc": BY_NAME[r.table].doc,
            "rows": r.rows,
            "partitions": len(r.partitions),
            "files": len(r.files),
            "audited": r.audited == r.metadata,
        }
        for r in night.staging.records()
    ]


def render(told: Mapping[str, Any]) -> str:
    """The page. Every value is escaped; only our own pictures are markup."""
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = parts.number
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    environment.filters["as_json"] = lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True)
    return environment.get_template("report.html.j2").render(**told)


if __name__ == "__main__":
    main("report")
