"""Make the night visible: stage `models` and `runs`, then swap all tables at once."""

from __future__ import annotations

import json
import platform
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from jobs.cli import main
from jobs.errors import GateFailed
from jobs.lake.publish import Outdated, Publisher, removed
from jobs.lake.registry import BY_NAME, NIGHTLY
from jobs.model_cards import read_card
from jobs.night import Night
from jobs.outdated import discard
from jobs.runner import step_records

_LIBRARIES = (
    "nightshelf",
    "apache-airflow",
    "pyspark",
    "pyiceberg",
    "tensorflow",
    "keras",
    "great-expectations",
)


def run(night: Night) -> dict[str, Any]:
    missing = [t.name for t in NIGHTLY if t.job != "publish" and not night.is_staged(t.name)]
    if missing:
        raise GateFailed(f"not staged in this run, so nothing is published: {', '.join(missing)}")
    publisher = Publisher(night.catalog)
    done = publisher.finished(night.staging)
    # Staged again, it would be published again, and over whatever another run has published since.
    if done is None:
        ds = night.ds.isoformat()
        try:
            publisher.require_fresh(night.run_id, ds, night.sequence)
            _require_models(night)
            night.stage("models", _models(night))
            night.stage("runs", _runs(night), partitions=[night.run_id])
            for table in ("models", "runs"):
                night.mark_audited(table)
            done = publisher.publish(night.staging, ds, night.sequence)
        except Outdated:
            discard(night)
            raise
    rows = {r.table: r.rows for r in night.staging.records()}
    return {"sequence": done.seq, "rows": rows, "tables": done.tables}


def _require_models(night: Night) -> None:
    """Refuse to put a model in service, or to keep rows of one, that maintenance has removed meanwhile."""
    accepted = (c["location"] for c in night.candidates() if c["verdict"] == "accepted")
    gone = [where for where in accepted if read_card(night.store, where) is None]
    pinned = night.pins.get("models")
    if pinned is not None:
        key = night.store.key_of(pinned)
        gone += [] if night.store.exists(key) else [key]
    if gone:
        raise removed(night.run_id, night.ds.isoformat(), gone[0])


def _models(night: Night) -> pa.Table:
    """The date's model rows: what an earlier run of the date had, with this run's candidates over it.

    A run that trained nothing still serves what its date had accepted.
    """
    pinned = [r for r in night.read("models").to_pylist() if r["ds"] == night.ds]
    own = [dict(c, ds=date.fromisoformat(c["ds"])) for c in night.candidates()]
    retrained = {c["model"] for c in own}
    kept = [r for r in pinned if r["model"] not in retrained]
    return pa.Table.from_pylist(kept + own, schema=BY_NAME["models"].schema)


def _runs(night: Night) -> pa.Table:
    steps = [s for s in step_records(night) if s["step"] != "publish"]
    now = datetime.now(UTC)
    started = datetime.fromisoformat(steps[0]["started"]) if steps else now
    short = [{k: s.get(k) for k in ("step", "outcome", "seconds", "peak_mb")} for s in steps]
    row = {
        "run_id": night.run_id,
        "ds": night.ds,
        "started": started,
        "ended": now,
        "inputs": json.dumps(night.pins, sort_keys=True),
        "outputs": json.dumps({r.table: r.rows for r in night.staging.records()}, sort_keys=True),
        "steps": json.dumps(short),
        "options": json.dumps(night.record["options"], sort_keys=True),
        "versions": json.dumps({"python": platform.python_version()} | {n: version(n) for n in _LIBRARIES}),
    }
    return pa.Table.from_pylist([row], schema=BY_NAME["runs"].schema)


if __name__ == "__main__":
    main("publish")
