"""The network itself: what its shape promises, and that the fast way of running it is the same function."""

from __future__ import annotations

import numpy as np
import pytest

from models.writer.clean import Source
from models.writer.contexts import Contexts
from models.writer.encode import Sources, batch_sources
from models.writer.tokenizer import BEGIN, END, PAD, Tokenizer

keras = pytest.importorskip("keras")

from models.writer import decode, model  # noqa: E402

TOKENIZER = Tokenizer(
    ["⟦en⟧", "⟦zh⟧", "⟦name⟧", "⟦brand⟧", "⟦kind⟧", "⟦v:colour⟧", "⟦v:size⟧"],
    ["a", " mug", " red", " large", " is", " in", ".", "red", "large", "mug"],
)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "copies"])
def net(request: pytest.FixtureRequest) -> model.Transformer:
    keras.utils.set_random_seed(3)
    config = model.ModelConfig(len(TOKENIZER), width=16, hidden=24, heads=2, copy=request.param)
    return model.Transformer(config)


def sources(*pairs: tuple[tuple[str, str], ...]) -> Sources:
    return batch_sources([Source("en", p) for p in pairs], TOKENIZER)


NAME, COLOUR, SIZE = ("⟦name⟧", "mug"), ("⟦v:colour⟧", "red"), ("⟦v:size⟧", "large")


def logits(net: model.Transformer, batch: Sources, given: list[list[int]]) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(net(model.inputs(batch, np.array(given, np.int32)))))


def test_attributes_are_a_set(net: model.Transformer) -> None:
    given = [[BEGIN, 270, 271, 272]]
    one = logits(net, sources((NAME, COLOUR, SIZE)), given)
    other = logits(net, sources((SIZE, NAME, COLOUR)), given)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_value_belongs_to_its_name(net: model.Transformer) -> None:
    given = [[BEGIN, 270, 271]]
    right = logits(net, sources((COLOUR, SIZE)), given)
    swapped = logits(net, sources((("⟦v:colour⟧", "large"), ("⟦v:size⟧", "red"))), given)
    assert np.abs(right - swapped).max() > 1e-3


def test_a_token_sees_nothing_behind_it(net: model.Transformer) -> None:
    batch = sources((NAME, COLOUR))
    a = logits(net, batch, [[BEGIN, 270, 271, 272]])
    b = logits(net, batch, [[BEGIN, 270, 273, 274]])
    np.testing.assert_allclose(a[:, :2], b[:, :2], atol=1e-6)
    assert np.abs(a[:, 2:] - b[:, 2:]).max() > 1e-3


def test_padding_changes_nothing(net: model.Transformer) -> None:
    short = sources((NAME,))
    wide = Sources(*(np.pad(a, ((0, 0), (0, 16))) for a in (short.token, short.place, short.group)))
    given = [[BEGIN, 270]]
    np.testing.assert_allclose(logits(net, short, given), logits(net, wide, given), atol=1e-5)


def test_files_give_the_same_network_and_the_same_bytes(net: model.Transformer) -> None:
    files = model.to_files(net)
    again = model.from_files(files)
    given = [[BEGIN, 270, 271]]
    assert np.array_equal(
        logits(net, sources((NAME, SIZE)), given), logits(again, sources((NAME, SIZE)), given)
    )
    assert model.to_files(again) == files
    bigger = model.Transformer(
        model.ModelConfig(len(TOKENIZER), width=16, hidden=24, heads=2, decoder_blocks=3)
    )
    with pytest.raises(ValueError, match="another model"):
        model.load_weights(bigger, files)


def best_words(net: model.Transformer, batch: Sources, row: int, written: list[int]) -> list[int]:
    """The likeliest token at every place of a text, with the whole text through the network at once."""
    one = Sources(batch.token[row : row + 1], batch.place[row : row + 1], batch.group[row : row + 1])
    found = logits(net, one, [[BEGIN, *written]])[0]
    found[:, PAD] = -np.inf
    return [int(i) for i in found.argmax(axis=-1)]


def beam_one(
    net: model.Transformer, batch: Sources, row: int, d: decode.Decoding
) -> list[tuple[float, list[int]]]:
    """Beam search written the naive way, for one product: (value, tokens), best first."""
    one = Sources(batch.token[row : row + 1], batch.place[row : row + 1], batch.group[row : row + 1])
    live: list[tuple[float, list[int], bool]] = [(0.0, [], False)]
    for time in range(d.max_length):
        grown: list[tuple[float, list[int], bool]] = []
        for score, tokens, done in live:
            if done:
                grown.append((score, tokens, True))
                continue
            z = logits(net, one, [[BEGIN, *tokens]])[0, -1].astype(np.float64)
            log_p = z - np.log(np.exp(z - z.max()).sum()) - z.max()
            last = time == d.max_length - 1
            ids = (
                [END]
                if last
                else [i for i in np.argsort(-log_p) if i != PAD and not repeats(tokens, int(i), d)]
            )
            grown += [(score + log_p[i], [*tokens, int(i)], i == END) for i in ids[: 2 * d.beams]]
        grown.sort(key=lambda g: -g[0] / len(g[1]) ** d.penalty)
        live = grown[: d.beams]
    return [(s / len(t) ** d.penalty, [i for i in t if i != END]) for s, t, _ in live]


