"""How long partitions are kept: what the registry says of a table, or a setting instead of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from jobs.errors import BadInput
from jobs.lake.amend import Attempt
from jobs.lake.catalog import LakeCatalog, partition_value
from jobs.lake.registry import BY_NAME, Table
from jobs.settings import Settings

# The furthest that a step looks back, but for what the settings say: eight weeks, for what is usual.
_LOOK_BACK_DAYS = 60
# A day that the landing has and this table lacks would be built again by the next night.
_FOR_EVER = ("intake",)


@dataclass(frozen=True)
class Old:
    """Partitions of one table that are older than its retention."""

    table: str
    days: tuple[date, ...]
    rows: int


def least_days(settings: Settings, table: Table) -> int:
    """What a night, or a rerun of one that a rollback can go back to, may read of the table, in days."""
    reach = max(_LOOK_BACK_DAYS, settings.experiment_days, settings.holdout_days + 1)
    if table.name == "events_clean":
        reach = max(reach, settings.history_days)
    return reach + settings.keep_runs + 3 * settings.lookback_days


def retention_days(settings: Settings) -> dict[str, int]:
    """Table → days for which its partitions are kept, of those that are not kept for ever.

    Raises `BadInput` for a setting that names no such table, or that a night could not do with.
    """
    kept = {t.name: t.retention_days for t in BY_NAME.values() if t.retention_days is not None}
    # A declared one that the settings have outgrown keeps what the nights need.
    kept = {name: max(days, least_days(settings, BY_NAME[name])) for name, days in kept.items()}
    for name, days in settings.retention.items():
        table = BY_NAME.get(name)
        if table is None or table.partition != "ds" or name in _FOR_EVER:
            dated = ", ".join(
                t.name for t in BY_NAME.values() if t.partition == "ds" and t.name not in _FOR_EVER
            )
            raise BadInput(
                f"setting 'retention': '{name}' has no days that could be dropped; there are: {dated}"
            )
        least = least_days(settings, table)
        if days < least:
            raise BadInput(
                f"setting 'retention': '{name}' for {days} days: nights read up to {least} days of it; give "
                "at least so many"
            )
        kept[name] = days
    return kept


def too_old(
    catalog: LakeCatalog, base: Mapping[str, str], kept: Mapping[str, int], newest: date
) -> list[Old]:
    """Partitions older than their retention, counted from `newest`; a table's last one always stays."""
    found = []
    for name, days in kept.items():
        rows: dict[date, int] = {}
        for file in catalog.files(base[name]) if name in base else ():
            value = partition_value(BY_NAME[name], file)
            rows[value] = rows.get(value, 0) + file.record_count
        cut = newest - timedelta(days=days)
        old = sorted(d for d in rows if d <= cut and d != max(rows))
        if old:
            found.append(Old(name, tuple(old), sum(rows[d] for d in old)))
    return found


def drop(catalog: LakeCatalog, base: Mapping[str, str], old: Old, into: Attempt) -> None:
    """Stage the table without these partitions; its run stays what it is."""
    run_id = catalog.run_of(base[old.table])
    into.add(catalog, catalog.stage(BY_NAME[old.table], old.days, [], run_id, into.mark))
