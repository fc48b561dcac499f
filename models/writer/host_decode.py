"""Beam search on a CPU: as `Decoder`, with compiled loops over packed weights in place of a graph.

Nothing is compiled for a size, so what is done leaves at once. Products are searched for in groups, one
thread each. No row's numbers depend on the others', so the texts do not depend on the number of cores.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.writer.beams import HOST, Beams, Decoding, following
from models.writer.copying import NEVER
from models.writer.decode import USUAL, Constraints
from models.writer.encode import Ints, Sources
from models.writer.host import Network, State
from models.writer.kernels import Bools, likeliest, log_totals
from models.writer.model import Transformer
from models.writer.tokenizer import BEGIN, END

# Products in a group at most, with one beam and with several: its rows stay in a core's cache.
GREEDY, BEAMS = 64, 32
# A group goes on without what is done once it is so large a part of it.
PART = 8


def suits(model: Transformer) -> bool:
    """Whether `Network` has all parts of this model."""
    return model.copy is None and model.latent is None


class HostDecoder:
    """The search of one model, with the weights that it has now: they are copied, and packed, once."""

    def __init__(self, model: Transformer, decoding: Decoding = USUAL) -> None:
        if not suits(model):
            raise ValueError("a latent z and a copy gate are searched with by the graphs of `Decoder` only")
        self.network, self.decoding = Network(model), decoding

    def search(self, sources: Sources, constraints: Constraints, z: None = None) -> list[list[list[int]]]:
        """As `Decoder.search`: for every source, the token lists of its beams, best first."""
        network = self.network

        def group(low: int) -> list[list[list[int]]]:
            part = slice(low, low + size)
            memory = network.encode(sources.token[part], sources.place[part], sources.group[part])
            state = network.start(memory, sources.group[part] > 0, self.decoding.beams)
            return _Group(network, state, self.decoding, constraints, part).search()

        cores = len(os.sched_getaffinity(0))
        size = min(GREEDY if self.decoding.beams == 1 else BEAMS, max(1, -(-len(sources) // cores)))
        # BLAS multiplies in the encoder's attention: one thread each, or one would wait for another group's.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as threads:
            groups = list(threads.map(group, range(0, len(sources), size)))
        return [beams for found in groups for beams in found]


class _Group:
    """Some products, searched for together."""

    def __init__(
        self,
        network: Network,
        state: State,
        decoding: Decoding,
        constraints: Constraints,
        part: slice,
    ) -> None:
        self.network, self.state, self.decoding = network, state, decoding
        self.bars, self.contexts = constraints.bars(decoding.beams, part), constraints.contexts
        barred = ~np.asarray(constraints.allowed[part])
        self.products, self.texts = np.arange(len(barred)), Beams.start(len(barred), decoding)
        self.barred = np.repeat(barred, decoding.beams, axis=0)  # (rows, vocabulary)

    def search(self) -> list[list[list[int]]]:
        found: list[list[list[int]]] = [[] for _ in self.products]
        for time in range(self.decoding.max_length):
            self._step(time)
            done = self.texts.done.all(axis=1)
            last = done.all() or time + 1 == self.decoding.max_length
            if last or done.sum() * PART >= len(done):
                over = np.flatnonzero(done | last)
                for i, beams in zip(over, self.texts.at(over).results(self.decoding), strict=True):
                    found[self.products[i]] = beams
                if last:
                    break
                self._keep(np.flatnonzero(~done))
        return found

    def _step(self, time: int) -> None:
        d = self.decoding
        tokens = self.texts.tokens.reshape(-1, d.max_length)
        last = tokens[:, time - 1] if time else np.full(len(tokens), BEGIN, np.int32)
        logits = self.network.step(self.state, last)
        best, ids = likeliest(logits, self._shut(tokens, time), 1 if d.beams == 1 else 2 * d.beams)
        if d.beams > 1:
            best -= np.where(best > NEVER / 2, log_totals(logits)[:, None], np.float32(0))
        shape = len(self.products), d.beams, -1
        self.texts, parents = self.texts.grown(best.reshape(shape), ids.reshape(shape), time, d, HOST)
        if d.beams > 1:
            self.state.follow(parents)

    def _shut(self, tokens: Ints, time: int) -> Bools:
        """(rows, vocabulary): what may not come next."""
        d = self.decoding
        if time == d.max_length - 1:
            # The last token of a text at full length is the end, whatever else is barred.
            shut = np.ones_like(self.barred)
            shut[:, END] = False
            return shut
        found = following(tokens, time, d, self.bars, HOST)
        if self.contexts is None and not found:
            return self.barred
        shut = self.barred.copy()
        if self.contexts is not None:
            shut |= self.contexts.barred(tokens[:, :time])
        for hit, ids in found:
            row, place = np.nonzero(hit)
            shut[row, ids[row, place]] = True
        return shut

    def _keep(self, products: NDArray[np.intp]) -> None:
        beams = self.decoding.beams
        rows = (products[:, None] * beams + np.arange(beams)).reshape(-1)
        self.state.keep(products, rows)
        self.texts, self.products, self.barred = (
            self.texts.at(products),
            self.products[products],
            self.barred[rows],
        )
        if "least" in self.bars:
            self.bars["least"] = self.bars["least"][rows]
