"""The table at the end: what nobody looked at is no zero."""

from __future__ import annotations

from collections import Counter

from tests.faults.recorder import Case, table


def cells(lines: list[str], name: str) -> list[str]:
    """The numbers of the line of this name."""
    (line,) = (x for x in lines if x.startswith(f"{name} "))
    return line.removeprefix(name).split()


def test_a_case_that_was_not_checked_has_lost_no_known_number_of_rows() -> None:
    held = Counter({"2 idempotent": 1})
    cases = [Case("one", faults=2), Case("two", faults=1, held=held), Case("two", lost=3, failed=held)]
    cases.append(Case("two", faults=1))
    cases.append(Case("three", faults=1, held=Counter({"1 all or nothing": 1})))
    lines = table(cases)
    # runs, unchecked, faults, rows lost, half-published, wrong exits
    assert cells(lines, "one") == ["1", "1", "2", "–", "–", "0"]
    assert cells(lines, "two") == ["3", "1", "2", "3", "0", "0"]
    assert cells(lines, "three") == ["1", "0", "1", "–", "0", "0"]
    assert cells(lines, "all") == ["5", "2", "5", "3", "0", "0"]
