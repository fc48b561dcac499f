"""The sequence model as a recommender: trains the network on packed pasts, scores with its last state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import Bools, Floats, History, Interactions, Ints, Items, Longs, Recommender
from models.recommender.inner_product import Best, InnerProduct
from models.recommender.packing import epoch
from models.recommender.rules import Excluded
from models.recommender.sequences import Sequences, sequences

# Pasts encoded at once, and the lengths that they are filled up to.
ENCODE_ROWS = 512
ENCODE_LENGTHS = (8, 16, 32, 64, 128, 256)
# Past entries held against their shoppers' lists at once.
GIVEN_ROWS = 4096
# Newest entries of a past that are explained one by one.
EXPLAINED = 16
# Epochs over all days when some days more have come.
UPDATE_EPOCHS = 2


@dataclass(frozen=True)
class SequenceRecipe:
    """Sizes and training. `time` is the length of a packed row, `rows` the rows of a step."""

    width: int = 64
    blocks: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.3
    input_dropout: float = 0.5
    time: int = 64
    rows: int = 24
    negatives: int = 1024
    rate: float = 2e-3
    epochs: int = 24
    seed: int = 1


class SequenceModel(Recommender):
    """Scores an item by its vector times the state behind a shopper's past."""

    kind: ClassVar[str] = "sequence"

    def __init__(self, **recipe: Any) -> None:
        self.constants = replace(SequenceRecipe(), **recipe)
        self.network: Any = None
        self._trainer: _Trainer | None = None
        self.table: Floats = np.zeros((0, self.constants.width), np.float32)

    @property
    def recipe(self) -> dict[str, Any]:
        return asdict(self.constants)

    @property
    def n_items(self) -> int:
        return len(self.table)

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        return self.fit_until(interactions, items, None)

    def update(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        """A few epochs more, over what there is now, from the weights that it has; from the start without."""
        if self.network is None or self.network.config.items != len(items) + 1:
            return self.fit(interactions, items, as_of)
        seq = sequences(interactions)
        if self._trainer is None:
            self.refresh(interactions, items, as_of)
            self._trainer = _Trainer(self.constants, seq, items, self.network)
        self._trainer.seq = seq
        for _ in range(UPDATE_EPOCHS):
            self._trainer.epoch()
        self._make_table()
        return self

    def refresh(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        """New products get the vectors of their attributes: nobody has touched them yet."""
        if self.network is None:
            return self
        slots = items.attribute_slots()
        # A number that was never learnt says nothing.
        slots = _with_nothing(np.where(slots < self.network.config.attributes, slots, 0))
        if not np.array_equal(slots, np.asarray(self.network.attributes_of)):
            self.network.describe(slots)
            # What was compiled for training holds the old ones.
            self._trainer = None
            self._make_table()
        return self

    def fit_until(
        self,
        interactions: Interactions,
        items: Items,
        measure: Callable[[Self], float] | None,
        every: int = 3,
        patience: int = 3,
        floor: float = -np.inf,
    ) -> Self:
        """Trains for the recipe's epochs. With `measure`, called after every few epochs, training stops when
        it has not risen `patience` times, or is still below `floor` at the second time; the best weights are
        kept, and `recipe` then says how many epochs that were.
        """
        seq = sequences(interactions)
        recipe = self.constants
        self._trainer = trainer = _Trainer(recipe, seq, items)
        self.network = trainer.network
        best, at, waited = -np.inf, recipe.epochs, 0
        kept: list[NDArray[Any]] | None = None
        for done in range(1, recipe.epochs + 1):
            trainer.epoch()
            if measure is None or done % every:
                continue
            self._make_table()
            value = measure(self)
            if value > best:
                best, at, kept, waited = value, done, trainer.weights(), 0
            elif (waited := waited + 1) >= patience:
                break
            if done == 2 * every and best < floor:
                break
        if kept is not None:
            trainer.restore(kept)
        self.constants = replace(recipe, epochs=at)
        self._make_table()
        return self

    def _make_table(self) -> None:
        count = self.network.config.items
        ids = np.arange(1, count, dtype=np.int32)
        parts = [np.asarray(self.network.vectors(ids[i : i + 8192])) for i in range(0, count - 1, 8192)]
        self.table = np.concatenate(parts).astype(np.float32)

    def states(self, history: History) -> Floats:
        """(shoppers, width): what each is looking for; zeros without a past.

        Pasts are encoded beside others of about their length. Which others does not change a state.
        """
        size = np.minimum(np.diff(history.indptr), self.constants.length)
        out = np.zeros((len(history), self.constants.width), np.float32)
        lengths = [n for n in ENCODE_LENGTHS if n < self.constants.length]
        for shorter, longest in pairwise((0, *lengths, self.constants.length)):
            rows = np.flatnonzero((size > shorter) & (size <= longest))
            for low in range(0, len(rows), ENCODE_ROWS):
                some = rows[low : low + ENCODE_ROWS]
                out[some] = self._encode(history.indptr[some + 1], size[some], longest, history)
        return out

    def _encode(self, end: Longs, size: Longs, length: int, history: History) -> Floats:
        """States behind the `size` entries, at most `length`, that come before each end."""
        back = np.arange(length)[::-1]
        there = np.zeros((ENCODE_ROWS, length), np.int32)
        there[: len(end)] = back < size[:, None]
        at = np.zeros((ENCODE_ROWS, length), np.int64)
        at[: len(end)] = np.where(there[: len(end)] > 0, end[:, None] - 1 - back, 0)
        place = np.ascontiguousarray(np.broadcast_to(back, at.shape), np.int32)
        behaviour = history.behaviour[at].astype(np.int32)
        states = self._encoder(self.table[history.item[at]], behaviour, place, there)
        return np.asarray(states, np.float32)[: len(end)]

    @property
    def _encoder(self) -> Callable[..., Any]:
        from models.backend import compiled

        if getattr(self, "_encoder_of", None) is not self.network:
            self._compiled = compiled(self.network.newest, any_size=True)
            self._encoder_of = self.network
        found: Callable[..., Any] = self._compiled
        return found

    def score_block(self, history: History) -> Floats:
        return np.asarray(self.states(history) @ self.table.T, np.float32)

    def best(
        self, history: History, k: int, allowed: Bools | None = None, seen: Excluded | None = None
    ) -> Iterator[Best]:
        """The best k items of each shopper, in order, a block at a time; scores are never held whole.

        `allowed` (items,) hides items from everybody, `seen` items from the shoppers who had them.
        """

        def vectors(low: int, high: int) -> Floats:
            return self.states(history.pick(np.arange(low, high)))

        return InnerProduct(self.table, allowed).blocks(len(history), vectors, k, seen)

    def contributions(self, history: History, ids: Ints) -> tuple[Floats, Floats]:
        """Each entry's part of the state, times the items' vectors."""
        given = self.entry_states(history)
        listed = ids[history.row]
        found = np.zeros(listed.shape, np.float32)
        # A few entries at a time: the listed items' vectors take `width` times as much room as what is found.
        for low in range(0, len(given), GIVEN_ROWS):
            some = slice(low, low + GIVEN_ROWS)
            np.einsum("ed,ekd->ek", given[some], self.table[np.maximum(listed[some], 0)], out=found[some])
        found[listed < 0] = 0
        return found, given @ self.table.mean(axis=0)

    def entry_states(self, history: History) -> Floats:
        """(entries, width): what each past entry gave to its shopper's state; they sum to the state.

        The Shapley value (Shapley, 1953; Strumbelj and Kononenko, 2014) over two orders: what an entry adds
        when the past is built up from its oldest entry, and from its newest. Entries further back than
        `EXPLAINED` count as one, and share evenly.
        """
        out = np.zeros((len(history.item), self.constants.width), np.float32)
        for low in range(0, len(history), ENCODE_ROWS):
            block = history.pick(np.arange(low, min(low + ENCODE_ROWS, len(history))))
            start = history.indptr[low]
            out[start : start + len(block.item)] = self._entry_states(block)
        return out

    def _entry_states(self, history: History) -> Floats:
        size = np.diff(history.indptr)
        window = np.minimum(size, self.constants.length)
        players = np.minimum(window, EXPLAINED)
        row = np.repeat(np.arange(len(history)), players)
        number = np.arange(players.sum()) - np.repeat(np.cumsum(players) - players, players)
        # The oldest player is everything before the second.
        first = np.repeat(history.indptr[1:] - window, players)
        begin = np.repeat(history.indptr[1:] - players, players) + number
        oldest = np.where(number == 0, first, begin)
        last = np.repeat(history.indptr[1:], players)
        grown = self._states_of(history, first, begin + 1)
        rest = self._states_of(history, oldest, last)
        before = np.where((number == 0)[:, None], 0, np.roll(grown, 1, axis=0))
        ends = np.append(row[1:] != row[:-1], True)[: len(row)]
        after = np.where(ends[:, None], 0, np.roll(rest, -1, axis=0))
        added = (grown - before + rest - after) / 2
        out = np.zeros((len(history.item), self.constants.width), np.float32)
        out[begin] = added
        many = np.flatnonzero((number == 0) & (begin > first))
        shared = begin[many] - first[many] + 1
        at = (
            np.repeat(first[many], shared)
            + np.arange(shared.sum())
            - np.repeat(np.cumsum(shared) - shared, shared)
        )
        out[at] = np.repeat(added[many] / shared[:, None], shared, axis=0)
        return out

    def _states_of(self, history: History, start: Longs, end: Longs) -> Floats:
        """(stretches, width): the states behind stretches of entries."""
        size = end - start
        indptr = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        at = np.arange(indptr[-1]) + np.repeat(start - indptr[:-1], size)
        parts = (history.item[at], history.behaviour[at], history.distance[at], history.age[at])
        return self.states(History(indptr, *parts))

    def state(self) -> dict[str, NDArray[Any]]:
        found = {v.path: np.asarray(v) for v in self.network.trainable_variables}
        return found | {"attributes_of": np.asarray(self.network.attributes_of)}

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        attributes = state["attributes_of"]
        size = len(state["attribute/embeddings"])
        self.network = _network(self.constants, attributes, size)
        for variable in self.network.trainable_variables:
            variable.assign(state[variable.path])
        self._make_table()
        return self

    def reindex(self, mapping: Longs) -> Self:
        state = self.state()
        old = np.where(mapping >= 0, mapping + 1, 0)
        rows = np.concatenate([[0], old])
        state["item/embeddings"] = np.where((rows > 0)[:, None], state["item/embeddings"][rows], 0.0)
        state["attributes_of"] = state["attributes_of"][rows]
        return self.restore(state)


def _with_nothing(slots: Ints) -> Ints:
    """(items + 1, slots): item 0 stands for none."""
    return np.concatenate([np.zeros((1, slots.shape[1]), np.int32), slots]).astype(np.int32)


def _network(recipe: SequenceRecipe, attributes: Ints, size: int) -> Any:
    """attributes: (items + 1, slots), numbers below `size`."""
    from models.backend import make_deterministic
    from models.recommender.attention import NetworkConfig, SequenceNetwork

    # Before the layers, which draw the seeds of their dropout as they are made.
    make_deterministic(recipe.seed, ops=False)
    names = ("width", "blocks", "heads", "length", "dropout", "input_dropout")
    config = NetworkConfig(
        items=len(attributes),
        attributes=size,
        **{n: getattr(recipe, n) for n in names},
    )
    return SequenceNetwork(config, attributes)


class _Trainer:
    """One training: the network, its optimiser, and the epochs so far."""

    def __init__(self, recipe: SequenceRecipe, seq: Sequences, items: Items, network: Any = None) -> None:
        """network: already trained elsewhere; its optimiser starts anew."""
        import keras
        from keras import ops

        self.recipe, self.seq = recipe, seq
        self.rng = np.random.default_rng(recipe.seed)
        if network is None:
            network = _network(recipe, _with_nothing(items.attribute_slots()), items.n_attributes)
        self.network = network
        self.network.compile(
            optimizer=keras.optimizers.Adam(recipe.rate, beta_2=0.98),
            # The network gives the loss of every position; this is their mean over real ones.
            loss=lambda there, cost: ops.sum(cost) / ops.maximum(ops.sum(there), 1.0),
            jit_compile=True,
        )
        self.losses: list[float] = []

    def epoch(self) -> None:
        recipe = self.recipe
        for rows in epoch(self.seq, recipe.length, recipe.time, recipe.rows, self.rng):
            inputs = {n: getattr(rows, n) for n in ("item", "behaviour", "place", "segment", "target")}
            inputs["negative"] = self.rng.integers(1, self.seq.n_items + 1, recipe.negatives, dtype=np.int32)
            loss = self.network.train_on_batch(inputs, (rows.target > 0).astype(np.float32))
            self.losses.append(float(loss))

    def weights(self) -> list[NDArray[Any]]:
        return [np.array(v) for v in self.network.trainable_variables]

    def restore(self, weights: list[NDArray[Any]]) -> None:
        for variable, value in zip(self.network.trainable_variables, weights, strict=True):
            variable.assign(value)
