"""What of a lake is still named by something, and what is only left over.

Kept are the newest publishes, everything that the tables' current metadata reaches, what metadata reaches
that was written, or pinned by a run that began, within the grace period, and what a run has staged that waits
for a person. Of the rest, files younger than the grace period stay: a night may be about to name them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.errors import BadInput
from jobs.lake.catalog import FILE, LakeCatalog
from jobs.lake.publish import CURRENT, FORGET, NIGHT, ROLLBACK, Published, Publisher
from jobs.lake.reach import Reach
from jobs.lake.store import Entry, Store
from jobs.lake.waiting import Waiting, waiting
from jobs.settings import Settings

# Publishes that are no night's: they do not push one out of the window of kept ones.
_OWN_KINDS = (NIGHT, ROLLBACK)
_METADATA = ".metadata.json"
_CARD = "/card.json"
_SWEPT = ("warehouse", "landing", "work", "runs", "models")


@dataclass
class Leftovers:
    """Files of one kind that may go."""

    kind: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(e.size for e in self.entries)


def kept_publishes(log: Sequence[Published], keep_runs: int, tagged: Collection[str] = ()) -> list[Published]:
    """The newest `keep_runs` nights, with what was published in between, and tagged runs.

    None is from before an erasure.
    """
    floor = max((p.seq for p in log if p.kind == FORGET), default=0)
    nights = [p.seq for p in log if p.kind in _OWN_KINDS]
    cut = nights[-keep_runs] if len(nights) >= keep_runs else 0
    return [p for p in log if p.seq >= floor and (p.seq >= cut or p.run_id in tagged)]


def readable(store: Store, kept: Iterable[Published]) -> list[Published]:
    """Those whose metadata files are still there; an earlier sweep may have kept fewer."""
    seen: dict[str, bool] = {}

    def there(metadata: str) -> bool:
        if metadata not in seen:
            seen[metadata] = store.exists(store.key_of(metadata))
        return seen[metadata]

    return [p for p in kept if all(there(m) for m in p.tables.values())]


def kept_snapshots(catalog: LakeCatalog, kept: Iterable[Published]) -> dict[str, set[int]]:
    """Table → snapshots that some kept publish shows."""
    found: dict[str, set[int]] = {}
    for metadata, table in {m: t for p in kept for t, m in p.tables.items()}.items():
        current = catalog.open(metadata).current_snapshot()
        found.setdefault(table, set()).update({current.snapshot_id} if current else ())
    return found


def names_files(entry: Entry) -> bool:
    """Whether it is a table's metadata file, by which a publish is found whole."""
    return entry.key.endswith(_METADATA)


def require_lake(catalog: LakeCatalog) -> None:
    """Raise `BadInput` where a sweep would find files that may be somebody else's.

    A lake bears a mark from its first import or the first step of its first night on; one in which there is
    nothing to sweep needs none.
    """
    store = catalog.store
    # A look at a catalog makes its file.
    remote = catalog.settings.catalog or catalog.settings.on_s3
    shown = [*catalog.pointers().values()] if remote or store.exists(FILE) else []
    strange = next((m for m in shown if not store.holds(m)), None)
    if strange:
        raise BadInput(
            f"settings 'lake' and 'catalog': the catalog's tables are in another lake ({strange}), not in "
            f"{store.uri('')}; nothing was removed. Name the lake and its own catalog"
        )
    if not (shown or _is_marked(store)) and _holds_files(store):
        raise BadInput(
            f"setting 'lake': {store.uri('')} bears no mark of a lake (a publish, a run, a landed batch): "
            "its files may be somebody else's, and nothing was removed. Name the lake in NIGHTSHELF_LAKE"
        )


def _is_marked(store: Store) -> bool:
    """Whether a run began or a batch was landed here, whatever became of it."""
    if _says(store, CURRENT, "tables"):
        return True
    runs = (e.key for e in store.entries("runs") if e.key.endswith("/run.json"))
    if any(_says(store, key, "pins") for key in runs):
        return True
    manifests = (e.key for e in store.entries("landing") if "/_batches/" in e.key)
    return any(_says(store, key, "entities") for key in manifests)


def _says(store: Store, key: str, name: str) -> bool:
    try:
        body = json.loads(store.read(key))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(body, dict) and name in body


def _holds_files(store: Store) -> bool:
    folders = (entry for prefix in _SWEPT for entry in store.entries(prefix))
    found = any(True for _ in folders) or any(True for _ in store.unfinished())
    # Whenever they began.
    return found or bool(store.dangling_uploads(datetime.max.replace(tzinfo=UTC)))


