"""What must always hold, checked from outside: nine functions over what a reader can see.

Each returns what is broken, in words; an empty list is "passed", `None` is "not applicable" here.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults.reader import Outside
from tests.jobs.erasure.scan import places

RUN_PROPERTY = "nightshelf.run-id"
# Tables in which a late row rebuilds an earlier day.
REBUILT = ("events_clean", "quarantine", "intake")
# The table of proofs is no night's: it stays as it is over nights and rollbacks.
LASTING = "erasures"
GRACE_SECONDS = 24 * 3600
Found = list[str] | None
Day = dict[str, dict[Any, dict[str, str]]]


@dataclass
class Before:
    """What readers saw before a case: table → partition → data file → hash of its bytes; and the sequence."""

    files: Day = field(default_factory=dict)
    sequence: int = 0


@dataclass
class View:
    """One look at a lake, and what the case knows of it.

    `settled`: the run ended, so `current.json` must be the catalog's newest. `ds`: the date that the case
    runs for, the only one whose files may change, but for the days `touched` that late rows rebuild.
    `expected`: the rows of an undisturbed run of that date. `forgotten`: shoppers who were to be forgotten,
    each with the tables that named them before; `erased`: it was done, and not only begun.
    """

    lake: Outside
    before: Before = field(default_factory=Before)
    settled: bool = True
    ds: str = ""
    touched: frozenset[str] = frozenset()
    expected: dict[str, list[dict[str, Any]]] | None = None
    forgotten: dict[str, frozenset[str]] = field(default_factory=dict)
    erased: bool = True
    lost: int = 0
    orphans: int = 0


def remember(lake: Outside) -> Before:
    """What is published now, to hold a case against."""
    current = lake.current()
    return Before(_days(lake, lake.pointers()), current["sequence"] if current else 0)


def _days(lake: Outside, pointers: dict[str, str]) -> Day:
    found: Day = {}
    for table, metadata in pointers.items():
        for file in lake.data_files(metadata):
            digest = hashlib.sha256(lake.fetch(file.uri)).hexdigest()
            found.setdefault(table, {}).setdefault(file.partition, {})[file.uri] = digest
    return found


def all_or_nothing(view: View) -> Found:
    """1. All tables that a reader sees, through `current.json` or one look at the catalog, are of one run."""
    lake, broken = view.lake, []
    current = lake.current()
    looks = {"the catalog": lake.pointers(), "current.json": current["tables"] if current else {}}
    for name, tables in looks.items():
        nightly = (m for t, m in tables.items() if t != LASTING)
        runs = {lake.metadata(m)["properties"].get(RUN_PROPERTY) for m in nightly}
        if len(runs) > 1:
            broken.append(f"{name} shows tables of the runs {sorted(map(str, runs))}")
    published = lake.publishes()
    known = [{}] + [p["tables"] for p in published]
    for name, tables in looks.items():
        if tables not in known:
            broken.append(f"{name} shows a set of tables that was never published as one")
    if published and looks["the catalog"] != published[-1]["tables"]:
        broken.append("the catalog is not what the log of publishes says was published last")
    if view.settled and looks["the catalog"] != looks["current.json"]:
        broken.append("the run has ended, and current.json is not what the catalog shows")
    return broken


def idempotent(view: View) -> Found:
    """2. The same date, code and inputs give the same rows as an undisturbed run."""
    if view.expected is None:
        return None
    broken, found = [], view.lake.published(view.ds)
    for table in sorted({*view.expected, *found}):
        wanted, got = _counter(view.expected.get(table, [])), _counter(found.get(table, []))
        lost, more = (wanted - got).total(), (got - wanted).total()
        view.lost += lost
        if lost or more:
            broken.append(f"{table}: {lost} rows of an undisturbed run are missing, {more} are not of it")
    return broken


def _counter(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(r, sort_keys=True, default=str) for r in rows)


def conservation(view: View) -> Found:
    """3. Rows in = good + quarantined + duplicates + forgotten, per source and day; the tables hold those."""
    tables = view.lake.pointers()
    if "intake" not in tables:
        return None
    broken, intake = [], view.lake.rows(tables["intake"])
    for row in intake:
        if row["rows_in"] != row["good"] + row["quarantined"] + row["duplicates"] + (row["forgotten"] or 0):
            broken.append(f"intake does not add up: {row}")
    good = Counter(e["ds"] for e in view.lake.rows(tables["events_clean"]))
    refused = Counter((q["source"], q["entity"], q["ds"]) for q in view.lake.rows(tables["quarantine"]))
    told_good: Counter[Any] = Counter()
    told_refused: Counter[Any] = Counter()
    for row in intake:
        told_refused[row["source"], row["entity"], row["ds"]] += row["quarantined"]
        if row["entity"] == "events":
            told_good[row["ds"]] += row["good"]
    view.lost += (told_good - good).total() + (told_refused - refused).total()
    if +told_good != +good:
        broken.append(f"events_clean holds {dict(good)}, intake says {dict(+told_good)}")
    if +told_refused != refused:
        broken.append(f"quarantine holds {dict(refused)}, intake says {dict(+told_refused)}")
    return broken + _landed(view, intake)


def _landed(view: View, intake: list[dict[str, Any]]) -> list[str]:
    """Where raw files were landed: what intake counts is what their manifests say had come."""
    counts: Counter[Any] = Counter()
    # The dates of the runs that readers see: one that was rolled back has built nothing for them.
    runs = view.lake.pointers().get("runs")
    horizon = max((r["ds"].isoformat() for r in view.lake.rows(runs)), default="") if runs else ""
    for batch in _batches(view.lake):
        for entity, body in batch["entities"].items():
            for day, arrived, rows in [*body["days"], *body.get("forgotten", [])]:
                if arrived <= horizon and day <= horizon:
                    counts[batch["source"], entity, day] += rows
    told = {(r["source"], r["entity"], r["ds"].isoformat()): r["rows_in"] for r in intake}
    if counts and +counts != Counter(told):
        odd = sorted(set(counts.items()) ^ set(told.items()))[:3]
        return [f"landed rows and intake differ, for example {odd}"]
    return []


def _batches(lake: Outside) -> list[dict[str, Any]]:
    """The manifests of what has landed; what a kill in mid-write leaves beside them counts for nobody."""
    uris = (u for u in lake.listing("landing") if "/_batches/" in u and u.endswith(".json"))
    return [json.loads(lake.fetch(uri)) for uri in uris]


def isolation(view: View) -> Found:
    """4. A run touches no other date's files."""
    if not view.before.files:
        return None
    broken, now = [], _days(view.lake, view.lake.pointers())
    for table, days in view.before.files.items():
        for day, files in days.items():
            rebuilt = view.touched if table in REBUILT else frozenset()
            if table == "runs" or day in rebuilt | {view.ds}:
                continue
            if now.get(table, {}).get(day) != files:
                broken.append(f"{table}: the files of {day} changed under a run of {view.ds}")
    return broken


