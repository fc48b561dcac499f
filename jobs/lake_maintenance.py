"""Keep the lake small: `nightshelf maintain`.

Partitions older than their table's retention are dropped (a publish of kind `retire`), partitions of many
small files are joined (`compact`), and snapshots that no kept publish shows leave the tables' current
metadata (`maintain`). Then what nothing names any more is removed, once it is older than the grace period.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from jobs.errors import BadInput, Transient
from jobs.lake import tags
from jobs.lake.amend import Amender, Attempt
from jobs.lake.catalog import LakeCatalog, expired
from jobs.lake.compact import compact, crowds
from jobs.lake.publish import Conflict, Published
from jobs.lake.retention import drop, retention_days, too_old
from jobs.lake.store import Store
from jobs.lake.sweep import (
    Leftovers,
    Sweep,
    kept_publishes,
    kept_snapshots,
    names_files,
    readable,
    require_lake,
)
from jobs.settings import Settings

_ATTEMPTS = 10
_LEAST_GRACE_DAYS, _MOST_GRACE_DAYS = 1.0, 36_500.0


@dataclass
class Maintained:
    """What was done, or would be.

    retired: table → days and rows that were dropped. joined: table → partitions, files before and after.
    removed: kind → files and bytes. kept_runs: those that a rollback can go back to.
    """

    dry_run: bool
    retired: dict[str, dict[str, int]] = field(default_factory=dict)
    joined: dict[str, dict[str, int]] = field(default_factory=dict)
    snapshots: int = 0
    removed: dict[str, dict[str, int]] = field(default_factory=dict)
    kept_runs: list[str] = field(default_factory=list)

    def count(self, found: Leftovers) -> None:
        before = self.removed.get(found.kind, {"files": 0, "bytes": 0})
        self.removed[found.kind] = {
            "files": before["files"] + len(found.entries),
            "bytes": before["bytes"] + found.size,
        }

    @property
    def files(self) -> int:
        return sum(r["files"] for r in self.removed.values())


def maintain(
    settings: Settings,
    dry_run: bool = False,
    grace_days: float | None = None,
    force: bool = False,
    now: datetime | None = None,
) -> Maintained:
    """Drop old days, join small files, expire, sweep, and say what was done; with `dry_run` only say it.

    Raises `BadInput` for a grace period that a running night could outlast, or a retention that it could, and
    for a place that is no lake.
    """
    days = settings.grace_days if grace_days is None else grace_days
    if 0 <= days < _LEAST_GRACE_DAYS and not force:
        raise BadInput(
            f"--grace-days {days:g}: files younger than a day may belong to a night at work; give at least "
            "1, or --force where surely nothing runs"
        )
    if not 0 <= days <= _MOST_GRACE_DAYS:
        raise BadInput(f"--grace-days {days:g}: give a number of days, at most {_MOST_GRACE_DAYS:g}")
    now, grace = now or datetime.now(UTC), timedelta(days=days)
    store = Store.of(settings)
    catalog = LakeCatalog(settings, store)
    require_lake(catalog)
    done = Maintained(dry_run)
    _retire(catalog, settings, now.date(), done)
    _compact(catalog, settings, done)
    expiring = {*catalog.pointers().values()} if dry_run else set()
    _expire(catalog, settings.keep_runs, done)
    if not dry_run:
        # A call that was killed after its swap left it undone, and this one may have found nothing to do.
        Amender(catalog).refresh_current()
    _sweep(catalog, settings, now, grace, expiring, done)
    uploads = store.dangling_uploads(now - grace)
    done.removed["uploads"] = {"files": len(uploads), "bytes": 0}
    if uploads and not dry_run:
        store.abort_uploads(now - grace)
    return done


def _amended(catalog: LakeCatalog, kind: str, plan: Callable[[dict[str, str], Attempt], None]) -> None:
    """Publish what `plan` stages on what is current, again where another publish came between."""
    publisher = Amender(catalog)
    for _ in range(_ATTEMPTS):
        base, attempt = catalog.pointers(), Attempt()
        try:
            plan(base, attempt)
            if attempt.swaps:
                publisher.amend(kind, attempt.swaps, base)
        except BaseException as error:
            _undo(catalog, attempt)
            # An erasure removes files that were current a moment ago.
            moved = isinstance(error, FileNotFoundError) and catalog.pointers() != base
            if not (moved or isinstance(error, Conflict)):
                raise
        else:
            return
    raise Transient(f"nights published first, {_ATTEMPTS} times in a row; run 'nightshelf maintain' again")


def _undo(catalog: LakeCatalog, attempt: Attempt) -> None:
    """Remove what was staged, unless it was published: a reply to COMMIT may be lost.

    It may hold a shopper whom the publish that won has forgotten.
    """
    if not attempt.written:
        return
    try:
        log = Amender(catalog).settled_log()
    except sa.exc.DBAPIError:
        # Nobody knows whether it was: the sweep finds what nothing names.
        return
    shown = {metadata for p in log for metadata in p.tables.values()}
    if not any(swap.metadata in shown for swap in attempt.swaps):
        catalog.store.delete(attempt.written)


def _retire(catalog: LakeCatalog, settings: Settings, today: date, done: Maintained) -> None:
    """Drop the partitions that are older than their table's retention."""
    kept = retention_days(settings)

    def plan(base: dict[str, str], attempt: Attempt) -> None:
        days = [date.fromisoformat(p.ds) for p in Amender(catalog).log() if p.ds]
        # Counted from the newest night; one of a date that is still to come takes nothing along.
        old = too_old(catalog, base, kept, min(max(days), today)) if days else []
        done.retired = {o.table: {"days": len(o.days), "rows": o.rows} for o in old}
        for one in old if not done.dry_run else ():
            drop(catalog, base, one, attempt)

    _amended(catalog, "retire", plan)