class Sweep:
    """One look at a lake. `now` and `grace` decide what is old; nothing is removed here.

    `expiring`: metadata files whose snapshots are only to be expired: those that are not kept do not count.
    `seen`, once the tables were looked at: the newest publish then.
    """

    seen = 0

    def __init__(
        self,
        catalog: LakeCatalog,
        kept: Sequence[Published],
        now: datetime,
        grace: timedelta,
        expiring: Collection[str] = (),
    ) -> None:
        self.catalog, self.store, self.kept = catalog, catalog.store, kept
        self.expiring = expiring
        self.before = now - grace
        self.now = now

    def leftovers(self, settings: Settings) -> Iterator[Leftovers]:
        """What may go, kind by kind."""
        limit = min(self.now - timedelta(days=settings.keep_days), self.before)
        held = list(self._waiting(limit))
        roots = self._reachable({metadata for run in held for metadata in run.metadata})
        tables = self._old("tables", "warehouse", lambda e: e.key not in roots)
        # What names goes before what is named: a rollback finds a publish whole, or finds that it is gone.
        tables.entries.sort(key=lambda e: not names_files(e))
        yield tables
        named = self._landed()
        yield self._old("landing", "landing", lambda e: not _is_named(e.key, named))
        yield self._old("work", "work", lambda e: True)
        yield self._old_folders("runs", 2, {f"runs/{p.run_id}" for p in self.kept}, limit)
        candidates = {folder for run in held for folder in run.models}
        keep = self._kept_models(settings.keep_models) | candidates
        models = self._old_folders("models", 3, keep, self.before)
        # A card says that its model is whole.
        models.entries.sort(key=lambda e: not e.key.endswith(_CARD))
        yield models
        yield Leftovers("unfinished", [e for e in self.store.unfinished() if e.modified < self.before])

    def _old(self, kind: str, prefix: str, may_go: Callable[[Entry], bool]) -> Leftovers:
        found = (e for e in self.store.entries(prefix) if e.modified < self.before and may_go(e))
        return Leftovers(kind, list(found))

    def _waiting(self, limit: datetime) -> Iterator[Waiting]:
        """Runs that a person may still publish, of those whose folders stay."""
        runs = _by_folder(self.store.entries("runs"), 2)
        fresh = {f: {e.key for e in es} for f, es in runs.items() if max(e.modified for e in es) >= limit}
        return waiting(self.catalog, Publisher(self.catalog).log(), fresh)

    def _reachable(self, held: Collection[str]) -> set[str]:
        """Keys that something leads to; `held`: metadata files that runs need which wait for a person."""
        # After a rollback a table lists snapshots that an earlier sweep removed.
        reach = Reach(self.catalog, missing_ok=True)
        found: set[str] = set()
        self.seen = Publisher(self.catalog).sequence()
        for metadata in {m for p in self.kept for m in p.tables.values()} | self._pinned():
            found |= reach.of(metadata, every_snapshot=False)
        for metadata in self.catalog.pointers().values():
            # What is published while we look may list snapshots that are not kept: they stay till next time.
            found |= reach.of(metadata, every_snapshot=metadata not in self.expiring)
        written = (e for e in self.store.entries("warehouse") if names_files(e))
        young = {self.store.location(e.key) for e in written if e.modified >= self.before}
        for metadata in young | {*held}:
            # Of a run that was refused or undone a part may be gone already.
            with suppress(FileNotFoundError):
                found |= reach.of(metadata, every_snapshot=False)
        return found

    def _pinned(self) -> set[str]:
        """Metadata files that a run reads which may still be at work."""
        found: set[str] = set()
        for entry in self.store.entries("runs"):
            if entry.key.endswith("/run.json") and entry.modified >= self.before:
                pins: dict[str, str] = json.loads(self.store.read(entry.key))["pins"]
                found |= {*pins.values()}
        return {m for m in found if self.store.exists(self.store.key_of(m))}

    def _landed(self) -> set[str]:
        """Folders that a manifest names; the manifests themselves are no leftovers."""
        manifests = (k for k in self.store.list("landing") if "/_batches/" in k and k.endswith(".json"))
        bodies = (json.loads(self.store.read(k)) for k in manifests)
        return {entity["folder"] for body in bodies for entity in body["entities"].values()}

    def _old_folders(self, kind: str, depth: int, keep: set[str], limit: datetime) -> Leftovers:
        """Whole folders below `kind`, so many names deep, to which nothing was written since `limit`, but for
        those in `keep`.
        """
        folders = _by_folder(self.store.entries(kind), depth)
        old = (e for f, e in folders.items() if f not in keep and max(x.modified for x in e) < limit)
        return Leftovers(kind, [entry for entries in old for entry in entries])

    def _kept_models(self, keep_models: int) -> set[str]:
        """Folders of models that a kept publish has in service, or among the newest ones."""
        return {
            row["location"]
            for publish in self.kept
            for row in _kept_models(self._models(publish.tables.get("models")), keep_models)
        }

    def _models(self, metadata: str | None) -> list[dict[str, Any]]:
        if metadata is None:
            return []
        scan = self.catalog.open(metadata).scan(
            selected_fields=("model", "version", "verdict", "location", "ds")
        )
        rows: list[dict[str, Any]] = scan.to_arrow().to_pylist()
        return rows


def _by_folder(entries: Iterable[Entry], depth: int) -> dict[str, list[Entry]]:
    """Folder, so many names deep, → what lies in it."""
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folders.setdefault("/".join(entry.key.split("/")[:depth]), []).append(entry)
    return folders


def _is_named(key: str, folders: set[str]) -> bool:
    if "/_batches/" in key and key.endswith(".json"):
        return True
    return key.rsplit("/", 1)[0] in folders


def _kept_models(rows: list[dict[str, Any]], newest: int) -> Iterator[dict[str, Any]]:
    """Of each model, the version in service and the newest ones, whatever their verdict."""
    for model in {r["model"] for r in rows}:
        own = sorted((r for r in rows if r["model"] == model), key=lambda r: (r["ds"], r["version"]))
        yield from own[-newest:]
        yield from [r for r in own if r["verdict"] == "accepted"][-1:]
