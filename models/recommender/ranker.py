"""The ranker: how likely a shopper is to click a candidate, and to buy it.

A cross network beside a small MLP (DCN-v2, Wang et al., WWW 2021) over what `ranker_features` reads, with
two sigmoid heads and cross-entropy. Categorical values are hashed (Weinberger et al., ICML 2009), so that
a value keeps its number from night to night.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import Doubles, Floats, Ints
from models.recommender.ranker_features import BUCKETS, DENSE, ITEM_SLOTS

SHOPPER_SLOTS = 3
SLOTS = SHOPPER_SLOTS + ITEM_SLOTS
CLICK, PURCHASE = 0, 1
BATCH, SMALLEST = 4096, 256


@dataclass(frozen=True)
class RankerRecipe:
    """Sizes and training."""

    embedding: int = 4
    crosses: int = 2
    hidden: int = 48
    dropout: float = 0.1
    rate: float = 3e-3
    epochs: int = 6
    seed: int = 1


def _network(recipe: RankerRecipe) -> Any:
    """(rows, dense) and (rows, slots) → (rows, 2) logits of click and purchase."""
    import keras
    from keras import ops

    dense = keras.Input((len(DENSE),), name="dense")
    slots = keras.Input((SLOTS,), dtype="int32", name="slots")
    offset = np.arange(SLOTS, dtype=np.int32) * BUCKETS
    table = keras.layers.Embedding(SLOTS * BUCKETS, recipe.embedding, name="values")
    named = keras.layers.Flatten()(table(slots + ops.convert_to_tensor(offset)))
    base = keras.layers.Concatenate()([dense, named])
    width = base.shape[-1]
    crossed = base
    for i in range(recipe.crosses):
        crossed = base * keras.layers.Dense(width, name=f"cross{i}")(crossed) + crossed
    deep = keras.layers.Dense(recipe.hidden, activation="silu", name="deep0")(base)
    deep = keras.layers.Dropout(recipe.dropout, seed=recipe.seed)(deep)
    deep = keras.layers.Dense(recipe.hidden // 2, activation="silu", name="deep1")(deep)
    logits = keras.layers.Dense(2, name="heads")(keras.layers.Concatenate()([crossed, deep]))
    return keras.Model({"dense": dense, "slots": slots}, logits, name="ranker")


class Ranker:
    """`mean`, `spread`: (features,), what dense features are standardised by."""

    def __init__(self, **recipe: Any) -> None:
        self.constants = replace(RankerRecipe(), **recipe)
        self.network: Any = None
        self.mean: Floats = np.zeros(len(DENSE), np.float32)
        self.spread: Floats = np.ones(len(DENSE), np.float32)

    @property
    def recipe(self) -> dict[str, Any]:
        return asdict(self.constants)

    def fit(self, dense: Floats, slots: Ints, labels: Floats) -> Self:
        """labels: (rows, 2), clicked and bought, 0 or 1."""
        import keras

        from models.backend import make_deterministic

        recipe = self.constants
        make_deterministic(recipe.seed, ops=False)
        self.mean = dense.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = dense.std(axis=0, dtype=np.float64).astype(np.float32)
        self.spread = np.where(spread > 1e-6, spread, 1).astype(np.float32)
        self.network = _network(recipe)
        rows = len(dense)
        # Few rows are learnt in small steps, or hardly any would be made.
        size = min(rows, max(SMALLEST, min(BATCH, rows // 64)))
        steps = max(1, recipe.epochs * (rows // size))
        rate = keras.optimizers.schedules.CosineDecay(recipe.rate, steps)
        self.network.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            # XLA took six times as long for so small a network.
            jit_compile=False,
        )
        rng = np.random.default_rng(recipe.seed)
        for _ in range(recipe.epochs):
            order = rng.permutation(rows)
            for low in range(0, rows - size + 1, size):
                some = order[low : low + size]
                inputs = {"dense": self._standard(dense[some]), "slots": slots[some]}
                self.network.train_on_batch(inputs, labels[some])
        return self

    def _standard(self, dense: Floats) -> Floats:
        # A value far out of what was learnt from says no more than one at its edge.
        return np.asarray(np.clip((dense - self.mean) / self.spread, -8, 8), np.float32)

    def logits(self, dense: Floats, slots: Ints) -> Floats:
        """(rows, 2): log-odds of click and purchase."""
        out = np.zeros((len(dense), 2), np.float32)
        predict = self._predictor
        for low in range(0, len(dense), BATCH):
            some = slice(low, min(low + BATCH, len(dense)))
            size = some.stop - low
            pad = ((0, BATCH - size), (0, 0))
            got = predict(np.pad(self._standard(dense[some]), pad), np.pad(slots[some], pad))
            out[some] = np.asarray(got)[:size]
        return out

    @property
    def _predictor(self) -> Any:
        from models.backend import compiled

        if getattr(self, "_predictor_of", None) is not self.network:
            network = self.network
            self._compiled = compiled(lambda d, s: network({"dense": d, "slots": s}, training=False))
            self._predictor_of = network
        return self._compiled

    def state(self) -> dict[str, NDArray[Any]]:
        found = {v.path: np.asarray(v) for v in self.network.trainable_variables}
        return found | {"mean": self.mean, "spread": self.spread}

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        self.network = _network(self.constants)
        for variable in self.network.trainable_variables:
            variable.assign(state[variable.path])
        self.mean, self.spread = state["mean"], state["spread"]
        return self


def sigmoid(x: Floats) -> Doubles:
    return np.asarray(1 / (1 + np.exp(-np.clip(x.astype(np.float64), -40, 40))))
