"""Trains the ranker on what shoppers did after a cut, with candidates from the days before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.recommender import metrics
from models.recommender.base import Floats, History, Ints, Longs, Reranked, mask
from models.recommender.evaluation import AT, Holdout
from models.recommender.ranker import PURCHASE, SHOPPER_SLOTS, Ranker
from models.recommender.ranker_features import BUCKETS, Facts, dense_features
from models.recommender.scoring import chunks
from models.recommender.topk import top_k

if TYPE_CHECKING:
    from models.recommender.hybrid import Hybrid

# Candidates that the ranker looks at, of each shopper.
DEPTH = 100
# Shoppers it learns from: rows enough for its few thousand weights.
MAX_SHOPPERS = 3_000
# How much the ranker's log-odds count beside the score; 0 leaves the order as it is.
WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class Candidates:
    """Some shoppers' best, with what the ranker reads: ids and scores (shoppers, c), dense and slots
    (shoppers * c, …).
    """

    ids: Ints
    scores: Floats
    dense: Floats
    slots: Ints


def candidates(model: Hybrid, facts: Facts, history: History, scores: Floats) -> Candidates:
    """From masked scores (shoppers, items)."""
    ids, best = top_k(scores, DEPTH)
    dense = dense_features(facts, history, ids, best, model.part_scores(history, ids))
    shown = facts.slots[np.maximum(ids, 0).ravel()]
    who = history.shoppers
    known = np.zeros((len(history), SHOPPER_SLOTS), np.int32) if who is None else who % BUCKETS
    return Candidates(
        ids, best, dense, np.concatenate([np.repeat(known, ids.shape[1], axis=0), shown], axis=1)
    )


def reranked(ranker: Ranker, weight: float, found: Candidates, scores: Floats) -> Reranked:
    """Reorders the candidates in `scores`, in place: none falls below what was no candidate."""
    logits = ranker.logits(found.dense, found.slots).reshape(*found.ids.shape, 2)
    if weight:
        value = np.where(found.ids >= 0, found.scores + np.float32(weight) * logits[:, :, PURCHASE], np.inf)
        least = np.where(found.ids >= 0, found.scores, np.inf).min(axis=1) - value.min(axis=1)
        row, place = np.nonzero(found.ids >= 0)
        scores[row, found.ids[row, place]] = (value + least[:, None])[row, place]
    return Reranked(found.ids, logits)


def trained(
    model: Hybrid, holdout: Holdout, seed: int, weight: float | None = None
) -> tuple[Ranker, float, list[dict[str, Any]]]:
    """A ranker for a model fitted before the holdout's cut, its weight, and what was tried.

    Without a given weight it is chosen on shoppers whom the ranker did not learn from.
    """
    facts = Facts.of(holdout.past, holdout.items, holdout.cut)
    users = np.union1d(holdout.buyers, holdout.sample)
    users = users[:: -(-len(users) // MAX_SHOPPERS) or 1]
    found, labels = _learnable(model, facts, holdout, users)
    listed = found.ids.ravel() >= 0

    def fitted(rows: np.ndarray) -> Ranker:
        return Ranker(seed=seed).fit(found.dense[rows], found.slots[rows], labels[rows])

    tried: list[dict[str, Any]] = []
    if weight is None:
        learn = np.repeat(np.arange(len(users)) % 2 == 0, DEPTH)
        half = fitted(listed & learn)
        judged = np.flatnonzero((np.arange(len(users)) % 2 == 1) & np.isin(users, holdout.buyers))
        for trial in WEIGHTS:
            value = _ndcg(half, trial, found, judged, users, holdout)
            tried.append({"what": "ranker", "value": trial, "ndcg": value})
        weight = float(max(tried, key=lambda t: t["ndcg"])["value"])
    return fitted(listed), weight, tried


def _learnable(model: Hybrid, facts: Facts, holdout: Holdout, users: Longs) -> tuple[Candidates, Floats]:
    """These shoppers' candidates, and whether each was clicked, and bought, in the holdout: (rows, 2)."""
    n = max(len(holdout.items), 1)
    parts, labels = [], []
    clicked, bought = holdout.touched, holdout.user * n + holdout.item
    for low, high in chunks(len(users), n):
        wanted = users[low:high]
        history = holdout.histories.pick(wanted)
        scores = mask(model.score_block(history), holdout.items.in_stock, holdout.excluded.pairs(wanted))
        part = candidates(model, facts, history, scores)
        key = (wanted[:, None] * n + part.ids).ravel()
        labels.append(np.stack([np.isin(key, clicked), np.isin(key, bought)], axis=1).astype(np.float32))
        parts.append(part)
    joined = Candidates(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("ids", "scores", "dense", "slots"))
    )
    return joined, np.concatenate(labels)


def _ndcg(
    ranker: Ranker, weight: float, found: Candidates, rows: Longs, users: Longs, holdout: Holdout
) -> float:
    """Mean NDCG@10 of some shoppers' candidates in the ranker's order."""
    at = (rows[:, None] * DEPTH + np.arange(DEPTH)).ravel()
    logit = ranker.logits(found.dense[at], found.slots[at])[:, PURCHASE].reshape(len(rows), DEPTH)
    ids = found.ids[rows]
    value = np.where(ids >= 0, found.scores[rows] + np.float32(weight) * logit, -np.inf).astype(np.float32)
    order = np.argsort(-value, axis=1, kind="stable")
    user, item = holdout.truth(users[rows])
    ids, value = np.take_along_axis(ids, order, 1), np.take_along_axis(value, order, 1)
    table = metrics.per_user(ids[:, : 2 * AT], value[:, : 2 * AT], user, item, AT, max(len(holdout.items), 1))
    return float(table["ndcg"].mean()) if len(rows) else 0.0
