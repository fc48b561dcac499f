"""What Spark says of a row is told without what stands in the row."""

from __future__ import annotations

import pytest

from expectations.quoting import without_values


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The value 'jane' of the type 'STRING' is malformed", "The value '…' is malformed"),
        ("The value 'jane\ndoe' is malformed\n== SQL ==", "The value '…' is malformed"),
        ("no such column\nat line 1", "no such column"),
        ("x" * 400, "x" * 300),
    ],
)
def test_no_value_is_quoted(said: str, told: str) -> None:
    assert without_values(said) == told
