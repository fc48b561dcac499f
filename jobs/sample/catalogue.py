"""The products of the sample shop: what each is, what it costs, when it comes and goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from jobs.sample.leaves import LEAVES, Leaf
from jobs.sample.shelves import BRANDS, COMPLEMENTS
from jobs.sample.slots import Value

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

N_STYLES = 8
TASTE_DIMS = N_STYLES + 8 + 6 + 8  # style, brand, colour, and what no attribute tells
NEIGHBOURS = 10
FOREVER = 1 << 30


@dataclass(frozen=True)
class Product:
    """What a person may say of a product. `values` maps an attribute's English name to its value."""

    sku: str
    leaf: Leaf
    brand: str
    values: dict[str, Value]
    parent: str | None


@dataclass(frozen=True)
class Catalogue:
    """All products, those of one leaf side by side. Every array has one entry per product (n).

    `taste` is (n, TASTE_DIMS), `dearness` the logarithm of price over the leaf's median, `price` is
    (days, n), `on_sale` (days, n) says launched, `stock` (days, n) the units left, `near` and `with_it`
    (n, NEIGHBOURS) hold the places of similar products and of complements.
    """

    products: list[Product]
    leaf: Ints
    taste: Floats
    dearness: Floats
    popularity: Floats
    launch: Ints
    price: Floats
    stock: Ints
    near: Ints
    with_it: Ints

    @property
    def on_sale(self) -> Bools:
        days = np.arange(len(self.price))[:, None]
        return np.asarray(self.launch[None, :] <= days)


def campaign_days(days: int) -> tuple[int, int]:
    """First and one past the last day of the shop's campaign: three days, two thirds of the way."""
    start = (2 * days) // 3
    return start, min(days, start + 3)


def build(seed: int, n: int, days: int) -> Catalogue:
    rng = np.random.default_rng([seed, 1])
    products, leaf, style, parents = _make_products(rng, n)
    dearness, price = _prices(rng, products, leaf, days)
    taste = _taste(rng, products, style, parents)
    launch = _launches(rng, parents, days)
    return Catalogue(
        products=products,
        leaf=leaf,
        taste=taste,
        dearness=dearness,
        popularity=_popularity(rng, leaf, parents),
        launch=launch,
        price=price,
        stock=_stock(rng, n, days),
        near=_near(taste, leaf),
        with_it=_complements(taste, leaf),
    )


def _make_products(rng: np.random.Generator, n: int) -> tuple[list[Product], Ints, Ints, Ints]:
    """Products leaf by leaf, with the latent style of each and the place of its parent (its own: none)."""
    share = rng.dirichlet(np.full(len(LEAVES), 8.0))
    sizes = np.floor(share * n).astype(np.int64)
    sizes[np.argsort(-share)[: n - sizes.sum()]] += 1
    skus = [f"p{i + 1:05d}" for i in rng.permutation(n)]
    brand_styles = {
        b: rng.choice(N_STYLES, 2, replace=False) for bs in BRANDS.values() for b, _ in sorted(bs)
    }
    products: list[Product] = []
    leaves, styles, parents = [], [], []
    for number, (leaf, size) in enumerate(zip(LEAVES, sizes, strict=True)):
        end = len(products) + int(size)
        while len(products) < end:
            brand = BRANDS[leaf.category][int(rng.integers(len(BRANDS[leaf.category])))][0]
            style = int(rng.choice(brand_styles[brand]) if rng.random() < 0.75 else rng.integers(N_STYLES))
            first = len(products)
            for values in _variants(rng, leaf, style)[: end - first]:
                parent = skus[first] if len(products) > first else None
                products.append(Product(skus[len(products)], leaf, brand, values, parent))
                leaves.append(number)
                styles.append(style)
                parents.append(first)
    return products, np.array(leaves), np.array(styles), np.array(parents)


def _variants(rng: np.random.Generator, leaf: Leaf, style: int) -> list[dict[str, Value]]:
    """One thing in its colours and sizes: attributes differ only where the leaf says that they vary."""
    chosen = {s.en: s.values[int(rng.integers(len(s.values)))] for s in leaf.slots}
    slots = {s.en: s for s in leaf.slots}
    if "style" in slots:
        chosen["style"] = slots["style"].values[style]
    if "colour" in slots and rng.random() < 0.7:  # each style has its colours
        palette = slots["colour"].values
        chosen["colour"] = palette[(style * 5 + int(rng.integers(4)) * 3) % len(palette)]
    count = int(rng.choice(4, p=[0.5, 0.25, 0.15, 0.1])) + 1
    out, seen = [], set()
    for number in range(count):
        values = dict(chosen)
        if number:
            for name in leaf.vary:
                values[name] = slots[name].values[int(rng.integers(len(slots[name].values)))]
        key = tuple(values[name].en for name in leaf.vary)
        if key not in seen:
            seen.add(key)
            out.append(values)
    return out


