"""The landing without a shopper: batches are written again, and their manifests point to the new files."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.erasure.person import Person, scrub
from jobs.lake.rewrite import batches, rewrite
from jobs.lake.store import Store, TakenAway

# source, entity, day: what `intake` counts by.
Day = tuple[str, str, str]
_UNREADABLE = "unreadable_row"
_COLUMNS = ["user_id", "broken", "raw", "row_hash", "ds", "arrived", "copies"]
# Equal refused rows are told apart by their place: `jobs.intake.split.quarantine`.
_PLACES = 20


@dataclass
class Landed:
    """What of a shopper lies in the landing.

    files: Parquet files with the shopper's rows, or with rows of a product or another shopper that were made
    from a raw one that names the shopper. days: rows, with their copies, per source, entity and day. hashes:
    of these rows, in every form that `quarantine` gives them. others: of `suspects`, those of other shoppers.
    gone: rows that earlier erasures took out, of whomever, as `days`. folders: those that were looked at.
    stray: files that no manifest names.
    """

    files: set[str] = field(default_factory=set)
    days: Counter[Day] = field(default_factory=Counter)
    hashes: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    gone: Counter[Day] = field(default_factory=Counter)
    folders: set[str] = field(default_factory=set)
    stray: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(self.days.values())


def row_hashes(row_hash: str) -> list[str]:
    """A landed row's hash in all the forms in which `quarantine` may have it."""
    numbered = (hashlib.sha256(f"{row_hash}#{n}".encode()).hexdigest() for n in range(2, _PLACES + 1))
    return [row_hash, *numbered]


def look(store: Store, person: Person, suspects: Set[str]) -> Landed:
    """Go through the landing once. `suspects`: hashes of refused rows that name the shopper somewhere."""
    found = Landed()
    named: set[str] = set()
    for manifest in (json.loads(store.read(key)) for key in _manifests(store)):
        for entity, body in manifest["entities"].items():
            found.folders.add(body["folder"])
            for day, _, rows in body.get("forgotten", []):
                found.gone[(manifest["source"], entity, day)] += rows
            for key in _parquet(store, body["folder"]):
                named.add(key)
                _look_at(store, key, (manifest["source"], entity), person, suspects, found)
    # What a killed landing left, or one that is at work: no manifest counts these rows.
    for key in _parquet(store, "landing"):
        if key not in named and _stray(store, key, person, suspects):
            found.stray.append(key)
    return found


def _stray(store: Store, key: str, person: Person, suspects: Set[str]) -> bool:
    """Whether a file that no manifest names holds the shopper, or may: one half written tells nothing.

    A landing at work undoes itself when it sees the tombstone, so nothing is taken from it.
    """
    try:
        return any(_touched(batch, person, suspects) for batch in _read(store, key))
    except pa.ArrowInvalid:
        return True
    except FileNotFoundError:
        return False


def _look_at(
    store: Store, key: str, whose: tuple[str, str], person: Person, suspects: Set[str], found: Landed
) -> None:
    for batch in _read(store, key):
        doomed = _doomed(batch, person, suspects)
        if suspects:
            rest = batch.filter(pc.invert(doomed)).column("row_hash").to_pylist()
            found.others |= {form for h in rest if h in suspects for form in row_hashes(h)}
        if _touched(batch, person, suspects):
            found.files.add(key)
        gone = batch.filter(doomed)
        for row in gone.select(["row_hash", "ds", "copies"]).to_pylist():
            found.days[(*whose, row["ds"].isoformat())] += row["copies"]
            found.hashes.update(row_hashes(row["row_hash"]))


def _doomed(batch: pa.RecordBatch, person: Person, suspects: Set[str]) -> pa.Array:
    """Rows with the shopper's id; unreadable ones that name the shopper, whatever has moved into their
    columns; and suspects that are nobody's.
    """
    nothing = pa.array([False] * batch.num_rows, pa.bool_())
    theirs, nobodys = nothing, pc.invert(nothing)
    if "user_id" in batch.schema.names:
        theirs = person.has_id(batch.column("user_id"))
        nobodys = pc.is_null(batch.column("user_id"))
    unreadable = pc.fill_null(pc.match_substring(batch.column("broken"), _UNREADABLE), False)
    named = pc.and_(unreadable, person.named_in(batch.column("raw")))
    # A product's row may be made from the same raw one, and have its hash.
    if suspects and "user_id" in batch.schema.names:
        suspect = pc.is_in(batch.column("row_hash"), value_set=pa.array(sorted(suspects), pa.string()))
        named = pc.or_(named, pc.and_(nobodys, suspect))
    return pc.or_(theirs, named)


