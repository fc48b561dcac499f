"""What a writer was trained on, and whether enough of it has changed that another is to be trained.

An accepted model writes the whole catalogue anew: one changed product is not worth that.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs import writer_files as files
from jobs.lake.store import Store
from jobs.night import Night

_FILE = "learnt.npz"
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Learnt:
    """What a model is learnt from, but for its start.

    `digest`: hash of pairs, code and settings; `setup`: of code, settings and rules; `people`: of what
    verdicts put into the texts or took out. `pairs`, their `texts` and the `rejected` texts: a hash of each.
    """

    digest: str
    setup: str
    people: str
    pairs: Hashes
    texts: Hashes
    rejected: Hashes

    def as_json(self) -> dict[str, str]:
        """What `models.trained_on` says of it; the hashes are a file of the model."""
        return {"learnt_from": self.digest, "setup": self.setup, "people": self.people}

    def save(self, store: Store, version: str) -> None:
        data = io.BytesIO()
        np.savez(data, pairs=self.pairs, texts=self.texts)
        store.write(f"{files.location(version)}/{_FILE}", data.getvalue())


def still_good(night: Night, model: dict[str, Any] | None, learnt: Learnt) -> str:
    """Why no model is to be trained beside the one in service; "" where one is.

    A person's verdict, an erasure and another setup are never too little to count.
    """
    if model is None or not files.are_there(night.store, model["location"]):
        return ""
    known = json.loads(model["trained_on"] or "{}")
    if known.get("learnt_from") == learnt.digest:
        return "the training pairs are those of the model in service"
    before = _read(night.store, model["location"])
    if before is None or (known.get("setup"), known.get("people")) != (learnt.setup, learnt.people):
        return ""
    share, most = changed(before["pairs"], learnt.pairs), night.settings.writer_retrain_share
    if share > most or len(np.intersect1d(before["texts"], learnt.rejected)):
        return ""
    return (
        f"{share:.2%} of the training pairs changed since {model['version']} was trained, not over {most:.2%}"
    )


def hashes(lines: Iterable[Any]) -> Hashes:
    """64-bit hashes of what JSON can say, sorted, each once."""
    found = b"".join(hashlib.blake2b(json.dumps(line).encode(), digest_size=8).digest() for line in lines)
    return np.unique(np.frombuffer(found, "<u8").astype(np.uint64))


def changed(before: Hashes, now: Hashes) -> float:
    """The share of pairs that came or went, whichever is more; one with another text does both."""
    came = np.setdiff1d(now, before, assume_unique=True)
    went = np.setdiff1d(before, now, assume_unique=True)
    return max(len(came), len(went)) / max(len(before), len(now), 1)


def _read(store: Store, location: str) -> Mapping[str, Hashes] | None:
    """None for a model from before its pairs were kept."""
    try:
        with np.load(io.BytesIO(store.read(f"{location}/{_FILE}")), allow_pickle=False) as found:
            return {name: found[name] for name in ("pairs", "texts")}
    except FileNotFoundError:
        return None
