"""Runs that people have tagged: maintenance keeps them, however many nights follow.

A tag is an empty file, `tags/<run id>`. What an erasure takes away no tag keeps.
"""

from __future__ import annotations

from jobs.lake.store import Store

FOLDER = "tags"


def tagged(store: Store) -> frozenset[str]:
    """Ids of the runs that are tagged now."""
    return frozenset(key.removeprefix(f"{FOLDER}/") for key in store.list(FOLDER))


def add(store: Store, run_id: str) -> None:
    store.write(f"{FOLDER}/{run_id}", b"")


def remove(store: Store, run_id: str) -> None:
    store.delete([f"{FOLDER}/{run_id}"])
