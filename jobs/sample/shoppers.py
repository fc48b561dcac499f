"""Who shops: tastes, purse, habits, and what the shop knows of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.sample.catalogue import N_STYLES, TASTE_DIMS, Floats, Ints
from jobs.sample.leaves import LEAVES

PLATFORMS = ("web", "app", "mini_program")
AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55+")
GENDERS = ("female", "male", "")
CITIES = (
    "Shanghai",
    "Beijing",
    "Guangzhou",
    "Shenzhen",
    "Chengdu",
    "Hangzhou",
    "Wuhan",
    "Xi'an",
    "Nanjing",
    "",
)
N_PERSONAS = 9


@dataclass(frozen=True)
class Shoppers:
    """All shoppers; every array has one entry per shopper (m).

    `taste` is (m, TASTE_DIMS) in the space of `Catalogue.taste`, `leaves` (m, leaves) how much they care for
    each kind of product, `purse` the `dearness` that they are used to, `thrift` how much more than that
    hurts, `hour` the UTC hour at which they like to shop.
    """

    registered: Ints
    activity: Floats
    taste: Floats
    leaves: Floats
    purse: Floats
    thrift: Floats
    platform: Ints
    hour: Floats
    age: Ints
    gender: Ints
    city: Ints


def build(seed: int, m: int, days: int) -> Shoppers:
    rng = np.random.default_rng([seed, 2])
    personas = rng.gamma(0.25, 1.0, (N_PERSONAS, len(LEAVES))) + 0.01
    personas /= personas.sum(axis=1, keepdims=True)
    persona = rng.integers(N_PERSONAS, size=m)
    own = rng.gamma(0.2, 1.0, (m, len(LEAVES))) + 1e-3
    leaves = 0.7 * personas[persona] + 0.3 * own / own.sum(axis=1, keepdims=True)
    registered = np.where(rng.random(m) < 0.72, 0, rng.integers(0, max(1, days), m))
    registered[0] = 0
    return Shoppers(
        registered=registered.astype(np.int64),
        activity=rng.lognormal(0.0, 1.0, m),
        taste=_taste(rng, m),
        leaves=leaves,
        purse=rng.normal(0.0, 0.35, m),
        thrift=rng.gamma(2.0, 1.0, m),
        platform=rng.choice(len(PLATFORMS), m, p=[0.25, 0.5, 0.25]),
        hour=np.where(rng.random(m) < 0.65, rng.normal(12.5, 1.8, m), rng.normal(4.5, 2.0, m)) % 24,
        age=rng.choice(len(AGE_BANDS), m, p=[0.2, 0.36, 0.24, 0.13, 0.07]),
        gender=rng.choice(len(GENDERS), m, p=[0.5, 0.4, 0.1]),
        city=rng.choice(len(CITIES), m, p=[0.18, 0.16, 0.12, 0.12, 0.1, 0.1, 0.08, 0.05, 0.05, 0.04]),
    )


def _taste(rng: np.random.Generator, m: int) -> Floats:
    """One or two loved styles, and a leaning towards brands, colours and things without a name."""
    styles = rng.dirichlet(np.full(N_STYLES, 0.25), m) * 2.6
    return np.concatenate([styles, rng.normal(0, 0.9, (m, TASTE_DIMS - N_STYLES))], axis=1)
