"""The published protocols: what is trained on, what is hidden, and how lists are measured.

Ranks are over all items that the user has not had; ties are pessimistic: an item stands behind its equals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks import formats
from models.recommender import metrics
from models.recommender.base import DAY, Doubles, History, Interactions, Ints, Items, Longs
from models.recommender.scoring import chunks
from models.recommender.sequences import histories
from models.recommender.topk import top_k
from models.recommender.zblend import Score

VALIDATION_USERS = 5000
EVER = 1 << 60


@dataclass(frozen=True)
class Split:
    """`past` is trained on, `asked` are the users' histories, `truth` (users, items) is hidden."""

    past: Interactions
    items: Items
    asked: History
    seen: History
    truth: sparse.csr_array
    users: Longs

    @property
    def as_of(self) -> int:
        return int(self.past.time.max(initial=0)) + DAY

    def blocks(self) -> Iterator[Longs]:
        for low, high in chunks(len(self.users), len(self.items)):
            yield self.users[low:high]

    def measure(self, score: Score, k: int) -> dict[str, float]:
        """recall, hr, ndcg at k, means over the users who have something hidden, and coverage."""
        shown: list[Ints] = []
        table = self.per_user(score, k, shown)
        means = {name: float(values.mean()) for name, values in table.items()}
        return means | {"coverage": metrics.coverage(np.concatenate(shown), len(self.items))}

    def per_user(self, score: Score, k: int, shown: list[Ints] | None = None) -> dict[str, Doubles]:
        """recall, hr, ndcg at k, (users,); what they are shown is added to `shown`, (users, k) a block."""
        totals: dict[str, list[Doubles]] = {"recall": [], "hr": [], "ndcg": []}
        for users in self.blocks():
            scores = score(self.asked.pick(users))
            seen = self.seen.pick(users)
            scores[seen.row, seen.item] = -np.inf
            # One place more, so that a tie at the end of the list shows.
            ids, values = top_k(scores, k + 1)
            row, item = self.truth[users].tocoo().coords
            found = metrics.per_user(
                ids, values, row.astype(np.int64), item.astype(np.int32), k, len(self.items)
            )
            if shown is not None:
                shown.append(ids[:, :k])
            for name, values_of in totals.items():
                values_of.append(found[name])
        return {name: np.concatenate(values) for name, values in totals.items()}


@dataclass(frozen=True)
class Protocol:
    """A dataset under its published protocol: `choosing` lies whole inside the training data of `testing`."""

    name: str
    k: int
    measures: tuple[str, str]
    ordered: bool
    choosing: Split
    testing: Split


def _truth(user: Longs, item: Longs, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array(sparse.coo_array((np.ones(len(user), np.float32), (user, item)), shape=shape))


def _some(users: Longs, seed: int) -> Longs:
    """At most `VALIDATION_USERS` of the users, ascending."""
    if len(users) <= VALIDATION_USERS:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, VALIDATION_USERS, replace=False))


def sequences(name: str, file: Path, attributes: Path | None, seed: int) -> Protocol:
    """Leave one out: a user's last item is hidden for the test, the one before it for the validation."""
    events, counts = formats.sequences(file)
    items = Items.plain(events.n_items)
    if attributes is not None:
        items = replace(items, attributes=formats.attributes(attributes, events.n_items))
    place, last = events.time // DAY, counts[events.user]

    def split(hidden: int, trained: int) -> Split:
        """The item `hidden` places before the end is the truth; training ends `trained` places before it."""
        asked = events.where(place < last - hidden)
        gone = events.where(place == last - hidden)
        truth = _truth(
            gone.user.astype(np.int64), gone.item.astype(np.int64), (events.n_users, events.n_items)
        )
        users = np.arange(events.n_users)
        past = histories(asked, EVER, longest=int(counts.max()))
        return Split(events.where(place < last - trained), items, past, past, truth, users)

    choosing = split(2, 2)
    choosing = replace(choosing, users=_some(choosing.users, seed))
    return Protocol(name, 10, ("hr", "ndcg"), True, choosing, split(1, 2))


def lightgcn(name: str, train: Path, test: Path, seed: int) -> Protocol:
    """A user's hidden items; for choosing, a random seventh of each user's training items is hidden."""
    user, item = formats.user_items(train)
    asked_user, asked_item = formats.user_items(test)
    n_users = int(max(user.max(), asked_user.max(initial=0))) + 1
    n_items = int(max(item.max(), asked_item.max(initial=0))) + 1
    shape = (n_users, n_items)

    def split(kept: np.ndarray, hidden_user: Longs, hidden_item: Longs) -> Split:
        # Order means nothing here: all of a user's items are of one moment.
        past = formats.events_of(user[kept], item[kept], np.zeros(int(kept.sum()), np.int64), *shape)
        asked = histories(past, EVER, longest=n_items)
        truth = _truth(hidden_user, hidden_item, shape)
        users = np.flatnonzero(np.diff(truth.indptr) > 0)
        return Split(past, Items.plain(n_items), asked, asked, truth, users)

    hidden = np.random.default_rng(seed).random(len(user)) < 1 / 7
    # Nobody loses everything.
    hidden &= np.bincount(user[~hidden], minlength=n_users)[user] > 0
    choosing = split(~hidden, user[hidden], item[hidden])
    choosing = replace(choosing, users=_some(choosing.users, seed))
    testing = split(np.ones(len(user), np.bool_), asked_user, asked_item)
    return Protocol(name, 20, ("recall", "ndcg"), False, choosing, testing)
