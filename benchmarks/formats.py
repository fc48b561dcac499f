"""The benchmark's files as events: published splits of users and items, and one shop's invoices."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from jobs.item_attributes import ITEM_SIZE, price_decile, title_words
from models.recommender.base import DAY, Behaviour, Interactions, Ints, Items, Longs

COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]


class Unreadable(Exception):
    """A file that is not there or not of its format; the message names file, line and remedy."""


def opened(path: Path) -> TextIO:
    """A plain or gzip file as text."""
    if not path.is_file():
        raise Unreadable(f"{path}: no such file")
    with path.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt") if packed else path.open()


def lines_of(path: Path) -> Iterator[tuple[int, list[int]]]:
    """(line, its whole numbers) of a file; empty lines are left out."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                values = [int(text) for text in line.split()]
            except ValueError:
                what = f"whole numbers 'user item item …' are expected, not '{line[:40].strip()}'"
                raise Unreadable(f"{path}, line {number}: {what}") from None
            if values:
                yield number, values


def user_items(path: Path) -> tuple[Longs, Longs]:
    """(user, item) of every pair of a file in LightGCN's format, in the file's order."""
    users, items = [], []
    for _, (user, *bought) in lines_of(path):
        users += [user] * len(bought)
        items += bought
    return np.array(users, np.int64), np.array(items, np.int64)


def events_of(user: Longs, item: Longs, place: Longs, n_users: int, n_items: int) -> Interactions:
    """Purchases in the order of `place`; one a day, so that none is merged with another."""
    n = len(user)
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        time=place.astype(np.int64) * DAY,
        behaviour=np.full(n, Behaviour.PURCHASE, np.int8),
        session=np.full(n, -1, np.int32),
        n_users=n_users,
        n_items=n_items,
    )


def sequences(path: Path) -> tuple[Interactions, Longs]:
    """Events of `user item item …` in time order, and how many events each user has."""
    users: list[int] = []
    items: list[int] = []
    places: list[int] = []
    for number, (_, *bought) in lines_of(path):
        if len(bought) < 3:
            raise Unreadable(f"{path}, line {number}: a user needs at least three items to be tested")
        users += [number] * len(bought)
        items += bought
        places += range(len(bought))
    user = np.unique(np.array(users, np.int64), return_inverse=True)[1]
    counts = np.bincount(user)
    item = np.array(items, np.int64)
    events = events_of(user, item, np.array(places, np.int64), len(counts), int(item.max()) + 1)
    return events, counts.astype(np.int64)


def attributes(path: Path, n_items: int) -> Ints:
    """(items, slots) of a JSON object of item → attribute numbers; 0 fills empty slots."""
    with opened(path) as file:
        try:
            found = {int(k): v for k, v in json.load(file).items()}
        except (ValueError, AttributeError) as error:
            raise Unreadable(f"{path}: an object of item: [attribute, …] is expected ({error})") from None
    slots = max((len(v) for v in found.values()), default=0)
    table = np.zeros((n_items, max(slots, 1)), np.int32)
    numbers = {a: i for i, a in enumerate(sorted({a for v in found.values() for a in v}), 1)}
    for item, values in found.items():
        if item < n_items:
            table[item, : len(values)] = [numbers[a] for a in values]
    return table


def _told(frame: pd.DataFrame, items: pd.Index) -> dict[str, Any]:
    """What a product's name and price tell a model: words, and the median price."""
    by_item = frame.groupby("StockCode")
    titles = by_item["Description"].first().reindex(items)
    price = by_item["UnitPrice"].median().reindex(items).to_numpy(np.float32)
    words = title_words(titles.reset_index(drop=True))
    decile = (price_decile(price) + 1).astype(np.int32)[:, None]
    none = np.zeros((len(items), 2), np.int32)
    attributes = np.concatenate([none, decile, words], axis=1)
    return {"attributes": attributes, "attribute_size": ITEM_SIZE, "price": price}


def online_retail(folder: Path) -> tuple[Interactions, Items, int]:
    """Events, catalogue, and the midnight after the last day. Rows without a price or a name are left out."""
    files = sorted(folder.glob("*.csv*"))
    if not files:
        raise Unreadable(f"{folder}: no CSV file there; --data names the folder of UCI Online Retail")
    frame = pd.read_csv(
        files[0], usecols=COLUMNS, dtype={"InvoiceNo": str, "StockCode": str, "CustomerID": str}
    )
    frame = frame[(frame["UnitPrice"] > 0) & frame["Description"].notna()]
    seconds = (pd.to_datetime(frame["InvoiceDate"]) - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    returned = frame["InvoiceNo"].str.startswith("C") | (frame["Quantity"] <= 0)
    user, users = pd.factorize(frame["CustomerID"], sort=True)
    item, items = pd.factorize(frame["StockCode"], sort=True)
    session, _ = pd.factorize(frame["InvoiceNo"], sort=True)
    events = Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        time=seconds.to_numpy().astype(np.int64),
        behaviour=np.where(returned, Behaviour.RETURN, Behaviour.PURCHASE).astype(np.int8),
        session=session.astype(np.int32),
        n_users=len(users),
        n_items=len(items),
    )
    catalogue = replace(Items.plain(len(items)), product_id=np.asarray(items, np.str_), **_told(frame, items))
    return events, catalogue, (int(seconds.max()) // DAY + 1) * DAY
