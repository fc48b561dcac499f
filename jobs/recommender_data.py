"""From the lake's tables to the arrays that recommenders know, one batch of events at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from jobs.item_attributes import ITEM_SIZE, SHOPPER_COLUMNS, item_slots, prices, shopper_slots
from jobs.night import Night
from jobs.settings import Settings
from models.recommender.base import Behaviour, Interactions, Items
from models.recommender.rules import Policy
from models.recommender.sequences import link_sessions

EVENT_COLUMNS = ["user_id", "product_id", "event_type", "event_time", "session_id", "arrived"]
PRODUCT_COLUMNS = [
    "product_id", "title_en", "title_zh", "category", "brand", "price", "in_stock", "variant_of",
    "first_seen",
]  # fmt: skip
BEHAVIOUR_NAMES = pa.array([b.name.lower() for b in Behaviour])
# Batches are joined to about this many rows, so that look-ups are built seldom.
CHUNK_ROWS = 1_000_000


@dataclass(frozen=True)
class Shop:
    """A shop up to a date. Item i is row i of `catalogue`; users below `known` are of the table `users`.

    catalogue: `PRODUCT_COLUMNS`, sorted by product id; products that only events know have `listed` false.
    as_of: the midnight after the date, UTC seconds.
    """

    events: Interactions
    items: Items
    catalogue: pa.Table
    listed: NDArray[np.bool_]
    users: pa.StringArray
    known: int
    as_of: int

    def fingerprint(self) -> str:
        """Hash of everything that lists are made of; paths, order of rows and runs do not enter it."""
        digest = hashlib.sha256()
        events = self.events
        for array in (events.user, events.item, events.time, events.behaviour, events.session):
            digest.update(np.ascontiguousarray(array).tobytes())
        if events.shoppers is not None:
            digest.update(events.shoppers.tobytes())
        for column in (*self.catalogue.columns, self.users, pa.array([self.known, self.as_of])):
            digest.update(str(len(column)).encode())
            values = pd.util.hash_array(np.asarray(column.to_pandas().astype(str)), categorize=False)
            digest.update(values.tobytes())
        return digest.hexdigest()


@dataclass
class _Codes:
    """Gives strings indices in order of appearance, starting from known ones; null is -1."""

    values: pa.StringArray

    def encode(self, column: pa.ChunkedArray) -> NDArray[np.int64]:
        encoded = column.combine_chunks().dictionary_encode()
        place = pc.index_in(encoded.dictionary, value_set=self.values)
        unknown = encoded.dictionary.filter(pc.is_null(place))
        if len(unknown):
            self.values = pa.concat_arrays([self.values, unknown.cast(pa.string())])
            place = pc.index_in(encoded.dictionary, value_set=self.values)
        found = place.to_numpy(zero_copy_only=False).astype(np.int64)
        at = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.where(at >= 0, np.append(found, -1)[at], -1)

    def sorted_after(self, first: int) -> tuple[pa.StringArray, NDArray[np.int64]]:
        """The values with those from `first` on sorted, and old index → new index (-1 stays)."""
        tail = self.values.slice(first)
        order = pc.array_sort_indices(tail).to_numpy().astype(np.int64)
        new = np.arange(len(self.values) + 1)
        new[first + order] = first + np.arange(len(order))
        new[-1] = -1
        return pa.concat_arrays([self.values.slice(0, first), tail.take(pa.array(order))]), new


def policy(settings: Settings) -> Policy:
    """What the shop wants of its lists."""
    return Policy(settings.category_share, settings.brand_share, settings.diversity)


def load(night: Night) -> Shop:
    """The shop as the night's date may see it: the last `history_days`, nothing that arrived later."""
    products = night.read("products", columns=PRODUCT_COLUMNS).sort_by("product_id")
    people = night.read("users", columns=["user_id", *SHOPPER_COLUMNS])
    known = people["user_id"].unique().sort()
    start = night.ds - timedelta(days=night.settings.history_days - 1)
    users, items = _Codes(_strings(known)), _Codes(_strings(products["product_id"].unique()))
    parts: list[dict[str, NDArray[np.int64]]] = []
    for chunk in _chunks(night.batches("events_clean", start=start, end=night.ds, columns=EVENT_COLUMNS)):
        rows = chunk.filter(pc.fill_null(pc.less_equal(chunk["arrived"], pa.scalar(night.ds)), True))
        parts.append(_columns(rows, users, items))
    as_of = int(datetime.combine(night.ds + timedelta(days=1), time(), UTC).timestamp())
    shop = _assemble(parts, users, items, products, len(known), as_of)
    return replace(shop, events=replace(shop.events, shoppers=shopper_slots(people, shop.users)))