def audited(view: View) -> Found:
    """5. Nothing is published without a passing audit of exactly that metadata."""
    published = [p for p in view.lake.publishes() if p["kind"] == "night"]
    if not published:
        return None
    # Of a run that was begun anew, the records are those of its last publish.
    newest = {p["run_id"]: p for p in published}
    return [b for p in newest.values() for b in _unaudited(view.lake, p, p["seq"] == published[-1]["seq"])]


def _unaudited(lake: Outside, night: dict[str, Any], last: bool) -> list[str]:
    """What a publish showed that its run's records do not bear out; of an old run they may be gone."""
    broken, run = [], night["run_id"]
    for table, metadata in night["tables"].items():
        if table == LASTING:
            continue
        try:
            record = lake.json(f"runs/{run}/staged/{table}.json")
        except FileNotFoundError:
            broken += [f"{table}: published by {run}, which has no record of staging it"] if last else []
            continue
        if not metadata == record["metadata"] == record["audited"]:
            broken.append(f"{table}: published by {run} as {metadata}, audited {record['audited']}")
    try:
        outcome = lake.json(f"runs/{run}/steps/audit.json")["outcome"]
    except FileNotFoundError:
        outcome = "gone" if last else "done"
    return broken if outcome == "done" else [*broken, f"the audit of {run} ended as {outcome}"]


