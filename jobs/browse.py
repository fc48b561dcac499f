"""What people look up in a lake: its tables, its rows; and going back to an earlier run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import And, BooleanExpression, EqualTo, In
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from jobs.errors import BadInput
from jobs.lake import pseudonyms, tags
from jobs.lake.catalog import LakeCatalog, partition_value
from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME, Table
from jobs.lake.store import Store
from jobs.published import NOTHING_YET
from jobs.settings import Settings

# Columns that matter to a person, in the order in which they read.
_READABLE = {
    "recommendations": ["rank", "product_id", "title", "probability", "reason", "source"],
    "similar_items": ["rank", "similar_id", "title", "score", "source"],
    "product_descriptions": ["language", "channel", "tier", "text", "checks"],
}
# Unicode's category Cc without the line break.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def _catalog(settings: Settings) -> LakeCatalog:
    return LakeCatalog(settings, Store.of(settings))


def _console() -> Console:
    """What is printed comes out of the lake: a title may hold `[red]` or `:tea:`, and is no markup."""
    return Console(markup=False, emoji=False)


def printable(text: str) -> str:
    """The text with a mark for each control character: a terminal would obey an escape sequence."""
    return _CONTROL.sub("\ufffd", text)


def dumped(value: Any) -> str:
    """JSON that a terminal may print: all control characters are escaped, where JSON itself leaves some."""
    text = json.dumps(value, ensure_ascii=False, default=_text)
    return _CONTROL.sub(lambda c: f"\\u{ord(c[0]):04x}", text)


def _spec(name: str) -> Table:
    if name in BY_NAME:
        return BY_NAME[name]
    near = get_close_matches(name, BY_NAME, n=1, cutoff=0.3)
    hint = f"did you mean '{near[0]}'?" if near else "'nightshelf tables' lists them"
    raise BadInput(f"there is no table '{name}'; {hint}")


def show_tables(settings: Settings, as_json: bool) -> None:
    """List what is published: name, rows, snapshot id, metadata file."""
    catalog = _catalog(settings)
    listed = []
    for name, metadata in sorted(catalog.pointers().items()):
        snapshot = catalog.open(metadata).current_snapshot()
        rows = sum(f.record_count for f in catalog.files(metadata))
        location = metadata
        listed.append(
            {"name": name, "rows": rows, "snapshot": snapshot and snapshot.snapshot_id, "location": location}
        )
    if as_json:
        print(json.dumps(listed))
        return
    console = _console()
    if not listed:
        console.print(NOTHING_YET)
        return
    table = RichTable("table", "rows", "what it holds")
    table.columns[1].justify = "right"
    for entry in listed:
        doc = BY_NAME[entry["name"]].doc if entry["name"] in BY_NAME else ""
        table.add_row(entry["name"], f"{entry['rows']:,}", doc)
    console.print(table)
    console.print(f"in {catalog.store.uri('')}", soft_wrap=True)


def show_table(settings: Settings, name: str, as_json: bool) -> None:
    """Print a table's columns and snapshots."""
    spec, catalog = _spec(name), _catalog(settings)
    metadata = catalog.pointers().get(name)
    snapshots = []
    rows = 0
    if metadata:
        rows = sum(f.record_count for f in catalog.files(metadata))
        for snapshot in catalog.open(metadata).snapshots():
            summary = snapshot.summary.additional_properties if snapshot.summary else {}
            snapshots.append(
                {
                    "id": snapshot.snapshot_id,
                    "run": summary.get("nightshelf.run-id"),
                    "at_ms": snapshot.timestamp_ms,
                }
            )
    columns: list[dict[str, Any]] = [
        {"name": c.name, "type": str(c.type), "pii": c.pii, "doc": c.doc} for c in spec.columns
    ]
    if as_json:
        body = {"name": name, "doc": spec.doc, "key": spec.key, "rows": rows, "location": metadata}
        print(json.dumps(body | {"columns": columns, "snapshots": snapshots}))
        return
    console = _console()
    told = f": {spec.doc} Key: {', '.join(spec.key)}. Rows: {rows:,}."
    console.print(Text.assemble((name, "bold"), told))
    table = RichTable("column", "type", "meaning")
    for column in columns:
        table.add_row(
            column["name"], column["type"], column["doc"] + (" (personal)" if column["pii"] else "")
        )
    console.print(table)
    console.print(
        f"{len(snapshots)} snapshots; the newest is of run {snapshots[-1]['run']}"
        if snapshots
        else _nothing_of(catalog, name)
    )


def _nothing_of(catalog: LakeCatalog, name: str) -> str:
    """Why a table has nothing to show."""
    return f"no row of '{name}' was ever published" if catalog.pointers() else NOTHING_YET


