"""Bulk decoding: our search beside keras-hub, a loop without caches, CTranslate2 and the bare products.

    python -m benchmarks.bulk_write [--texts 128] [--length 48] [--repeats 3] [--loop-repeats 1]

One network of 20 M parameters (width 384, 4 + 4 blocks, 6 heads, 8,000 pieces) with random weights; everybody
runs the same ones on the same sources and writes texts of the same length, since `END` is barred. Where all
search alike (greedy), the texts are compared. In every repeat all run one after the other; medians over the
repeats of tokens per second, encoding included. What the first call costs more (tracing, compiling) is
reported apart. keras-hub and our graphs run with and without XLA; of several ways the fastest counts.

`limit`: the products with weights that greedy decoding needs, encoder included, at their real sizes and
nothing between them, by TensorFlow, by BLAS, or by our loops over packed weights; those of one block stand
for all, and stay in the cache. `limit_beam4`: the same for four beams. "per CPU s" says what a machine with
other work on it hides. Memory is that of processes of their own, with one and with eight times the texts.

The last line is JSON: tokens per second; null where a peer could not be run, with the reason on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.memory import peak_mb

Run = Callable[[], Any]
BEAMS = 4
SOURCE = 32
VOCABULARY, WIDTH, HIDDEN, HEADS, BLOCKS = 8000, 384, 1536, 6, 4
THREADS = min(2, len(os.sched_getaffinity(0)))
PEERS = ("kerashub_greedy", "kerashub_beam4", "ctranslate2")


def network(seed: int) -> Any:
    """A random network whose texts are not one token again and again."""
    import keras

    from models.writer.model import ModelConfig, Transformer

    keras.utils.set_random_seed(seed)
    model = Transformer(ModelConfig(VOCABULARY, WIDTH, HIDDEN, HEADS, BLOCKS, BLOCKS))
    for block in model.decoder:
        # The embedding of the last token would outweigh what the blocks add, and be copied for ever.
        for dense in (block.attention.out, block.cross.out, block.feed.down):
            dense.kernel.assign(dense.kernel * 4.0)
    return model


def drawn(texts: int, seed: int) -> Any:
    """Sources of `SOURCE` tokens, whose pairs stand in the same places in all of them."""
    from models.writer.encode import Sources

    token = np.random.default_rng(seed).integers(300, VOCABULARY, (texts, SOURCE)).astype(np.int32)
    place = np.tile(np.arange(SOURCE, dtype=np.int32) % 6, (texts, 1))
    # One group: the peers know no attention inside pairs only.
    return Sources(token, place, np.ones_like(token))


def ours(model: Any, sources: Any, length: int, beams: int, graph: bool = False, xla: bool = False) -> Run:
    """The last token of a text is its end, which takes a step as well."""
    from models.writer.decode import Constraints, Decoder, Decoding
    from models.writer.host_decode import HostDecoder

    allowed = np.ones((len(sources), VOCABULARY), bool)
    allowed[:, :3] = False
    decoding = Decoding(beams, 1.0, no_repeat=length, max_length=length)
    search = Decoder(model, decoding, xla).search if graph else HostDecoder(model, decoding).search

    def run() -> Any:
        return np.array([found[0] for found in search(sources, Constraints(allowed, []))], np.int32)

    return run


def products(texts: int, length: int, beams: int) -> Run:
    """The bare products with weights: of the encoder and of its memory's keys once, then of every step."""
    import tensorflow as tf

    rng = np.random.default_rng(0)

    def one(rows: int, inner: int, outer: int) -> tuple[Any, Any]:
        draw = partial(rng.standard_normal, dtype=np.float32)
        return tf.constant(draw((rows, inner))), tf.constant(draw((inner, outer)))

    multiply = tf.function(lambda pairs: [tf.matmul(x, w) for x, w in pairs])
    source, step, out = sizes(one, texts, beams)
    return partial(every_step, multiply, source, step, out, length)


