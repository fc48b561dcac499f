"""Quotes that a line leaves open are counted, however the file is cut into blocks."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.intake import quotes
from jobs.intake.quotes import OpenQuotes, opens


def counted(data: bytes, size: int, delimiter: bytes = b",") -> tuple[int, int, int]:
    found = OpenQuotes(delimiter)
    for low in range(0, len(data), size):
        found.feed(data[low : low + size])
    found.feed(b"")
    return found.opened, found.first, found.lines


@pytest.mark.parametrize(
    ("line", "delimiter", "wanted"),
    [
        (b'1,"tea', b",", True),
        (b'"tea', b",", True),
        (b'"a ""b, c', b",", True),
        (b'1,"a"",""b', b",", True),
        (b'1||"a|b', b"||", True),
        (b'1,5" pipe', b",", False),
        (b'for two",3', b",", False),
        (b'"a ""b"" c",d', b",", False),
        (b'1;"tea', b",", False),
        (b"", b",", False),
    ],
)
def test_a_field_is_opened(line: bytes, delimiter: bytes, wanted: bool) -> None:
    assert opens(line, delimiter) == wanted


@given(
    st.lists(st.lists(st.text('a",\n', max_size=4), min_size=1, max_size=3), max_size=6), st.integers(1, 9)
)
def test_rows_that_python_writes_over_several_lines_are_found(rows: list[list[str]], size: int) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    data = out.getvalue().encode()
    opened, first, lines = counted(data, size)
    assert lines == data.count(b"\n") + 1
    assert (opened, first) == counted(data, max(len(data), 1))[:2]
    # A row that begins in one line and ends in another leaves a quote open in its first line.
    broken = [any("\n" in field for field in row) for row in rows]
    assert (opened > 0) == any(broken)
    if any(broken):
        before = out.getvalue().split("\n")
        upto = io.StringIO()
        csv.writer(upto, lineterminator="\n").writerows(rows[: broken.index(True)])
        assert first == upto.getvalue().count("\n") + 1, before


def test_of_very_many_odd_lines_some_are_looked_at_and_a_line_without_end_is_not_kept_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quotes, "MOST_ODD", 5)
    opened, first, lines = counted(b'1,"a\n' * 99, 7)
    assert (opened, first) == (5, 1)
    assert lines <= 10, "their share is of the lines that were looked through"
    monkeypatch.setattr(quotes, "MOST_BYTES", 100)
    found = OpenQuotes(b",")
    for _ in range(50):
        found.feed(b"x" * 30)
    assert sum(map(len, found._rest)) < 200