def monotonic(view: View) -> Found:
    """6. `current.json` names a run in `runs`, never an older publish than before."""
    current, published = view.lake.current(), view.lake.publishes()
    sequences = [p["seq"] for p in published]
    if current is None:
        return ["the run has ended, and there is no current.json"] if view.settled and published else []
    broken = []
    if sequences != sorted(set(sequences)):
        broken.append(f"sequence numbers do not grow: {sequences}")
    if current["sequence"] < view.before.sequence:
        broken.append(f"current.json went back from {view.before.sequence} to {current['sequence']}")
    entry = next((p for p in published if p["seq"] == current["sequence"]), None)
    if entry is None or any(entry[k] != current[k] for k in ("run_id", "ds", "tables")):
        broken.append(f"current.json names publish {current['sequence']}, which the log does not have so")
    if "runs" in current["tables"]:
        runs = {r["run_id"] for r in view.lake.rows(current["tables"]["runs"])}
        if current["run_id"] not in runs:
            broken.append(f"current.json names {current['run_id']}, which is not in runs")
    return broken


def erasure(view: View) -> Found:
    """7. After a shopper is forgotten, no byte of theirs is left: in no file of the lake, live or old.

    While it is only begun, readers see all of them or nothing. Not applicable where nobody was forgotten.
    """
    if not view.forgotten:
        return None
    broken: list[str] = []
    for name, before in view.forgotten.items():
        seen = naming(view.lake, name)
        if not view.erased:
            if seen not in (frozenset(), before):
                broken.append(f"an erasure half done shows in {sorted(seen ^ before)}")
            continue
        broken += [f"{table} still names a forgotten shopper" for table in sorted(seen)]
        # Unpacked: Parquet and Avro files hold what they hold compressed.
        broken += [f"{p} still holds a forgotten shopper" for p in sorted(_places(view.lake, name))]
        broken += _unproven(view.lake, name)
    return broken


