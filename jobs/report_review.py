"""The section of the report that a merchandiser reads: texts to look at, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TONES = {"high": "critical", "medium": "warning", "low": "info"}
_OPEN = 20  # rows that are shown unfolded


def queue(note: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The queue's rows, riskiest first, cut into what is shown at once and what is folded away."""
    if not note:
        return None
    rows = [{**row, "tone": _TONES[row["risk"]]} for row in note["rows"]]
    found = {risk: note["counts"].get(risk, 0) for risk in _TONES}
    return {
        "texts": note["counts"].get("texts", 0),
        "found": found,
        "left_out": max(0, sum(found.values()) - len(rows)),
        "parts": [part for part in (rows[:_OPEN], rows[_OPEN:]) if part],
    }
