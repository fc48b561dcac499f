"""Everything beside tables and landing: run folders, reviews, shards of steps that resume, unfinished files.

Nightshelf writes no shopper's id there, but for shards; an error's text or a person's note may hold one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.erasure.person import Person
from jobs.lake.rewrite import batches
from jobs.lake.store import Store
from jobs.night import REVIEWS

INSTEAD = "(forgotten)"
_READ_AGAIN = ("runs", REVIEWS)
# Arrays of a run's shop hold a shopper's rows under their place among the ids, which lie beside them.
_ARRAYS, _IDS = ".npz", "users.parquet"
# Tags, with what stands between those of styles and programs.
_MARKUP = re.compile(r"(<style\b.*?</style>|<script\b.*?</script>|<[^>]*>)", re.DOTALL)


def shards(store: Store, person: Person) -> list[str]:
    """Files under `work/` that hold the shopper: a step that resumes makes them again.

    A shop goes whole or not at all; of one without its ids nobody can tell whose rows it has.
    """
    keys = store.list("work")
    held = {k for k in keys if not k.endswith(_ARRAYS) and _holds(store, key=k, person=person)}
    shops = {_folder(k) for k in keys if k.endswith(_ARRAYS)}
    whole = {_folder(k) for k in keys if k.endswith(f"/{_IDS}")}
    gone = (shops - whole) | (shops & {_folder(k) for k in held})
    return [k for k in keys if k in held or _folder(k) in gone]


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def unfinished(store: Store, person: Person) -> list[str]:
    """Files that a killed writer left hidden and that hold the shopper, or may: half a file tells nothing.

    A writer that is still at work on one of them fails, and is tried again.
    """
    found = [e.key for e in store.unfinished()]
    return [k for k in found if _numbers(k) or _holds(store, key=k, person=person)]


def _numbers(key: str) -> bool:
    """A hidden file of a run's arrays; those of models hold no shopper's rows."""
    return key.startswith("work/") and _ARRAYS in key


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


def redact(store: Store, person: Person, alone: Callable[[], AbstractContextManager[Any]]) -> None:
    """Write those files again with the id taken out.

    `alone`: a lock that every erasure takes, so that none writes a file over another's.
    """
    for key in texts(store, person):
        with alone(), suppress(FileNotFoundError):
            store.write(key, _without(key, store.read(key), person))


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
    for one in person.by_name():
        page = not key.endswith(".json")
        data = _page(data, one) if page else _json(key, data, one)
    return data


def _page(data: bytes, person: Person) -> bytes:
    """A report's page, or another text. What may be a word or a number of the page's own goes from what
    readers see alone, not from its markup.
    """
    if not person.telling:
        return data
    told = _text(data)
    if person.wordlike or person.numeric:
        parts = _MARKUP.split(told)
        told = "".join(part if n % 2 else _spoken(part, person) for n, part in enumerate(parts))
    else:
        told = person.word.sub(INSTEAD, told)
    return told.encode(errors="surrogateescape")


def _json(key: str, data: bytes, person: Person) -> bytes:
    """Only strings and names of fields change, so it stays JSON. What is none is taken for a text."""
    try:
        body = json.loads(data)
    except ValueError:
        return _page(data, person)
    if person.wordlike or (person.numeric and person.telling):
        if key.startswith(f"{REVIEWS}/"):
            # What people wrote of products stays as it is: there the word, or the number, is no shopper.
            return data
        # A record's short values are states, names and paths.
        changed = _each(body, lambda text: _told(text, person, whole=not key.endswith("/run.json")))
    elif person.telling:
        changed = _each(body, lambda text: person.word.sub(INSTEAD, text), names=True)
    else:
        # Of a short number only a whole string means the shopper: a count of 17 is no shopper 17.
        changed = _each(body, lambda text: INSTEAD if text == person.user_id else text, names=True)
    return data if changed == body else json.dumps(changed, ensure_ascii=False, sort_keys=True).encode()


def _each(value: Any, change: Callable[[str], str], names: bool = False) -> Any:
    """Nested JSON with every string changed; with `names`, those of fields too."""
    if isinstance(value, dict):
        return {(change(k) if names else k): _each(v, change, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_each(v, change, names) for v in value]
    return change(value) if isinstance(value, str) else value


def _told(text: str, person: Person, whole: bool) -> str:
    """Without the id in a sentence; and, with `whole`, where it is a value of its own."""
    if whole and text in person.forms:
        return INSTEAD
    return _spoken(text, person) if " " in text else text


def _spoken(text: str, person: Person) -> str:
    return (person.number if person.numeric else person.word).sub(INSTEAD, text)


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