def _places(lake: Outside, name: str) -> set[str]:
    """Files of a lake that hold a name; a bucket's are fetched first."""
    if not lake.lake.startswith("s3://"):
        return places(Path(lake.lake), name)
    with tempfile.TemporaryDirectory() as folder:
        for uri in lake.listing(""):
            file = Path(folder, uri.removeprefix(lake.lake).lstrip("/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(lake.fetch(uri))
        return places(Path(folder), name)


def naming(lake: Outside, name: str) -> frozenset[str]:
    """The published tables that name a shopper."""
    return frozenset(t for t, m in lake.pointers().items() if any(name in str(r) for r in lake.rows(m)))


def _unproven(lake: Outside, name: str) -> list[str]:
    """The tombstone that keeps the shopper out, and the proof, both by the keyed hash; nothing left to do."""
    digest = hashlib.sha256(lake.fetch(f"{lake.lake}/forgotten/salt") + name.encode()).hexdigest()
    left = {u.rsplit("/", 1)[-1] for u in lake.listing("forgotten")}
    broken = [] if f"{digest}.json" in left else ["a forgotten shopper has no tombstone"]
    broken += [f"an erasure that has ended left {n}" for n in left if n.endswith(".pending")]
    proofs = [r["user_hash"] for r in lake.rows(lake.pointers()[LASTING])]
    return broken if proofs.count(digest) == 1 else [*broken, "a forgotten shopper has not one proof"]


def no_leak(view: View) -> Found:
    """8. Nothing reachable is missing: files of tables, what has landed, models in service. Nothing
    unreachable, in the tables' folder or the landing, is older than the grace period.

    Reachable is what any publish since the last erasure showed: `rollback` may go back to each. A case lasts
    minutes, so what a killed attempt left is younger than the grace period; `orphans` counts it.
    """
    reachable: set[str] = set()
    log = view.lake.publishes()
    floor = max((p["seq"] for p in log if p["kind"] == "forget"), default=0)
    for tables in [p["tables"] for p in log if p["seq"] >= floor] + [view.lake.pointers()]:
        for metadata in tables.values():
            if metadata not in reachable:
                reachable.add(metadata)
                reachable |= set(view.lake.manifests(metadata))
                reachable |= {f.uri for f in view.lake.data_files(metadata)}
    written = view.lake.written("warehouse")
    broken = [f"missing: {uri}" for uri in sorted(reachable - {*written})]
    orphans = {uri: when for uri, when in written.items() if uri not in reachable}
    view.orphans = len(orphans)
    unnamed, lost = _landing(view.lake)
    old = time.time() - GRACE_SECONDS
    broken += [f"nobody reaches {u}, and it is old" for u, t in (orphans | unnamed).items() if t < old]
    return broken + lost + _not_there(view.lake)


def _landing(lake: Outside) -> tuple[dict[str, float], list[str]]:
    """Landed files that no manifest names, and when each was written; folders that one names in vain."""
    bodies = [b for batch in _batches(lake) for b in batch["entities"].values()]
    files = {u: t for u, t in lake.written("landing").items() if "/_batches/" not in u}
    folders = {u.removeprefix("file://").removeprefix(f"{lake.lake}/").rpartition("/")[0] for u in files}
    # Nothing is left of one whose shoppers were all forgotten.
    named = {b["folder"] for b in bodies if b["days"]}
    lost = [f"missing: {folder}, which a manifest names" for folder in sorted(named - folders)]
    known = tuple(f"{lake.lake}/{b['folder']}/" for b in bodies)
    return {u: t for u, t in files.items() if not u.removeprefix("file://").startswith(known)}, lost


def _not_there(lake: Outside) -> list[str]:
    """Models in service whose files are gone: of each, the newest that was accepted."""
    tables = lake.pointers()
    rows = lake.rows(tables["models"]) if "models" in tables else []
    accepted = [r for r in rows if r["verdict"] == "accepted"]
    served = {r["model"]: r["location"] for r in sorted(accepted, key=lambda r: (r["ds"], r["version"]))}
    broken = []
    for model, location in served.items():
        try:
            lake.json(f"{location}/card.json")
        except FileNotFoundError:
            broken.append(f"missing: the {model} in service, {location}")
    return broken


def no_look_ahead(view: View) -> Found:
    """9. A run for a date uses nothing later than that date."""
    tables, broken = view.lake.pointers(), []
    if "models" not in tables:
        return None
    for row in view.lake.rows(tables["events_clean"]) if "events_clean" in tables else []:
        if row["event_time"].date() != row["ds"]:
            broken.append(f"event {row['event_id']} of {row['event_time']} lies under {row['ds']}")
    dated = {"products": "first_seen", "users": "first_seen", "user_profiles": "last_seen"}
    for table, column in dated.items():
        known = view.lake.rows(tables[table]) if table in tables else []
        later = [r for r in known if r[column] and r[column] > r["ds"]]
        broken += [f"{table} of {r['ds']} knows {r[column]}" for r in later[:3]]
    for row in view.lake.rows(tables["models"]):
        end = datetime(row["ds"].year, row["ds"].month, row["ds"].day, tzinfo=UTC) + timedelta(days=1)
        last = json.loads(row["trained_on"]).get("last_event")
        if last is not None and last >= end.timestamp():
            broken.append(f"{row['model']} of {row['ds']} was trained on an event of {last}")
    return broken


INVARIANTS: dict[str, Callable[[View], Found]] = {
    "1 all or nothing": all_or_nothing,
    "2 idempotent": idempotent,
    "3 conservation": conservation,
    "4 isolation": isolation,
    "5 audited": audited,
    "6 monotonic": monotonic,
    "7 erasure": erasure,
    "8 no leak": no_leak,
    "9 no look-ahead": no_look_ahead,
}


def broken_now(view: View) -> dict[str, Found]:
    """Every invariant's name → what is broken."""
    return {name: check(view) for name, check in INVARIANTS.items()}
