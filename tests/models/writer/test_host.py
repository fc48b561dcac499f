"""The network on a CPU without a graph is the same function, and its search the same search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from models.writer.copying import NEVER
from models.writer.tokenizer import BEGIN, END, PAD

keras = pytest.importorskip("keras")

from models.writer import decode, host, host_decode, model, search  # noqa: E402
from models.writer.encode import Sources  # noqa: E402
from models.writer.host_decode import HostDecoder  # noqa: E402
from models.writer.kernels import add_and_norm, gelu, likeliest  # noqa: E402
from tests.models.writer.test_network import (  # noqa: E402
    BATCH,
    TOKENIZER,
    best_words,
    free,
    logits,
    sources,
)

SIZE = len(TOKENIZER)


@pytest.fixture(scope="module")
def net() -> model.Transformer:
    keras.utils.set_random_seed(3)
    made = model.Transformer(
        model.ModelConfig(SIZE, width=16, hidden=24, heads=2, encoder_blocks=3, decoder_blocks=3)
    )
    # As built, norms scale by 1 and biases are 0: a mistake with one of them would not show.
    for i, variable in enumerate(made.trainable_variables):
        if variable.path.split("/")[-1] in ("gamma", "beta", "bias"):
            variable.assign_add(np.random.default_rng(i).normal(0, 0.3, variable.shape))
    return made


@contextmanager
def groups_of(products: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(host_decode, "GREEDY", products)
        patch.setattr(host_decode, "BEAMS", products)
        yield


def test_step_by_step_the_logits_are_the_models(net: model.Transformer) -> None:
    """Over more places than the arrays of earlier tokens begin with, and with two rows a product."""
    batch, places = sources(*BATCH), host.PLACES + 5
    given = np.random.default_rng(1).integers(261, SIZE, (6, places)).astype(np.int32)
    given[:, 0] = BEGIN
    network = host.Network(net)
    memory = network.encode(batch.token, batch.place, batch.group)
    wanted, _ = net.encode(batch.token, batch.place, batch.group)
    there = batch.group > 0
    np.testing.assert_allclose(memory[there], np.asarray(wanted)[there], atol=1e-5)
    state = network.start(memory, there, 2)
    found = np.stack([network.step(state, given[:, time]) for time in range(places)], axis=1)
    twice = Sources(*(np.repeat(a, 2, axis=0) for a in (batch.token, batch.place, batch.group)))
    np.testing.assert_allclose(found, logits(net, twice, given.tolist()), atol=2e-5)


def test_rows_follow_their_parents(net: model.Transformer) -> None:
    batch, network = sources(*BATCH), host.Network(net)
    memory = network.encode(batch.token, batch.place, batch.group)
    state = network.start(memory, batch.group > 0, 2)
    first = np.array([270, 271, 272, 273, 274, 275], np.int32)
    network.step(state, np.full(6, BEGIN, np.int32))
    network.step(state, first)
    parents = np.array([1, 0, 2, 2, 5, 5])
    state.follow(parents)
    state.keep(np.array([0, 2]), np.array([0, 1, 4, 5]))
    found = network.step(state, np.full(4, 270, np.int32))
    for row, (product, before) in enumerate([(0, 271), (0, 270), (2, 275), (2, 275)]):
        one = Sources(*(a[product : product + 1] for a in (batch.token, batch.place, batch.group)))
        wanted = logits(net, one, [[BEGIN, before, 270]])[0, -1]
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)


def test_one_beam_is_greedy_search(net: model.Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = sources(*BATCH)
    plan = decode.Decoding(beams=1, no_repeat=99, max_length=40)
    with groups_of(2, monkeypatch):
        found = HostDecoder(net, plan).search(batch, free(3))
    for row in range(3):
        written = found[row][0]
        assert written == best_words(net, batch, row, written)[: len(written)]
        assert len(written) == 39 or best_words(net, batch, row, written)[-1] == END


@pytest.mark.parametrize(("beams", "most"), [(1, 0), (3, 0), (3, 4)])
@pytest.mark.parametrize("size", [1, 5, 40])
def test_texts_are_those_of_the_graphs_whatever_the_groups(
    net: model.Transformer, beams: int, most: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts end at different times: what is done leaves its group, and the others must not notice."""
    rng = np.random.default_rng(2)
    batch = sources(*[BATCH[i % 3] for i in range(16)])
    allowed = np.zeros((16, SIZE), bool)
    for row in allowed:
        row[[END, *rng.choice(np.arange(261, SIZE), rng.integers(1, 4), replace=False)]] = True
    allowed[:3, END] = False  # some end nowhere, and are the last
    least = np.arange(16, dtype=np.int32)
    limited = np.arange(SIZE) % 2 == 0
    constraints = decode.Constraints(allowed, [[270, 271], [272]], least=least, limited=limited)
    plan = decode.Decoding(beams=beams, no_repeat=4, max_length=40, most=most)
    wanted = decode.Decoder(net, plan).search(batch, constraints)
    with groups_of(size, monkeypatch):
        assert HostDecoder(net, plan).search(batch, constraints) == wanted
    assert len({len(texts[0]) for texts in wanted if texts}) > 1
    assert all(len(text) >= n for texts, n in zip(wanted, least, strict=True) for text in texts)
    shorter = decode.Decoder(net, plan).search(batch, replace(constraints, least=None))
    assert any(len(text) < n for texts, n in zip(shorter, least, strict=True) for text in texts)


