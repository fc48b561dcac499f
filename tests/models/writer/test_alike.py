"""Near-duplicates and openings: known similarities, and choices that depend on nothing but the texts."""

from __future__ import annotations

import random

import numpy as np
import pytest

from models.writer.alike import SHINGLE, Choice, Shelf, opening, opening_quota, signatures, similarity
from models.writer.text import units

WORDS = "cup tea red blue glass hand warm light table oak wool soft long short round flat deep".split()  # noqa: SIM905
BASE = "This mug by Lumo is made of stoneware, comes in red and keeps a warm drink close at hand all morning."


def jaccard(one: str, other: str, language: str) -> float:
    """The exact similarity that a signature estimates."""
    size = SHINGLE[language]
    a, b = ({u[i : i + size] for i in range(len(u) - size + 1)} for u in (units(one), units(other)))
    return len(a & b) / len(a | b)


def choice(product: str, *texts: str, family: str = "", language: str = "en") -> Choice:
    return Choice(
        product, family or product, signatures(texts, language), [opening(t, language) for t in texts]
    )


def shelf(bound: float = 0.8, quota: int = 100) -> Shelf:
    return Shelf(bound, quota)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_signatures_estimate_the_exact_similarity(language):
    draw = random.Random(3)
    alphabet = WORDS if language == "en" else list("这款杯子红色玻璃陶瓷木竹长短圆方深浅手工")
    errors = []
    for changed in range(0, 40, 2):
        words = [draw.choice(alphabet) for _ in range(60)]
        other = [draw.choice(alphabet) if i < changed else w for i, w in enumerate(words)]
        one, two = (" ".join(w) for w in (words, other))
        found = signatures([one, two], language)
        errors.append(similarity(found[0], found[1:])[0] - jaccard(one, two, language))
    # The standard error of 120 entries is at most 0.046.
    assert np.abs(errors).max() < 0.14
    assert abs(np.mean(errors)) < 0.03


def test_a_signature_depends_on_its_text_alone():
    texts = [BASE, "Short.", "", "Short.", "Another text about a bowl of glass."]
    together = signatures(texts, "en")
    alone = np.concatenate([signatures([t], "en") for t in texts])
    assert (together == alone).all()
    assert (together[1] == together[3]).all()
    assert signatures([], "en").shape == (0, 120)


def test_the_first_text_that_is_not_too_alike_is_chosen():
    found = shelf()
    assert found.place(choice("p1", BASE)) == 0
    assert found.place(choice("p2", BASE, BASE + " Yes.", "A bowl of glass for soup and bread.")) == 2
    assert not found.clusters()


def test_where_all_are_alike_the_least_alike_stays_and_is_counted():
    found = shelf(0.6)
    found.place(choice("p1", BASE))
    less = BASE.replace("red", "blue")
    assert found.place(choice("p2", BASE, less)) == 1
    (pair,) = found.pairs
    assert pair[:2] == (0, 1)
    assert pair[2] == pytest.approx(jaccard(BASE, less, "en"), abs=0.14)


def test_variants_of_one_product_may_be_alike():
    found = shelf()
    found.place(choice("p1", BASE, family="p1"))
    assert found.place(choice("p1-red", BASE, "Something else about a bowl.", family="p1")) == 0
    assert not found.clusters()
    assert found.place(choice("p2", BASE)) == 0
    assert found.clusters() == [[0, 2]]


def test_no_more_products_than_the_quota_begin_alike():
    found = shelf(quota=2)
    texts = [f"This mug by {w} has {w} and {v}." for w, v in zip(WORDS[:4], WORDS[4:8], strict=True)]
    ranks = [found.place(choice(f"p{i}", t, f"From {t}")) for i, t in enumerate(texts)]
    assert ranks == [0, 0, 1, 1]
    assert {text: len(f) for text, f in found.opened.items()} == {"this mug by": 2, "from this mug": 2}
    # A fifth begins as too many do, whichever of its texts is taken.
    assert found.place(choice("p9", "This mug by Havra.")) == 0
    assert len(found.opened["this mug by"]) == 3


def test_openings_are_words_in_english_and_characters_in_chinese():
    assert opening("This mug, by Lumo", "en") == "this mug by"
    assert opening("「这款」Lumo马克杯", "zh") == "这款lu"
    assert [opening_quota(0.25, n) for n in (1, 12, 40)] == [3, 3, 10]


def test_many_copies_of_one_text_cost_no_square():
    """A bucket stays small, and yet every copy is found to be one."""
    found = shelf()
    one = choice("p0", BASE)
    for i in range(300):
        found.place(Choice(f"p{i}", f"p{i}", one.signatures, one.openings))
    assert len(found.clusters()[0]) == 300
    assert max(map(len, found._buckets.values())) == 32
