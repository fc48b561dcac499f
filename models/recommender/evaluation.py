"""A model on days it has not seen: what it would have shown, against what was bought."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from models.recommender import metrics
from models.recommender.base import (
    DAY,
    Behaviour,
    Bools,
    Doubles,
    Floats,
    History,
    Interactions,
    Ints,
    Items,
    Longs,
    Recommender,
)
from models.recommender.beyond import diversity, head, novelty, self_information
from models.recommender.bootstrap import counts, exposure_interval, mean_intervals
from models.recommender.gate import Measures
from models.recommender.rules import PLAIN, Excluded, Policy, Rules, already_bought
from models.recommender.scoring import LIST_FEATURES, Block, finished, list_features
from models.recommender.sequences import histories

AT = 10
# Enough shoppers for a standard error of a third of a percent point; more would only take longer.
MAX_USERS = 20_000
HEAVY = 20


@dataclass(frozen=True)
class Holdout:
    """The days from `cut` on, seen from the days before.

    buyers: shoppers who bought something in it. sample: shoppers of all kinds, buyers or not. user, item:
    what was bought, without repeats. touched: user * items + item of whatever anybody had to do with.
    """

    past: Interactions
    items: Items
    cut: int
    days: int
    histories: History
    excluded: Excluded
    user: Longs
    item: Ints
    buyers: Longs
    sample: Longs
    touched: Longs
    policy: Policy = PLAIN

    @classmethod
    def split(
        cls, events: Interactions, items: Items, as_of: int, days: int, policy: Policy = PLAIN
    ) -> Holdout:
        """Holds out the last `days` before `as_of`. Today's stock says nothing of those days: all items are
        allowed. policy: as the lists that are judged are made.
        """
        cut = as_of - days * DAY
        past = events.before(cut)
        bought = events.between(cut, as_of).of(Behaviour.PURCHASE)
        bought = bought.where(bought.user >= 0)
        pair = np.unique(bought.user.astype(np.int64) * max(len(items), 1) + bought.item)
        user, item = pair // max(len(items), 1), (pair % max(len(items), 1)).astype(np.int32)
        open_shop = replace(items, in_stock=np.ones(len(items), np.bool_))
        known = np.unique(past.user[past.user >= 0]).astype(np.int64)
        return cls(
            past=past,
            items=open_shop,
            cut=cut,
            days=days,
            histories=histories(past, cut),
            excluded=already_bought(past, open_shop),
            user=user,
            item=item,
            buyers=_thin(np.unique(user)),
            sample=_thin(known),
            touched=_pairs(events.between(cut, as_of), len(items)),
            policy=policy,
        )

    @property
    def with_past(self) -> Bools:
        return np.diff(self.histories.indptr) > 0

    def truth(self, users: Longs) -> tuple[Longs, Ints]:
        """What these shoppers (ascending) bought: place in `users`, item."""
        inside = np.isin(self.user, users)
        return np.searchsorted(users, self.user[inside]), self.item[inside]

    def lists(self, model: Recommender, users: Longs, k: int) -> Iterator[Block]:
        rules = Rules.of(self.items, k, self.policy)
        return finished(model, self.histories, users, rules, self.excluded)


def _pairs(events: Interactions, n_items: int) -> Longs:
    some = events.where((events.user >= 0) & (events.behaviour != Behaviour.RETURN))
    return np.unique(some.user.astype(np.int64) * max(n_items, 1) + some.item)


def _thin(users: Longs) -> Longs:
    return users[:: -(-len(users) // MAX_USERS)] if len(users) > MAX_USERS else users


def ndcg(model: Recommender, holdout: Holdout, k: int = AT) -> float:
    """Mean NDCG@10 over the holdout's buyers: what hyper-parameters are chosen by."""
    table, _ = per_buyer(model, holdout, 2 * k)
    return float(np.mean(table["ndcg"])) if len(table["ndcg"]) else 0.0


def per_buyer(model: Recommender, holdout: Holdout, k: int) -> tuple[dict[str, Doubles], Ints]:
    """Measures of each of the holdout's buyers, (buyers,), and their lists, (buyers, k); k is above `AT`."""
    ids, scores = _lists_of_buyers(model, holdout, k)
    user, item = holdout.truth(holdout.buyers)
    return metrics.per_user(ids, scores, user, item, AT, max(len(holdout.items), 1)), ids


def _lists_of_buyers(model: Recommender, holdout: Holdout, k: int) -> tuple[Ints, Floats]:
    blocks = list(holdout.lists(model, holdout.buyers, k))
    if not blocks:
        return np.zeros((0, k), np.int32), np.zeros((0, k), np.float32)
    return np.concatenate([b.lists.ids for b in blocks]), np.concatenate([b.lists.scores for b in blocks])


