"""Who is to be forgotten: tombstones in the lake that every later intake goes by, without anybody's id.

    forgotten/salt              random, made with the first tombstone
    forgotten/<hash>.json       tombstone; the hash is SHA-256 of salt and id
    forgotten/<hash>.learnt     models that were trained before have learnt from the shopper's events
    forgotten/<hash>.pending    files that are to be removed, while the erasure is at work

Whoever can read the lake's folder and guesses an id can check the guess: the salt keeps hashes of different
lakes apart and makes no id readable, and is no secret from the lake's own keepers.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass

from jobs.errors import BadInput, Transient
from jobs.lake.store import Store

FOLDER = "forgotten"
_SALT = f"{FOLDER}/salt"
_TOMBSTONE = re.compile(rf"{FOLDER}/([0-9a-f]{{64}})\.json")
_LEARNT = re.compile(rf"{FOLDER}/([0-9a-f]{{64}})\.learnt")


@dataclass(frozen=True)
class Forgotten:
    """The tombstones of a lake, as keyed hashes."""

    salt: str
    hashes: frozenset[str]

    def key(self, user_id: str) -> str:
        """The keyed hash of an id; `jobs.intake.forgotten` computes the same in Spark."""
        return hashlib.sha256((self.salt + user_id).encode()).hexdigest()


def load(store: Store) -> Forgotten:
    """Every tombstone. Raises `BadInput` where the salt is gone, for then nobody could be recognised."""
    keys = store.list(FOLDER)
    hashes = frozenset(found.group(1) for k in keys if (found := _TOMBSTONE.fullmatch(k)))
    if _SALT in keys:
        return Forgotten(store.read(_SALT).decode(), hashes)
    if hashes:
        raise BadInput(
            f"{store.uri(_SALT)} is missing, so forgotten shoppers cannot be recognised and would come back: "
            "restore the file from a backup"
        )
    return Forgotten("", hashes)


def add(store: Store, user_id: str, day: str) -> Forgotten:
    """Write the shopper's tombstone, where there is none yet; returns all tombstones."""
    if not store.exists(_SALT):
        store.write(_SALT, secrets.token_hex(32).encode())
    known = load(store)
    key = known.key(user_id)
    if key not in known.hashes:
        body = {"user_hash": key, "asked": day}
        store.write(f"{FOLDER}/{key}.json", json.dumps(body, sort_keys=True).encode())
    return Forgotten(known.salt, known.hashes | {key})


def require_same_salt(store: Store, known: Forgotten) -> None:
    """Raise `Transient` where another first erasure wrote its own salt over ours: ours must be done again."""
    if store.read(_SALT).decode() != known.salt:
        raise Transient("two erasures made this lake's salt at the same time: run 'nightshelf forget' again")


# -- models ----------------------------------------------------------------------


def mark_learnt(store: Store, key: str) -> None:
    """From now on no model is trained on from one that has learnt from the shopper's events."""
    if not store.exists(f"{FOLDER}/{key}.learnt"):
        store.write(f"{FOLDER}/{key}.learnt", b"{}")


def learnt_mark(store: Store) -> str:
    """A name for the set of shoppers whose events must be in no model; empty where nobody was forgotten.

    A model that bears the present mark was trained without any of them.
    """
    found = sorted(m.group(1) for k in store.list(FOLDER) if (m := _LEARNT.fullmatch(k)))
    return hashlib.sha256("".join(found).encode()).hexdigest()[:16] if found else ""


# -- what an erasure at work still has to remove ------------------------------------


def pending(store: Store, key: str) -> list[str] | None:
    """Files that an earlier, unfinished erasure wanted to remove; None where there is none."""
    try:
        found: list[str] = json.loads(store.read(f"{FOLDER}/{key}.pending"))
    except FileNotFoundError:
        return None
    return found


def set_pending(store: Store, key: str, files: list[str]) -> None:
    store.write(f"{FOLDER}/{key}.pending", json.dumps(files).encode())


def clear_pending(store: Store, key: str) -> None:
    store.delete([f"{FOLDER}/{key}.pending"])
