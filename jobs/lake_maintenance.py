"""Keep the lake small: `nightshelf maintain`.

Snapshots that no kept publish shows leave the tables' current metadata, in one publish of kind `maintain`;
then what nothing names any more is removed, once it is older than the grace period.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.errors import BadInput, Transient
from jobs.lake.amend import Amender
from jobs.lake.catalog import LakeCatalog, Swap, expired
from jobs.lake.publish import Conflict, Published
from jobs.lake.store import Store
from jobs.lake.sweep import Sweep, kept_publishes, kept_snapshots, readable
from jobs.settings import Settings

_ATTEMPTS = 10
_LEAST_GRACE_DAYS = 1.0


@dataclass
class Maintained:
    """What was removed, or would be: kind → files and bytes; and the runs that a rollback can go back to."""

    dry_run: bool
    snapshots: int = 0
    removed: dict[str, dict[str, int]] = field(default_factory=dict)
    kept_runs: list[str] = field(default_factory=list)

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
    """Expire, sweep, and say what was removed; with `dry_run` only say it.

    Raises `BadInput` for a grace period that a running night could outlast.
    """
    days = settings.grace_days if grace_days is None else grace_days
    if days < _LEAST_GRACE_DAYS and not force:
        raise BadInput(
            f"--grace-days {days:g}: files younger than a day may belong to a night at work; give at least "
            "1, or --force where surely nothing runs"
        )
    if days < 0:
        raise BadInput(f"--grace-days {days:g}: give a number of days")
    now, grace = now or datetime.now(UTC), timedelta(days=days)
    store = Store.of(settings)
    catalog = LakeCatalog(settings, store)
    done = Maintained(dry_run)
    expiring = {*catalog.pointers().values()} if dry_run else set()
    kept = _expire(catalog, settings.keep_runs, done)
    for found in Sweep(catalog, kept, now, grace, expiring).leftovers(settings):
        done.removed[found.kind] = {"files": len(found.entries), "bytes": found.size}
        if not dry_run:
            store.delete(e.key for e in found.entries)
    uploads = store.dangling_uploads(now - grace)
    done.removed["uploads"] = {"files": len(uploads), "bytes": 0}
    if uploads and not dry_run:
        store.abort_uploads(now - grace)
    done.kept_runs = list(dict.fromkeys(p.run_id for p in kept if p.run_id))
    return done


def _expire(catalog: LakeCatalog, keep_runs: int, done: Maintained) -> list[Published]:
    """Publish current metadata without old snapshots; returns the publishes that stay readable."""
    publisher = Amender(catalog)
    for _ in range(_ATTEMPTS):
        base = catalog.pointers()
        kept = readable(catalog.store, kept_publishes(publisher.log(), keep_runs))
        keep = kept_snapshots(catalog, kept)
        counted = {t: len(expired(catalog.open(m), keep.get(t, set()))) for t, m in base.items()}
        done.snapshots = sum(counted.values())
        if done.dry_run or not done.snapshots:
            return kept
        staged = (catalog.expire(table, keep.get(table, set())) for table, n in counted.items() if n)
        swaps: list[Swap] = [swap for swap in staged if swap is not None]
        try:
            return [*kept, publisher.amend("maintain", swaps, base)]
        except Conflict:
            continue
    raise Transient(f"nights published first, {_ATTEMPTS} times in a row; run 'nightshelf maintain' again")


def show(done: Maintained, as_json: bool) -> None:
    """Print a small table, or one line of JSON."""
    if as_json:
        body: dict[str, Any] = {"dry_run": done.dry_run, "snapshots": done.snapshots, "files": done.files}
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
    did = "would be removed" if done.dry_run else "removed"
    console.print(f"{done.files:,} files and {done.snapshots:,} snapshots {did}", soft_wrap=True)
    console.print(
        f"a rollback can go back to: {', '.join(done.kept_runs[-5:]) or 'none yet'}", soft_wrap=True
    )
