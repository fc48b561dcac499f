"""The card beside a trained model's files: its row for `models`, and whom it was judged against."""

from __future__ import annotations

import json
from typing import Any

from jobs.lake.store import Store

_NAME = "card.json"


def read_card(store: Store, location: str) -> dict[str, Any] | None:
    """The card of the model whose files lie in the folder `location`; None where there is none yet."""
    try:
        card: dict[str, Any] = json.loads(store.read(f"{location}/{_NAME}"))
    except FileNotFoundError:
        return None
    return card


def write_card(store: Store, location: str, card: dict[str, Any]) -> None:
    """Written last: its presence says that the model's files are whole."""
    store.write(f"{location}/{_NAME}", json.dumps(card, sort_keys=True, ensure_ascii=False).encode())
