"""Is today's number odd for this table? Compared with the table's own history, robustly.

Robust z-score after Iglewicz and Hoaglin, "How to Detect and Handle Outliers"
(1993): distance from the median in units of 1.4826 × MAD, alarm at 3.5. The
scale has a floor, so that a very regular history does not make every small
change an alarm. Pure functions over numbers: no table, no clock.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Status = Literal["ok", "warning", "critical"]
Kind = Literal["volume", "share", "good_share", "age"]

MIN_HISTORY = 7
WINDOW_DAYS = 28
# A weekday is compared with itself once it was seen this often in the last eight weeks.
MIN_SAME_WEEKDAY = 4
WEEKDAY_WINDOW_DAYS = 56
WARNING_Z = 3.5
CRITICAL_Z = 7.0
# Where so many are usual, chance leaves none on one day in 22,000 (Poisson); where three are, on one in 20.
SURELY_SOME = 10.0
_NORMAL = 1.4826
_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")

Point = tuple[date, float]


@dataclass(frozen=True)
class Finding:
    """The verdict on one number, with a sentence for a person where it is not ok.

    `expected` is the median it was compared with; `z` the robust z-score;
    both None where the history is too short to compare.
    """

    status: Status
    detail: str
    expected: float | None = None
    z: float | None = None


@dataclass(frozen=True)
class Baseline:
    """What was usual: `median`, the robust `scale`, the extremes, and a name for the days."""

    median: float
    scale: float
    low: float
    high: float
    days: str


def judge(what: str, kind: Kind, value: float, history: Sequence[Point], day: date) -> Finding:
    """Compare `value` of `day` with earlier days' values.

    `volume` counts things: too few may be critical, too many is a warning; so is
    none at all of what there are few of on a usual day. `share` lies in [0, 1]:
    only a rise is odd, and it is a warning; of a `good_share`, only a fall. `age`
    is in hours: only a rise is odd, and it may be critical. Points of `day` and
    later are left out. With fewer than seven earlier days everything is ok.

    A value may be critical only if no day of the window was as bad: a shop
    that is closed now and then is not stopped on its next closed day.
    """
    past = [p for p in history if p[0] < day]
    recent = [v for d, v in past if d >= day - timedelta(days=WINDOW_DAYS)]
    if len(recent) < MIN_HISTORY:
        return Finding("ok", "")
    findings = [_compare(what, kind, value, _baseline(recent, kind, f"the last {len(recent)} days"))]
    since = day - timedelta(days=WEEKDAY_WINDOW_DAYS)
    same = [v for d, v in past if d >= since and d.weekday() == day.weekday()]
    if len(same) >= MIN_SAME_WEEKDAY:
        name = f"the last {len(same)} {_WEEKDAYS[day.weekday()]}"
        findings.append(_compare(what, kind, value, _baseline(same, kind, name)))
    # The milder verdict holds: what is usual for its weekday, or for the month, is usual.
    return min(findings, key=lambda f: (("ok", "warning", "critical").index(f.status), abs(f.z or 0.0)))


def judge_share(
    what: str, value: float, total: float, warning: float = 0.05, critical: float = 0.5, at_least: int = 20
) -> Finding:
    """An absolute bound for a share, such as that of refused rows; fewer than `at_least` rows only warn."""
    if value > critical and total >= at_least:
        return Finding("critical", f"{what} is {value:.1%} of {total:,.0f} rows, above {critical:.0%}")
    if value > warning:
        return Finding("warning", f"{what} is {value:.1%} of {total:,.0f} rows, above {warning:.0%}")
    return Finding("ok", "")


def _baseline(values: Sequence[float], kind: Kind, days: str) -> Baseline:
    median = statistics.median(values)
    mad = statistics.median(abs(v - median) for v in values)
    # Floors: a tenth of the level and the noise of counting; two points of a share; six hours.
    volume = max(0.1 * abs(median), max(median, 1.0) ** 0.5)
    floors = {"volume": volume, "share": 0.02, "good_share": 0.02, "age": 6.0}
    return Baseline(median, max(_NORMAL * mad, floors[kind]), min(values), max(values), days)


def _compare(what: str, kind: Kind, value: float, usual: Baseline) -> Finding:
    z = (value - usual.median) / usual.scale
    if kind == "volume" and value <= 0 < usual.low:
        detail = f"{what}: none at all, where {usual.days} had {_number(usual.low, kind)} or more"
        status: Status = "critical" if usual.median >= SURELY_SOME else "warning"
        return Finding(status, detail, usual.median, z)
    falls = kind in ("volume", "good_share") and z <= -WARNING_Z
    rises = kind != "good_share" and z >= WARNING_Z
    if not falls and not rises:
        return Finding("ok", "", usual.median, z)
    unseen = value < usual.low if falls else value > usual.high
    grave = abs(z) >= CRITICAL_Z and unseen and ((falls and kind == "volume") or kind == "age")
    detail = (
        f"{what}: {_number(value, kind)}, far {'below' if falls else 'above'} the "
        f"{_number(usual.median, kind)} usual in {usual.days} (robust z {z:+.1f})"
    )
    return Finding("critical" if grave else "warning", detail, usual.median, z)


def _number(value: float, kind: Kind) -> str:
    if kind in ("share", "good_share"):
        return f"{value:.1%}"
    return f"{value:,.1f} hours" if kind == "age" else f"{value:,.0f}"
