"""The review queue as a CSV sheet: UTF-8, one text a row, no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import BadInput

# What people read and what they fill in; the last two are theirs.
COLUMNS = ("ds", "product_id", "language", "channel", "risk", "reasons", "title", "facts", "tier", "text",
           "verdict", "new_text")  # fmt: skip
NEEDED = ("ds", "product_id", "language", "channel", "text", "verdict", "new_text")
_GUARD = "'"
_DELIMITERS = ",;\t"


def _places(guard: str) -> re.Pattern[str]:
    """Where a spreadsheet would begin to calculate, with `guard` standing there.

    OWASP, "CSV Injection"; the wide forms are formulas to spreadsheets with an East Asian input method.
    A spreadsheet that parts cells at semicolons or tabs does not see where ours end: a cell may begin after
    any of these, and after a line break, with quotes that it drops.
    """
    formula = rf"""(?=[ \u00a0\u3000"]*[=+\-@\uff1d\uff0b\uff0d\uff20{_GUARD}])"""
    blank = r"""(?=[ \u00a0\u3000"]*[\t\r\n])"""
    return re.compile(rf"\A{guard}{blank}|(?:\A|(?<=[;\t\r\n])){guard}{formula}")


_BARE, _GUARDED = _places(""), _places(_GUARD)


@dataclass(frozen=True)
class Line:
    """One row of a sheet, with the line of the file on which it starts."""

    number: int
    cells: Mapping[str, str]


def guard(cell: str) -> str:
    """The cell with an apostrophe wherever a spreadsheet would calculate; `unguard` takes them off."""
    return _BARE.sub(_GUARD, cell)


def unguard(cell: str) -> str:
    return _GUARDED.sub("", cell)


def write(rows: Iterable[Mapping[str, str]], bom: bool = True) -> bytes:
    """The sheet; with the byte order mark Excel reads the file as the UTF-8 that it is."""
    text = io.StringIO()
    out = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    out.writeheader()
    for row in rows:
        out.writerow({name: guard(row.get(name, "")) for name in COLUMNS})
    return text.getvalue().encode("utf-8-sig" if bom else "utf-8")


def read(path: Path) -> list[Line]:
    """The sheet's rows, empty ones left out; `BadInput` for a file that is no such sheet."""
    text = _text(path)
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    # `newline=""`: a cell may hold line breaks.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[Line] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(path, header)
        start = reader.line_num + 1
        for cells in reader:
            if any(c.strip() for c in cells):
                if len(cells) != len(header):
                    raise BadInput(
                        f"{path}, line {start}: {len(cells)} cells under {len(header)} columns; a cell with "
                        f"'{delimiter}' in it must stand in double quotes: save the sheet as CSV again"
                    )
                lines.append(Line(start, {n: unguard(c) for n, c in zip(header, cells, strict=True)}))
            start = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{path}, line {reader.line_num}: not CSV ({error}): save the sheet as CSV again"
        ) from None
    return lines


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInput(
            f"there is no file '{path}': give a sheet that 'nightshelf review export' wrote"
        ) from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8: save the sheet as 'CSV UTF-8 (comma delimited)'") from None


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise BadInput(
            f"{path}, line 1: no column {', '.join(missing)}; keep the first line as "
            f"'nightshelf review export' wrote it"
        )
    twice = sorted({name for name in header if header.count(name) > 1} & {*COLUMNS})
    if twice:
        raise BadInput(f"{path}, line 1: column {', '.join(twice)} stands twice: delete one of them")
