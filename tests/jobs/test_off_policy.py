"""From events that carry their list to an estimate: what is read, and what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from jobs import off_policy, report_lists
from jobs.arms import control
from jobs.night import Night
from jobs.recommender_data import load
from models.recommender import evaluation
from models.recommender.evaluation import Holdout
from models.recommender.rules import Policy
from tests.conftest import MakeNight
from tests.jobs.toy_lake import DS, event, put, stage_shop

K = 5


def lists_of(night: Night, days: list[int], users: int = 120) -> list[dict[str, Any]]:
    """The same list for everybody on each of these days: products 10 to 14."""
    return [
        {"user_id": f"u{u:04d}", "rank": r + 1, "product_id": f"p{10 + r:04d}", "bucket": "model",
         "ds": night.ds - timedelta(days=ago)}
        for ago in days for u in range(users) for r in range(K)
    ]  # fmt: skip


def clicks(rows: list[dict[str, Any]], after: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [
        event(
            row["ds"] + timedelta(days=after), event_id=f"c{n}", user_id=row["user_id"], event_type="view",
            product_id=row["product_id"], list_ds=row["ds"], list_rank=row["rank"], **more,
        )
        for n, row in enumerate(rows)
    ]  # fmt: skip


def night_with(make_night: MakeNight, rows: list[dict[str, Any]], events: list[dict[str, Any]]) -> Night:
    night = make_night(DS.isoformat(), top_k=K)
    stage_shop(night, more_events=events)
    put(night, "recommendations", rows, sorted({r["ds"] for r in rows}))
    return night


def estimate(night: Night) -> dict[str, Any]:
    return off_policy.estimate(night, load(night), "popularity", {"half_life_days": 7.0})


def test_clicks_on_shown_lists_give_an_estimate(make_night: MakeNight) -> None:
    at = make_night(DS.isoformat())
    rows = lists_of(at, [1, 2, 3])
    rng = np.random.default_rng(0)
    clicked = [r for r in rows if rng.random() < 0.4 / r["rank"]]
    found = estimate(night_with(make_night, rows, clicks(clicked)))
    assert found["why"] is None
    assert found["clicks"] == len(clicked)
    assert found["not_matched"] == 0
    assert found["lists"] == 3 * found["shoppers"]
    assert found["places"] == K * found["lists"]
    assert found["examination"] == "estimated"
    assert found["logged"] == pytest.approx(len(clicked) / found["lists"])
    assert found["low"] <= found["value"] <= found["high"]
    assert 0 < found["overlap"] < 1


def test_what_is_left_out(make_night: MakeNight) -> None:
    at = make_night(DS.isoformat())
    rows = lists_of(at, [1, 2, 9])
    first = [r for r in rows if r["rank"] == 1 and r["ds"] == DS - timedelta(days=1)]
    good = clicks(first[:30])
    wrong = [
        *clicks([{**first[30], "rank": 4}]),  # the list was published again since
        *clicks([{**first[31], "product_id": "p0050"}]),  # not in the list
        *clicks([{**first[32], "user_id": "stranger"}]),
        *clicks([r for r in rows if r["ds"] == DS - timedelta(days=9)][:5]),  # before the holdout
    ]
    late = clicks(first[33:36], arrived=DS + timedelta(days=1))
    twice = clicks(first[:3])
    events = [{**e, "event_id": f"e-{n}"} for n, e in enumerate([*good, *wrong, *late, *twice])]
    found = estimate(night_with(make_night, rows, events))
    assert found["clicks"] == 30
    assert found["not_matched"] == 3
    assert found["lists"] == found["shoppers"]  # only of the day that some event named
    assert found["examination"] == "prior"
    assert (found["value"], found["why"]) == (
        None,
        "no click on a list that was shown was on a product of the new lists",
    )
    assert found["why"] in str(report_lists.off_policy(found))


def test_few_shoppers_are_not_reported_and_no_lists_are_said_so(make_night: MakeNight) -> None:
    at = make_night(DS.isoformat())
    rows = lists_of(at, [1], users=4)
    night = night_with(make_night, rows, clicks(rows[:8]))
    assert "fewer than 5 shoppers" in estimate(night)["why"]
    assert estimate(night)["value"] is None


def test_lists_that_are_judged_are_made_as_the_shop_wants_its_lists(
    make_night: MakeNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here, and where the control arm's probabilities are calibrated."""
    at = make_night(DS.isoformat())
    rows = lists_of(at, [1])
    night = night_with(make_night, rows, clicks(rows[:300]))
    night.settings.brand_share, night.settings.category_share = 0.2, 0.4
    used: list[Policy] = []
    lists = Holdout.lists

    def noting(self: Holdout, *given: Any) -> Any:
        used.append(self.policy)
        return lists(self, *given)

    monkeypatch.setattr(evaluation.Holdout, "lists", noting)
    assert estimate(night)["why"] is None
    control(load(night), night.settings)
    assert used == [Policy(0.4, 0.2, night.settings.diversity)] * 2
