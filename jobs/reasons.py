"""Why a product stands in a list, as a sentence that the shopper can read, in English and in Chinese."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.recommender_data import Shop, groups
from models.recommender.base import CATEGORY, DAY, PERSONAL, POPULAR, Behaviour, Bools, Floats, Ints
from models.recommender.popularity import Popularity

LONGEST_TITLE = 80

# (before, after) the title of the past product, by what was done with it.
_BECAUSE = {
    Behaviour.VIEW: (("Because you looked at ", ""), ("因为您看过 ", "")),
    Behaviour.FAVOURITE: (("Because you liked ", ""), ("因为您收藏过 ", "")),
    Behaviour.CART: (("Because you had ", " in your cart"), ("因为您加购过 ", "")),
    Behaviour.PURCHASE: (("Because you bought ", ""), ("因为您买过 ", "")),
}
# The same product again.
_AGAIN = {
    Behaviour.VIEW: (("You looked at this before", ""), ("您看过这件商品", "")),
    Behaviour.FAVOURITE: (("One of your favourites", ""), ("您收藏过这件商品", "")),
    Behaviour.CART: (("You had this in your cart", ""), ("您曾加购这件商品", "")),
    Behaviour.PURCHASE: (("You bought this before", ""), ("您买过这件商品", "")),
}
# Popularity says "this week" only of what was sold this week.
# Personal, and no single product of the past is behind it.
_TASTE = (("Picked for your taste", ""), ("根据您的喜好挑选", ""))
_CATEGORY_NOW = (("Popular in ", " this week"), ("", " 本周热销"))
_CATEGORY = (("Popular in ", ""), ("", " 热门商品"))
_SHOP_NOW = (("Popular in the shop this week", ""), ("本周店内热销", ""))
_SHOP = (("Popular in the shop", ""), ("店内热门商品", ""))
_RANGE = (("From our range", ""), ("本店商品", ""))

_TEMPLATES = (
    *_BECAUSE.values(),
    *_AGAIN.values(),
    _CATEGORY_NOW,
    _CATEGORY,
    _SHOP_NOW,
    _SHOP,
    _RANGE,
    _TASTE,
)


@dataclass(frozen=True)
class Reasons:
    """Names of products and categories, and what sold when.

    names: (items + categories + 1) texts per language: titles, then categories, then the empty text.
    """

    names_en: pa.StringArray
    names_zh: pa.StringArray
    category: Ints
    popular: Floats
    sold_ever: Bools
    sold_this_week: Bools

    @classmethod
    def of(cls, shop: Shop) -> Reasons:
        catalogue, events = shop.catalogue, shop.events
        category, paths = groups(catalogue["category"])
        leaves = pc.utf8_trim_whitespace(pc.replace_substring_regex(paths, r"^.*>", ""))
        english = pc.coalesce(
            _short(catalogue["title_en"]), _short(catalogue["title_zh"]), catalogue["product_id"]
        )
        chinese = pc.coalesce(_short(catalogue["title_zh"]), english)
        bought = events.of(Behaviour.PURCHASE)
        week = bought.between(shop.as_of - 7 * DAY, shop.as_of)
        return cls(
            names_en=_joined(english, leaves),
            names_zh=_joined(chinese, leaves),
            category=category,
            popular=Popularity().fit(events, shop.items, shop.as_of).scores,
            sold_ever=np.bincount(bought.item, minlength=len(shop.items)) > 0,
            sold_this_week=np.bincount(week.item, minlength=len(shop.items)) > 0,
        )

    def sentences(
        self, item: Ints, past: Ints, behaviour: NDArray[np.int8], source: NDArray[np.int8]
    ) -> tuple[pa.StringArray, pa.StringArray]:
        """One sentence per row and language. past: the product that contributed most, -1 where none did; read
        where the source is personal.
        """
        n = len(self.category)
        template = self._template(item, past, behaviour, source)
        named = np.full(len(item), len(self.names_en) - 1)
        named = np.where(_named(source, past), np.where(past == item, named, past), named)
        named = np.where(source == CATEGORY, n + self.category[item], named)
        return _fill(self.names_en, 0, template, named), _fill(self.names_zh, 1, template, named)

    def _template(
        self, item: Ints, past: Ints, behaviour: NDArray[np.int8], source: NDArray[np.int8]
    ) -> NDArray[np.int64]:
        """Index into `_TEMPLATES`."""
        kinds = len(_BECAUSE)
        now, ever = self.sold_this_week[item], self.sold_ever[item]
        graph = np.maximum(behaviour, 0) + np.where(past == item, kinds, 0)
        category = 2 * kinds + np.where(now, 0, 1)
        shop = 2 * kinds + np.where(now, 2, np.where(ever, 3, 4))
        taste = len(_TEMPLATES) - 1
        return np.select(
            [_named(source, past), source == CATEGORY, source == POPULAR], [graph, category, shop], taste
        )


def _named(source: NDArray[np.int8], past: Ints) -> Bools:
    return np.isin(source, PERSONAL) & (past >= 0)


def _short(titles: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(titles)
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(trimmed, 0, LONGEST_TITLE - 1), "…", "")
    short = pc.if_else(pc.greater(pc.utf8_length(trimmed), LONGEST_TITLE), cut, trimmed)
    return pc.if_else(pc.equal(short, ""), pa.scalar(None, pa.string()), short)


def _joined(titles: pa.ChunkedArray, leaves: pa.StringArray) -> pa.StringArray:
    chunks = titles.chunks if isinstance(titles, pa.ChunkedArray) else [titles]
    return pa.concat_arrays(
        [*(c.cast(pa.string()) for c in chunks), leaves.cast(pa.string()), pa.array([""])]
    )


def _fill(
    names: pa.StringArray, language: int, template: NDArray[np.int64], named: NDArray[np.int64]
) -> pa.StringArray:
    at = pa.array(template)
    before = pa.array([t[language][0] for t in _TEMPLATES]).take(at)
    after = pa.array([t[language][1] for t in _TEMPLATES]).take(at)
    return pc.binary_join_element_wise(before, names.take(pa.array(named)), after, "")
