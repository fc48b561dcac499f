"""The section of the report about product copy: who wrote which channel, samples, and what is too alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs import plots

Note = Mapping[str, Any]

_COLOURS = {"model": plots.BLUE, "retry": plots.ORANGE, "template": plots.GREY, "human": plots.GREEN,
            "refused": plots.RED}  # fmt: skip


def copy(note: Note | None) -> dict[str, Any] | None:
    """Bars by language and by channel, samples by channel, near-duplicates and openings by language."""
    if not note:
        return None
    languages: dict[str, dict[str, int]] = {}
    for kind, count in note.get("tiers_by_language", {}).items():
        tier, _, language = kind.rpartition(".")
        languages.setdefault(language, {})[tier] = count
    channels: dict[str, list[dict[str, Any]]] = {}
    for sample in note.get("samples", []):
        told = {**sample, "told": _checks(sample.get("checks"))}
        channels.setdefault(sample.get("channel", "description"), []).append(told)
    order = list(note.get("tiers_by_channel", {}))
    return {
        "note": note,
        "plot": _bars(languages),
        "channels_plot": _bars(note.get("tiers_by_channel", {})),
        "samples": dict(sorted(channels.items(), key=lambda c: _rank(order, c[0]))),
        "refused": note.get("refused", []),
        "alike": note.get("alike", {}),
    }


def _rank(order: list[str], channel: str) -> int:
    # The description is what the others lean on: it is read first.
    if channel == "description":
        return -1
    return order.index(channel) if channel in order else len(order)


def _bars(tiers: Mapping[str, Mapping[str, int]]) -> Any:
    names = [t for t in _COLOURS if any(t in found for found in tiers.values())]
    series = {t: [float(found.get(t, 0)) for found in tiers.values()] for t in names}
    return plots.stacked(list(tiers), series, [_COLOURS[t] for t in names]) if names else None


def _checks(checks: Any) -> list[tuple[str, bool, str]]:
    """(check, held, what failed) of a text."""
    if not isinstance(checks, Mapping):
        return []
    return [(str(k), v is True, "" if v is True else str(v)) for k, v in sorted(checks.items())]