def _compact(catalog: LakeCatalog, settings: Settings, done: Maintained) -> None:
    """Join the small files of partitions that have many."""

    def plan(base: dict[str, str], attempt: Attempt) -> None:
        crowded = crowds(catalog, base, settings.compact_mb << 20, settings.compact_files)
        done.joined = {
            table: {
                "partitions": len(partitions),
                "files": sum(c.files for c in partitions),
                "into": sum(len(c.groups) for c in partitions),
            }
            for table, partitions in crowded.items()
        }
        if not done.dry_run:
            compact(catalog, base, crowded, attempt)

    _amended(catalog, "compact", plan)


def _kept(catalog: LakeCatalog, keep_runs: int, tagged: Collection[str]) -> list[Published]:
    """The publishes that stay readable."""
    return readable(catalog.store, kept_publishes(Amender(catalog).log(), keep_runs, tagged))


def _expire(catalog: LakeCatalog, keep_runs: int, done: Maintained) -> None:
    """Publish current metadata without old snapshots."""

    def plan(base: dict[str, str], attempt: Attempt) -> None:
        keep = kept_snapshots(catalog, _kept(catalog, keep_runs, tags.tagged(catalog.store)))
        counted = {t: len(expired(catalog.open(m), keep.get(t, set()))) for t, m in base.items()}
        done.snapshots = sum(counted.values())
        if not done.dry_run:
            staged = (catalog.expire(table, keep.get(table, set())) for table, n in counted.items() if n)
            attempt.swaps += [swap for swap in staged if swap is not None]

    _amended(catalog, "maintain", plan)


def _sweep(
    catalog: LakeCatalog,
    settings: Settings,
    now: datetime,
    grace: timedelta,
    expiring: Collection[str],
    done: Maintained,
) -> None:
    """Remove what nothing names, by a look at the lake that still holds."""
    last: Exception | None = None
    for _ in range(_ATTEMPTS):
        if done.dry_run:
            # What an earlier look has counted is counted again.
            done.removed.clear()
        tagged = tags.tagged(catalog.store)
        kept = _kept(catalog, settings.keep_runs, tagged)
        sweep = Sweep(catalog, kept, now, grace, expiring)
        try:
            for found in sweep.leftovers(settings):
                if not done.dry_run:
                    _remove(catalog, found, sweep.seen, tagged)
                done.count(found)
        except (Conflict, FileNotFoundError) as error:
            # A rollback went back to what was to go, a person tagged it, or an erasure took away what was
            # listed: look again.
            last = error
            continue
        done.kept_runs = list(dict.fromkeys(p.run_id for p in kept if p.run_id))
        return
    raise Transient(f"{last}, {_ATTEMPTS} times in a row; run 'nightshelf maintain' again") from last


def _remove(catalog: LakeCatalog, found: Leftovers, seen: int, tagged: Collection[str]) -> None:
    named = [e.key for e in found.entries if names_files(e)]
    if named:
        # Without them no rollback reaches the files, so that the rest needs no lock.
        with Amender(catalog).no_rollback_since(seen):
            if tags.tagged(catalog.store).difference(tagged):
                raise Conflict("a run was tagged")
            catalog.store.delete(named)
    catalog.store.delete(e.key for e in found.entries if not names_files(e))


def show(done: Maintained, as_json: bool) -> None:
    """Print a small table, or one line of JSON."""
    if as_json:
        body: dict[str, Any] = {"dry_run": done.dry_run, "snapshots": done.snapshots, "files": done.files}
        body |= {"retired": done.retired, "joined": done.joined}
        print(json.dumps({**body, "removed": done.removed, "kept_runs": done.kept_runs}, sort_keys=True))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("kind", "files", "MB")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, counted in done.removed.items():
        table.add_row(kind, f"{counted['files']:,}", f"{counted['bytes'] / 1e6:,.1f}")
    console = Console()
    console.print(table)
    would = "would be " if done.dry_run else ""
    for name, found in done.retired.items():
        told = (
            f"{name}: {found['days']:,} days with {found['rows']:,} rows {would}dropped: older than is kept"
        )
        console.print(told, soft_wrap=True)
    for name, found in done.joined.items():
        told = f"{name}: {found['files']:,} small files of {found['partitions']:,} partitions {would}joined"
        console.print(f"{told} into {found['into']:,}", soft_wrap=True)
    did = f"{would}removed"
    console.print(f"{done.files:,} files and {done.snapshots:,} snapshots {did}", soft_wrap=True)
    console.print(
        f"a rollback can go back to: {', '.join(done.kept_runs[-5:]) or 'none yet'}", soft_wrap=True
    )