def measure(model: Recommender, holdout: Holdout, k: int, seed: int) -> Measures:
    """All measures of a fitted model; lists are at least twice as long as the cut, so that ties show."""
    groups = segments(holdout)
    values = all_values(model, holdout, max(k, 2 * AT))
    told = mean_intervals(values, groups, seed)
    shown = [b.lists.ids for b in holdout.lists(model, holdout.sample, k)]
    ids = np.concatenate(shown) if shown else np.zeros((0, k), np.int32)
    n_items = max(len(holdout.items), 1)
    exposure = np.bincount(ids[ids >= 0], minlength=n_items)
    mean = {name: told["all"].get(name, (0.0,))[0] for name in values}
    if len(ids):
        told["all"]["coverage"] = exposure_interval(ids, n_items, lambda e: float((e > 0).mean()), seed)
        told["all"]["gini"] = exposure_interval(ids, n_items, metrics.gini, seed)
    possible = min(k, len(np.unique(holdout.items.parent)))
    bought_all = np.diff(holdout.excluded.indptr)[holdout.sample]
    full = (
        ((ids >= 0).sum(axis=1) >= np.minimum(possible, np.maximum(possible - bought_all, 0))).mean()
        if len(ids)
        else 1.0
    )
    return Measures(
        users=len(holdout.buyers),
        **mean,
        full=float(full),
        coverage=metrics.coverage(ids, n_items),
        distinct=int((exposure > 0).sum()),
        gini=metrics.gini(exposure),
        overlap=metrics.overlap(ids, AT),
        ndcg_interval=told["all"].get("ndcg", (0.0, 0.0, 0.0))[1:],
        segments=_short(told, groups),
        table=told,
        sizes={name: int(who.sum()) for name, who in groups.items()},
        known=counts(values, groups),
    )


def _short(
    told: dict[str, dict[str, tuple[float, float, float]]], groups: dict[str, Bools]
) -> dict[str, dict[str, float]]:
    """The two measures that are looked at first, by segment."""
    return {
        name: {"users": int(who.sum()), "ndcg": told[name]["ndcg"][0], "hr": told[name]["hr"][0]}
        for name, who in groups.items()
        if name != "all" and who.any()
    }


def segments(holdout: Holdout) -> dict[str, Bools]:
    """Masks over the holdout's buyers: all; new (no past), light, and heavy (at least 20 past events)."""
    events = np.diff(holdout.histories.indptr)[holdout.buyers]
    return {
        "all": np.ones(len(events), np.bool_),
        "new": events == 0,
        "light": (events > 0) & (events < HEAVY),
        "heavy": events >= HEAVY,
    }


def all_values(model: Recommender, holdout: Holdout, k: int) -> dict[str, Doubles]:
    """Every measure of each of the holdout's buyers, (buyers,), nan where a buyer has no such measure."""
    ids, scores = _lists_of_buyers(model, holdout, k)
    user, item = holdout.truth(holdout.buyers)
    n_items = max(len(holdout.items), 1)
    best_seller = head(holdout.past)[item]

    def accuracy(part: Bools) -> dict[str, Doubles]:
        return metrics.per_user(ids, scores, user[part], item[part], AT, n_items)

    return accuracy(np.ones(len(item), np.bool_)) | {
        "novelty": novelty(ids[:, :AT], self_information(holdout.past)),
        "diversity": diversity(ids[:, :AT], holdout.items),
        "recall_head": accuracy(best_seller)["recall"],
        "recall_tail": accuracy(~best_seller)["recall"],
    }


def calibration_rows(model: Recommender, holdout: Holdout, k: int) -> tuple[Floats, Doubles, Doubles]:
    """Every listed row of a sample of all shoppers: features, bought (0 or 1), shopper."""
    features, labels, owners = [np.zeros((0, LIST_FEATURES), np.float32)], [np.zeros(0)], [np.zeros(0)]
    user, item = holdout.truth(holdout.sample)
    for block in holdout.lists(model, holdout.sample, k):
        ids = block.lists.ids
        inside = (user >= block.row[0]) & (user <= block.row[-1])
        bought = metrics.hits(
            ids, user[inside] - block.row[0], item[inside], max(len(holdout.items), 1)
        ).ravel()
        listed = ids.ravel() >= 0
        features.append(list_features(block, model.sources(block.history, ids))[listed])
        labels.append(bought[listed].astype(np.float64))
        owners.append(np.repeat(block.row, k)[listed].astype(np.float64))
    return np.concatenate(features), np.concatenate(labels), np.concatenate(owners)
