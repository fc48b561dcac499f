"""Product files as the night reads them: through the mappings that ship with Nightshelf, or one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.formats import Unreadable

if TYPE_CHECKING:
    from jobs.intake.files import Found
    from jobs.settings import Settings

# In the order in which they are tried where none is named.
SHIPPED = ("sample-shop", "amazon-industrial", "flipkart")

Row = dict[str, Any]


def products(path: Path, mapping: str = "") -> list[Row]:
    """The products of a file, or of those that a glob names, by id; of two with one id the last one.

    Raises `Unreadable` where there is no file, or no mapping fits.
    """
    from jobs.errors import BadInput
    from jobs.intake.files import find_files
    from jobs.settings import load_settings

    settings = load_settings()
    try:
        files = find_files([str(path)], settings)
    except BadInput as error:
        raise Unreadable(str(error)) from None
    told = []
    for name in [mapping] if mapping else SHIPPED:
        try:
            return _read(files, name, settings)
        except BadInput as error:
            told.append(f"{name}: {error}")
    raise Unreadable("\n  ".join([f"{path}: no mapping fits; name one with --mapping", *told]))


def split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """(to learn from, held out): as in a night a tenth, variants of one product together."""
    from jobs.train_writer import held_out

    known: list[Row] = []
    held: list[Row] = []
    for row in rows:
        family = row.get("variant_of") or row["product_id"]
        (held if held_out(family) else known).append(row)
    return known, held


def _read(listed: Sequence[Found], name: str, settings: Settings) -> list[Row]:
    from jobs.intake.files import check_file
    from jobs.intake.mapped import values_of
    from jobs.intake.mapping import find_mapping, load_mapping
    from jobs.intake.raw import read_raw, reading
    from jobs.spark import spark

    mapping = load_mapping(find_mapping(name))
    part = mapping.products
    if part is None:
        raise _no_products(name)
    files = [check_file(f, part.read, settings) for f in listed]
    session = spark(settings)
    with reading(session):
        rows = values_of(mapping, "products", read_raw(session, files, part.read)).toPandas()
    found: dict[str, Row] = {}
    for row in rows.to_dict("records"):
        if row["product_id"] and not len(row["broken"]):
            found[row["product_id"]] = {str(k): v for k, v in row.items() if isinstance(v, str)}
    return [found[key] for key in sorted(found)]


def _no_products(name: str) -> Exception:
    from jobs.errors import BadInput

    return BadInput(f"mapping '{name}' has no section [products]")
