"""The files of each day, in the shop's raw format."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.sample import copywriter
from jobs.sample.catalogue import Bools, Catalogue, Ints
from jobs.sample.copywriter import BANNED, CONTRADICTED, UNSUPPORTED, Copy
from jobs.sample.shoppers import AGE_BANDS, CITIES, GENDERS, PLATFORMS, Shoppers
from jobs.sample.traffic import KINDS, Events

LANGUAGES = ("en", "zh")
DESCRIBED_SHARE = 0.6
FLAWS = {UNSUPPORTED: 0.035, CONTRADICTED: 0.015, BANNED: 0.02}


def user_name(number: int) -> str:
    return f"u{number + 1:06d}"


def raw_events(events: Events, catalogue: Catalogue, day: date, written: int) -> pa.Table:
    """Events as the shop's log writes them: strings, times in ISO 8601; ids go on from `written`."""
    skus = pa.array([p.sku for p in catalogue.products])
    users = _padded("u", events.user + 1, 6)
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    time = pa.array(midnight + events.time, pa.int64()).cast(pa.timestamp("s"))
    cents = np.round(events.price * 100).astype(np.int64)
    return pa.table(
        {
            "event_id": _padded("e", written + 1 + np.arange(len(events)), 9),
            "user_id": pc.if_else(pa.array(events.user < 0), "", users),
            "product_id": skus.take(pa.array(events.product)),
            "event": pa.array(KINDS).take(pa.array(events.kind)),
            "time": pc.strftime(time, "%Y-%m-%dT%H:%M:%SZ"),
            "price": pc.binary_join_element_wise(
                pa.array(cents // 100).cast(pa.string()), _padded("", cents % 100, 2), "."
            ),
            "quantity": pa.array(events.quantity).cast(pa.string()),
            "platform": pa.array(PLATFORMS).take(pa.array(events.platform)),
            "session": _padded("s", events.visit + 1, 9),
            "at": pa.array(events.time),
        }
    )


def _padded(prefix: str, numbers: Ints, width: int) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


class Feed:
    """The product feed: everything on the first day, then what is new or has changed."""

    def __init__(self, seed: int, catalogue: Catalogue) -> None:
        self.seed, self.catalogue = seed, catalogue
        rng = np.random.default_rng([seed, 6])
        n, days = len(catalogue.products), len(catalogue.price)
        self.titles = [copywriter.title(rng, p) for p in catalogue.products]
        self.copy: list[dict[str, Copy]] = [{} for _ in range(n)]
        for place in np.flatnonzero(rng.random(n) < DESCRIBED_SHARE):
            for language in LANGUAGES:
                flaw = str(rng.choice([*FLAWS, ""], p=[*FLAWS.values(), 1 - sum(FLAWS.values())]))
                product = catalogue.products[place]
                self.copy[place][language] = copywriter.write(rng, product, language, flaw or None)
        # Some copy is written after its product came in.
        self.copy_day = np.where(rng.random(n) < 0.05, rng.integers(1, max(2, days), n), 0)
        self.copy_day = np.maximum(self.copy_day, catalogue.launch)
        self.rows, self.sent, self.bad = 0, np.zeros(n, bool), Counter[str]()

    def day(self, day: int) -> bytes:
        """The day's JSON Lines."""
        rng = np.random.default_rng([self.seed, 7, day])
        places = np.flatnonzero(self._changed(day))
        self.sent[places] = True
        rows = [self._row(int(place), day) for place in places]
        for kind in ("missing_sku", "negative_price"):
            if rows and rng.random() < 0.25:
                row = dict(rows[int(rng.integers(len(rows)))])
                row.update({"sku": ""} if kind == "missing_sku" else {"price": -row["price"]})
                rows.insert(int(rng.integers(len(rows) + 1)), row)
                self.bad[kind] += 1
        self.rows += len(rows)
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()

    def _changed(self, day: int) -> Bools:
        c = self.catalogue
        known = c.launch < day
        before = max(0, day - 1)
        price = c.price[day] != c.price[before]
        stock = (c.stock[day] > 0) != (c.stock[before] > 0)
        copy = (self.copy_day == day) & np.array([bool(texts) for texts in self.copy])
        return np.asarray((c.launch == day) | (known & (price | stock | copy)))

    def _row(self, place: int, day: int) -> dict[str, Any]:
        c = self.catalogue
        product, (title_en, title_zh) = c.products[place], self.titles[place]
        row: dict[str, Any] = {
            "sku": product.sku,
            "title_en": title_en,
            "title_zh": title_zh,
            "category": product.leaf.path,
            "brand": product.brand,
            "price": float(c.price[day, place]),
            "currency": "CNY",
            "stock": int(c.stock[day, place]),
            "parent": product.parent,
            "attributes_en": {"type": product.leaf.type_en},
            "attributes_zh": {"类型": product.leaf.noun_zh},
        }
        for slot in product.leaf.slots:
            row["attributes_en"][slot.en] = product.values[slot.en].en
            row["attributes_zh"][slot.zh] = product.values[slot.en].zh
        for language in LANGUAGES:
            shown = self.copy_day[place] <= day and language in self.copy[place]
            row[f"description_{language}"] = self.copy[place][language].text if shown else None
        return row

    @property
    def truth(self) -> dict[str, Any]:
        return {"rows": self.rows, "distinct": int(self.sent.sum()), "bad": dict(self.bad)}

    @property
    def copy_truth(self) -> dict[str, Any]:
        """How many texts the files hold, and the flawed ones among them."""
        days = len(self.catalogue.price)
        shown = [p for p in np.flatnonzero(self.sent & (self.copy_day < days)) if self.copy[p]]
        flaws = [
            {"product": self.catalogue.products[p].sku, "language": lang, "kind": f.kind, "words": f.words}
            for p in shown
            for lang, text in self.copy[p].items()
            for f in text.flaws
        ]
        return {"products_with_copy": len(shown), "flawed": flaws}


class Register:
    """The shopper file: everybody known on the first day, then those who are new."""

    def __init__(self, seed: int, shoppers: Shoppers) -> None:
        self.seed, self.shoppers = seed, shoppers
        self.rows, self.distinct, self.bad = 0, 0, Counter[str]()

    def day(self, day: int) -> bytes:
        """The day's CSV."""
        rng = np.random.default_rng([self.seed, 8, day])
        s = self.shoppers
        rows = [
            [user_name(int(u)), AGE_BANDS[s.age[u]], GENDERS[s.gender[u]], CITIES[s.city[u]]]
            for u in np.flatnonzero(s.registered == day)
        ]
        self.distinct += len(rows)
        if rows and rng.random() < 0.25:
            rows.append(["", *rows[int(rng.integers(len(rows)))][1:]])
            self.bad["missing_user_id"] += 1
        self.rows += len(rows)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([["user_id", "age_band", "gender", "city"], *rows])
        return out.getvalue().encode()

    @property
    def truth(self) -> dict[str, Any]:
        return {"rows": self.rows, "distinct": self.distinct, "bad": dict(self.bad)}
