"""The copy gate: a mixture of probabilities, and words that training never saw in a text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.writer.clean import Pair, Source
from models.writer.encode import batch_sources
from models.writer.tokenizer import BEGIN, Tokenizer

keras = pytest.importorskip("keras")

from models.writer import copying, model, train  # noqa: E402

COLOURS = ["red", "blue", "green", "grey", "pink", "black", "white", "brown", "gold", "plum", "teal", "rust"]
UNSEEN = ["mint", "sand", "ruby", "navy"]
TOKENIZER = Tokenizer(["⟦en⟧", "⟦v:colour⟧"], [*COLOURS, *UNSEEN, " mug"])
SIZES = model.ModelConfig(0, width=32, hidden=48, heads=2, dropout=0.0, copy=True)


def source(colour: str) -> Source:
    return Source("en", (("⟦v:colour⟧", colour),))


def first_word(net: model.Transformer, colour: str) -> str:
    """The likeliest word to begin with."""
    batch = batch_sources([source(colour)], TOKENIZER)
    logits = np.asarray(net(model.inputs(batch, np.array([[BEGIN]], np.int32))))
    return TOKENIZER.decode([int(logits[0, 0].argmax())])


def test_probabilities_of_both_are_mixed_by_the_gate() -> None:
    keras.utils.set_random_seed(1)
    gate = copying.CopyGate(4)
    rng = np.random.default_rng(1)
    x, logits = rng.normal(size=(1, 2, 4)).astype("float32"), rng.normal(size=(1, 2, 5)).astype("float32")
    keys = rng.normal(size=(1, 4, 4)).astype("float32")
    # The word 3 stands in the source twice; 1 is a name, which is never copied.
    token, usable = np.array([[1, 3, 4, 3]], np.int32), np.array([[False, True, True, True]])
    share = np.asarray(keras.ops.sigmoid(gate.gate(x)))
    score = np.asarray(gate.query(x))[0] @ keys[0].T * 4**-0.5
    weight = np.exp(score[:, 1:]) / np.exp(score[:, 1:]).sum(axis=1, keepdims=True)
    wanted = (1 - share[0]) * np.exp(logits[0]) / np.exp(logits[0]).sum(axis=1, keepdims=True)
    for place, word in enumerate([3, 4, 3]):
        wanted[:, word] += share[0, :, 0] * weight[:, place]
    found = np.exp(np.asarray(gate(x, logits, (keys, token, usable))))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)


def test_where_nothing_can_be_copied_the_vocabulary_has_its_own_way() -> None:
    gate = copying.CopyGate(4)
    logits = np.array([[[1.0, 2.0, 0.5]]], "float32")
    nothing = np.ones((1, 2, 4), "float32"), np.array([[1, 2]], np.int32), np.zeros((1, 2), bool)
    found = np.asarray(gate(np.ones((1, 1, 4), "float32"), logits, nothing))
    np.testing.assert_allclose(found, np.asarray(keras.ops.log_softmax(logits)), rtol=1e-5)


@pytest.mark.parametrize("copies", [True, False])
def test_a_word_that_no_text_held_is_copied(copies: bool) -> None:
    pairs = [Pair(str(i), "en", source(c), f"{c} mug", f"{c} mug") for i, c in enumerate(COLOURS * 4)]
    net, _ = train.train(pairs, TOKENIZER, 80, 48, 1, sizes=replace(SIZES, copy=copies))
    assert [first_word(net, c) for c in COLOURS] == COLOURS
    right = sum(first_word(net, c) == c for c in UNSEEN)
    assert right == len(UNSEEN) if copies else right == 0


def test_a_stored_gate_comes_back() -> None:
    keras.utils.set_random_seed(2)
    net = model.Transformer(replace(SIZES, vocabulary=len(TOKENIZER)))
    files = model.to_files(net)
    again = model.from_files(files)
    assert again.config.copy
    assert model.to_files(again) == files
    assert first_word(again, "red") == first_word(net, "red")
