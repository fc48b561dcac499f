"""Recommenders over arrays: what to show a shopper, why, and how likely it is to be bought."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from models.recommender.base import Recommender
from models.recommender.hybrid import Hybrid
from models.recommender.item_graph import ItemGraph
from models.recommender.popularity import Popularity

KINDS: dict[str, type[Recommender]] = {c.kind: c for c in (Popularity, ItemGraph, Hybrid)}


def from_recipe(kind: str, recipe: dict[str, Any]) -> Recommender:
    """An unfitted model; `LookupError` for a kind that this version does not know."""
    if kind not in KINDS:
        raise LookupError(f"unknown kind of recommender '{kind}'; known are {', '.join(sorted(KINDS))}")
    return KINDS[kind](**recipe)


def load(folder: Path) -> Recommender:
    """A model as `Recommender.save` left it."""
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        return from_recipe(about["kind"], about["recipe"]).restore(dict(arrays))
