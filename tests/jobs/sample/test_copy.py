from __future__ import annotations

import re

import numpy as np
import pytest

from jobs.sample import catalogue, copywriter
from jobs.sample.copywriter import BANNED, CONTRADICTED, UNSUPPORTED
from jobs.sample.leaves import LEAVES
from jobs.sample.shelves import BRANDS, COMPLEMENTS
from tests.jobs.sample.conftest import Shop

PRODUCTS = catalogue.build(seed=5, n=300, days=10).products


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_text_tells_its_attributes_truthfully(language: str) -> None:
    """Every attribute that it tells stands in it, literally, with the product's own value."""
    rng = np.random.default_rng(1)
    for product in PRODUCTS:
        copy = copywriter.write(rng, product, language)
        assert copy.told
        assert not copy.flaws
        for name in copy.told:
            value = getattr(product.values[name], language)
            assert value.lower() in copy.text.lower(), (name, copy.text)
        assert product.brand in copy.text
        assert not re.search(r"[{}*]|  |。。|，，|，。|\.\.|\b[Aa] [aeiouAEIOU8]", copy.text), copy.text


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", [UNSUPPORTED, CONTRADICTED, BANNED])
def test_a_flaw_is_in_the_text_and_named(language: str, kind: str) -> None:
    rng = np.random.default_rng(2)
    for product in PRODUCTS[:100]:
        copy = copywriter.write(rng, product, language, kind)
        (flaw,) = copy.flaws
        assert flaw.kind == kind
        assert flaw.words.lower() in copy.text.lower()
        if kind == CONTRADICTED:
            assert flaw.words != getattr(product.values[copy.told[0]], language)


def test_texts_are_diverse() -> None:
    """Of one product, hardly two texts are equal; over all, many first words and lengths."""
    rng = np.random.default_rng(3)
    for language in ("en", "zh"):
        same = [copywriter.write(rng, PRODUCTS[0], language).text for _ in range(50)]
        assert len(set(same)) > 45
        texts = [copywriter.write(rng, p, language).text for p in PRODUCTS]
        assert len({t[:4] for t in texts}) > 30
        assert len({len(t) for t in texts}) > 50


def test_values_are_pairs_in_both_languages() -> None:
    """No value of a slot has two names in one language, and every slot has both."""
    for leaf in LEAVES:
        assert 4 <= len(leaf.slots) <= 9
        assert len({s.en for s in leaf.slots}) == len({s.zh for s in leaf.slots}) == len(leaf.slots)
        assert set(leaf.vary) <= {s.en for s in leaf.slots}
        for slot in leaf.slots:
            assert len({v.en for v in slot.values}) == len({v.zh for v in slot.values}) == len(slot.values)
            for pattern in (*slot.say_en, *slot.say_zh):
                assert "{v}" in pattern
    names = {leaf.name for leaf in LEAVES}
    assert {leaf.category for leaf in LEAVES} == set(BRANDS)
    assert set(COMPLEMENTS) | {n for c in COMPLEMENTS.values() for n in c} <= names


def test_the_feed_carries_the_copy_that_truth_describes(shop: Shop) -> None:
    last = {row["sku"]: row for _, row in shop.products if row["sku"]}
    described = [r for r in last.values() if r["description_en"]]
    assert len(described) == shop.summary.copy["products_with_copy"]
    assert 0.4 < len(described) / len(last) < 0.8
    assert all(r["description_zh"] for r in described)
    for flaw in shop.summary.copy["flawed"]:
        text = last[flaw["product"]][f"description_{flaw['language']}"]
        assert flaw["words"].lower() in text.lower()


def test_attributes_of_a_product_agree_between_languages(shop: Shop) -> None:
    leaves = {leaf.path: leaf for leaf in LEAVES}
    for _, row in shop.products:
        leaf = leaves[row["category"]]
        assert row["attributes_en"]["type"] == leaf.type_en
        assert row["attributes_zh"]["类型"] == leaf.noun_zh
        assert 5 <= len(row["attributes_en"]) == len(row["attributes_zh"]) <= 10
        for slot in leaf.slots:
            pairs = {v.en: v.zh for v in slot.values}
            assert pairs[row["attributes_en"][slot.en]] == row["attributes_zh"][slot.zh]


def test_variants_differ_only_where_their_kind_varies() -> None:
    by_sku = {p.sku: p for p in PRODUCTS}
    variants = [p for p in PRODUCTS if p.parent]
    assert len(variants) > 50
    for p in variants:
        parent = by_sku[str(p.parent)]
        differ = {n for n, v in p.values.items() if parent.values[n] != v}
        assert differ
        assert differ <= set(p.leaf.vary)
        assert (p.brand, p.leaf) == (parent.brand, parent.leaf)


def test_products_are_unlike_each_other() -> None:
    seen = {(p.leaf.name, p.brand, *(v.en for v in p.values.values())) for p in PRODUCTS}
    assert len(seen) > 0.9 * len(PRODUCTS)