def _prices(
    rng: np.random.Generator, products: list[Product], leaf: Ints, days: int
) -> tuple[Floats, Floats]:
    """How dear each product is beside its leaf (n), and its price on every day (days, n), in CNY."""
    n = len(products)
    tiers = {(c, b): tier for c, brands in BRANDS.items() for b, tier in brands}
    base = np.array([p.leaf.price * tiers[p.leaf.category, p.brand] for p in products])
    base *= np.array([_grade(p) for p in products]) * rng.lognormal(0.0, 0.18, n)
    base = np.maximum(np.round(base), 5.0) - np.where(rng.random(n) < 0.6, 0.1, 0.0)
    median = np.array([np.median(base[leaf == k]) if (leaf == k).any() else 1.0 for k in range(len(LEAVES))])
    dearness = np.log(base / median[leaf])
    price = np.repeat(base[None, :], days, axis=0)
    changed, day = rng.random(n) < 0.06, rng.integers(1, max(2, days), n)
    factor = rng.uniform(0.85, 1.15, n)
    price *= np.where(changed & (np.arange(days)[:, None] >= day), factor, 1.0)
    start, stop = campaign_days(days)
    price[start:stop] *= np.where(rng.random(n) < 0.3, rng.choice([0.7, 0.8, 0.9], n), 1.0)
    return dearness, np.round(price, 2)


def _grade(product: Product) -> float:
    factor = 1.0
    for slot in product.leaf.slots:
        if slot.graded:
            factor *= 0.75 + 0.5 * slot.values.index(product.values[slot.en]) / (len(slot.values) - 1)
    return factor


def _taste(rng: np.random.Generator, products: list[Product], style: Ints, parents: Ints) -> Floats:
    """Where each product lies in the space of tastes (n, TASTE_DIMS); variants lie close together."""
    n = len(products)
    brands = sorted({b for bs in BRANDS.values() for b, _ in bs})
    brand_space = dict(zip(brands, rng.normal(0, 0.35, (len(brands), 8)), strict=True))
    colours = sorted({p.values["colour"].en for p in products if "colour" in p.values} | {""})
    colour_space = dict(zip(colours, rng.normal(0, 0.3, (len(colours), 6)), strict=True))
    plain = Value("", "")
    return np.concatenate(
        [
            np.eye(N_STYLES)[style],
            np.array([brand_space[p.brand] for p in products]).reshape(n, 8),
            np.array([colour_space[p.values.get("colour", plain).en] for p in products]).reshape(n, 6),
            rng.normal(0, 0.35, (n, 8))[parents],
        ],
        axis=1,
    )


def _popularity(rng: np.random.Generator, leaf: Ints, parents: Ints) -> Floats:
    """A long tail in every leaf (Zipf with exponent 0.9), and leaves of unequal size."""
    weight = np.empty(len(leaf))
    for k in np.unique(leaf):
        members = np.flatnonzero(leaf == k)
        rank = np.empty(len(members))
        rank[rng.permutation(len(members))] = np.arange(1, len(members) + 1)
        weight[members] = rank**-0.9
    # A loved thing is loved in all its colours.
    return np.asarray(weight[parents] * rng.uniform(0.3, 1.0, len(leaf)))


def _launches(rng: np.random.Generator, parents: Ints, days: int) -> Ints:
    """The day on which each product enters the shop; four of five are there from the first."""
    n = len(parents)
    late = rng.random(n)[parents] < 0.2
    day = rng.integers(1, max(2, days), n)[parents]
    launch = np.where(late, day, 0)
    later_colour = (parents != np.arange(n)) & (rng.random(n) < 0.1)
    launch = np.where(later_colour, np.minimum(launch + rng.integers(1, 15, n), days - 1), launch)
    launch[0] = 0
    return launch.astype(np.int64)


def _stock(rng: np.random.Generator, n: int, days: int) -> Ints:
    """Units left on every day (days, n): one product in eight runs out, a quarter of those for good."""
    level = rng.integers(8, 400, n)
    runs_out = rng.random(n) < 0.125
    start = rng.integers(1, max(2, days), n)
    length = np.where(rng.random(n) < 0.25, FOREVER, rng.integers(2, 15, n))
    day = np.arange(days)[:, None]
    out = runs_out & (day >= start) & (day < start + length)
    return np.where(out, 0, level).astype(np.int64)


def _near(taste: Floats, leaf: Ints) -> Ints:
    """The nearest products of the same leaf, by cosine (n, NEIGHBOURS); short leaves repeat them."""
    out = np.empty((len(leaf), NEIGHBOURS), np.int64)
    for k in np.unique(leaf):
        members = np.flatnonzero(leaf == k)
        out[members] = members[_closest(taste[members], taste[members], skip_self=True)]
    return out


def _complements(taste: Floats, leaf: Ints) -> Ints:
    """The best matches in style from the leaves that go with it; a leaf without any keeps to its own."""
    places = {one.name: k for k, one in enumerate(LEAVES)}
    out = _near(taste, leaf)
    for k in np.unique(leaf):
        others = [places[name] for name in COMPLEMENTS.get(LEAVES[k].name, ())]
        pool = np.flatnonzero(np.isin(leaf, others))
        if len(pool):
            members = np.flatnonzero(leaf == k)
            out[members] = pool[_closest(taste[members], taste[pool], skip_self=False)]
    return out


def _closest(rows: Floats, pool: Floats, skip_self: bool) -> Ints:
    score = (rows @ pool.T) / np.outer(np.linalg.norm(rows, axis=1), np.linalg.norm(pool, axis=1))
    if skip_self and len(pool) > 1:
        np.fill_diagonal(score, -np.inf)
    order = np.argsort(-score, axis=1, kind="stable")[:, : min(NEIGHBOURS, max(1, len(pool) - skip_self))]
    return order[:, np.arange(NEIGHBOURS) % order.shape[1]]
