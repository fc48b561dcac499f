"""Beam search for keras-hub models: the decoding contract of `models.writer.decode`, as a sampler.

Finished beams are frozen, values are log-probabilities over length to the power
`penalty`, no n-gram is written twice, banned phrases are masked, and the length
is bounded. Only what is written counts: what the prompt says may be copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_hub
import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

from models.writer.copying import NEVER
from models.writer.decode import Decoding

NONE, ANY = -1, -2  # no token written here; any token will do
USUAL = Decoding()


class BeamSearch(keras_hub.samplers.Sampler):  # type: ignore[misc]
    """Called by `generate_step`; returns tokens (batch · beams, length), `NONE` where nothing is written.

    `never` (vocabulary,) is true for what may not be written, `phrases` are banned token lists. The beams of
    a prompt come best first. A beam without an end within `max_new` tokens is no text: its row is empty.
    """

    def __init__(
        self,
        never: NDArray[np.bool_],
        ends: Sequence[int],
        phrases: Sequence[Sequence[int]],
        max_new: int,
        decoding: Decoding = USUAL,
    ) -> None:
        super().__init__()
        self.never, self.ends, self.max_new = never, np.asarray(ends, np.int32), max_new
        self.beams, self.penalty, self.back = decoding.beams, decoding.penalty, decoding.no_repeat - 1
        self.recent = max([self.back, *(len(p) - 1 for p in phrases)])
        self.heads = np.full((len(phrases), self.recent), ANY, np.int32)
        for row, phrase in zip(self.heads, phrases, strict=True):
            row[self.recent - len(phrase) + 1 :] = phrase[:-1]
        self.lasts = np.array([p[-1] for p in phrases], np.int32)

    def __call__(
        self,
        next: Any,
        prompt: Any,
        cache: Any = None,
        index: Any = 0,
        mask: Any = None,
        stop_token_ids: Any = None,
        hidden_states: Any = None,
        model: Any = None,
        **_: Any,
    ) -> Any:
        given = ops.repeat(ops.cast(mask, "bool"), self.beams, axis=0)
        tokens = ops.repeat(ops.cast(prompt, "int32"), self.beams, axis=0)
        cache = tree.map_structure(lambda x: ops.repeat(x, self.beams, axis=0), cache)
        rows, length = tokens.shape
        # All beams start equal: only the first of each prompt may be extended, or they would stay equal.
        score = np.full((rows // self.beams, self.beams), NEVER, np.float32)
        score[:, 0] = 0.0
        state = {
            "tokens": tokens,
            "written": ops.full((rows, length), NONE, "int32"),
            "recent": ops.full((rows, self.recent), NONE, "int32"),
            "score": ops.convert_to_tensor(score.reshape(-1)),
            "length": ops.zeros((rows,), "int32"),
            "done": ops.zeros((rows,), "bool"),
        }

        def running(index: Any, state: Any, cache: Any) -> Any:
            return ops.logical_not(ops.all(state["done"]))

        def step(index: Any, state: Any, cache: Any) -> Any:
            logits, _, cache = next(state["tokens"], cache, index)
            state, parents = self._extend(state, logits, index, ops.take(given, index, axis=1))
            cache = tree.map_structure(lambda x: ops.take(x, parents, axis=0), cache)
            return index + 1, state, cache

        index = ops.cast(index, "int32")
        _, state, _ = self.run_loop(
            running, step, model=model, loop_vars=(index, state, cache), maximum_iterations=length - index
        )
        return self._best_first(state)

    def _extend(self, state: Any, logits: Any, index: Any, forced: Any) -> tuple[Any, Any]:
        """Write one more token into every row; returns the state and the parent of each row.

        `forced` (rows,): the prompt of this row goes on here, and nothing is chosen.
        """
        width = 2 * self.beams
        log_p = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        best, ids = ops.top_k(ops.where(self._barred(state, log_p.shape[-1]), NEVER, log_p), width)
        own = ops.take(state["tokens"], index, axis=1)
        alone = np.full((1, width), 2 * NEVER, np.float32)
        alone[0, 0] = 0.0
        still = ops.logical_or(forced, state["done"])[:, None]
        best = ops.where(still, alone, best)
        ids = ops.where(still, own[:, None], ops.cast(ids, "int32"))
        total = state["score"][:, None] + best
        length = state["length"] + ops.cast(ops.logical_not(still[:, 0]), "int32")
        value = total / self._worth(length)[:, None]
        _, order = ops.top_k(ops.reshape(value, (-1, self.beams * width)), self.beams)
        order = ops.cast(order, "int32")
        first = ops.arange(0, total.shape[0], self.beams, dtype="int32")[:, None]
        parents = ops.reshape(first + order // width, (-1,))
        picked = parents * width + ops.reshape(order % width, (-1,))
        last = ops.take(ops.reshape(ids, (-1,)), picked)
        score = ops.take(ops.reshape(total, (-1,)), picked)
        state = {k: ops.take(v, parents, axis=0) for k, v in {**state, "length": length}.items()}
        state["score"] = score
        return self._write(state, last, index, ops.take(still[:, 0], parents)), parents

    def _write(self, state: Any, last: Any, index: Any, still: Any) -> Any:
        """The state with the token `last` of each row; rows that stand still keep what they have."""
        ended = ops.any(ops.equal(last[:, None], self.ends[None, :]), axis=1)
        shown = ops.where(ops.logical_or(still, ended), NONE, last)[:, None]
        moved = ops.concatenate([state["recent"][:, 1:], last[:, None]], axis=1)
        dead = ops.less(state["score"], NEVER / 2)
        over = ops.logical_or(ops.logical_and(ended, ops.logical_not(still)), dead)
        return {
            **state,
            "tokens": ops.slice_update(state["tokens"], (0, index), last[:, None]),
            "written": ops.slice_update(state["written"], (0, index), shown),
            "recent": ops.where(still[:, None], state["recent"], moved),
            "done": ops.logical_or(state["done"], over),
        }

    def _barred(self, state: Any, vocabulary: int) -> Any:
        """(rows, vocabulary): what may not come next."""
        recent, written = state["recent"], state["written"]
        rows, time = written.shape
        back, hits = self.back, []
        if time > back:
            same = ops.greater_equal(recent[:, self.recent - back :][:, :1], 0)
            for i in range(back):
                here = recent[:, self.recent - back + i : self.recent - back + i + 1]
                same = ops.logical_and(same, ops.equal(written[:, i : i + time - back], here))
            follows = written[:, back:]
            hits.append(ops.where(ops.logical_and(same, follows >= 0), follows, vocabulary))
        if len(self.lasts):
            fits = ops.logical_or(ops.equal(recent[:, None, :], self.heads), ops.equal(self.heads, ANY))
            hits.append(ops.where(ops.all(fits, axis=-1), self.lasts[None, :], vocabulary))
        out = ops.zeros((rows, vocabulary + 1), "bool")  # the last column takes what is no hit
        if hits:
            columns = ops.concatenate(hits, axis=1)
            row = ops.broadcast_to(ops.arange(rows, dtype="int32")[:, None], columns.shape)
            where = ops.reshape(ops.stack([row, columns], axis=-1), (-1, 2))
            out = ops.scatter_update(out, where, ops.ones((where.shape[0],), "bool"))
        never = np.ones(vocabulary, bool)  # an output layer may be wider than the vocabulary
        never[: len(self.never)] = self.never[:vocabulary]
        too_long = ops.greater_equal(state["length"], self.max_new)[:, None]
        return ops.logical_or(ops.logical_or(out[:, :vocabulary], never[None, :]), too_long)

    def _worth(self, length: Any) -> Any:
        return ops.power(ops.cast(ops.maximum(length, 1), "float32"), self.penalty)

    def _best_first(self, state: Any) -> Any:
        value = ops.reshape(state["score"] / self._worth(state["length"]), (-1, self.beams))
        _, order = ops.top_k(value, self.beams)
        first = ops.arange(0, state["done"].shape[0], self.beams, dtype="int32")[:, None]
        rows = ops.reshape(first + ops.cast(order, "int32"), (-1,))
        whole = ops.logical_and(state["done"], state["score"] > NEVER / 2)
        written = ops.where(whole[:, None], state["written"], NONE)
        return ops.take(written, rows, axis=0)