def repeats(tokens: list[int], new: int, d: decode.Decoding) -> bool:
    gram = [*tokens, new][-d.no_repeat :]
    seen = [tokens[i : i + d.no_repeat] for i in range(len(tokens) - d.no_repeat + 1)]
    return len(gram) == d.no_repeat and gram in seen


BATCH = ((NAME, COLOUR), (NAME, COLOUR, SIZE), (SIZE,))


def free(count: int) -> decode.Constraints:
    """Anything but padding, which is no word."""
    allowed = np.ones((count, len(TOKENIZER)), bool)
    allowed[:, PAD] = False
    return decode.Constraints(allowed, [])


def test_one_beam_is_greedy_search(net: model.Transformer) -> None:
    batch = sources(*BATCH)
    search = decode.Decoder(net, decode.Decoding(beams=1, no_repeat=99, max_length=40))
    found = search.search(batch, free(3))
    for row in range(3):
        written = found[row][0]
        # The last token of a text at full length is the end, whatever the network thinks.
        assert written == best_words(net, batch, row, written)[: len(written)]
        assert len(written) == 39 or best_words(net, batch, row, written)[-1] == END


def test_beams_are_those_of_a_naive_search(net: model.Transformer) -> None:
    batch = sources(*BATCH)
    plan = decode.Decoding(beams=3, no_repeat=2, max_length=8)
    found = decode.Decoder(net, plan).search(batch, free(3))
    for i in range(3):
        assert found[i] == [tokens for _, tokens in beam_one(net, batch, i, plan)]


def test_nothing_barred_is_written(net: model.Transformer) -> None:
    batch = sources(*BATCH)
    plan = decode.Decoding(beams=2, no_repeat=3, max_length=30)
    before = decode.Decoder(net, plan).search(batch, free(3))
    used = before[0][0]
    allowed = np.ones((3, len(TOKENIZER)), bool)
    allowed[0, used[0]] = False
    phrase = before[1][0][:2]
    after = decode.Decoder(net, plan).search(batch, decode.Constraints(allowed, [phrase]))
    assert all(used[0] not in tokens for tokens in after[0])
    for beams in after:
        for tokens in beams:
            assert all(tokens[i : i + 2] != phrase for i in range(len(tokens)))
            grams = [tuple(tokens[i : i + 3]) for i in range(len(tokens) - 2)]
            assert len(grams) == len(set(grams))


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize(("constrained", "xla"), [(False, False), (True, False), (True, True)])
def test_a_text_is_the_same_alone_and_among_others(
    net: model.Transformer, beams: int, constrained: bool, xla: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts end at different times: what is done leaves the batch, and the others must not notice."""
    rng = np.random.default_rng(2)
    batch = sources(*[BATCH[i % 3] for i in range(16)])
    allowed = np.zeros((16, len(TOKENIZER)), bool)
    for row in allowed:
        row[[END, *rng.choice(np.arange(261, len(TOKENIZER)), rng.integers(1, 4), replace=False)]] = True
    allowed[:3, END] = False  # some end nowhere, and are the last
    contexts = None
    if constrained:
        used = range(261, len(TOKENIZER))
        grams = [[a, b, c] for a in (BEGIN, *used) for b in (BEGIN, *used) for c in (END, *used)]
        contexts = Contexts([g for g in grams if sum(g) % 7], np.zeros(len(TOKENIZER), np.int32))
    kept = []
    shrink = decode._kept
    monkeypatch.setattr(decode, "_kept", lambda *args: kept.append(shrink(*args)) or shrink(*args))
    plan = decode.Decoding(beams=beams, no_repeat=4, max_length=40)
    search = decode.Decoder(net, plan)
    least = np.arange(16, dtype=np.int32)
    together = decode.Decoder(net, plan, xla).search(batch, decode.Constraints(allowed, [], contexts, least))
    assert xla or any(some is not None for some in kept)  # it looks once only, and all may be done by then
    assert len({len(beams_[0]) for beams_ in together if beams_}) > 1
    for i in range(16):
        one = Sources(batch.token[i : i + 1], batch.place[i : i + 1], batch.group[i : i + 1])
        alone = decode.Constraints(allowed[i : i + 1], [], contexts, least[i : i + 1])
        assert together[i] == search.search(one, alone)[0]


def test_batches_hold_every_text_once() -> None:
    lengths = [9, 3, 7, 3, 5]
    assert list(decode.batches(lengths, 2)) == [[1, 3], [4, 2], [0]]