def _told(batch: pa.RecordBatch, person: Person) -> pa.Array:
    """Rows made from a raw row that names the shopper, though they are a product's or another shopper's.

    Of another's row a short number says nothing; a product needs its raw row for nothing but a refusal.
    """
    if "user_id" in batch.schema.names and not person.telling:
        return pa.array([False] * batch.num_rows, pa.bool_())
    return person.named_in(batch.column("raw"))


def _touched(batch: pa.RecordBatch, person: Person, suspects: Set[str]) -> bool:
    return bool(pc.any(pc.or_(_doomed(batch, person, suspects), _told(batch, person))).as_py())


def clean(
    store: Store,
    person: Person,
    suspects: Set[str],
    found: Landed,
    alone: Callable[[], AbstractContextManager[Any]],
) -> None:
    """Take the shopper's rows out of every batch, by what `look` found.

    `alone`: a lock that every erasure takes, so that none writes a manifest over another's.
    """
    for key in _manifests(store):
        while not _cleaned(store, key, person, suspects, found, alone):
            pass
    store.delete(found.stray)


def _cleaned(
    store: Store,
    key: str,
    person: Person,
    suspects: Set[str],
    found: Landed,
    alone: Callable[[], AbstractContextManager[Any]],
) -> bool:
    """Clean one batch; False where another erasure came first, so that it must be looked at again."""
    before = _read_or_nothing(store, key)
    if not before:
        return True  # a landing that undid itself
    manifest = json.loads(before)
    old: list[str] = []
    new: list[str] = []
    try:
        for entity, body in manifest["entities"].items():
            files = _files_of(store, body["folder"], person, suspects, found)
            if files:
                old.append(body["folder"])
                new.append(f"{old[-1].rsplit('-', 1)[0]}-{uuid.uuid4().hex[:8]}")
                manifest["entities"][entity] = _rewritten(store, body, new[-1], person, suspects, files)
        with alone():
            won = _read_or_nothing(store, key) == before
            if won and old:
                # One write shows all of it: the new files, and counts that fit them.
                store.write(key, json.dumps(manifest, sort_keys=True).encode())
    except (FileNotFoundError, TakenAway) as error:
        # Another erasure has removed the files that it wrote again, or one that is being written here.
        _remove_folders(store, new)
        if isinstance(error, FileNotFoundError) and _read_or_nothing(store, key) == before:
            raise
        return False
    _remove_folders(store, old if won else new)
    return won


def _read_or_nothing(store: Store, key: str) -> bytes:
    try:
        return store.read(key)
    except FileNotFoundError:
        return b""


def _remove_folders(store: Store, folders: list[str]) -> None:
    store.delete(k for folder in folders for k in store.list(folder))


def _files_of(store: Store, folder: str, person: Person, suspects: Set[str], found: Landed) -> set[str]:
    """Files of the folder to write again. One that another erasure made since the look is looked at now."""
    if folder in found.folders:
        return {file for file in found.files if file.startswith(f"{folder}/")}
    keys = _parquet(store, folder)
    return {k for k in keys if any(_touched(batch, person, suspects) for batch in _read(store, k))}


def _rewritten(
    store: Store, body: dict[str, Any], new: str, person: Person, suspects: Set[str], files: Set[str]
) -> dict[str, Any]:
    """The entity's part of a manifest, over the folder `new`: the same rows without the shopper."""
    old = body["folder"]
    removed: Counter[tuple[str, str]] = Counter()

    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        doomed = _doomed(batch, person, suspects)
        for row in batch.filter(doomed).select(["ds", "arrived", "copies"]).to_pylist():
            removed[row["ds"].isoformat(), row["arrived"].isoformat()] += row["copies"]
        rest = batch.filter(pc.invert(doomed))
        return scrub(rest, _told(rest, person))

    for key in _parquet(store, old):
        target = f"{new}/{key[len(old) + 1 :]}"
        if key in files:
            rewrite(store, key, target, change)
        else:
            store.copy(key, target)
    days = Counter({(d, a): n for d, a, n in body["days"]})
    days.subtract(removed)
    gone = removed + Counter({(d, a): n for d, a, n in body.get("forgotten", [])})
    left = [[d, a, n] for (d, a), n in sorted(days.items()) if n]
    return {"folder": new, "days": left, "forgotten": [[d, a, n] for (d, a), n in sorted(gone.items())]}


def _manifests(store: Store) -> list[str]:
    return [key for key in store.list("landing") if "/_batches/" in key and key.endswith(".json")]


def _parquet(store: Store, folder: str) -> list[str]:
    return [k for k in store.list(folder) if k.endswith(".parquet")]


def _read(store: Store, key: str) -> Iterator[pa.RecordBatch]:
    return batches(store, key, _COLUMNS)
