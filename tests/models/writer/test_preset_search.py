"""The search over keras-hub's decoding step, held against one that is written the naive way."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras_hub", reason="keras-hub is not installed: the extra 'preset'")

from keras import ops

from models.backend import compiled
from models.writer.decode import Decoding
from models.writer.preset_search import BeamSearch

VOCABULARY, END, NEVER_TOKEN, MAX_NEW = 11, 0, 1, 9
PROMPTS = [[4, 5, 6, 7], [8, 9], [4, 5]]
LENGTH = 4 + MAX_NEW
WAVES = np.arange(VOCABULARY, dtype=np.float32) / 3
Beams = list[list[list[int]]]


def world(seed: int) -> np.ndarray:
    """(vocabulary, vocabulary): what is likely behind a token."""
    table = np.random.default_rng(seed).normal(scale=2.0, size=(VOCABULARY, VOCABULARY))
    table[:, END] += 1.0
    return table.astype(np.float32)


def search(table: np.ndarray, sampler: BeamSearch) -> Beams:
    """Logits hang on the last token and on the sum of all tokens, which only the cache knows."""
    prompt = np.zeros((len(PROMPTS), LENGTH), np.int32)
    mask = np.zeros((len(PROMPTS), LENGTH), bool)
    for row, tokens in enumerate(PROMPTS):
        prompt[row, : len(tokens)], mask[row, : len(tokens)] = tokens, True
    start = min(map(len, PROMPTS))
    cache = prompt[:, : start - 1].sum(axis=1, keepdims=True).astype(np.int32)

    def next(tokens, cache, index):
        last = ops.take(tokens, index - 1, axis=1)
        cache = cache + last[:, None]
        logits = ops.take(ops.convert_to_tensor(table), last, axis=0)
        return logits + ops.sin(ops.cast(cache, "float32") * WAVES), None, cache

    run = compiled(lambda p, m, c: sampler(next, p, cache=c, index=start, mask=m))
    found = np.asarray(run(*map(ops.convert_to_tensor, (prompt, mask, cache))))
    rows = found.reshape(len(PROMPTS), sampler.beams, LENGTH)
    return [[b for b in ([int(t) for t in row if t >= 0] for row in beams) if b] for beams in rows]


def naive(table: np.ndarray, prompt: list[int], phrases: list[list[int]], d: Decoding) -> list[list[int]]:
    """Beam search for one prompt: token lists, best first."""
    live: list[tuple[float, list[int], bool]] = [(0.0, [], False)]
    for _ in range(MAX_NEW):
        grown: list[tuple[float, list[int], bool]] = []
        for score, tokens, done in live:
            if done:
                grown.append((score, tokens, True))
                continue
            said = [*prompt, *tokens]
            z = table[said[-1]].astype(np.float64) + np.sin(sum(said) * WAVES.astype(np.float64))
            log_p = z - np.log(np.exp(z - z.max()).sum()) - z.max()
            free = [i for i in np.argsort(-log_p) if not barred(tokens, int(i), phrases, d)]
            grown += [(score + log_p[i], [*tokens, int(i)], i == END) for i in free[: 2 * d.beams]]
        grown.sort(key=lambda g: -g[0] / len(g[1]) ** d.penalty)
        live = grown[: d.beams]
    live.sort(key=lambda g: -g[0] / max(1, len(g[1])) ** d.penalty)
    return [tokens[:-1] for _, tokens, done in live if done and len(tokens) > 1]


def barred(tokens: list[int], new: int, phrases: list[list[int]], d: Decoding) -> bool:
    text, n = [*tokens, new], d.no_repeat
    grams = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
    said = any(text[-len(p) :] == p for p in phrases)
    return new == NEVER_TOKEN or said or len(grams) != len(set(grams))


@pytest.mark.parametrize(("beams", "seed"), [(1, 0), (1, 1), (3, 0), (3, 1), (3, 8)])
def test_beams_are_those_of_a_naive_search(beams: int, seed: int) -> None:
    table, decoding = world(seed), Decoding(beams=beams, no_repeat=2)
    never = np.arange(VOCABULARY) == NEVER_TOKEN
    free = [naive(table, p, [], decoding) for p in PROMPTS]
    assert search(table, BeamSearch(never, [END], [], MAX_NEW, decoding)) == free
    # What would be said is banned: one token, and one phrase of two.
    long = [t for texts in free for t in texts if len(t) > 2]
    phrases = [long[0][1:3], [long[-1][0]]]
    wanted = [naive(table, p, phrases, decoding) for p in PROMPTS]
    assert wanted != free
    assert search(table, BeamSearch(never, [END], phrases, MAX_NEW, decoding)) == wanted


def test_what_the_prompt_says_may_be_copied() -> None:
    """No n-gram of the prompt is barred: its values are there to be said."""
    table = np.full((VOCABULARY, VOCABULARY), -20.0, np.float32)
    for last, then in ((7, 4), (4, 5), (5, 6), (6, END)):
        table[last, then] = 20.0
    found = search(table, BeamSearch(np.zeros(VOCABULARY, bool), [END], [], MAX_NEW, Decoding(beams=1)))
    assert found[0] == [[4, 5, 6]]


def test_a_text_without_an_end_is_none() -> None:
    table = np.full((VOCABULARY, VOCABULARY), 0.0, np.float32)
    table[:, END] = -50.0
    decoding = Decoding(beams=2, no_repeat=4)
    assert search(table, BeamSearch(np.zeros(VOCABULARY, bool), [END], [], MAX_NEW, decoding)) == [[], [], []]
