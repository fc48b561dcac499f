"""Everything beside tables and landing: run folders, reviews, shards of steps that resume, unfinished files.

Nightshelf writes no shopper's id there, but for shards; an error's text or a person's note may hold one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.erasure.person import Person
from jobs.lake.rewrite import batches
from jobs.lake.store import Store

INSTEAD = "(forgotten)"
_READ_AGAIN = ("runs", "reviews")


def shards(store: Store, person: Person) -> list[str]:
    """Files under `work/` that hold the shopper: a step that resumes makes them again."""
    return [k for k in store.list("work") if _holds(store, key=k, person=person)]


def unfinished(store: Store, person: Person) -> list[str]:
    """Files that a killed writer left hidden and that hold the shopper, or may: half a file tells nothing.

    A writer that is still at work on one of them fails, and is tried again.
    """
    return [e.key for e in store.unfinished() if _holds(store, key=e.key, person=person)]


def _holds(store: Store, key: str, person: Person) -> bool:
    try:
        if ".parquet" not in key.rsplit("/", 1)[-1]:
            return person.word.search(_text(store.read(key))) is not None
        return any(
            pa.types.is_string(column.type) and _has_or_names(person, column)
            for batch in batches(store, key)
            for column in batch.columns
        )
    except pa.ArrowInvalid:
        return True  # half written: a step that resumes makes it again
    except FileNotFoundError:
        return False  # gone since it was listed


def _has_or_names(person: Person, column: pa.Array) -> bool:
    """An id's column, or raw rows; a short number means somebody only where it is the whole value."""
    if pc.any(person.has_id(column)).as_py():
        return True
    return person.telling and bool(pc.any(person.named_in(column)).as_py())


def texts(store: Store, person: Person) -> list[str]:
    """Files of run folders and reviews that name the shopper."""
    return [key for key, before, after in _changes(store, person) if before != after]


def redact(store: Store, person: Person) -> int:
    """Write those files again with the id taken out; returns how many there were."""
    changed = 0
    for key, before, after in _changes(store, person):
        if before != after:
            store.write(key, after)
            changed += 1
    return changed


def _changes(store: Store, person: Person) -> Iterator[tuple[str, bytes, bytes]]:
    forms = [form.encode() for form in person.forms]
    for folder in _READ_AGAIN:
        for key in store.list(folder):
            try:
                before = store.read(key)
            except FileNotFoundError:
                continue  # a run that begins anew has just removed it
            if any(form in before for form in forms):
                yield key, before, _without(key, before, person)


def _without(key: str, data: bytes, person: Person) -> bytes:
    if person.telling:
        # Keeps JSON whole: neither the id's own characters nor what stands instead need escaping.
        return person.word.sub(INSTEAD, _text(data)).encode(errors="surrogateescape")
    if not key.endswith(".json"):
        return data
    try:
        body = json.loads(data)
    except ValueError:
        return data
    changed = _value(body, person)
    return data if changed == body else json.dumps(changed, ensure_ascii=False, sort_keys=True).encode()


def _value(value: Any, person: Person) -> Any:
    """Of a short number only a whole string means the shopper: a count of 17 is no shopper 17."""
    if isinstance(value, dict):
        return {(INSTEAD if k == person.user_id else k): _value(v, person) for k, v in value.items()}
    if isinstance(value, list):
        return [_value(v, person) for v in value]
    return INSTEAD if isinstance(value, str) and value == person.user_id else value


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