def show_rows(
    settings: Settings, name: str, user: str, product: str, ds: date | None, limit: int, as_json: bool
) -> None:
    """Print published rows of one shopper or one product, or the first ones of the newest date."""
    spec, catalog = _spec(name), _catalog(settings)
    metadata = catalog.pointers().get(name)
    if metadata is None:
        raise BadInput(_nothing_of(catalog, name))
    for option, value, column in (("--user", user, "user_id"), ("--product", product, "product_id")):
        if value and column not in spec.schema.names:
            raise BadInput(f"table '{name}' has no column {column}: leave out {option}")
    chosen = {"user_id": user, "product_id": product}
    if spec.partition == "ds":
        day = ds or max((partition_value(spec, f) for f in catalog.files(metadata)), default=None)
        if day is None:
            raise BadInput(f"table '{name}' is empty")
        chosen["ds"] = day.isoformat()
    elif ds is not None:
        chosen["ds"] = ds.isoformat()
    rows = _rows(catalog, spec, metadata, {k: v for k, v in chosen.items() if v}, limit)
    known = pseudonyms.require(settings, catalog.store) if user and rows.num_rows == 0 else None
    if known is not None:
        # The shop's own id, where the lake knows shoppers by pseudonyms; messages name what was given.
        hashed = chosen | {"user_id": known.of(user)}
        rows = _rows(catalog, spec, metadata, {k: v for k, v in hashed.items() if v}, limit)
    if rows.num_rows == 0:
        what = " and ".join(f"{k} {v}" for k, v in chosen.items() if v)
        raise BadInput(f"table '{name}' has no row for {what}")
    found = rows.to_pylist()
    if name == "product_descriptions":
        rank = {channel: i for i, channel in enumerate(settings.channels)}
        found.sort(key=lambda r: (r["product_id"], r["language"], rank.get(r["channel"], len(rank))))
    if as_json:
        print(dumped(found))
    else:
        _print_rows(catalog, name, found, chosen)


def _rows(catalog: LakeCatalog, spec: Table, metadata: str, equal: Mapping[str, str], limit: int) -> pa.Table:
    """The first rows by the table's key; of a whole date those that come first, in the order of the key."""
    expressions: list[BooleanExpression] = [EqualTo(column, value) for column, value in equal.items()]
    row_filter = expressions[0] if len(expressions) == 1 else And(*expressions) if expressions else "true"
    scan = catalog.open(metadata).scan(row_filter=row_filter, limit=None if len(equal) > 1 else limit)
    kept = spec.schema.empty_table()
    # A product may stand in the lists of most shoppers: no more is held than a batch and what is shown.
    for batch in scan.to_arrow_batch_reader():
        rows = pa.Table.from_batches([*(kept.to_batches() if len(kept) else ()), batch])
        order = [(name, "ascending") for name in spec.key if name in rows.column_names]
        kept = rows.sort_by(order).slice(0, limit)
    return kept


def _print_rows(catalog: LakeCatalog, name: str, rows: list[dict[str, Any]], chosen: dict[str, str]) -> None:
    wanted = [c for c in _READABLE.get(name, list(rows[0])) if c == "title" or c in rows[0]]
    if not chosen["user_id"] and "user_id" in rows[0] and name in _READABLE:
        wanted.insert(0, "user_id")
    if not chosen["product_id"] and name != "recommendations" and name in _READABLE:
        wanted.insert(0, "product_id")
    titles = _titles(catalog, rows, chosen.get("ds")) if "title" in wanted else {}
    console = _console()
    heading = printable(" ".join(f"{k}={v}" for k, v in chosen.items() if v))
    table = RichTable(title=f"{name} {heading}", title_justify="left")
    for column in wanted:
        # Chinese has no spaces to break at: fold, or the end of the text is lost.
        table.add_column(column, overflow="fold")
    for row in rows:
        shown = row | {"title": titles.get(str(row.get("similar_id") or row.get("product_id")), "")}
        cells = (_checks(shown[c]) if c == "checks" else _text(shown[c]) for c in wanted)
        table.add_row(*map(printable, cells))
    console.print(table)


def _titles(catalog: LakeCatalog, rows: list[dict[str, Any]], ds: str | None) -> dict[str, str]:
    metadata = catalog.pointers().get("products")
    ids = {r.get("similar_id") or r.get("product_id") for r in rows}
    if metadata is None or ds is None:
        return {}
    wanted = And(EqualTo("ds", ds), In("product_id", ids))
    scan = catalog.open(metadata).scan(wanted, selected_fields=("product_id", "title_en", "title_zh"))
    return {
        row["product_id"]: row["title_en"] or row["title_zh"] or ""
        for batch in scan.to_arrow_batch_reader()
        for row in batch.to_pylist()
    }


def _checks(value: str | None) -> str:
    """`{"brands": true, "numbers": "…"}` in words: what failed, or that nothing did."""
    verdicts: dict[str, Any] = json.loads(value or "{}")
    failed = [f"{name}: {verdict}" for name, verdict in verdicts.items() if verdict is not True]
    return "; ".join(failed) or f"all {len(verdicts)} passed"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def rollback_to(settings: Settings, run_id: str, as_json: bool) -> None:
    """Make the tables of an earlier run current again."""
    done = Publisher(_catalog(settings)).rollback(run_id)
    if as_json:
        print(json.dumps({"run_id": done.run_id, "ds": done.ds, "sequence": done.seq, "tables": done.tables}))
    else:
        print(f"{len(done.tables)} tables are again as run {done.run_id} of {done.ds} published them")


def tag(settings: Settings, run_id: str, remove: bool, as_json: bool) -> None:
    """Tag a run, so that maintenance keeps it, or take its tag away; without one, tell the tagged runs.

    Raises `BadInput` for a run that a rollback could not go back to, or that has no tag to take away.
    """
    store = Store.of(settings)
    before = tags.tagged(store)
    if remove and run_id not in before:
        raise BadInput(f"run '{run_id}' is not tagged; tagged are: {', '.join(sorted(before)) or 'none'}")
    if remove:
        tags.remove(store, run_id)
    elif run_id:
        publisher = Publisher(_catalog(settings))
        # Beside a sweep the run is there and stays, or is gone and refused.
        with publisher.alone():
            publisher.require_kept(run_id)
            tags.add(store, run_id)
    found = sorted(tags.tagged(store))
    if as_json:
        print(json.dumps({"tagged": found}))
    else:
        print(f"kept, however many nights follow: {', '.join(found) or 'no run is tagged'}")