def _strings(values: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    joined = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return joined.drop_null().cast(pa.string())


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= CHUNK_ROWS:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _columns(rows: pa.Table, users: _Codes, items: _Codes) -> dict[str, NDArray[np.int64]]:
    """One chunk as integers; visits as 64-bit hashes, since only their equality matters."""
    visits = rows["session_id"].combine_chunks().dictionary_encode()
    hashes = pd.util.hash_array(visits.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    # 0 stands for no visit.
    hashes = np.append(np.where(hashes == 0, 1, hashes), 0).astype(np.uint64)
    at = visits.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    kind = pc.fill_null(pc.index_in(rows["event_type"], value_set=BEHAVIOUR_NAMES), -1)
    micros = rows["event_time"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return {
        "user": users.encode(rows["user_id"]),
        "item": items.encode(rows["product_id"]),
        "time": micros.to_numpy() // 1_000_000,
        "behaviour": kind.to_numpy().astype(np.int64),
        "session": hashes[at].view(np.int64),
    }


def _assemble(
    parts: list[dict[str, NDArray[np.int64]]],
    users: _Codes,
    items: _Codes,
    products: pa.Table,
    known: int,
    as_of: int,
) -> Shop:
    """One canonical order for everything: what the files looked like leaves no trace."""
    names = ("user", "item", "time", "behaviour", "session")
    column = {n: np.concatenate([p[n] for p in parts] or [np.zeros(0, np.int64)]) for n in names}
    user_ids, new_user = users.sorted_after(known)
    item_ids, new_item = items.sorted_after(0)
    keep = (column["item"] >= 0) & (column["behaviour"] >= 0) & (column["time"] < as_of)
    column = {n: v[keep] for n, v in column.items()}
    visits, session = np.unique(column["session"].view(np.uint64), return_inverse=True)
    # Hash 0 sorts first: it is the events without a visit.
    session = session - (1 if len(visits) and visits[0] == 0 else 0)
    user, item = new_user[column["user"]].astype(np.int32), new_item[column["item"]].astype(np.int32)
    user = link_sessions(user, session.astype(np.int32))
    order = np.lexsort((column["behaviour"], item, session, column["time"], user))
    events = Interactions(
        user=user[order],
        item=item[order],
        time=column["time"][order],
        behaviour=column["behaviour"][order].astype(np.int8),
        session=session[order].astype(np.int32),
        n_users=len(user_ids),
        n_items=len(item_ids),
    )
    catalogue = products.take(pc.index_in(item_ids, value_set=_strings(products["product_id"])))
    listed = catalogue["product_id"].is_valid().to_numpy()
    catalogue = catalogue.set_column(0, "product_id", item_ids)
    return Shop(events, _items(catalogue, listed), catalogue, listed, user_ids, known, as_of)


def _items(catalogue: pa.Table, listed: NDArray[np.bool_]) -> Items:
    ids = np.asarray(catalogue["product_id"].to_pylist(), np.str_).reshape(len(catalogue))
    in_stock = pc.fill_null(catalogue["in_stock"], True).to_numpy(zero_copy_only=False)
    return Items(
        product_id=ids,
        category=groups(catalogue["category"])[0],
        brand=groups(catalogue["brand"])[0],
        parent=parents(catalogue["product_id"], catalogue["variant_of"]),
        in_stock=in_stock.astype(np.bool_) & listed,
        attributes=item_slots(catalogue),
        attribute_size=ITEM_SIZE,
        price=prices(catalogue),
    )


def parents(product_id: pa.ChunkedArray, variant_of: pa.ChunkedArray) -> NDArray[np.int32]:
    """(products,): the group of variants of each, along whole chains: a variant of a variant is one of the
    same product, and so are products that name each other in a circle.
    """
    ids, above = _strings(product_id), _strings(pc.coalesce(_filled(variant_of), product_id))
    names = pa.concat_arrays([ids, above]).unique()
    row, column = (pc.index_in(texts, value_set=names).to_numpy() for texts in (ids, above))
    links = sparse.coo_array((np.ones(len(ids), np.bool_), (row, column)), shape=(len(names), len(names)))
    _, group = connected_components(links, directed=False)
    return np.unique(group[row], return_inverse=True)[1].astype(np.int32)


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Blank text is no value."""
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, pa.string()), column)


def groups(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.StringArray]:
    """Index of each value among the sorted distinct ones (-1 for none), and those."""
    filled = _filled(column)
    values = _strings(filled.unique()).take(pc.array_sort_indices(_strings(filled.unique())))
    index = pc.fill_null(pc.index_in(filled, value_set=values), -1)
    return index.to_numpy().astype(np.int32), values
