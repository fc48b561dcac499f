"""Check everything staged, exactly as it would be published, and record the day's quality."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from expectations.suites import Checked, Checks
from jobs import quality
from jobs.cli import main
from jobs.errors import GateFailed
from jobs.lake.registry import BY_NAME, NIGHTLY
from jobs.list_change import list_change
from jobs.night import Night
from jobs.quality import ACCEPTED, History, Measure
from jobs.spark import spark

# `publish` stages its own tables after the audit, and checks them itself.
AUDITED = tuple(t.name for t in NIGHTLY if t.job not in ("publish", "audit"))

COPY = "product_descriptions"

# Their rows come and go with what trends, what is tried and what is doubtful: no number of them is usual.
_NO_USUAL_SIZE = ("trending", "experiments", "review_queue")


def run(night: Night) -> dict[str, Any]:
    """Stages `quality_metrics`; raises `GateFailed` when a staged table may not be published."""
    inputs = _inputs_note(night)
    seen = {table: _metadata(night, table) for table in AUDITED}
    passed = {t for t, entry in inputs["tables"].items() if entry["metadata"] == seen[t]}
    checks = Checks(spark(night.settings))
    past = quality.history(night)
    checked, measures = _examine(night, checks, [t for t in AUDITED if t not in passed], past)
    earlier = [Measure(**m) for m in inputs["measures"]]
    accepted = inputs.get("accepted") or quality.accepts(night, past)
    stage_metrics(night, earlier + measures + ([Measure(*ACCEPTED, 1.0)] if accepted else []))
    seen["quality_metrics"] = _metadata(night, "quality_metrics")
    checked += quality.check_tables(night, checks, ["quality_metrics"])
    docs = quality.push_docs(night, checks, "audit")
    note = quality.as_note(night, checked, measures, docs) | {"list_change": list_change(night)}
    for table in passed:
        note["tables"][table] = inputs["tables"][table]
    night.note("audit", note)
    quality.gate("audit", note)
    for table, metadata in seen.items():
        if _metadata(night, table) != metadata:
            raise GateFailed(f"{table} was staged again while it was audited: run 'audit' again")
        night.mark_audited(table)
    rows = {table: entry["rows"] for table, entry in note["tables"].items()}
    # What a person is asked about before `publish`, where people are asked: the inputs' warnings too.
    warned = inputs.get("warnings", []) + note["warnings"]
    return {
        "status": note["status"],
        "warnings": len(warned),
        "warned": [sentence[:200] for sentence in warned[:5]],
        "list_change": note["list_change"],
        "rows": rows,
        "docs": docs,
    }


def _inputs_note(night: Night) -> dict[str, Any]:
    note: dict[str, Any] | None = night.notes().get("quality_inputs")
    if note is None:
        raise GateFailed("the inputs were not checked in this run: run the step 'check_inputs' first")
    if note["critical"]:
        raise GateFailed(f"the inputs did not pass 'check_inputs': {note['critical'][0]}")
    return note


def _metadata(night: Night, table: str) -> str:
    record = night.staging.record(table)
    if record is None:
        raise GateFailed(f"{table} is not staged in this run: run the step '{BY_NAME[table].job}' first")
    return record.metadata


def _examine(
    night: Night, checks: Checks, tables: list[str], past: History
) -> tuple[list[Checked], list[Measure]]:
    """Contracts and measures of the tables. What a person limited is not held against history."""
    checked = quality.check_tables(night, checks, tables)
    # The inputs were measured by `check_inputs`.
    known = ("clean", *_NO_USUAL_SIZE)
    held = [t for t in tables if not {BY_NAME[t].job, t} & {*known} and not quality.limited(night, t)]
    found = quality.measure({t: quality.staged(night, t) for t in held})
    if COPY in found:
        found[COPY] |= alike(night)
    measures = [m for t, values in found.items() for m in quality.judged(night, t, values, past)]
    return checked, measures


def alike(night: Night) -> dict[str, float]:
    """The share of descriptions that are near-duplicates in their category, as `describe` found it."""
    languages = night.notes().get("descriptions", {}).get("alike", {}).values()
    texts = sum(found["texts"] for found in languages)
    near = sum(found["near_duplicates"] for found in languages)
    return {"near_duplicate_share": near / texts} if texts else {}


def stage_metrics(night: Night, measures: list[Measure]) -> None:
    rows = [{**asdict(m), "detail": m.detail or None, "ds": night.ds} for m in measures]
    rows.sort(key=lambda r: (r["table_name"], r["metric"]))
    night.stage("quality_metrics", pa.Table.from_pylist(rows, schema=BY_NAME["quality_metrics"].schema))


if __name__ == "__main__":
    main("audit")
