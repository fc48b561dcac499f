from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from models.writer.clean import Marks, Pair, Plan, make_pair
from models.writer.encode import MAX_TARGET, Examples, make_tokenizer
from models.writer.tokenizer import BEGIN, END, PAD
from models.writer.writer import Writer
from tests.models.writer.shop import ROWS, brief, facts, judge

keras = pytest.importorskip("keras")

from models.writer import model, train  # noqa: E402

TEXTS = {
    "en": "A {colour} mug by {brand}, made of {material}.",
    "zh": "{brand}马克杯，{material}材质，{colour}外观。",
}
WORDS = {
    "en": [(c, m) for m in ("stoneware", "stainless steel") for c in ("red", "sky blue")],
    "zh": [(c, m) for m in ("炻瓷", "不锈钢") for c in ("红色", "天蓝色")],
}  # fmt: skip


def pairs() -> list[Pair]:
    found = []
    for language, frame in TEXTS.items():
        for row, (colour, material) in zip(ROWS, WORDS[language], strict=True):
            text = frame.format(colour=colour, material=material, brand=row["brand"])
            found.append(make_pair(facts(language, row), text, judge(language), Marks()))
    return [p for p in found if p]


PAIRS = pairs()
TOKENIZER = make_tokenizer(PAIRS)


def test_batches_hold_every_pair_once_and_shift_the_target_by_one() -> None:
    examples = Examples.of(PAIRS, TOKENIZER)
    assert len(examples) == 8
    texts = []
    for batch in examples.batches(3, np.random.default_rng(0)):
        assert len(batch.given) == len(batch.sources) == 3
        for given, wanted in zip(batch.given, batch.wanted, strict=True):
            if wanted[0] != PAD:
                size = int((wanted != PAD).sum())
                assert given[0] == BEGIN
                assert wanted[size - 1] == END
                assert (given[1:size] == wanted[: size - 1]).all()
                texts.append(TOKENIZER.decode(wanted))
    assert sorted(texts) == sorted(p.target for p in PAIRS)


def test_a_text_that_is_too_long_is_left_out() -> None:
    long = Pair("p", "en", PAIRS[0].source, "mug " * MAX_TARGET, "")
    assert len(Examples.of([*PAIRS, long], TOKENIZER)) == len(PAIRS)


def test_the_rate_rises_and_falls() -> None:
    rate = train.WarmUpDecay(1.0, 100, 0.1)
    at = [float(keras.ops.convert_to_numpy(rate(s))) for s in range(100)]
    assert at[0] == pytest.approx(0.1)
    assert max(at) == pytest.approx(1.0)
    assert at.index(max(at)) in (9, 10)
    assert 0 < at[-1] < 0.05


def test_the_loss_by_hand() -> None:
    logits = np.log(np.array([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]], np.float32))
    wanted = np.array([[1, PAD]], np.int32)
    plain = float(train.smoothed_loss(0.0)(wanted, logits))
    assert plain == pytest.approx(math.log(4), abs=1e-5)
    spread = -(math.log(0.5) + 2 * math.log(0.25)) / 3
    assert float(train.smoothed_loss(0.1)(wanted, logits)) == pytest.approx(
        0.9 * plain + 0.1 * spread, abs=1e-5
    )


@pytest.fixture(scope="module")
def trained() -> tuple[model.Transformer, list[float]]:
    return train.train(PAIRS, TOKENIZER, steps=60, batch=8, seed=5)


def test_it_learns_and_writes_true_texts(trained: tuple[model.Transformer, list[float]]) -> None:
    net, losses = trained
    assert losses[-1] < losses[0] / 3
    assert train.token_loss(net, PAIRS, TOKENIZER, 8) < 0.5
    names = {"en": {"colour": 1.0, "material": 1.0}, "zh": {"颜色": 1.0, "材质": 1.0}}
    writer = Writer.of(net, TOKENIZER, Plan(names, {"en": 2, "zh": 2}), PAIRS)
    again = Writer.from_files(writer.to_files())
    for language in ("en", "zh"):
        briefs = [brief(language, row) for row in ROWS]
        texts = writer.candidates(briefs)
        assert texts == again.candidates(briefs)
        for found, one in zip(texts, briefs, strict=True):
            assert judge(language).verify(found[0], one).ok, found


def test_what_people_wrote_for_an_alike_product_goes_before_what_tells_less(
    trained: tuple[model.Transformer, list[float]],
) -> None:
    net, _ = trained
    plan = Plan({"en": {"colour": 1.0, "material": 1.0}}, {"en": 2})
    told = [replace(PAIRS[0], target=f"{start} ⟦v:colour⟧ and ⟦v:material⟧.") for start in ("Both", "Again")]
    less = replace(PAIRS[0], target="Only ⟦v:material⟧.")
    # Twice each: what a single product's text claims is not said of another.
    writer = Writer.of(net, TOKENIZER, plan, [*PAIRS, *[*told, less] * 2])
    texts = writer.candidates([brief("en")])[0]
    assert texts.index("Both red and stoneware.") < texts.index("Again red and stoneware.")
    assert texts[-1] == "Only stoneware."


def test_it_writes_no_number_but_the_product_s_own() -> None:
    learnt = [replace(PAIRS[0], target=t) for t in ("A mug for 12 hands.", "A mug for all hands.")]
    tokenizer = make_tokenizer(learnt * 2)
    net, _ = train.train(learnt[:1] * 8 + learnt[1:], tokenizer, steps=40, batch=9, seed=5)
    writer = Writer.of(net, tokenizer, Plan({"en": {}}, {"en": 2}), learnt)
    assert writer.candidates([brief("en")]) == [["A mug for all hands."]]


def test_the_same_seed_gives_the_same_bytes() -> None:
    """In one process; `tests/e2e/test_guarantees.py` compares two."""
    one, two = (train.train(PAIRS, TOKENIZER, steps=4, batch=8, seed=5)[0] for _ in range(2))
    assert model.to_files(one) == model.to_files(two)


def test_training_goes_on_from_given_weights(trained: tuple[model.Transformer, list[float]]) -> None:
    net, losses = trained
    _, warm = train.train(PAIRS, TOKENIZER, steps=1, batch=8, seed=5, start=model.to_files(net))
    assert warm[0] < losses[0] / 3
