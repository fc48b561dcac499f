"""Runs that have passed their audit and are not published: a person may still say that they are to be."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobs.lake.catalog import LakeCatalog
from jobs.lake.publish import FORGET, Published
from jobs.lake.registry import BY_NAME
from jobs.lake.staging import Staged, Staging


@dataclass(frozen=True)
class Waiting:
    """What publishing a run needs: metadata files, staged or pinned, and folders of candidate models."""

    metadata: frozenset[str]
    models: frozenset[str]


def waiting(
    catalog: LakeCatalog, log: Sequence[Published], folders: Mapping[str, Collection[str]]
) -> Iterator[Waiting]:
    """Of these runs (`runs/<run_id>` → its keys) those that may still be published.

    A run that was pinned before an erasure may not: what it staged can hold who was forgotten since.
    """
    shown = {metadata for p in log for metadata in p.tables.values()}
    floor = max((p.seq for p in log if p.kind == FORGET), default=0)
    for folder, keys in folders.items():
        records = _audited(Staging(catalog, folder.split("/")[1]), folder, keys, shown)
        # A run that begins anew takes away what it had.
        with suppress(FileNotFoundError):
            record = json.loads(catalog.store.read(f"{folder}/run.json")) if records else {}
            if records and int(record.get("sequence", 0)) >= floor:
                models = (k for k in keys if k.startswith(f"{folder}/models/"))
                locations = frozenset(json.loads(catalog.store.read(k))["location"] for k in models)
                metadata = {*(r.metadata for r in records), *record["pins"].values()}
                yield Waiting(frozenset(metadata), locations)


def _audited(staging: Staging, folder: str, keys: Collection[str], shown: set[str]) -> list[Staged]:
    """All that a run has staged; nothing where it is published, or lacks an audit of a part of it."""
    found: list[Staged] = []
    for table in (t for t in BY_NAME.values() if f"{folder}/staged/{t.name}.json" in keys):
        record = staging.record(table.name)
        # `publish` audits its own tables, and stages them anew at each attempt.
        audited = record is not None and (table.job == "publish" or record.audited == record.metadata)
        if record is None or not audited or record.metadata in shown:
            return []
        found.append(record)
    return found
