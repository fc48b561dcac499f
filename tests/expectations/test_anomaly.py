"""Known answers: what must alarm, and what must not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from expectations.anomaly import Finding, judge, judge_share

TODAY = date(2026, 3, 2)


def series(values: list[float]) -> list[tuple[date, float]]:
    """One value a day, the last one yesterday."""
    return [(TODAY - timedelta(days=len(values) - i), v) for i, v in enumerate(values)]


def steady(level: float, days: int = 28) -> list[tuple[date, float]]:
    return series([level * (1 + 0.02 * (i % 5 - 2)) for i in range(days)])


def volume(value: float, history: list[tuple[date, float]]) -> Finding:
    return judge("rows of events_clean", "volume", value, history, TODAY)


def test_a_usual_day_is_ok() -> None:
    assert volume(1010, steady(1000)) == Finding("ok", "", 1000.0, pytest.approx(0.1))


def test_half_the_volume_is_a_warning_that_a_person_can_read() -> None:
    found = volume(500, steady(1000))
    assert found.status == "warning"
    assert found.detail == (
        "rows of events_clean: 500, far below the 990 usual in the last 4 Mondays (robust z -4.9)"
    )


def test_an_eighth_of_the_volume_is_critical() -> None:
    assert volume(125, steady(1000)).status == "critical"


@pytest.mark.parametrize("noise", [0.02, 0.4])
def test_an_empty_day_is_critical_however_noisy_the_past(noise: float) -> None:
    history = series([1000 * (1 + noise * (i % 5 - 2)) for i in range(28)])
    assert volume(0, history).status == "critical"


def test_an_empty_day_is_ok_for_a_shop_that_closes_every_week() -> None:
    # Closed on Mondays, as today is one.
    history = [(d, 0.0 if d.weekday() == 0 else v) for d, v in steady(1000, 56)]
    assert volume(0, history).status == "ok"


def test_a_first_closed_day_is_critical_and_a_second_is_not() -> None:
    history = steady(1000)
    assert volume(0, history).status == "critical"
    history[3] = (history[3][0], 0.0)
    assert volume(0, history).status == "warning"


def test_many_more_rows_are_a_warning_but_never_critical() -> None:
    assert volume(100_000, steady(1000)).status == "warning"


@pytest.mark.parametrize("growth", [1.005, 1.01, 1.03])
@pytest.mark.parametrize("days", [7, 14, 28, 60])
def test_a_growing_shop_does_not_alarm(growth: float, days: int) -> None:
    history = series([1000 * growth**i for i in range(days)])
    assert volume(1000 * growth**days, history).status == "ok"


def test_weekly_seasons_do_not_alarm_but_a_monday_like_a_weekend_does() -> None:
    # A shop for offices: hardly anything at weekends.
    history = [(d, 100.0 if d.weekday() >= 5 else v) for d, v in steady(1000, 56)]
    sunday = TODAY - timedelta(days=1)
    assert judge("rows", "volume", 100, history, sunday).status == "ok"
    assert judge("rows", "volume", 100, history, TODAY).status == "warning"


def test_with_less_than_a_week_of_history_nothing_is_odd() -> None:
    assert volume(0, steady(1000, 6)) == Finding("ok", "")
    assert volume(0, steady(1000, 7)).status == "critical"


def test_later_days_are_not_looked_at() -> None:
    future = [(TODAY + timedelta(days=i), 1.0) for i in range(30)]
    assert volume(1, future) == Finding("ok", "")


def test_small_counts_are_allowed_their_noise() -> None:
    assert volume(2, series([9, 8, 10, 9, 9, 9, 8, 9, 10, 9])).status == "ok"


@pytest.mark.parametrize(
    ("usual", "status"), [(1, "warning"), (4, "warning"), (9, "warning"), (12, "critical")]
)
def test_a_quiet_day_of_a_small_shop_stops_no_night(usual: int, status: str) -> None:
    """Where four purchases are usual a day without any comes a few times a year, as chance has it."""
    history = series([float(usual + (i % 3 == 0)) for i in range(28)])
    found = judge("purchases of events_clean", "volume", 0, history, TODAY)
    assert found.status == status
    assert "none at all, where the last" in found.detail


def test_a_share_that_should_be_high_is_odd_where_it_falls() -> None:
    past = series([0.95, 0.96, 0.94, 0.95, 0.95, 0.96, 0.94])
    found = judge("in_stock_share of products", "good_share", 0.05, past, TODAY)
    assert found.status == "warning"
    assert "5.0%, far below the 95.0% usual" in found.detail
    half = series([0.5] * 7)
    assert judge("in_stock_share of products", "good_share", 1.0, half, TODAY).status == "ok"


def test_a_stale_feed_is_critical() -> None:
    fresh = series([2.0, 1.0, 3.0, 2.0, 2.5, 1.5, 2.0, 2.0])
    assert judge("age", "age", 4.0, fresh, TODAY).status == "ok"
    assert judge("age", "age", 26.0, fresh, TODAY).status == "warning"
    found = judge("age of the newest event", "age", 50.0, fresh, TODAY)
    assert found.status == "critical"
    assert "50.0 hours, far above the 2.0 hours usual" in found.detail


def test_a_share_that_jumps_is_a_warning_and_one_that_falls_is_not() -> None:
    past = series([0.25, 0.26, 0.24, 0.25, 0.25, 0.26, 0.24])
    assert judge("null share", "share", 0.6, past, TODAY).status == "warning"
    assert judge("null share", "share", 0.0, past, TODAY).status == "ok"


@pytest.mark.parametrize(
    ("value", "total", "status"),
    [(0.05, 1000, "ok"), (0.06, 1000, "warning"), (0.5, 1000, "warning"), (0.51, 1000, "critical")],
)
def test_refused_share_has_absolute_bounds(value: float, total: int, status: str) -> None:
    assert judge_share("refused", value, total).status == status


def test_one_bad_row_in_a_tiny_file_does_not_stop_the_night() -> None:
    assert judge_share("refused", 1.0, 1).status == "warning"
    assert judge_share("refused", 0.6, 10, critical=0.5, at_least=5).status == "critical"
