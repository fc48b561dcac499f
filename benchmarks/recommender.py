"""What the recommenders reach on published protocols, and on a shop's own last days.

    python -m benchmarks.recommender --format sequences --file F [--attributes F] [--model all]
    python -m benchmarks.recommender --format lightgcn --train F --test F [--model all]
    python -m benchmarks.recommender --format retail --data FOLDER [--holdout-days 14]

sequences: `user item item …` in time order, a user's last item hidden (HR and NDCG at 10). lightgcn: the same
layout without order, one file to learn from and one that is hidden (Recall and NDCG at 20). retail: UCI
Online Retail as CSV, the last days hidden. Files may be gzip. Constants are chosen inside the training data
by one rule for every file. Prints a table (with --dataset beside the published figures), then one JSON line
a model.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import protocols, retail
from benchmarks.contenders import contenders, names
from benchmarks.formats import Unreadable

PUBLISHED = Path(__file__).with_name("published.toml")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", choices=("sequences", "lightgcn", "retail"), required=True)
    parser.add_argument(
        "--dataset", default="", help="its name; gowalla, beauty, sports have published figures"
    )
    parser.add_argument("--file", type=Path, help="sequences")
    parser.add_argument("--attributes", type=Path, help="JSON: item → attribute numbers")
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--data", type=Path, help="folder of UCI Online Retail")
    parser.add_argument("--holdout-days", type=int, default=14)
    parser.add_argument("--model", default="all", help="one model, or all")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def load(parser: argparse.ArgumentParser, args: argparse.Namespace) -> protocols.Protocol:
    needed = {"sequences": ("file",), "lightgcn": ("train", "test")}[args.format]
    for name in needed:
        if getattr(args, name) is None:
            parser.error(f"--format {args.format} needs --{name}")
    if args.format == "sequences":
        found = protocols.sequences(args.dataset or args.file.stem, args.file, args.attributes, args.seed)
    else:
        found = protocols.lightgcn(args.dataset or args.train.stem, args.train, args.test, args.seed)
    if args.model not in ("all", *names(found)):
        parser.error(f"no model '{args.model}' for this format; there are: all, {', '.join(names(found))}")
    return found


def published(protocol: protocols.Protocol) -> list[dict[str, Any]]:
    tables = tomllib.loads(PUBLISHED.read_text()).get(protocol.name, {})
    first, second = protocol.measures
    return [
        {
            "model": f"{name} (published)",
            f"{first}@{protocol.k}": value,
            f"{second}@{protocol.k}": tables[second][name],
        }
        for name, value in tables.get(first, {}).items()
    ]


def run(protocol: protocols.Protocol, model: str, seed: int) -> list[dict[str, Any]]:
    rows = []
    for contender in contenders(protocol, model, seed):
        reached = protocol.testing.measure(contender.score, protocol.k)
        first, second = protocol.measures
        row = {
            "model": contender.name,
            f"{first}@{protocol.k}": round(reached[first], 4),
            f"{second}@{protocol.k}": round(reached[second], 4),
            "coverage": round(reached["coverage"], 4),
            "seconds": round(contender.seconds, 1),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(f"{contender.name}: {json.dumps(contender.chosen)}", file=sys.stderr, flush=True)
        for trial in contender.tried:
            print(f"  validation {json.dumps(trial)}", file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def main() -> int:
    parser = arguments()
    args = parser.parse_args()
    try:
        if args.format == "retail":
            if args.data is None:
                parser.error("--format retail needs --data")
            retail.main(args.data, args.holdout_days, args.seed)
            return 0
        protocol = load(parser, args)
    except Unreadable as error:
        print(f"benchmarks.recommender: {error}", file=sys.stderr)
        return 2
    rows = run(protocol, args.model, args.seed)
    print(pd.DataFrame(published(protocol) + rows).to_string(index=False, na_rep=""))
    for row in rows:
        print(json.dumps({"dataset": protocol.name, "seed": args.seed, **row}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