def test_nothing_barred_is_written(net: model.Transformer) -> None:
    batch = sources(*BATCH)
    plan = decode.Decoding(beams=2, no_repeat=3, max_length=30)
    before = HostDecoder(net, plan).search(batch, free(3))
    used, phrase = before[0][0][0], before[1][0][:2]
    allowed = np.ones((3, SIZE), bool)
    allowed[:, PAD] = False
    allowed[0, used] = False
    after = HostDecoder(net, plan).search(batch, decode.Constraints(allowed, [phrase]))
    assert all(used not in tokens for tokens in after[0])
    for tokens in (t for beams in after for t in beams):
        assert all(tokens[i : i + 2] != phrase for i in range(len(tokens)))
        grams = [tuple(tokens[i : i + 3]) for i in range(len(tokens) - 2)]
        assert len(grams) == len(set(grams))


def test_a_search_keeps_the_weights_it_was_made_with(net: model.Transformer) -> None:
    batch, plan = sources(*BATCH), decode.Decoding(beams=1, no_repeat=99, max_length=9)
    fresh = model.from_files(model.to_files(net))
    searched = HostDecoder(fresh, plan)
    before = searched.search(batch, free(3))
    fresh.embedding.embeddings.assign(np.random.default_rng(0).normal(0, 1, (SIZE, 16)))
    assert searched.search(batch, free(3)) == before
    assert HostDecoder(fresh, plan).search(batch, free(3)) != before


@pytest.mark.parametrize("part", [{"copy": True}, {"latent": 2}])
def test_what_it_lacks_is_left_to_the_graphs(part: dict[str, int]) -> None:
    made = model.Transformer(model.ModelConfig(SIZE, width=16, hidden=24, heads=2, **part))
    assert isinstance(search.searcher(made), decode.Decoder)
    with pytest.raises(ValueError, match="graphs of `Decoder`"):
        HostDecoder(made)


def test_the_likeliest_are_those_of_a_stable_sort() -> None:
    rng = np.random.default_rng(4)
    found = rng.integers(0, 40, (50, 90)).astype(np.float32)  # many equals
    barred = rng.random((50, 90)) < 0.7
    barred[0], barred[1, 2:] = True, True
    barred[1, :2] = False
    best, ids = likeliest(found, barred, 5)
    for row in range(50):
        usable = [i for i in range(90) if not barred[row, i]]
        wanted = sorted(usable, key=lambda i: -found[row, i])[:5]
        assert ids[row, : len(wanted)].tolist() == wanted
        assert best[row].tolist() == [*found[row, wanted], *[np.float32(NEVER)] * (5 - len(wanted))]


def test_the_loops_compute_gelu_and_layer_norm() -> None:
    rng = np.random.default_rng(5)
    x, bias = rng.normal(0, 3, (4, 500)).astype(np.float32), rng.normal(size=500).astype(np.float32)
    x[0, :4] = [-40, 40, -6, 6]
    value = (x + bias).astype(np.float64)
    wanted = [[0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in row] for row in value]
    gelu(x, bias)
    np.testing.assert_allclose(x, wanted, rtol=2e-6, atol=2e-6)
    more, scale, shift = (rng.normal(size=s).astype(np.float32) for s in ((4, 500), 500, 500))
    total, into = x + more + bias, np.empty_like(x)
    add_and_norm(x, more, bias, scale, shift, into)
    np.testing.assert_allclose(x, total, rtol=1e-6)
    apart = (total - total.mean(1, keepdims=True)) / np.sqrt(total.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(into, apart * scale + shift, atol=2e-5)
