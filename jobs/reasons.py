"""Why a product stands in a list, as a sentence that the shopper can read, in English and in Chinese."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.recommender_data import Shop, groups
from models.recommender.base import (
    CATEGORY,
    DAY,
    PERSONAL,
    POPULAR,
    Behaviour,
    Bools,
    Doubles,
    Floats,
    Interactions,
    Ints,
)
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
# Popular is what sells above the mean, what came back taken off; "this week" if that week's sales do so too.
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
class Standing:
    """(items,) each: whether an item sells above the mean of its group lately, and this week too."""

    popular: Bools
    this_week: Bools

    @classmethod
    def of(cls, lately: Doubles, week: Doubles, group: Ints, listed: Bools) -> Standing:
        popular = _above_mean(lately, group, listed)
        return cls(popular, popular & _above_mean(week, group, listed))


def _above_mean(sold: Doubles, group: Ints, listed: Bools) -> Bools:
    """(items,): above the mean of the listed products of the same group; never without a group."""
    size = np.bincount(group[listed] + 1, minlength=int(group.max(initial=-1)) + 2)
    total = np.bincount(group[listed] + 1, sold[listed], minlength=len(size))
    mean = np.divide(total, size, out=np.full(len(size), np.inf), where=size > 0)
    # Equal sales are above no mean, whatever the sum rounds to.
    return np.asarray((group >= 0) & (sold > mean[group + 1] * (1 + 1e-9)))


def _net_sales(events: Interactions) -> Doubles:
    """(items,): purchases less returns."""
    one = (events.behaviour == Behaviour.PURCHASE) * 1.0 - (events.behaviour == Behaviour.RETURN)
    return np.bincount(events.item, one, minlength=events.n_items).astype(np.float64)


@dataclass(frozen=True)
class Reasons:
    """Names of products and categories, and what sells.

    names: (items + categories + 1) texts per language: titles, then categories, then the empty text.
    popular: decayed sales over the greatest. Of each item, whether it sells above the mean: in_category,
    in_shop.
    """

    names_en: pa.StringArray
    names_zh: pa.StringArray
    category: Ints
    popular: Floats
    in_category: Standing
    in_shop: Standing

    @classmethod
    def of(cls, shop: Shop) -> Reasons:
        catalogue, events = shop.catalogue, shop.events
        category, paths = groups(catalogue["category"])
        leaves = pc.utf8_trim_whitespace(pc.replace_substring_regex(paths, r"^.*>", ""))
        english = pc.coalesce(
            _short(catalogue["title_en"]), _short(catalogue["title_zh"]), catalogue["product_id"]
        )
        chinese = pc.coalesce(_short(catalogue["title_zh"]), english)
        popular = Popularity().fit(events, shop.items, shop.as_of)
        sold = (popular.counts, _net_sales(events.between(shop.as_of - 7 * DAY, shop.as_of)))
        whole = np.zeros(len(category), np.int32)
        return cls(
            names_en=_joined(english, leaves),
            names_zh=_joined(chinese, leaves),
            category=category,
            popular=popular.scores,
            in_category=Standing.of(*sold, category, shop.listed),
            in_shop=Standing.of(*sold, whole, shop.listed),
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
        here = (source == CATEGORY) & self.in_category.popular[item]
        named = np.where(here, n + self.category[item], named)
        return _fill(self.names_en, 0, template, named), _fill(self.names_zh, 1, template, named)

    def _template(
        self, item: Ints, past: Ints, behaviour: NDArray[np.int8], source: NDArray[np.int8]
    ) -> NDArray[np.int64]:
        """Index into `_TEMPLATES`."""
        kinds = len(_BECAUSE)
        here, there = self.in_category, self.in_shop
        graph = np.maximum(behaviour, 0) + np.where(past == item, kinds, 0)
        category = 2 * kinds + np.where(here.this_week[item], 0, 1)
        shop = 2 * kinds + np.where(there.this_week[item], 2, np.where(there.popular[item], 3, 4))
        taste = len(_TEMPLATES) - 1
        return np.select(
            [
                _named(source, past),
                (source == CATEGORY) & here.popular[item],
                np.isin(source, (CATEGORY, POPULAR)),
            ],
            [graph, category, shop],
            taste,
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
