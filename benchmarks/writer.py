"""What the writer reaches on published tasks, alone and finished.

    python -m benchmarks.writer --task e2e --train F --test F [--dev F] [--seed N]
    python -m benchmarks.writer --task adgen --train F --test F [--dev F] [--seed N]
    python -m benchmarks.writer --task catalogue --train F --test F [--dev F] [--mapping M] [--seed N]

e2e: the E2E NLG challenge, pairs as JSONL ({"mr": {slot: value}, "ref": text}) or its CSV (mr,ref). adgen:
AdvertiseGen's JSONL ({"content": "键#值*键#值", "summary": text}). catalogue: product files as the night
reads them (a glob in quotes names several), by the mapping that is named or the first shipped one that fits;
products of the test file that stand in the training file too are left out; where both are the same, a tenth
is held out, variants together. Files may be gzip.

Trains on the one file, writes what the other asks for, prints a table beside the published figures, and ends
with one JSON line: plain keys are the writer's first choice, `final_` keys the finished output (another
choice or a template where the first fails). Beside them: `network_` (catalogue) is the first choice of a
writer that remembers no text, `reranked_` (e2e) the first choice without a slot error and no template,
`bare_` (adgen) beam search without least length, limits of words and phrases, and order; no three tokens come
twice in either. Rates are in percent. A run chooses nothing on the test file, nor on that of
`--dev`, which is written and measured too (key `dev`). With `--latent`: what z costs in nats a text (kl), how
many of its sizes are in use (active_units), and the BLEU of texts written with the z of another product
(shuffled_bleu; `bleu` has z at its mean).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.formats import Unreadable

PUBLISHED = Path(__file__).with_name("published.toml")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=("e2e", "adgen", "catalogue"), required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--dev", type=Path, help="a further file to write and measure")
    parser.add_argument("--mapping", default="", help="of a catalogue: a .toml file, or one that ships")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="training steps; 0: as many as the task needs")
    parser.add_argument("--beams", type=int, default=0, help="of the search (e2e, adgen); 0: the task's own")
    parser.add_argument(
        "--without-repair", action="store_true", help="learn from the inputs as they are (ablation)"
    )
    parser.add_argument(
        "--order", action="store_true", help="plan the order of the slots first (ablation, e2e)"
    )
    parser.add_argument("--latent", type=int, default=0, help="sizes of a latent z (ablation)")
    parser.add_argument("--copy", action="store_true", help="copy words of the values (ablation, adgen)")
    parser.add_argument("--out", type=Path, help="write every text there as JSON lines")
    return parser


def track(items: Iterator[Any], what: str, total: int) -> Iterator[Any]:
    """Pass items on; on a terminal a bar shows how far it is, elsewhere a line a minute does."""
    start = said = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said > 60 or number == total:
            said = now
            print(f"{what}: {number} of {total}, {now - start:.0f} s", file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The measures of a task, and every text with its request."""
    parts: dict[str, Any] = {"beams": args.beams} if args.beams else {}
    if args.task == "e2e":
        from benchmarks.e2e import task as e2e

        parts |= {"repair": not args.without_repair, "order": args.order, "latent": args.latent}
        plan = e2e.Plan(args.seed, args.steps or e2e.STEPS, **parts)
        return e2e.run(args.train, args.test, args.dev, plan, track)
    if args.task == "catalogue":
        from benchmarks.catalogue import task as catalogue

        trial = catalogue.Plan(args.seed, args.steps or catalogue.STEPS)
        return catalogue.run(args.train, args.test, args.dev, args.mapping, trial, track)
    from benchmarks.adgen import task as adgen

    parts |= {"repair": not args.without_repair, "latent": args.latent, "copy": args.copy}
    ads = adgen.Plan(args.seed, args.steps or adgen.STEPS, **parts)
    return adgen.run(args.train, args.test, args.dev, ads, track)


def table(task: str, found: dict[str, Any]) -> str:
    """Published figures, then ours: the network alone, and what is published in a night."""
    import pandas as pd

    tables = tomllib.loads(PUBLISHED.read_text()).get(task, {})
    names = dict.fromkeys(name for column in tables.values() for name in column)
    rows = [{"": name, **{m: column.get(name) for m, column in tables.items()}} for name in names]
    shown = [k for k in found if f"final_{k}" in found]
    for name in ("template", "nearest"):
        if f"{name}_bleu" in found:
            rows.append({"": f"{name}, same run", **{k: found[f"{name}_{k}"] for k in shown}})
    alone = "network alone"
    if "network_bleu" in found:
        rows.append({"": f"Nightshelf, {alone}", **{k: found[f"network_{k}"] for k in shown}})
        alone = "with remembered texts"
    rows.append({"": f"Nightshelf, {alone}", **{k: found[k] for k in shown}})
    rows.append({"": "Nightshelf, finished", **{k: found[f"final_{k}"] for k in shown}})
    if dev := found.get("dev"):
        rows.append({"": "first choices, --dev", **{k: dev[k] for k in shown}})
        rows.append({"": "finished, --dev", **{k: dev[f"final_{k}"] for k in shown}})
    return pd.DataFrame(rows).to_string(index=False, na_rep="")


def main() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args = arguments().parse_args()
    start = time.perf_counter()
    try:
        found, texts = run(args)
    except Unreadable as error:
        print(f"benchmarks.writer: {error}", file=sys.stderr)
        return 2
    if args.out:
        args.out.write_text("".join(json.dumps(t, ensure_ascii=False) + "\n" for t in texts))
    print(table(args.task, found))
    found["seconds"] = round(time.perf_counter() - start, 1)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"task": args.task, "seed": args.seed, **found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
