"""The landing: mapped rows as they came, in batches that appear whole or not at all.

    landing/<source>/<entity>/<batch>-<attempt>/*.parquet    rows; invisible until a manifest names them
    landing/<source>/_batches/<batch>.json                   the manifest, written last: files, rows per day

A file is known by its content, so landing it twice changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.errors import BadInput
from jobs.intake.batch import Batch, Landed
from jobs.intake.files import Found, RawFile, check_file, find_files, matches
from jobs.intake.mapped import LANDING, file_date
from jobs.intake.mapping import Entity, EntityName, Mapping, load_mapping
from jobs.lake import pseudonyms
from jobs.lake.store import Store
from jobs.settings import Settings
from jobs.spark import path

_READERS = 16


@dataclass(frozen=True)
class Part:
    """The rows of one entity in one batch: where they lie, and how many per (day, arrival).

    `forgotten`: as many more came, but are left out, for their shoppers are to be forgotten.
    """

    source: str
    entity: EntityName
    folder: str
    days: dict[tuple[date, date], int]
    forgotten: dict[tuple[date, date], int] = field(default_factory=dict)


# -- reading ------------------------------------------------------------------


def manifests(store: Store, source: str = "") -> list[dict[str, Any]]:
    """Every landed batch, of one source or of all."""
    keys = [
        k for k in store.list(f"landing/{source}".rstrip("/")) if "/_batches/" in k and k.endswith(".json")
    ]
    with ThreadPoolExecutor(_READERS) as pool:
        return [json.loads(body) for body in pool.map(store.read, keys)]


def parts(store: Store) -> list[Part]:
    """What lies in the landing, over all sources."""
    found = []
    for batch in manifests(store):
        for entity, body in sorted(batch["entities"].items()):
            days, gone = _counted(body["days"]), _counted(body.get("forgotten", []))
            found.append(Part(batch["source"], entity, body["folder"], days, gone))
    return found


def _counted(rows: list[list[Any]]) -> dict[tuple[date, date], int]:
    return {(date.fromisoformat(d), date.fromisoformat(a)): n for d, a, n in rows}


def row_counts(found: Sequence[Part], horizon: date) -> Counter[tuple[str, EntityName, date]]:
    """Rows that had arrived by the horizon, per source, entity and day; those left out are counted too."""
    return _sums(found, horizon, ("days", "forgotten"))


def forgotten_counts(found: Sequence[Part], horizon: date) -> Counter[tuple[str, EntityName, date]]:
    """As `row_counts`, of the rows that the landing left out."""
    return _sums(found, horizon, ("forgotten",))


def _sums(
    found: Sequence[Part], horizon: date, which: Sequence[str]
) -> Counter[tuple[str, EntityName, date]]:
    counts: Counter[tuple[str, EntityName, date]] = Counter()
    for part in found:
        for name in which:
            for (day, arrived), rows in getattr(part, name).items():
                if arrived <= horizon:
                    counts[part.source, part.entity, day] += rows
    return counts


def landed(
    spark: SparkSession,
    store: Store,
    found: Sequence[Part],
    entity: EntityName,
    days: Collection[date],
    horizon: date,
) -> DataFrame:
    """Landed rows of these days that had arrived by the horizon; other batches are not opened."""
    wanted = set(days)
    paths = [
        path(store.uri(part.folder))
        for part in found
        if part.entity == entity and any(day in wanted and arrived <= horizon for day, arrived in part.days)
    ]
    if not paths:
        return spark.createDataFrame([], LANDING[entity])
    rows = spark.read.schema(LANDING[entity]).parquet(*sorted(paths))
    return rows.where(F.col("ds").isin(sorted(wanted)) & (F.col("arrived") <= F.lit(horizon)))


# -- landing ------------------------------------------------------------------


def land(
    settings: Settings,
    mapping_path: str | Path,
    files: Sequence[str],
    arrived: date | None,
    spark: SparkSession,
    store: Store | None = None,
    track: Callable[[Sequence[Found], str], Iterable[Found]] = lambda files, _: files,
) -> list[Landed]:
    """Land raw files through a mapping, as one batch; returns what was landed per entity.

    `files` are paths, folders, globs or `s3://` URIs; `arrived` is the day on
    which they came (None: the date in the file's name, else each row's own
    day). Files that are landed already are left out. Raises `BadInput`, with
    nothing written, for anything in files or mapping that a person can mend.
    """
    store = store or Store.of(settings)
    pseudonyms.require(settings, store)
    mapping = load_mapping(mapping_path)
    chosen = _choose(mapping, find_files(files, settings), files)
    checked = {
        e: [check_file(f, part.read, settings) for f in track(chosen[e], f"Checking files of {e}")]
        for e, part in mapping.entities().items()
    }
    for entity, part in mapping.entities().items():
        _check_dates(mapping, entity, part, checked[entity], arrived)
    known = _known(store, mapping.source)
    by_name = {_identity(mapping, f): f for group in checked.values() for f in group}
    new = {identity: f for identity, f in by_name.items() if identity not in known}
    fingerprint = mapping.fingerprint()
    remapped = tuple(sorted(f.name for i, f in by_name.items() if known.get(i, fingerprint) != fingerprint))
    if not new:
        return [
            Landed(mapping.source, e, "known", tuple(f.name for f in group), remapped=remapped)
            for e, group in checked.items()
            if group
        ]
    fresh = {e: [f for f in group if _identity(mapping, f) in new] for e, group in checked.items()}
    work = Batch(settings, store, spark, mapping, fresh, arrived, sorted(new))
    return work.write(fingerprint, remapped)


def _choose(mapping: Mapping, found: list[Found], asked: Sequence[str]) -> dict[EntityName, list[Found]]:
    chosen = {e: [f for f in found if matches(f, part.files)] for e, part in mapping.entities().items()}
    globs = ", ".join(f"{e}: '{part.files}'" for e, part in mapping.entities().items())
    for file in found:
        if file.named and not any(file in group for group in chosen.values()):
            raise BadInput(
                f"{file.uri}: no section of mapping {mapping.path} takes a file of this name ({globs})"
            )
    if not any(chosen.values()):
        raise BadInput(
            f"'{asked[0] if asked else ''}': no file there that mapping {mapping.path} takes ({globs})"
        )
    return chosen


def _check_dates(
    mapping: Mapping, entity: EntityName, part: Entity, files: list[RawFile], arrived: date | None
) -> None:
    pattern = part.read.arrived_from_filename
    if not files or arrived is not None:
        return
    for file in files:
        if pattern and file_date(file.name, pattern) is None:
            raise BadInput(
                f"{file.uri}: no date in its name where 'read.arrived_from_filename' ({pattern}) of mapping "
                f"{mapping.path} looks for one; rename the file, or give --ds"
            )
    if not pattern and entity != "events" and "day" not in {**part.columns, **part.sql}:
        raise BadInput(
            f"mapping {mapping.path}: [{entity}] does not say from which day on its rows hold; give --ds, "
            "or set 'day', or 'read.arrived_from_filename'"
        )


def _identity(mapping: Mapping, file: RawFile) -> str:
    """What makes a file the same file: its content, and its name where that carries a date."""
    dated = any(part.read.arrived_from_filename for part in mapping.entities().values())
    return f"{file.sha256} {file.name}" if dated else file.sha256


def _known(store: Store, source: str) -> dict[str, str]:
    """Landed files → fingerprint of the mapping they were landed with."""
    return {i: batch["mapping"] for batch in manifests(store, source) for i in batch["files"]}