def blas_products(texts: int, length: int, beams: int) -> Run:
    """As `products`, by NumPy: the same sizes, on as many threads."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)

    def one(rows: int, inner: int, outer: int) -> tuple[Any, Any, Any]:
        draw = partial(rng.standard_normal, dtype=np.float32)
        return draw((rows, inner)), draw((inner, outer)), np.empty((rows, outer), np.float32)

    def multiply(triples: list[Any]) -> None:
        for x, w, into in triples:
            np.dot(x, w, out=into)

    source, step, out = sizes(one, texts, beams)

    def run() -> None:
        with threadpool_limits(THREADS, "blas"):
            every_step(multiply, source, step, out, length)

    return run


def packed_products(texts: int, length: int, beams: int) -> Run:
    """As `products`, by our loops over packed weights: a part of the rows on every thread, as in a search."""
    from concurrent.futures import ThreadPoolExecutor

    from models.writer.packed import multiply, pack

    draw = partial(np.random.default_rng(0).standard_normal, dtype=np.float32)

    def one(rows: int, inner: int, outer: int) -> tuple[Any, Any, Any]:
        panels = pack(draw((inner, outer)))[0].panels
        parts = np.array_split(draw((rows, inner)), THREADS)
        return parts, panels, [np.empty((len(part), outer), np.float32) for part in parts]

    parts = sizes(one, texts, beams)

    def run() -> None:
        def share(thread: int) -> None:
            def these(triples: list[Any]) -> None:
                for x, panels, into in triples:
                    multiply(x[thread], panels, into[thread])

            every_step(these, *parts, length)

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(share, range(THREADS)))

    return run


def sizes(
    one: Callable[[int, int, int], Any], texts: int, beams: int
) -> tuple[list[Any], list[Any], list[Any]]:
    """The products of an encoder block, of a decoder block's step, and of a step's logits."""

    def block(rows: int, square: int) -> list[Any]:
        shapes = [(WIDTH, 3 * WIDTH), *[(WIDTH, WIDTH)] * square, (WIDTH, HIDDEN), (HIDDEN, WIDTH)]
        return [one(rows, *shape) for shape in shapes]

    source = [*block(texts * SOURCE, 1), one(texts * SOURCE, WIDTH, 2 * WIDTH)]
    return source, block(texts * beams, 3), [one(texts * beams, WIDTH, VOCABULARY)]


def every_step(multiply: Callable[[list[Any]], Any], source: Any, step: Any, out: Any, length: int) -> None:
    for _ in range(BLOCKS):
        multiply(source)
    for _ in range(length):
        for _ in range(BLOCKS):
            multiply(step)
        multiply(out)


@dataclass
class Contender:
    """What runs, in how many repeats, and what was seen: wall and CPU seconds, those of the first call."""

    run: Run
    repeats: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    first: float = 0.0
    texts: Any = None

    def measure(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.texts = self.run()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


def contenders(args: argparse.Namespace, model: Any, sources: Any) -> dict[str, Contender]:
    """By name, those that could be built and run once; the reason for each of the others on stderr."""
    from benchmarks import bulk_peers as peers

    length, hub = args.length, partial(peers.KerasHub, model, sources, args.length)
    builders: dict[str, Callable[[], Run]] = {
        "limit": lambda: products(args.texts, length, 1),
        "limit blas": lambda: blas_products(args.texts, length, 1),
        "limit packed": lambda: packed_products(args.texts, length, 1),
        "limit_beam4": lambda: products(args.texts, length, BEAMS),
        "limit_beam4 blas": lambda: blas_products(args.texts, length, BEAMS),
        "limit_beam4 packed": lambda: packed_products(args.texts, length, BEAMS),
        "ctranslate2": lambda: peers.ctranslate2(model, sources, length, 1, THREADS),
        "ctranslate2_beam4": lambda: peers.ctranslate2(model, sources, length, BEAMS, THREADS),
        "loop": lambda: peers.loop(model, sources, length),
    }
    for name, beams in (("ours_greedy", 1), ("ours_beam4", BEAMS)):
        searched = partial(ours, model, sources, length, beams)
        builders[name] = searched
        builders[f"{name} graph"] = partial(searched, graph=True)
        builders[f"{name} graph, xla"] = partial(searched, graph=True, xla=True)
    for way, xla in (("", False), (" xla", True)):
        builders[f"kerashub_greedy{way}"] = lambda xla=xla: hub(xla).greedy()  # type: ignore[misc]
        builders[f"kerashub_beam4{way}"] = lambda xla=xla: hub(xla).beam(BEAMS)  # type: ignore[misc]
    found = {}
    for name, build in builders.items():
        if args.only and name.split()[0] not in args.only.split(","):
            continue
        try:
            one = Contender(build(), args.loop_repeats if name == "loop" else args.repeats)
            start = time.perf_counter()
            if name != "loop":
                one.texts = one.run()
            one.first = time.perf_counter() - start
            found[name] = one
            print(f"{name}: first call {one.first:.1f} s", file=sys.stderr, flush=True)
        except Exception as error:  # a peer that cannot run is left out, and said why
            if name.startswith(("ours", "limit", "loop")):
                raise
            print(f"{name}: left out, {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
    return found


def measure(found: dict[str, Contender], tokens: int) -> dict[str, float]:
    """Median tokens per second of each, all running in turn."""
    for repeat in range(max(one.repeats for one in found.values())):
        for name, one in found.items():
            if repeat < one.repeats:
                one.measure()
                said = f"{tokens / one.wall[-1]:8.0f} tokens/s, {tokens / one.cpu[-1]:8.0f} per CPU s"
                print(f"repeat {repeat + 1}: {name:20} {said}", file=sys.stderr, flush=True)
    return {name: tokens / statistics.median(one.wall) for name, one in found.items()}


def report(found: dict[str, Contender], speed: dict[str, float], texts: int, length: int) -> None:
    print(f"\n{'':20} tokens/s  texts/s  tokens per CPU s  first call, s more")
    for name, one in found.items():
        cpu = texts * length / statistics.median(one.cpu)
        more = max(0.0, one.first - statistics.median(one.wall))
        print(f"{name:20} {speed[name]:8.0f} {speed[name] / length:8.1f} {cpu:17.0f} {more:19.1f}")
    mine = found.get("ours_greedy")
    for name, one in found.items():
        if mine and one is not mine and np.shape(one.texts) and "beam" not in name:
            same = (np.asarray(one.texts)[:, : length - 1] == mine.texts).all(axis=1).mean()
            print(f"{name}: {same:.1%} of its greedy texts are ours")


def memory(args: argparse.Namespace) -> None:
    """Peak memory of processes that write one and eight times the texts, in batches."""
    for times in (1, 8):
        command = [sys.executable, "-m", "benchmarks.bulk_write", "--rss", str(times * args.memory_texts)]
        done = subprocess.run([*command, "--length", "16"], capture_output=True, text=True, check=True)
        print(f"{times * args.memory_texts:6} texts of 16 tokens: peak {done.stdout.strip()} MiB")


def write_many(texts: int, length: int, batch: int = 64) -> int:
    """Peak memory in MiB of this process after so many texts, two beams, in batches."""
    from models.writer.decode import Constraints, Decoding
    from models.writer.search import searcher

    decoder = searcher(network(1), Decoding(2, 1.0, no_repeat=4, max_length=length))
    allowed = np.ones((batch, VOCABULARY), bool)
    for start in range(0, texts, batch):
        decoder.search(drawn(batch, start), Constraints(allowed, []))
    return peak_mb()


def rounded(speed: dict[str, float]) -> dict[str, float | None]:
    """The promised keys, and those of the peers beside them; of several ways the fastest."""
    names = (
        "ours_greedy", "ours_beam4", "kerashub_greedy", "kerashub_beam4", "loop", "ctranslate2", "limit",
        "ctranslate2_beam4", "limit_beam4",
    )  # fmt: skip
    best = {n: max((v for k, v in speed.items() if k.split()[0] == n), default=None) for n in names}
    return {n: None if v is None else round(v, 1) for n, v in best.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=128, help="texts in the one batch")
    parser.add_argument("--length", type=int, default=48, help="tokens of a text")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--loop-repeats", type=int, default=1, help="of the loop without caches, which is slow"
    )
    parser.add_argument("--memory-texts", type=int, default=128, help="0: memory is not looked at")
    parser.add_argument("--only", default="", help="names of contenders, with commas")
    parser.add_argument("--rss", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.rss:
        print(write_many(args.rss, args.length))
        return 0
    if args.length < 2 or args.texts < 1:
        parser.error("at least one text of two tokens")
    model, sources = network(1), drawn(args.texts, 1)
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    print(f"{parameters / 1e6:.1f} M parameters, {args.texts} texts of {args.length} tokens, {THREADS} cores")
    found = contenders(args, model, sources)
    speed = measure(found, args.texts * args.length)
    report(found, speed, args.texts, args.length)
    if args.memory_texts:
        memory(args)
    print(json.dumps(rounded(speed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
