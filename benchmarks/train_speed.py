"""Training speed of our sequence model beside a plain SASRec in PyTorch.

    python -m benchmarks.train_speed --file F [--seconds 20] [--repeats 3] [--threads 2]

F as in `benchmarks.recommender --format sequences`. Both learn from the same events (all but each user's last
two), with 64 dimensions, 2 blocks, 2 heads and 50 steps. A sample is a real target: padding does not count,
and an event is one target for either.

ours: packed rows, 1,024 negatives shared by a step. bce: batches of 128 padded users, one random negative a
position. shared: the same with a softmax over 1,024 shared negatives. In every repeat each trains for
`--seconds` after a warm-up, one after the other. Medians of targets per second; the last line is JSON, null
where PyTorch is not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import numpy as np

from benchmarks import formats, protocols
from models.recommender.base import Interactions, Items
from models.recommender.packing import epoch
from models.recommender.sequence_model import SequenceRecipe
from models.recommender.sequences import sequences

CONTENDERS = ("ours", "bce", "shared")
BATCH = 128
# The first compiles.
WARM_UP_STEPS = 3
# A step of training: gives how many targets it learnt from.
Step = Callable[[], int]


def our_step(past: Interactions, items: Items, recipe: SequenceRecipe) -> Step:
    from models.recommender.sequence_model import _Trainer

    seq = sequences(past)
    trainer = _Trainer(recipe, seq, items)

    def batches() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        while True:
            for rows in epoch(seq, recipe.length, recipe.time, recipe.rows, trainer.rng):
                names = ("item", "behaviour", "place", "segment", "target")
                inputs = {n: getattr(rows, n) for n in names}
                negative = trainer.rng.integers(1, seq.n_items + 1, recipe.negatives, dtype=np.int32)
                yield inputs | {"negative": negative}, (rows.target > 0).astype(np.float32)

    endless = batches()

    def step() -> int:
        inputs, real = next(endless)
        float(trainer.network.train_on_batch(inputs, real))
        return int(real.sum())

    return step


def torch_step(past: Interactions, recipe: SequenceRecipe, shared: bool) -> Step:
    import torch

    from benchmarks.torch_sasrec import SASRec, padded

    torch.manual_seed(recipe.seed)
    seq = sequences(past)
    indptr = np.searchsorted(seq.entity, np.arange(past.n_users + 1))
    inputs, targets = padded(seq.item, indptr, recipe.length)
    some = np.flatnonzero((targets > 0).any(axis=1))
    model = SASRec(seq.n_items, recipe.width, recipe.blocks, recipe.heads, recipe.length)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3, betas=(0.9, 0.98))
    rng = np.random.default_rng(recipe.seed)
    order: Iterator[int] = itertools.chain.from_iterable(rng.permutation(some) for _ in itertools.count())

    def step() -> int:
        users = np.fromiter(itertools.islice(order, BATCH), np.int64, BATCH)
        target = targets[users]
        size = recipe.negatives if shared else target.shape
        negative = rng.integers(1, seq.n_items + 1, size)
        loss = model.loss(*(torch.from_numpy(a) for a in (inputs[users], target, negative)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
        return int((target > 0).sum())

    return step


def speed(step: Step, seconds: float) -> float:
    """Targets per second."""
    for _ in range(WARM_UP_STEPS):
        step()
    start, done = time.perf_counter(), 0
    while (took := time.perf_counter() - start) < seconds:
        done += step()
    return done / took


def serve(args: argparse.Namespace) -> None:
    """One contender: prepares itself, then answers every line on stdin with a speed on stdout."""
    testing = protocols.sequences(args.file.stem, args.file, args.attributes, args.seed).testing
    recipe = SequenceRecipe(seed=args.seed)
    if args.one == "ours":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        step = our_step(testing.past, testing.items, recipe)
    else:
        import torch

        torch.set_num_threads(args.threads)
        step = torch_step(testing.past, recipe, args.one == "shared")
    for _ in sys.stdin:
        print(speed(step, args.seconds), flush=True)


def measured(names: list[str], repeats: int) -> dict[str, list[float]]:
    """Speeds of every repeat. A process each, since the two libraries do not always bear each other; only one
    of them works at a time.
    """
    command = [sys.executable, "-m", "benchmarks.train_speed", *sys.argv[1:]]
    found: dict[str, list[float]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        running = {
            name: stack.enter_context(
                subprocess.Popen([*command, "--one", name], text=True, stdin=PIPE, stdout=PIPE)
            )
            for name in names
        }
        for repeat in range(repeats):
            for name, process in running.items():
                assert process.stdin is not None
                assert process.stdout is not None
                print("go", file=process.stdin, flush=True)
                answer = process.stdout.readline()
                if not answer:
                    raise RuntimeError(f"{name} ended early: see above")
                found[name].append(float(answer))
                said = f"{name:7} {found[name][-1]:10,.0f} targets/s"
                print(f"repeat {repeat + 1} of {repeats}: {said}", file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--attributes", type=Path, help="as in benchmarks.recommender; ours alone reads them")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    if args.one:
        serve(args)
        return 0
    try:
        formats.sequences(args.file)
    except formats.Unreadable as error:
        print(f"benchmarks.train_speed: {error}", file=sys.stderr)
        return 2
    names = list(CONTENDERS)
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: ours alone is measured", file=sys.stderr)
        names = ["ours"]
    found = measured(names, args.repeats)
    medians = {n: round(statistics.median(found[n])) if n in found else None for n in CONTENDERS}
    print(json.dumps({"dataset": args.file.name, "threads": args.threads, "targets_per_second": medians}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
