"""What the report may show of small groups, and that it stays JSON."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from jobs import report_lists
from jobs.evaluation_note import evaluation, reportable, without_small
from jobs.night import Night
from jobs.train_recommender import run
from tests.conftest import MakeNight
from tests.jobs.toy_lake import DS, shop, stage_shop


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ({"all": 30, "new": 10, "light": 10, "heavy": 10}, {"all", "new", "light", "heavy"}),
        ({"all": 30, "new": 0, "light": 10, "heavy": 20}, {"all", "light", "heavy"}),
        # The four new ones would follow from the others and the whole.
        ({"all": 34, "new": 4, "light": 10, "heavy": 20}, {"all", "heavy"}),
        ({"all": 29, "new": 4, "light": 3, "heavy": 22}, {"all", "heavy"}),
        ({"all": 7, "new": 3, "light": 4, "heavy": 0}, {"all"}),
        ({"all": 4, "new": 4, "light": 0, "heavy": 0}, set()),
        ({"all": 0, "new": 0, "light": 0, "heavy": 0}, set()),
        ({}, set()),
    ],
)
def test_small_groups_are_withheld_and_cannot_be_worked_out(sizes: dict[str, int], shown: set[str]) -> None:
    assert reportable(sizes, 5) == shown
    assert set(without_small(dict.fromkeys(sizes, 1), sizes, 5)) == shown


@pytest.fixture
def trained(make_night: MakeNight) -> Night:
    night = make_night(DS.isoformat(), top_k=5, min_group=5)
    stage_shop(night)
    run(night)
    return night


def test_a_trained_model_is_told_of_in_every_respect(trained: Night) -> None:
    note = trained.notes()["recommender"]
    told = note["evaluation"]
    assert set(told["models"]) == {"this night", "7-day popularity"}
    mine = told["models"]["this night"]["all"]
    assert mine["ndcg"][0] == pytest.approx(note["metrics"]["ndcg@10"])
    for measure in (
        "f1",
        "map",
        "mrr",
        "novelty",
        "diversity",
        "recall_head",
        "recall_tail",
        "coverage",
        "gini",
    ):
        value, low, high = mine[measure]
        assert low <= value <= high
    assert note["metrics"]["novelty@10"] > 0
    for name, size in told["sizes"].items():
        assert size >= 5
        assert name == "all" or note["segments"][name]["users"] == size
    assert set(note["segments"]) == set(told["sizes"]) - {"all"}
    assert json.loads(json.dumps(told)) == told


def test_a_refused_candidates_measures_are_not_told_as_what_serves(make_night: MakeNight) -> None:
    night = make_night(DS.isoformat(), top_k=5, min_group=1)
    stage_shop(night, shop(n_users=6))
    run(night)
    note = night.notes()["recommender"]
    assert (note["verdict"], note["kind"], note["judged"]) == ("accepted", "popularity", "hybrid")
    assert set(note["evaluation"]["models"]) == {"trained, refused", "7-day popularity"}
    refused = note["evaluation"]["models"]["trained, refused"]["all"]
    assert refused["ndcg"][0] == pytest.approx(note["refused"]["metrics"]["ndcg@10"], abs=1e-6)
    page = report_lists.evaluation(note)
    assert page is not None
    assert page["models"] == ["trained, refused", "7-day popularity"]


def test_a_shop_that_does_not_say_where_events_come_from_has_no_estimate(trained: Night) -> None:
    note = trained.notes()["off_policy"]
    assert note["value"] is None
    assert "no event of the holdout says which list" in note["why"]


@pytest.mark.parametrize(
    ("heads", "told"),
    [
        ({"all": 90, "new": 10, "light": 30, "heavy": 50}, {"all", "new", "light", "heavy"}),
        # One light shopper bought a best seller; the mean of the new ones would give it away.
        ({"all": 61, "new": 10, "light": 1, "heavy": 50}, {"all", "heavy"}),
        ({"all": 4, "new": 4, "light": 0, "heavy": 0}, set()),
    ],
)
def test_a_measure_that_too_few_of_a_large_segment_have_is_withheld(
    heads: dict[str, int], told: set[str]
) -> None:
    sizes = {"all": 100, "new": 10, "light": 40, "heavy": 50}
    triples = {"ndcg": (0.5, 0.4, 0.6), "recall_head": (1.0, 1.0, 1.0)}
    measures = SimpleNamespace(
        sizes=sizes,
        table={name: triples | ({"gini": (0.5, 0.5, 0.5)} if name == "all" else {}) for name in sizes},
        known={name: {"ndcg": sizes[name], "recall_head": heads[name]} for name in sizes},
    )
    judged: Any = SimpleNamespace(
        new=measures, baseline=measures, incumbent=None, verdict=SimpleNamespace(accepted=True)
    )
    found = evaluation(judged, 5)
    for model in found["models"].values():
        assert {name for name in sizes if "recall_head" in model[name]} == told
        assert all("ndcg" in model[name] for name in sizes)
        assert "gini" in model["all"]
    page = report_lists.evaluation({"evaluation": found})
    assert page
    assert [s["users"] for s in page["segments"]] == [100, 10, 40, 50]
