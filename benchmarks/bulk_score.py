"""Exact best k for many users: our lists beside other libraries' and beside the bare matrix product.

    python -m benchmarks.bulk_score [--users 52600] [--items 91600] [--widths 64,128] [--repeats 3] [--k 100]

Synthetic factors; what a user has seen is heavy-tailed, about 20 items, several hundred for some. In every
repeat all contenders run one after the other on the same users; the slow ones on the first `--sample` of
them. Medians over repeats, ms per user, two threads or as many as there are cores if fewer.

ours: seen items removed, exact; TensorFlow on one thread for each of the workers. product: float32 product
of blocks of users with all items, nothing selected, the fastest of three block sizes. implicit: its `topk`
with seen items removed. faiss: flat index, seen items not removed. argpartition: NumPy, seen items removed,
in blocks. The last line is JSON; what is not installed is null there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from models.recommender.base import Floats
from models.recommender.inner_product import InnerProduct
from models.recommender.rules import Excluded
from models.recommender.topk import top_k

THREADS = min(2, len(os.sched_getaffinity(0)))
PRODUCT_BLOCKS = (256, 512, 1024)
CHECKED = 64
Run = Callable[[], Any]


@dataclass(frozen=True)
class Task:
    """users (n, width), items (items, width), what each user has seen, places of a list."""

    users: Floats
    items: Floats
    seen: Excluded
    k: int

    @classmethod
    def drawn(cls, n: int, items: int, width: int, k: int, seed: int) -> Task:
        """Normal factors; popular items are seen more often, and counts are log-normal with mean 20."""
        rng = np.random.default_rng(seed)
        scale = np.float32(width**-0.5)
        users = rng.standard_normal((n, width), np.float32) * scale
        table = rng.standard_normal((items, width), np.float32) * scale
        counts = np.minimum(rng.lognormal(np.log(20) - 0.72, 1.2, n), items // 4).astype(np.int64)
        popular = rng.permutation(items)
        drawn = popular[(items * rng.random(counts.sum()) ** 2).astype(np.int64)]
        # A user's own pairs, each once.
        pair = np.unique(np.repeat(np.arange(n), counts) * items + drawn)
        indptr = np.searchsorted(pair, np.arange(n + 1) * items)
        return cls(users, table, Excluded(indptr, (pair % items).astype(np.int32)), k)

    def first(self, n: int) -> Task:
        return Task(self.users[:n], self.items, self.seen, self.k)


def product(task: Task, block: int) -> Run:
    out = np.empty((min(block, len(task.users)), len(task.items)), np.float32)

    def run() -> None:
        for low in range(0, len(task.users), block):
            some = task.users[low : low + block]
            np.matmul(some, task.items.T, out=out[: len(some)])

    return run


def ours(task: Task) -> Run:
    def run() -> None:
        index = InnerProduct(task.items)
        for _ in index.blocks(
            len(task.users), lambda low, high: task.users[low:high], task.k, task.seen, THREADS
        ):
            pass

    return run


def argpartition(task: Task) -> Run:
    block = 128

    def run() -> None:
        for low in range(0, len(task.users), block):
            some = np.arange(low, min(low + block, len(task.users)))
            scores = task.users[some] @ task.items.T
            row, item = task.seen.pairs(some)
            scores[row, item] = -np.inf
            best = np.argpartition(-scores, task.k, axis=1)[:, : task.k]
            np.argsort(-np.take_along_axis(scores, best, 1), axis=1)

    return run


def implicit(task: Task) -> Run:
    from implicit.cpu.topk import topk
    from scipy import sparse

    n = len(task.users)
    entries = int(task.seen.indptr[n])
    data = np.ones(entries, np.float32)
    shape = (n, len(task.items))
    seen = sparse.csr_matrix((data, task.seen.item[:entries], task.seen.indptr[: n + 1]), shape=shape)
    return lambda: topk(task.items, task.users, task.k, filter_query_items=seen, num_threads=THREADS)


def faiss(task: Task) -> Run:
    import faiss as library

    library.omp_set_num_threads(THREADS)
    index = library.IndexFlatIP(task.items.shape[1])
    index.add(task.items)
    return lambda: index.search(task.users, task.k)


def prepared(task: Task, sample: int) -> dict[str, tuple[Run, int] | None]:
    """name → (what to run, users it serves); None for a peer that is not installed."""
    n, few = len(task.users), min(sample, len(task.users))
    found: dict[str, tuple[Run, int] | None] = {"ours": (ours(task), n)}
    for block in PRODUCT_BLOCKS:
        found[f"product {block}"] = (product(task.first(few), block), few)
    for name, build in (("implicit", implicit), ("faiss", faiss), ("argpartition", argpartition)):
        # argpartition takes milliseconds.
        size = max(1, few // 8) if name == "argpartition" else few
        try:
            found[name] = (build(task.first(size)), size)
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            found[name] = None
    return found


def check(task: Task) -> None:
    """Raises AssertionError unless our lists are those of a full sort, for users from both ends."""
    n = len(task.users)
    order = np.argsort(np.diff(task.seen.indptr), kind="stable")
    some = np.sort(np.concatenate([order[: CHECKED // 2], order[-CHECKED // 2 :]])) if n > CHECKED else order
    lengths = np.diff(task.seen.indptr)[some]
    row, item = task.seen.pairs(some)
    seen = Excluded(np.append(0, np.cumsum(lengths)), item)
    scores = (task.users[some].astype(np.float64) @ task.items.T.astype(np.float64)).astype(np.float32)
    scores[row, item] = -np.inf
    wanted = top_k(scores, task.k)
    found = InnerProduct(task.items).best(task.users[some], task.k, seen)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


def measure(task: Task, sample: int, repeats: int) -> dict[str, float | None]:
    """Medians in ms per user."""
    contenders = prepared(task, sample)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats):
        for name, found in contenders.items():
            if found is None:
                continue
            run, users = found
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / users * 1e3)
            said = f"repeat {repeat + 1} of {repeats}: {name:14} {times[name][-1]:.4f} ms per user"
            print(said, file=sys.stderr, flush=True)
    medians = {name: statistics.median(t) if t else None for name, t in times.items()}
    products = [medians.pop(f"product {block}") for block in PRODUCT_BLOCKS]
    medians["product"] = min(p for p in products if p is not None)
    names = ("ours", "product", "implicit", "faiss", "argpartition")
    return {name: None if (m := medians[name]) is None else round(m, 4) for name in names}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=52_600)
    parser.add_argument("--items", type=int, default=91_600)
    parser.add_argument("--widths", default="64,128", help="lengths of the vectors")
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sample", type=int, default=4096, help="users for everybody but us")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    # Our workers share the cores already: TensorFlow need not split their products among all of them again.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    found = {}
    with threadpool_limits(THREADS):
        for width in map(int, args.widths.split(",")):
            task = Task.drawn(args.users, args.items, width, args.k, args.seed)
            counts = np.diff(task.seen.indptr)
            print(
                f"width {width}: {args.users:,} users, {args.items:,} items, seen: mean {counts.mean():.1f}, "
                f"largest {counts.max()}; {THREADS} threads",
                file=sys.stderr,
            )
            check(task)
            print(f"lists of {min(CHECKED, args.users)} users equal a full sort's", file=sys.stderr)
            found[f"d{width}"] = measure(task, args.sample, args.repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak:,} MiB, all contenders together", file=sys.stderr)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
