"""What a metadata file leads to: its snapshots' manifest lists, their manifests, and the data files."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from jobs.lake.catalog import LakeCatalog


class Reach:
    """Looks up keys that readers of a metadata file may open; each manifest is read once.

    `missing_ok`: what has been removed leads nowhere, and all else is told; otherwise it is an error.
    """

    def __init__(self, catalog: LakeCatalog, missing_ok: bool = False) -> None:
        self.catalog = catalog
        self._missing_ok = missing_ok
        self._snapshots: dict[str, frozenset[str]] = {}
        self._manifests: dict[str, frozenset[str]] = {}

    def of(self, metadata: str, every_snapshot: bool = True) -> set[str]:
        """Keys that the metadata file reaches, itself included; of the current snapshot only, if so asked.

        Raises `FileNotFoundError` where it, or (unless `missing_ok`) one of its manifests, is gone.
        """
        table = self.catalog.open(metadata)
        current = table.current_snapshot()
        snapshots = table.snapshots() if every_snapshot else [current] if current else []
        found = {self._key(metadata)}
        for snapshot in snapshots:
            found |= self._of_snapshot(snapshot, table.io)
        return found

    def _key(self, uri: str) -> str:
        return self.catalog.store.key_of(uri)

    def _of_snapshot(self, snapshot: Any, io: Any) -> frozenset[str]:
        listing = snapshot.manifest_list
        if listing not in self._snapshots:
            found = {self._key(listing)}
            with self._where_there():
                for manifest in snapshot.manifests(io):
                    found |= self._of_manifest(manifest, io)
            self._snapshots[listing] = frozenset(found)
        return self._snapshots[listing]

    def _of_manifest(self, manifest: Any, io: Any) -> frozenset[str]:
        path = manifest.manifest_path
        if path not in self._manifests:
            found = {self._key(path)}
            with self._where_there():
                entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
                found |= {self._key(entry.data_file.file_path) for entry in entries}
            self._manifests[path] = frozenset(found)
        return self._manifests[path]

    def _where_there(self) -> AbstractContextManager[None]:
        return suppress(FileNotFoundError) if self._missing_ok else nullcontext()


def missing(catalog: LakeCatalog, metadata: str, files: Iterable[str]) -> list[str]:
    """Keys that are gone of what is staged: the metadata file, its snapshot's manifests, or `files` (URIs).

    Reads two small files and lists the folders of the others. What an older snapshot's manifests name is not
    looked up: it is also reached from the metadata that this was staged on.
    """
    store = catalog.store
    needed = {store.key_of(file) for file in files} | {store.key_of(metadata)}
    try:
        table = catalog.open(metadata)
        current = table.current_snapshot()
        if current is not None:
            needed.add(store.key_of(current.manifest_list))
            needed |= {store.key_of(m.manifest_path) for m in current.manifests(table.io)}
    except FileNotFoundError:
        pass  # whichever it was is missing from the listing too
    there = {key for folder in {k.rsplit("/", 1)[0] for k in needed} for key in store.list(folder)}
    return sorted(needed - there)
