"""A really trained writer of the shop of cups, made once a process, and how a night comes to use it."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

from jobs import writer_files
from jobs.night import Night
from models.writer.clean import Marks, make_pair, make_plan
from models.writer.encode import make_tokenizer
from models.writer.facts import Lexicon, read_facts
from models.writer.verify import Verifier
from models.writer.writer import Writer
from tests.jobs.writer_shop import put, shop


@cache
def small_writer(day: date) -> Writer:
    from models.writer.train import train

    judges = [Verifier(name, Lexicon.build(read_facts(name, r) for r in shop(day))) for name in ("en", "zh")]
    found = [
        (pair, judge.brief(read_facts(judge.language, row)))
        for judge in judges
        for row in shop(day)
        if (text := row[f"description_{judge.language}"])
        and (pair := make_pair(read_facts(judge.language, row), text, judge, Marks()))
    ]
    pairs = [p for p, _ in found]
    tokenizer = make_tokenizer(pairs)
    model, _ = train(pairs, tokenizer, steps=60, batch=16, seed=1)
    return Writer.of(model, tokenizer, make_plan(pairs, [b for _, b in found]), pairs)


def put_model(night: Night, writer: Writer, version: str = "v1", days_ago: int = 1) -> None:
    writer_files.save(night.store, version, writer)
    day = night.ds - timedelta(days=days_ago)
    row = {
        "model": "writer",
        "version": version,
        "verdict": "accepted",
        "location": writer_files.location(version),
    }
    put(night, "models", [row | {"ds": day}], [day])
