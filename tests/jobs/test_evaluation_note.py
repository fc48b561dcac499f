"""What the report may show of small groups, and that it stays JSON."""

from __future__ import annotations

import json

import pytest

from jobs import report_lists
from jobs.evaluation_note import reportable, without_small
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
    evaluation = note["evaluation"]
    assert set(evaluation["models"]) == {"this night", "7-day popularity"}
    mine = evaluation["models"]["this night"]["all"]
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
    for name, size in evaluation["sizes"].items():
        assert size >= 5
        assert name == "all" or note["segments"][name]["users"] == size
    assert set(note["segments"]) == set(evaluation["sizes"]) - {"all"}
    assert json.loads(json.dumps(evaluation)) == evaluation


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
