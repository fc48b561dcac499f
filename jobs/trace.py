"""Where a product's copy comes from: the attributes behind each row, and whether its hash fits them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from jobs import writer_files as files
from jobs.browse import dumped, printable
from jobs.copy_rows import serving_text
from jobs.copy_tasks import Desk, is_catalogues
from jobs.errors import BadInput
from jobs.lake.publish import NIGHT, ROLLBACK, Publisher
from jobs.lake.publish import Published as Publish
from jobs.night import Night
from jobs.published import Published
from jobs.reviews import Reviews, edit_hash, history, pinned
from jobs.settings import Settings
from models.writer.channels import CHANNELS, DESCRIPTION
from models.writer.facts import Facts, read_facts

TABLE = "product_descriptions"
NO_FIT = "no: other attributes, model, code, rules or settings than those here made it"

Row = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """`source`: catalogue (the shop's own text), edit (a person's, made here) or machine."""

    row: Row
    facts: Facts
    source: str
    fits: bool
    decisions: tuple[Row, ...]

    def as_json(self) -> Row:
        facts = {**asdict(self.facts), "attributes": dict(self.facts.attributes)}
        checks = json.loads(self.row["checks"] or "{}")
        row = {**self.row, "ds": self.row["ds"].isoformat(), "checks": checks}
        return {
            **row,
            "source": self.source,
            "facts": facts,
            "hash_fits": self.fits,
            "decisions": self.decisions,
        }


def trace_copy(settings: Settings, product: str, ds: date | None, as_json: bool) -> None:
    """Print each row of a product's copy with what it was made from."""
    origins = trace(settings, product, ds)
    if as_json:
        print(dumped([o.as_json() for o in origins]))
        return
    for origin in origins:
        print(printable("\n".join(_told(origin))), end="\n\n")


def trace(settings: Settings, product: str, ds: date | None = None) -> list[Origin]:
    """The origin of every row of a product's copy on a date, the newest by default."""
    published = Published(settings)
    days = published.days(TABLE)
    day = ds or (days[-1] if days else None)
    rows = list(published.rows(TABLE, day, products=[product])) if day in days else []
    if day is None or not rows:
        raise BadInput(f"there is no copy of product '{product}' on {day or 'any date'}")
    products = [*published.rows("products", day, products=[product]), {"product_id": product}]
    night = Night(settings, day, run_of(Publisher(published.catalog).log(), day))
    if not published.store.exists(night.key("run.json")):
        raise BadInput(f"the folder of run '{night.run_id}' is gone: what it read is not known any more")
    desk = _desk(night, {r["language"] for r in rows})
    rows.sort(key=lambda r: (r["language"], r["channel"]))
    found = []
    for row in rows:
        facts = read_facts(row["language"], products[0])
        found.append(_origin(desk, row, facts, _source(desk, row, rows, facts, products[0])))
    return found


def _source(desk: Desk, row: Row, rows: Sequence[Row], facts: Facts, product: Row) -> str:
    """The description that the row's channel leans on, if any: the published one, else what would be."""
    same = (r for r in rows if r["language"] == row["language"] and r["channel"] == DESCRIPTION)
    description = next(same, None)
    own = (product.get(f"description_{row['language']}") or "").strip()
    return serving_text(description) if description else desk.ruling(facts, DESCRIPTION, own, None).text


def run_of(log: Iterable[Publish], day: date) -> str:
    """The run whose rows of the date are current; `log` is every publish, oldest first."""
    current, shown = "", dict[str, str]()
    for publish in log:
        if publish.kind == NIGHT:
            current = publish.run_id if publish.ds == day.isoformat() else current
            shown[publish.run_id] = current
        elif publish.kind == ROLLBACK:
            # All dates are again as when that run was published: what other runs made of them is not.
            current = shown.get(publish.run_id, current)
    return current


def _desk(night: Night, languages: Collection[str]) -> Desk:
    """The desk at which the night decided, without model and yesterday's rows: no hash depends on those.

    `languages`: of the rows, which may no longer be among those to write.
    """
    return Desk(
        night=night,
        channels=files.channels(night),
        judges=files.verifiers(night, languages),
        version=None,
        writer=None,
        earlier=None,
        reviews=Reviews.as_of(night),
        code=files.code_hash(),
        budget=None,
    )


def _origin(desk: Desk, row: Row, facts: Facts, description: str) -> Origin:
    language, channel, text = row["language"], row["channel"], row["text"] or ""
    standing = desk.reviews.of(row["product_id"], language, channel)
    if row["tier"] == "human":
        source = "catalogue" if is_catalogues(row) else "edit"
        own = desk.catalogue_hash(facts, channel, text)
        fits = row["content_hash"] == (own if is_catalogues(row) else edit_hash(language, channel, text))
    else:
        source = "machine"
        rejected = frozenset(standing.rejected)
        if channel in CHANNELS:
            wanted = desk.channel_hash(facts, CHANNELS[channel], description, rejected)
        else:
            wanted = desk.content_hash(facts, row["model_version"], rejected)
        fits = row["content_hash"] == wanted
    key = row["product_id"], language, channel
    return Origin(row, facts, source, fits, tuple(history(desk.night.store, pinned(desk.night), key)))


def _told(origin: Origin) -> list[str]:
    """The origin as lines for a person."""
    row, facts = origin.row, origin.facts
    author = f"{row['tier']}, from {origin.source}" if origin.source != "machine" else row["tier"]
    model = f", model {row['model_version']}" if row["model_version"] else ""
    label = f", labelled {row['ai_label']}" if row["ai_label"] else ""
    lines = [
        f"{row['product_id']} · {row['language']} · {row['channel']} · {row['ds']} · {author}{model}{label}"
    ]
    lines += [f"  text       {row['text'] or '–'}"]
    known = [("title", facts.title), ("brand", facts.brand), ("category", " > ".join(facts.category))]
    lines += [f"  fact       {name}: {value}" for name, value in [*known, *facts.attributes] if value]
    lines += [f"  check      {name}: {_verdict(found)}" for name, found in _checks(row).items()]
    for decision in origin.decisions:
        who = f" by {decision['reviewer']}" if decision["reviewer"] else ""
        lines.append(f"  person     {decision['verdict']}, {decision['made']}{who}")
    return [*lines, f"  hash       {row['content_hash']} fits: {'yes' if origin.fits else NO_FIT}"]


def _checks(row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["checks"] or "{}")
    return found


def _verdict(found: Any) -> str:
    return "passed" if found is True else str(found)
