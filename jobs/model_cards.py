"""The card beside a trained model's files: its row for `models`, and whom it was judged against; and when
a model may be trained on from the one in service.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from jobs.failpoints import failpoint
from jobs.lake.store import Store

_NAME = "card.json"
# What a chain of warm starts has drifted into is left behind once a week.
COLD_EVERY_DAYS = 7


def may_go_on(incumbent: dict[str, Any] | None, ds: date, code: str, without: str = "") -> bool:
    """Whether training of the date `ds` by `code` may start from the weights of the model in service.

    `without`: the mark of the shoppers whose events may be in no model (`jobs.lake.forgotten.learnt_mark`);
    weights from before one of them was forgotten are left behind.
    """
    if incumbent is None or ds.toordinal() % COLD_EVERY_DAYS == 0:
        return False
    trained_on = json.loads(incumbent["trained_on"] or "{}")
    return bool(trained_on.get("code") == code and trained_on.get("without", "") == without)


def read_card(store: Store, location: str) -> dict[str, Any] | None:
    """The card of the model whose files lie in the folder `location`; None where there is none yet."""
    try:
        card: dict[str, Any] = json.loads(store.read(f"{location}/{_NAME}"))
    except FileNotFoundError:
        return None
    return card


def write_card(store: Store, location: str, card: dict[str, Any]) -> None:
    """Written last: its presence says that the model's files are whole."""
    model = location.split("/")[1]
    failpoint("before_card", model)
    store.write(f"{location}/{_NAME}", json.dumps(card, sort_keys=True, ensure_ascii=False).encode())
    failpoint("after_card", model)
