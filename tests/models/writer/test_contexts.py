from __future__ import annotations

import numpy as np

from models.writer.contexts import Contexts
from models.writer.tokenizer import END, PAD

# Two attributes (groups 2 and 3), a brand (group 1), six words.
COLOUR, SIZE, BRAND, A, IN, OF, RED, DOT, MUG = range(3, 12)
GROUP = np.zeros(12, np.int32)
GROUP[[COLOUR, SIZE, BRAND]] = [2, 3, 1]
TEXTS = [
    [A, MUG, IN, COLOUR, DOT],
    [A, MUG, OF, SIZE, DOT, BRAND, DOT, BRAND, DOT],
    [A, RED, MUG, IN, RED, DOT],
]
CONTEXTS = Contexts.of(TEXTS, GROUP)


def may_follow(*tokens: int) -> set[int]:
    barred = CONTEXTS.barred(np.array([tokens], np.int32).reshape(1, -1))
    return set(np.flatnonzero(~barred[0])) - {PAD}


def test_a_text_may_begin_as_some_text_did() -> None:
    assert may_follow() == {A}
    assert may_follow(A) == {MUG, RED}


def test_only_words_that_stood_together_follow() -> None:
    assert may_follow(A, RED, MUG) == {IN}
    assert may_follow(RED, MUG, OF) == set()


def test_a_placeholder_stands_only_in_words_seen_around_it() -> None:
    assert may_follow(A, MUG, IN) == {COLOUR, RED}
    assert may_follow(A, MUG, OF) == {SIZE}
    # "red mug in" was never followed by the colour, although "mug in" was.
    assert may_follow(RED, MUG, IN) == {RED}
    assert may_follow(MUG, IN, COLOUR) == {DOT}


def test_an_attribute_is_told_once_and_a_brand_may_come_again() -> None:
    twice = Contexts.of([[A, COLOUR, A, COLOUR, A, COLOUR], [A, BRAND, A, BRAND]], GROUP)
    after_colour = twice.barred(np.array([[A, COLOUR, A]], np.int32))[0]
    after_brand = twice.barred(np.array([[A, BRAND, A]], np.int32))[0]
    assert after_colour[COLOUR]
    assert not after_brand[BRAND]


def test_a_text_may_end_where_some_text_ended() -> None:
    assert may_follow(IN, COLOUR, DOT) == {END}
    assert END not in may_follow(A, MUG)


def test_where_one_was_seen_what_is_alike_may_stand() -> None:
    first, second = COLOUR, SIZE
    alike = np.arange(12, dtype=np.int32)
    alike[second] = first
    numbers = np.zeros(12, np.int32)
    numbers[[first, second]] = 1
    found = Contexts.of([[A, MUG, OF, second, DOT]], numbers, alike)
    after_of = found.barred(np.array([[A, MUG, OF]], np.int32))[0]
    assert set(np.flatnonzero(~after_of)) - {PAD} == {first, second}
    after_number = found.barred(np.array([[MUG, OF, first]], np.int32))[0]
    assert set(np.flatnonzero(~after_number)) - {PAD} == {DOT}


def test_kept_grams_give_the_same_answers() -> None:
    again = Contexts([list(g) for g in CONTEXTS.grams], GROUP)
    rows = np.array([[A, MUG, IN], [A, MUG, OF]], np.int32)
    assert np.array_equal(again.barred(rows), CONTEXTS.barred(rows))
