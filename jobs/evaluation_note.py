"""All measures of the models on the holdout, by segment, as the report shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # The report, which loads no model, names things as this does.
    from models.recommender.gate import Measures
    from models.recommender.training import Trained

T = TypeVar("T")
ALL = "all"
# What the night has made, as a reader meets it beside what serves.
ACCEPTED, REFUSED = "this night", "trained, refused"


def evaluation(judged: Trained, least: int) -> dict[str, Any]:
    """`sizes`: segment → buyers. `models`: model → segment → measure → [mean, low, high], of 95 % intervals.

    `withheld` names the segments that are too small to be reported; a measure that too few shoppers of a
    segment have is left out of it. A refused candidate's measures are told as such: they are not those of
    the lists that shoppers see.
    """
    contenders = {
        ACCEPTED if judged.verdict.accepted else REFUSED: judged.new,
        "7-day popularity": judged.baseline,
        "in service": judged.incumbent,
    }
    sizes = judged.new.sizes
    shown = reportable(sizes, least)
    return {
        "sizes": {name: sizes[name] for name in sizes if name in shown},
        "models": {name: _rounded(m, shown, least) for name, m in contenders.items() if m is not None},
        "withheld": sorted(name for name, users in sizes.items() if users and name not in shown),
        "least": least,
    }


def _rounded(measures: Measures, shown: set[str], least: int) -> dict[str, dict[str, list[float]]]:
    known = measures.known
    may = {m: reportable({s: of[m] for s, of in known.items()}, least) for m in known.get(ALL, ())}
    return {
        s: {m: [round(v, 6) for v in triple] for m, triple in of.items() if s in may.get(m, shown)}
        for s, of in measures.table.items()
        if s in shown
    }


def reportable(sizes: Mapping[str, int], least: int) -> set[str]:
    """The segments with at least `least` shoppers; `sizes` holds their whole, `ALL`, too."""
    parts = {name: users for name, users in sizes.items() if name != ALL}
    return parts_told(parts, least) | ({ALL} if sizes.get(ALL, 0) >= least else set())


def parts_told(parts: Mapping[str, int], least: int) -> set[str]:
    """The parts of a whole, name → shoppers, of at least `least` shoppers.

    What is left of the whole must not be a small group either: where the parts withheld add up to fewer,
    the smallest of the others is withheld with them.
    """
    shown = {name for name, users in parts.items() if users >= least}
    hidden = sum(users for name, users in parts.items() if name not in shown)
    if 0 < hidden < least and shown:
        shown.remove(min(shown, key=lambda name: (parts[name], name)))
    return shown


def without_small(of: Mapping[str, T], sizes: Mapping[str, int], least: int) -> dict[str, T]:
    """What belongs to segments that may be reported."""
    shown = reportable(sizes, least)
    return {name: value for name, value in of.items() if name in shown}
