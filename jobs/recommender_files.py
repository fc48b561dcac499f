"""A recommender's files in the lake: model.json, arrays.npz, earlier.npz (what its trained part was before
the held-out days were learnt too), products.npz, calibration.json, and card.json last.

Nothing in them belongs to a shopper.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models.recommender
from jobs.lake.store import Store
from models.recommender.base import Items, Recommender
from models.recommender.calibration import Calibration
from models.recommender.hybrid import Hybrid
from models.recommender.training import Trained

_CUT = "cut"


def location(version: str) -> str:
    return f"models/recommender/{version}"


def save(store: Store, version: str, trained: Trained, items: Items, cut: int) -> None:
    """All files but the card, whose presence says that the others are whole. cut: UTC seconds; the earlier
    part knows nothing from then on.
    """
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder)
        trained.model.save(local)
        earlier: dict[str, Any] = {_CUT: np.int64(cut), **trained.earlier}
        np.savez_compressed(local / "earlier.npz", **earlier)
        np.savez_compressed(local / "products.npz", product_id=items.product_id)
        (local / "calibration.json").write_text(json.dumps(trained.calibration.to_json(), sort_keys=True))
        for file in sorted(local.iterdir()):
            store.write(f"{location(version)}/{file.name}", file.read_bytes())


def load(store: Store, where: str, items: Items) -> tuple[Recommender, Calibration]:
    """The model over today's catalogue: products it has never seen have no links yet."""
    model, known = _stored(store, where)
    calibration = Calibration.from_json(json.loads(store.read(f"{where}/calibration.json")))
    return _over(items, model, known), calibration


def load_earlier(store: Store, where: str, items: Items, cut: int) -> Hybrid | None:
    """A hybrid as trained before its held-out days, over today's catalogue, to be resumed; None if it is of
    another kind, knows of days from `cut` on, or its files are gone.
    """
    try:
        model, known = _stored(store, where)
        with np.load(io.BytesIO(store.read(f"{where}/earlier.npz")), allow_pickle=False) as file:
            earlier = dict(file)
    except FileNotFoundError:
        return None
    if not isinstance(model, Hybrid) or int(earlier.pop(_CUT)) > cut:
        return None
    found = _over(items, model.rewind(earlier), known)
    return found if isinstance(found, Hybrid) else None


def _stored(store: Store, where: str) -> tuple[Recommender, NDArray[np.str_]]:
    """The model, and the products that it was made over."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder)
        for name in ("model.json", "arrays.npz"):
            (local / name).write_bytes(store.read(f"{where}/{name}"))
        model = models.recommender.load(local)
    with np.load(io.BytesIO(store.read(f"{where}/products.npz")), allow_pickle=False) as file:
        return model, file["product_id"]


def _over(items: Items, model: Recommender, known: NDArray[np.str_]) -> Recommender:
    # In place: what follows of a model's use brings counts and attributes up to date.
    if np.array_equal(known, items.product_id):
        return model
    return model.reindex(_places(known, items))


def _places(known: np.ndarray, items: Items) -> np.ndarray:
    """Of each of today's products, its place among the sorted known ones, or -1."""
    if len(known) == 0:
        return np.full(len(items), -1, np.int64)
    at = np.minimum(np.searchsorted(known, items.product_id), len(known) - 1)
    return np.where(known[at] == items.product_id, at, -1)


def recipe(store: Store, where: str) -> tuple[str, dict[str, Any]]:
    """Kind and hyper-parameters, without loading what was learnt."""
    about = json.loads(store.read(f"{where}/model.json"))
    return about["kind"], about["recipe"]


def code_hash() -> str:
    """Hash of the code that decides what a model is: a change of a constant is a new version."""
    here = Path(__file__).resolve().parent
    files = sorted((here.parent / "models" / "recommender").glob("*.py"))
    files += [
        here.parent / "models" / "backend.py",
        here / "recommender_data.py",
        here / "item_attributes.py",
        here / "train_recommender.py",
        here / "recommend.py",
        here / "reasons.py",
        here / "arms.py",
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
