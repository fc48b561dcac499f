"""A recommender's files in the lake: model.json, arrays.npz, products.npz, calibration.json, and card.json
last.

Nothing in them belongs to a shopper.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import models.recommender
from jobs.lake.store import Store
from models.recommender.base import Items, Recommender
from models.recommender.calibration import Calibration


def location(version: str) -> str:
    return f"models/recommender/{version}"


def save(store: Store, version: str, model: Recommender, items: Items, calibration: Calibration) -> None:
    """All files but the card, whose presence says that the others are whole."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder)
        model.save(local)
        np.savez_compressed(local / "products.npz", product_id=items.product_id)
        (local / "calibration.json").write_text(json.dumps(calibration.to_json(), sort_keys=True))
        for file in sorted(local.iterdir()):
            store.write(f"{location(version)}/{file.name}", file.read_bytes())


def load(store: Store, where: str, items: Items) -> tuple[Recommender, Calibration]:
    """The model over today's catalogue: products it has never seen have no links yet."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder)
        for name in ("model.json", "arrays.npz", "products.npz", "calibration.json"):
            (local / name).write_bytes(store.read(f"{where}/{name}"))
        model = models.recommender.load(local)
        with np.load(local / "products.npz", allow_pickle=False) as file:
            known = file["product_id"]
        calibration = Calibration.from_json(json.loads((local / "calibration.json").read_text()))
    # In place: what follows of a model's use brings counts and attributes up to date.
    if not np.array_equal(known, items.product_id):
        model = model.reindex(_places(known, items))
    return model, calibration


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
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
