"""Partitions of many small files, joined into few: the same rows, in files of a target size.

Nothing is taken away: metadata of earlier publishes and of runs at work goes on naming the small files, until
the sweep finds that nothing does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lake.amend import Attempt
from jobs.lake.catalog import LakeCatalog, partition_value
from jobs.lake.registry import BY_NAME
from jobs.lake.rewrite import join

# A file of at least this part of the target size is left as it is.
_LARGE = 0.75


@dataclass(frozen=True)
class Crowd:
    """One partition of a table: `groups` of small files (URIs), each to become one file; `rest` stays."""

    value: Any
    groups: tuple[tuple[str, ...], ...]
    rest: tuple[str, ...]
    rows: int

    @property
    def files(self) -> int:
        return sum(len(g) for g in self.groups)


def crowds(catalog: LakeCatalog, base: Mapping[str, str], target: int, least: int) -> dict[str, list[Crowd]]:
    """Table → partitions with at least `least` files that are small beside `target` (bytes)."""
    found: dict[str, list[Crowd]] = {}
    for name, metadata in base.items() if target else ():
        # A column that only the lake's table has could not be written again as the registry knows it.
        columns = {f.name for f in catalog.open(metadata).schema().fields}
        if name not in BY_NAME or not columns <= set(BY_NAME[name].schema.names):
            continue
        partitions: dict[Any, list[Any]] = {}
        for file in catalog.files(metadata):
            partitions.setdefault(partition_value(BY_NAME[name], file), []).append(file)
        listed = (_crowd(value, files, target, least) for value, files in sorted(partitions.items()))
        found[name] = [c for c in listed if c is not None]
    return {name: listed for name, listed in found.items() if listed}


def _crowd(value: Any, files: Sequence[Any], target: int, least: int) -> Crowd | None:
    small = [f for f in files if f.file_size_in_bytes < _LARGE * target]
    if len(small) < least:
        return None
    packed: list[list[Any]] = [[]]
    size = 0
    for file in sorted(small, key=lambda f: str(f.file_path)):
        size += file.file_size_in_bytes
        if size > target:
            packed.append([])
            size = file.file_size_in_bytes
        packed[-1].append(file)
    groups = [group for group in packed if len(group) > 1]
    if not groups:
        return None
    paths = tuple(tuple(f.file_path for f in group) for group in groups)
    taken = {path for group in paths for path in group}
    rest = tuple(sorted(f.file_path for f in files if f.file_path not in taken))
    return Crowd(value, paths, rest, sum(f.record_count for group in groups for f in group))


def compact(
    catalog: LakeCatalog, base: Mapping[str, str], crowded: Mapping[str, Sequence[Crowd]], into: Attempt
) -> None:
    """Write the joined files and stage each table's metadata; `into` tells what was written so far."""
    for name, partitions in crowded.items():
        spec, folder = BY_NAME[name], f"warehouse/{name}/data/compact-{into.mark[:12]}"
        files: list[str] = []
        for place, crowd in enumerate(partitions):
            rows = 0
            for number, group in enumerate(crowd.groups):
                key = f"{folder}/part-{place:05d}-{number:05d}.parquet"
                into.written.append(key)
                rows += join(catalog.store, [catalog.store.key_of(f) for f in group], key, spec.schema)
                files.append(catalog.store.location(key))
            if rows != crowd.rows:
                raise ValueError(f"{name} {crowd.value}: {crowd.rows} rows before joining, {rows} after")
            files += crowd.rest
        # The run that made the rows stays the table's run: all tables go on carrying the same one.
        values = [crowd.value for crowd in partitions]
        into.add(catalog, catalog.stage(spec, values, files, catalog.run_of(base[name]), into.mark))
