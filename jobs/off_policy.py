"""What the candidate's lists would have earned, from the clicks on the lists that the shop has shown.

Only where events say which list they came from (`list_ds`, `list_rank`). The model is fitted on the days
before the holdout and its lists are held against those that were shown in it, so that nothing is judged on
what it has seen. Published lists of a day count as shown if any event of that day's lists says so: a list
that nobody looked at is one without clicks, for both sides alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.recommender_data import Shop, policy
from models.recommender import from_recipe
from models.recommender.evaluation import Holdout
from models.recommender.offpolicy import Logged, examination, snips

_CLICKS = ["user_id", "product_id", "list_ds", "list_rank"]
_EVENTS = [*_CLICKS, "event_type", "arrived"]
_LISTS = ["user_id", "product_id", "rank", "ds"]
# Above the greatest rank that the rules let an event say.
_RANKS = 1024

Index = NDArray[np.int64]


@dataclass(frozen=True)
class _Keys:
    """Turns (shopper, list's day, product) into one number; `users` are the shoppers that are looked at."""

    users: pa.StringArray
    products: pa.StringArray
    days: pa.Array

    def of(self, rows: pa.Table, day: str) -> tuple[Index, Index, Index]:
        """Indices of shopper, day and product of each row; -1 where one is not looked at."""
        pairs = ((rows["user_id"], self.users), (rows[day], self.days), (rows["product_id"], self.products))
        found = [pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy() for column, known in pairs]
        user, at, item = (f.astype(np.int64) for f in found)
        return user, at, item

    def join(self, user: Index, day: Index, item: Index) -> Index:
        return (user * len(self.days) + day) * len(self.products) + item


def estimate(night: Night, shop: Shop, kind: str, recipe: dict[str, Any]) -> dict[str, Any]:
    """The note: `value` with its interval, or null and `why` there is none."""
    days, wanted = night.settings.holdout_days, policy(night.settings)
    holdout = Holdout.split(shop.events, shop.items, shop.as_of, days, wanted)
    clicks = _clicks(night)
    if len(clicks) == 0:
        return _none("no event of the holdout says which list it came from (list_ds, list_rank)")
    products = pa.array(shop.items.product_id, pa.string())
    users = shop.users.take(pa.array(holdout.sample))
    keys = _Keys(users, products, clicks["list_ds"].unique())
    logged, matched = _logged(night, keys, clicks)
    told: dict[str, Any] = {"clicks": int(logged.clicked.sum()), "not_matched": len(clicks) - matched}
    shoppers = len(np.unique(logged.shopper))
    if shoppers < night.settings.min_group:
        return {**_none(f"fewer than {night.settings.min_group} shoppers were shown a list"), **told}
    k = night.settings.top_k
    model = from_recipe(kind, recipe).fit(holdout.past, holdout.items, holdout.cut)
    blocks = [b.lists.ids for b in holdout.lists(model, holdout.sample, k)]
    looked, estimated = examination(logged, max(k, int(logged.rank.max(initial=1))))
    found = snips(logged, np.concatenate(blocks), len(products), looked, night.settings.seed)
    told |= {"shoppers": shoppers, "lists": int(logged.visit.max()) + 1, "places": len(logged)}
    told |= {"examination": "estimated" if estimated else "prior"}
    if found is None:
        return {**_none("no click on a list that was shown was on a product of the new lists"), **told}
    return {**{n: round(v, 6) for n, v in asdict(found).items()}, **told, "why": None}


def _none(why: str) -> dict[str, Any]:
    return {"value": None, "why": why}


def _clicks(night: Night) -> pa.Table:
    """Distinct (shopper, list's day, product, rank) that an event of the holdout came from."""
    first = night.ds - timedelta(days=night.settings.holdout_days - 1)
    schema = pa.schema([BY_NAME["events_clean"].schema.field(n) for n in _CLICKS])
    parts = [schema.empty_table()]
    for batch in night.batches("events_clean", start=first, end=night.ds, columns=_EVENTS):
        given = pc.and_(batch["user_id"].is_valid(), batch["list_rank"].is_valid())
        # A list of the day before the holdout is the first that was shown in it.
        dated = pc.and_(
            pc.greater_equal(batch["list_ds"], pa.scalar(first - timedelta(days=1))),
            pc.less(batch["list_ds"], pa.scalar(night.ds)),
        )
        arrived = pc.less_equal(batch["arrived"], pa.scalar(night.ds))
        known = pc.and_(arrived, pc.not_equal(batch["event_type"], "return"))
        rows = pa.Table.from_batches([batch]).filter(pc.and_(pc.and_(given, dated), known))
        parts.append(rows.select(schema.names).cast(schema))
    return pa.concat_tables(parts).group_by(schema.names).aggregate([])


def _logged(night: Night, keys: _Keys, clicks: pa.Table) -> tuple[Logged, int]:
    """The places of the lists of the clicks' days, and how many of the clicks they hold.

    A click whose list says another rank now was of a list that was published again since: it is left out.
    """
    user, day, item = keys.of(clicks, "list_ds")
    inside = (user >= 0) & (day >= 0) & (item >= 0)
    rank = clicks["list_rank"].to_numpy()
    clicked = np.unique(keys.join(user, day, item)[inside] * _RANKS + np.minimum(rank[inside], _RANKS - 1))
    first, last = pc.min(keys.days).as_py(), pc.max(keys.days).as_py()
    parts: list[tuple[Index, Index, Index, Index]] = []
    for batch in night.batches("recommendations", start=first, end=last, columns=_LISTS):
        u, d, i = keys.of(pa.Table.from_batches([batch]), "ds")
        r = batch["rank"].to_numpy(zero_copy_only=False).astype(np.int64)
        keep = (u >= 0) & (d >= 0) & (i >= 0)
        parts.append((u[keep], d[keep], i[keep], r[keep]))
    empty = np.zeros(0, np.int64)
    u, d, i, r = (np.concatenate([empty, *(p[n] for p in parts)]) for n in range(4))
    hit = np.isin(keys.join(u, d, i) * _RANKS + np.minimum(r, _RANKS - 1), clicked)
    _, visit = np.unique(u * max(len(keys.days), 1) + d, return_inverse=True)
    return Logged(u, visit.astype(np.int64), i.astype(np.int32), r.astype(np.int32), hit), int(hit.sum())
