"""Beam search against a search written the naive way, where a language is a table; what is forbidden."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("keras")

from models.writer.beams import Beams, Decoding, forbidden, table
from models.writer.model import NEVER
from models.writer.tokenizer import BEGIN, END

VOCABULARY, LONGEST = 12, 9


def languages(seed: int, count: int) -> np.ndarray:
    """Logits (count, time, last token, next token): what follows depends on the last token and its place.

    Without the place, texts of the same steps in another order would be equally likely.
    """
    shape = count, LONGEST, VOCABULARY, VOCABULARY
    return np.random.default_rng(seed).normal(0, 1.5, shape).astype(np.float32)


def searched(logits: np.ndarray, barred: np.ndarray, plan: Decoding) -> list[list[list[int]]]:
    """The search of `Beams`; `barred` (products, vocabulary)."""
    texts, rows = Beams.start(len(logits), plan), np.arange(len(logits)).repeat(plan.beams)
    for time in range(plan.max_length):
        tokens = np.asarray(texts.tokens).reshape(len(rows), -1)
        last = tokens[:, time - 1] if time else np.full(len(rows), BEGIN)
        texts, _ = texts.extend(logits[rows, time, last], barred[:, None], np.int32(time), plan)
    return texts.results(plan)


def naive(logits: np.ndarray, barred: np.ndarray, plan: Decoding) -> list[list[int]]:
    """One product's beams, best first: every hypothesis a tuple, every step a sort."""
    live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for time in range(plan.max_length):
        grown = []
        for score, tokens in live:
            if tokens and tokens[-1] == END:
                grown.append((score, tokens))
                continue
            z = logits[time, tokens[-1] if tokens else BEGIN].astype(np.float64)
            log_p = z - np.log(np.exp(z).sum())
            last = time == plan.max_length - 1
            usable = [END] if last else [i for i in range(VOCABULARY) if not barred[i]]
            grown += [(score + log_p[i], (*tokens, i)) for i in usable]
        grown.sort(key=lambda g: -g[0] / len(g[1]) ** plan.penalty)
        live = grown[: plan.beams]
    return [[t for t in tokens if t != END] for _, tokens in live]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("beams", [2, 3, 5])
def test_beams_are_those_of_a_naive_search(beams: int, penalty: float) -> None:
    plan = Decoding(beams, penalty, no_repeat=99, max_length=LONGEST)
    logits, barred = languages(7, 12), np.zeros((12, VOCABULARY), bool)
    barred[:, :2] = True
    barred[3:6, 4:6] = True
    found = searched(logits, barred, plan)
    for i in range(12):
        assert found[i] == naive(logits[i], barred[i], plan)
    # Texts ended at different times: some hypotheses were frozen while others grew.
    assert len({len(tokens) for beams_ in found for tokens in beams_}) > 1


def test_one_beam_takes_the_likeliest_token_every_time() -> None:
    plan = Decoding(1, 1.0, no_repeat=99, max_length=LONGEST)
    logits, barred = languages(3, 12), np.zeros((12, VOCABULARY), bool)
    barred[:, :2] = True
    assert searched(logits, barred, plan) == [naive(logits[i], barred[i], plan)[:1] for i in range(12)]


def chain(*follows: tuple[int, int, float]) -> np.ndarray:
    """A language of these probabilities (last, next, p) at every place; the rest is never."""
    logits = np.full((1, LONGEST, VOCABULARY, VOCABULARY), -50.0, np.float32)
    for last, following, p in follows:
        logits[0, :, last, following] = np.log(p)
    return logits


NOTHING = np.zeros((1, VOCABULARY), bool)


def test_a_finished_text_waits_and_loses_to_a_longer_one_by_the_length_penalty() -> None:
    # "3" ends at once with p = .6; "4 5 6 6" costs .4 once, and every further token is certain.
    language = chain(
        (BEGIN, 3, 0.6), (BEGIN, 4, 0.4), (3, END, 1.0), (4, 5, 1.0), (5, 6, 1.0), (6, 7, 1.0), (7, END, 1.0)
    )
    by_sum = searched(language, NOTHING, Decoding(2, 0.0, 99, 8))
    assert by_sum == [[[3], [4, 5, 6, 7]]]
    by_mean = searched(language, NOTHING, Decoding(2, 1.0, 99, 8))
    assert by_mean == [[[4, 5, 6, 7], [3]]]


def test_a_finished_text_costs_nothing_more() -> None:
    # The open text falls below the finished one only after a while; that one stays as it is.
    language = chain((BEGIN, 3, 0.5), (BEGIN, 4, 0.5), (3, END, 0.8), (3, 5, 0.2), (4, 4, 0.9), (4, END, 0.1))
    found = searched(language, NOTHING, Decoding(2, 0.0, 99, 8))
    assert found[0][0] == [3]
    assert found[0] == naive(language[0], NOTHING[0], Decoding(2, 0.0, 99, 8))


def test_where_everything_is_barred_there_is_no_text() -> None:
    barred = np.ones((2, VOCABULARY), bool)
    barred[1, [3, END]] = False
    for beams in (1, 3):
        found = searched(languages(1, 2), barred, Decoding(beams, 1.0, 99, 5))
        assert found[0] == []
        assert found[1]


def forbidden_naively(
    tokens: Sequence[int], decoding: Decoding, phrases: Sequence[Sequence[int]]
) -> set[int]:
    written, size = list(tokens), decoding.no_repeat
    grams = {tuple(written[i : i + size]) for i in range(len(written) - size + 1)}
    out = {i for i in range(VOCABULARY) if tuple([*written, i][-size:]) in grams}
    ends = {p[-1] for p in phrases if [*written, p[-1]][-len(p) :] == list(p)}
    worn = {t for t in written if t in LIMITED and written.count(t) >= decoding.most} | set(written[-1:])
    return out | ends | (worn if decoding.most else set())


LIMITED = (3, 5)


def test_what_is_forbidden_is_what_a_naive_look_forbids() -> None:
    rng = np.random.default_rng(5)
    phrases = [[3], [4, 5], [5, 5, 6], [3, 4, 3, 4, 7], [6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 8]]
    tokens = rng.integers(3, 7, (40, 12)).astype(np.int32)
    limited = np.isin(np.arange(VOCABULARY), LIMITED)
    for no_repeat, used, most, time in itertools.product((1, 2, 3, 99), ([], phrases), (0, 1, 2), range(12)):
        decoding = Decoding(no_repeat=no_repeat, most=most)
        bars = {"limited": limited} | ({"phrases": table(used)} if used else {})
        found = forbidden(tokens, np.int32(time), VOCABULARY, decoding, bars)
        if not used and no_repeat == 99 and not most:
            assert found is None
            continue
        got = [set(np.flatnonzero(row)) for row in np.asarray(found)]
        assert got == [forbidden_naively(row[:time], decoding, used) for row in tokens]


def test_equal_values_keep_the_order_of_beams() -> None:
    # Everything equally likely: the first tokens win, in their order.
    logits = np.zeros((1, LONGEST, VOCABULARY, VOCABULARY), np.float32)
    barred = np.zeros((1, VOCABULARY), bool)
    barred[:, :3] = True
    found = searched(logits, barred, Decoding(3, 1.0, 99, 3))
    assert found == [[[3, 3], [3, 4], [3, 5]]]
    assert NEVER < -1e8
