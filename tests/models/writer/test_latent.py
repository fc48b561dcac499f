"""The latent variable: what it costs, where it comes from, that it is held where it was set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.writer.clean import Pair, Source
from models.writer.encode import Examples, Sources, batch_sources
from models.writer.tokenizer import BEGIN, Tokenizer

keras = pytest.importorskip("keras")

from benchmarks import latent  # noqa: E402
from models.writer import decode, model, train  # noqa: E402

TOKENIZER = Tokenizer(["⟦en⟧", "⟦v:colour⟧"], ["red", "blue", " nice", " pretty", " mug", " cup"])
SIZES = model.ModelConfig(len(TOKENIZER), width=16, hidden=24, heads=2, dropout=0.0, latent=4)


def source(colour: str) -> Source:
    return Source("en", (("⟦v:colour⟧", colour),))


def arrays(found: Sources) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return found.token, found.place, found.group


def test_divergence_of_gaussians() -> None:
    zero, one = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert float(model.divergence(zero, zero, zero, zero)[0]) == pytest.approx(0.0)
    assert float(model.divergence(one, zero, zero, zero)[0]) == pytest.approx(1.5)
    # Half the variance, ln 2 less: each of three sizes costs (0.5 - 1 + ln 2) / 2 nats.
    narrow = np.full((1, 3), np.log(0.5), np.float32)
    each = 0.5 * (0.5 - 1 + np.log(2))
    assert float(model.divergence(zero, narrow, zero, zero)[0]) == pytest.approx(3 * each, rel=1e-5)


def test_writing_knows_no_target_and_z_moves_it() -> None:
    keras.utils.set_random_seed(1)
    net = model.Transformer(SIZES)
    batch = batch_sources([source("red")], TOKENIZER)
    memory, mask = net.encode(*arrays(batch))
    assert memory.shape[1] == batch.token.shape[1] + 1 == mask.shape[-1]
    a = net(model.inputs(batch, np.array([[BEGIN, 262, 263]], np.int32)))
    b = net(model.inputs(batch, np.array([[BEGIN, 262, 264]], np.int32)))
    np.testing.assert_allclose(a[:, :2], b[:, :2], atol=1e-6)
    other, _ = net.encode(*arrays(batch), z=np.ones((1, 4), np.float32))
    assert np.abs(np.asarray(other) - np.asarray(memory)).max() > 1e-3


def test_the_divergence_is_held_at_its_set_point() -> None:
    texts = [
        (c, f"{c}{word}{thing}")
        for c in ("red", "blue")
        for word in (" nice", " pretty")
        for thing in (" mug", " cup")
    ]
    pairs = [Pair(str(i), "en", source(c), t, t) for i, (c, t) in enumerate(texts * 4)]
    net, _ = train.train(pairs, TOKENIZER, 120, 32, 1, sizes=replace(SIZES, vocabulary=0))
    batch = next(iter(Examples.of(pairs, TOKENIZER).batches(32, None)))
    memory, _ = net.encode(*arrays(batch.sources))
    about = model.masked_mean(memory[:, :-1], batch.sources.group > 0)
    time = keras.ops.arange(batch.given.shape[1])
    here = net.latent.read(about, (net.embed_target(batch.given, time), batch.given > 0))
    cost = float(np.mean(model.divergence(*here, *net.latent.expected(about))))
    assert cost == pytest.approx(model.SET_POINT, abs=1.5)


def test_a_stored_latent_comes_back() -> None:
    keras.utils.set_random_seed(2)
    net = model.Transformer(SIZES)
    again = model.from_files(model.to_files(net))
    given = np.array([[BEGIN, 262, 263]], np.int32)
    inputs = model.inputs(batch_sources([source("blue")], TOKENIZER), given)
    np.testing.assert_array_equal(net(inputs), again(inputs))


def test_what_z_carries_is_measured_and_writing_heeds_it() -> None:
    """Two ways to say the same, half of the texts each: only z can tell which."""
    texts = ["red nice mug", "red pretty cup"]
    pairs = [Pair(str(i), "en", source("red"), t, t) for i, t in enumerate(texts * 32)]
    net, _ = train.train(pairs, TOKENIZER, 150, 32, 1, sizes=replace(SIZES, vocabulary=0))
    found = latent.carried(net, pairs, TOKENIZER, (32,))
    assert found["kl"] > np.log(2)
    assert 1 <= found["active_units"] <= SIZES.latent
    batch = next(iter(Examples.of(pairs, TOKENIZER, (32,)).batches(2, None)))
    memory, _ = net.encode(*arrays(batch.sources))
    about = model.masked_mean(memory[:, :-1], batch.sources.group > 0)
    time = keras.ops.arange(batch.given.shape[1])
    told, _ = net.latent.read(about, (net.embed_target(batch.given, time), batch.given > 0))
    free = decode.Constraints(np.ones((2, len(TOKENIZER)), bool), [])
    search = decode.Decoder(net, decode.Decoding(beams=1, no_repeat=9, max_length=9)).search
    wrote = [TOKENIZER.decode(beams[0]) for beams in search(batch.sources, free, np.asarray(told))]
    assert wrote == texts
    other = latent.shuffled(net, [source("red"), source("blue")], TOKENIZER, 1)
    assert other.shape == (2, SIZES.latent)
