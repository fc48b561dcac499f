"""What a writer was trained on, and whether enough of it has changed that another is to be trained.

An accepted model writes the whole catalogue anew: one changed product is not worth that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs import writer_files as files
from jobs.lake.store import Store
from jobs.night import Night

_PAIRS = "pairs.bin"
_HASHES = np.dtype("<u8")


@dataclass(frozen=True)
class Learnt:
    """What a model is learnt from, but for its start.

    `pairs`: sorted 64-bit hashes, one a pair; `people`: hash of what people's verdicts took out of the texts
    or put into them; `setup`: hash of code, rules and settings; `digest`: hash of all but the rules.
    """

    digest: str
    setup: str
    people: str
    pairs: npt.NDArray[np.uint64]

    def as_json(self) -> dict[str, str]:
        """What `models.trained_on` says of it; the pairs' hashes are a file of the model."""
        return {"learnt_from": self.digest, "setup": self.setup, "people": self.people}

    def save(self, store: Store, version: str) -> None:
        store.write(f"{files.location(version)}/{_PAIRS}", self.pairs.astype(_HASHES).tobytes())


def still_good(night: Night, model: dict[str, Any] | None, learnt: Learnt) -> str:
    """Why no model is to be trained beside the one in service; "" where one is.

    A person's verdict, an erasure and another setup are never too little to count.
    """
    if model is None or not files.are_there(night.store, model["location"]):
        return ""
    known = json.loads(model["trained_on"] or "{}")
    if known.get("learnt_from") == learnt.digest:
        return "the training pairs are those of the model in service"
    before = _pairs(night.store, model["location"])
    if before is None or (known.get("setup"), known.get("people")) != (learnt.setup, learnt.people):
        return ""
    share, most = changed(before, learnt.pairs), night.settings.writer_retrain_share
    if share > most:
        return ""
    return (
        f"{share:.2%} of the training pairs changed since {model['version']} was trained, not over {most:.2%}"
    )


def changed(before: npt.NDArray[np.uint64], now: npt.NDArray[np.uint64]) -> float:
    """The share of pairs that came or went, whichever is more; one with another text does both."""
    came = np.setdiff1d(now, before, assume_unique=True)
    went = np.setdiff1d(before, now, assume_unique=True)
    return max(len(came), len(went)) / max(len(before), len(now), 1)


def _pairs(store: Store, location: str) -> npt.NDArray[np.uint64] | None:
    """None for a model from before its pairs were kept."""
    try:
        return np.frombuffer(store.read(f"{location}/{_PAIRS}"), _HASHES).astype(np.uint64)
    except FileNotFoundError:
        return None
