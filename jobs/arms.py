"""Who is in which arm of an experiment, and what the control arm is shown.

An arm is a function of the shopper's id and the experiment's name alone: SHA-256 of `<name>:<user id>`, its
first 8 bytes as a share of 2^64, held against the arms' cumulated shares in the order of their names. So a
shopper stays in an arm over days, runs and machines, two experiments draw independently, and whoever serves
the lists can compute the same. (Salted hashing: Tang et al., "Overlapping Experiment Infrastructure",
KDD 2010.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.recommender_data import Shop, policy
from jobs.settings import Experiment, Settings
from models.recommender.base import Recommender
from models.recommender.calibration import Calibration, calibrate
from models.recommender.evaluation import Holdout, calibration_rows
from models.recommender.popularity import Popularity

CONTROL, MODEL = "control", "model"
# Its lists come from no trained model, and must not look as if they did.
CONTROL_VERSION = "7-day-popularity"


@dataclass(frozen=True)
class Served:
    """What makes an arm's lists: a fitted model, its calibration, and the name that rows carry."""

    model: Recommender
    calibration: Calibration
    version: str


def names(experiment: Experiment) -> list[str]:
    """The arms in the order in which they share the unit interval; `model` alone where none is on."""
    return sorted(experiment.arms) if experiment.on else [MODEL]


def draw(users: pa.Array | pa.ChunkedArray, experiment: Experiment) -> NDArray[np.int64]:
    """(shoppers,): each one's index in `names(experiment)`."""
    arms = names(experiment)
    if not experiment.on:
        return np.zeros(len(users), np.int64)
    salt = hashlib.sha256(f"{experiment.name}:".encode())

    def first_bytes(user: str) -> bytes:
        digest = salt.copy()
        digest.update(user.encode())
        return digest.digest()[:8]

    # About a microsecond a shopper, where making the list takes many: hashing is not what a night waits for.
    joined = b"".join(first_bytes(u) for u in users.to_pylist())
    at = np.frombuffer(joined, ">u8").astype(np.float64) / 2.0**64
    ends = np.cumsum([experiment.arms[a] for a in arms])
    # Shares that add up to a hair less than 1 leave nobody out; an arm of share 0 gets nobody.
    last = max(i for i, a in enumerate(arms) if experiment.arms[a] > 0)
    return np.minimum(np.searchsorted(ends, at, side="right"), last).astype(np.int64)


def control(shop: Shop, settings: Settings) -> Served:
    """7-day popularity, its probabilities calibrated on its own lists of the last `holdout_days`, made under
    the shop's own list settings.
    """
    days = settings.holdout_days
    holdout = Holdout.split(shop.events, shop.items, shop.as_of, days, policy(settings))
    past = Popularity().fit(holdout.past, holdout.items, holdout.cut)
    calibration = calibrate(*calibration_rows(past, holdout, settings.top_k), window_days=days)
    return Served(Popularity().fit(shop.events, shop.items, shop.as_of), calibration, CONTROL_VERSION)
