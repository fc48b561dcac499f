import json
import re
from datetime import timedelta

import numpy as np
import pytest
from rich.console import Console

from jobs import nightly, report, train_recommender
from jobs import recommender_files as files
from jobs.lake.forgotten import learnt_mark, mark_learnt
from jobs.night import Options
from models.recommender import training
from models.recommender.gate import Measures, Verdict
from models.recommender.hybrid import Hybrid
from tests.jobs.toy_lake import DS, event, put, shop, stage_shop

SETTINGS = {"top_k": 5}


@pytest.fixture
def trained_night(make_night):
    def make(run_id="a", toy=None, retrain="auto", **changes):
        night = make_night(
            ds=DS.isoformat(), run_id=run_id, options=Options(retrain=retrain), **SETTINGS, **changes
        )
        stage_shop(night, toy)
        return night

    return make


def put_incumbent(night, version="old", kind="hybrid", recipe=None, days_ago=1):
    """A row in `models` of an earlier date, with its files."""
    where = files.location(version)
    night.store.write(f"{where}/model.json", json.dumps({"kind": kind, "recipe": recipe or {}}).encode())
    ds = night.ds - timedelta(days=days_ago)
    row = {
        "model": "recommender",
        "version": version,
        "kind": kind,
        "verdict": "accepted",
        "location": where,
        "ds": ds,
    }
    put(night, "models", [row], [ds])


def test_a_first_model_beats_popularity_and_goes_into_service(trained_night):
    night = trained_night()
    summary = train_recommender.run(night)
    row = night.model_in_service("recommender")
    assert summary["verdict"] == "accepted"
    assert row["version"] == summary["version"] == summary["in_service"]
    assert row["version"].startswith(f"{DS}-")
    assert json.loads(row["metrics"])["ndcg@10"] > json.loads(row["baseline"])["ndcg@10"]
    assert json.loads(row["incumbent"]) == {}
    assert json.loads(row["trained_on"])["events"] > 500
    note = night.notes()["recommender"]
    assert note["calibration"]["curve"]
    assert {"light"} <= set(note["segments"])
    json.dumps(summary)


def test_its_files_name_no_shopper_and_hold_no_pickle(trained_night):
    night = trained_night()
    train_recommender.run(night)
    where = night.model_in_service("recommender")["location"]
    keys = night.store.list(where)
    assert [k.rsplit("/", 1)[-1] for k in keys] == [
        "arrays.npz", "calibration.json", "card.json", "earlier.npz", "model.json", "products.npz",
    ]  # fmt: skip
    for key in keys:
        data = night.store.read(key)
        assert b"u0001" not in data
        if key.endswith(".npz"):
            with np.load(night.store.uri(key), allow_pickle=False) as arrays:
                assert not any("u0001" in str(arrays[n].tolist()) for n in arrays)


def test_the_same_inputs_are_not_trained_twice_unless_asked(trained_night, monkeypatch):
    first = trained_night("a")
    summary = train_recommender.run(first)
    written = first.store.read(f"{files.location(summary['version'])}/arrays.npz")
    monkeypatch.setattr(train_recommender, "train", None)
    second = trained_night("b")
    assert train_recommender.run(second) == summary
    assert second.candidates() == first.candidates()
    assert second.notes()["recommender"] == first.notes()["recommender"]
    monkeypatch.undo()
    third = trained_night("c", retrain="always")
    assert train_recommender.run(third) == summary
    assert third.store.read(f"{files.location(summary['version'])}/arrays.npz") == written


def test_a_verdict_against_another_incumbent_does_not_hold(trained_night):
    """An unchanged input is judged again when another model came into service before the date."""
    first = trained_night("a")
    train_recommender.run(first)
    second = trained_night("b")
    put_incumbent(second)
    train_recommender.run(second)
    assert json.loads(second.candidates()[0]["incumbent"])["ndcg@10"] > 0


@pytest.mark.parametrize("change", [{"seed": 7}, {"history_days": 23}, {"holdout_days": 6}])
def test_settings_and_seed_make_another_version(trained_night, change):
    from jobs.recommender_data import load

    plain, changed = trained_night("a"), trained_night("b", **change)
    assert train_recommender.version_of(plain, load(plain)) != train_recommender.version_of(
        changed, load(changed)
    )


def test_a_refused_model_leaves_the_one_in_service(trained_night, monkeypatch):
    monkeypatch.setattr("models.recommender.training.judge", lambda *_: Verdict(False, "it is worse"))
    night = trained_night()
    put_incumbent(night)
    summary = train_recommender.run(night)
    assert summary["verdict"] == "refused"
    assert "old stays in service" in summary["why"]
    assert summary["in_service"] == "old"
    assert night.model_in_service("recommender")["version"] == "old"


def test_without_one_in_service_popularity_takes_the_refused_ones_place(trained_night):
    night = trained_night(toy=shop(n_users=8))
    summary = train_recommender.run(night)
    assert summary["kind"] == "popularity"
    assert summary["verdict"] == "accepted"
    assert "too little to judge by" in summary["why"]
    assert night.notes()["recommender"]["refused"]["why"].startswith("too little")
    assert night.model_in_service("recommender")["kind"] == "popularity"


def test_the_incumbent_is_measured_on_the_same_days_and_holds_the_gate(trained_night, monkeypatch):
    night = trained_night()
    put_incumbent(night)
    train_recommender.run(night)
    row = night.model_in_service("recommender")
    assert json.loads(row["incumbent"])["users"] == json.loads(row["metrics"])["users"]
    assert json.loads(row["incumbent"])["ndcg@10"] > 0
    assert "model in service" in row["why"]


@pytest.mark.parametrize(("kind", "recipe"), [("of-the-future", {}), ("hybrid", {"unknown": 1})])
def test_an_incumbent_that_this_code_cannot_make_is_left_out_of_the_judgement(trained_night, kind, recipe):
    night = trained_night()
    put_incumbent(night, kind=kind, recipe=recipe)
    assert train_recommender.run(night)["verdict"] == "accepted"
    assert night.candidates()[0]["incumbent"] == "{}"


def test_never_keeps_what_serves_and_makes_popularity_where_nothing_does(trained_night):
    night = trained_night(retrain="never")
    first = train_recommender.run(night)
    assert first["kind"] == "popularity"
    assert "ruled out" in first["why"]
    other = trained_night("b", retrain="never")
    put_incumbent(other)
    summary = train_recommender.run(other)
    assert summary == {
        "trained": False, "in_service": "old", "why": "not retrained, as asked: old stays in service",
    }  # fmt: skip
    assert other.candidates() == []


def test_a_shop_without_events_gets_popularity(make_night):
    night = make_night(ds=DS.isoformat(), **SETTINGS)
    stage_shop(night, shop(n_users=0))
    assert train_recommender.run(night)["kind"] == "popularity"


def test_later_rows_change_nothing(trained_night, make_night):
    """A run for a date uses nothing later than the date."""
    plain = trained_night("a")
    late = make_night(ds=DS.isoformat(), run_id="b", **SETTINGS)
    tomorrow = DS + timedelta(days=1)
    stage_shop(late, more_events=[event(tomorrow), event(DS, event_id="y", arrived=tomorrow)])
    assert train_recommender.run(plain)["version"] == train_recommender.run(late)["version"]


def serve(night, row):
    """The model of this row has been in service since the day before the night."""
    yesterday = DS - timedelta(days=1)
    put(night, "models", [{**row, "ds": yesterday}], [yesterday])


@pytest.fixture
def after_another_night(trained_night):
    """Makes nights that come a day after one whose model is in service."""
    first = trained_night("first")
    train_recommender.run(first)
    (row,) = first.candidates()

    def make(run_id, **changes):
        night = trained_night(run_id, **changes)
        serve(night, row)
        return night, row["version"]

    return make


def test_a_night_goes_on_from_the_model_in_service(after_another_night, monkeypatch):
    night, version = after_another_night("second")
    monkeypatch.setattr("models.recommender.training.choose", None)
    summary = train_recommender.run(night)
    (row,) = night.candidates()
    assert json.loads(row["trained_on"])["start"] == version
    assert summary["why"].endswith(f"; it was trained on from {version}")
    assert summary["version"] != version
    # Held against the incumbent as it was, not as it would be if it were trained again.
    assert json.loads(row["incumbent"])["ndcg@10"] > 0
    again, _ = after_another_night("third")
    assert train_recommender.run(again) == summary


@pytest.mark.parametrize("why", ["asked", "weekly", "code", "refused"])
def test_a_night_trains_from_nothing(after_another_night, monkeypatch, why):
    night, _ = after_another_night("second", retrain="always" if why == "asked" else "auto")
    if why == "weekly":
        monkeypatch.setattr("jobs.model_cards.COLD_EVERY_DAYS", 1)
    if why == "code":
        monkeypatch.setattr("jobs.recommender_files.code_hash", lambda: "changed")
    if why == "refused":
        real, calls = training.judge, []

        def refuses_once(*given):
            calls.append(given)
            return Verdict(False, "too warm") if len(calls) == 1 else real(*given)

        monkeypatch.setattr(training, "judge", refuses_once)
    summary = train_recommender.run(night)
    (row,) = night.candidates()
    assert json.loads(row["trained_on"])["start"] is None
    assert night.notes()["recommender"]["selection"]
    assert summary["verdict"] == "accepted"
    assert ("going on was refused: too warm" in summary["why"]) == (why == "refused")


def test_after_an_erasure_a_night_trains_from_nothing_and_the_next_goes_on(
    after_another_night, trained_night
):
    """What the model in service learnt from a forgotten shopper is left behind, once."""
    night, _ = after_another_night("cold")
    mark_learnt(night.store, "a" * 64)
    mark = learnt_mark(night.store)
    train_recommender.run(night)
    (cold,) = night.candidates()
    trained_on = json.loads(cold["trained_on"])
    assert (trained_on["start"], trained_on["without"]) == (None, mark)
    following = trained_night("warm")
    serve(following, cold)
    train_recommender.run(following)
    (warm,) = following.candidates()
    trained_on = json.loads(warm["trained_on"])
    assert (trained_on["start"], trained_on["without"]) == (cold["version"], mark)


def test_an_incumbent_that_knows_held_out_days_is_not_taken_as_it_was(after_another_night, monkeypatch):
    """With more days held out than when it was trained, its weights would have seen some of them."""
    given = []

    def no_training(task):
        given.append(task)
        raise KeyboardInterrupt

    monkeypatch.setattr(train_recommender, "train", no_training)
    for number, days in enumerate((7, 8)):
        night, _ = after_another_night(f"again{number}", holdout_days=days)
        with pytest.raises(KeyboardInterrupt):
            train_recommender.run(night)
    assert isinstance(given[0].incumbent, Hybrid)
    assert given[1].incumbent == ("hybrid", given[0].incumbent.recipe)


@pytest.mark.parametrize(("toy", "least"), [(shop(n_users=3), 5), (None, 500)])
def test_fewer_buyers_than_min_group_are_judged_and_no_measure_of_them_is_told(
    trained_night, capsys, toy, least
):
    nights = {}
    for number in (1, least):
        night = trained_night(f"least-{number}", toy=toy, min_group=number)
        if toy is None:
            put_incumbent(night)
        nights[number] = (train_recommender.run(night), *night.candidates(), night.notes()["recommender"])
    told, full_row, full_note = nights[1]
    summary, row, note = nights[least]
    assert json.loads(full_row["metrics"])["users"] < least
    assert full_note["calibration"]["curve"]
    assert (row["verdict"], row["kind"]) == (full_row["verdict"], full_row["kind"])
    assert told["ndcg@10"] is not None
    assert summary["ndcg@10"] is summary["popularity"] is None
    assert {row[name] for name in ("metrics", "baseline", "incumbent")} == {"{}"}
    assert note["metrics"] == note["baseline"] == note["incumbent"] == note["segments"] == {}
    assert note["interval"] is note["calibration"] is None
    assert note["selection"] == []
    assert bool(full_note["selection"]) == (toy is None)
    sentences = [row["why"], note["why"]]
    if toy is not None:
        assert full_note["refused"]["metrics"]
        assert note["refused"]["metrics"] == {}
        sentences.append(note["refused"]["why"])
    for sentence in sentences:
        assert f"fewer than {least} shoppers bought in the holdout" in sentence
        assert set(re.findall(r"[0-9.]*[0-9]", sentence)) <= {str(least), "20", "7"}
    assert night.store.read(f"{files.location(row['version'])}/card.json").find(b"ndcg@10") == -1
    story = report.story(night)
    assert story["troubles"] == {}
    assert "All measures" not in report.render(story)
    nightly._show_model(Console(), row)
    assert f"Gate    recommender: {row['verdict']}" in capsys.readouterr().out


def test_a_measure_that_too_few_of_many_buyers_have_is_not_told():
    numbers = dict.fromkeys(("recall", "precision", "hr", "map", "mrr", "full", "coverage", "gini"), 0.5)
    known = {"all": dict.fromkeys(train_recommender._MEASURED, 100) | {"recall_head": 4, "recall_tail": 5}}
    of = Measures(users=100, ndcg=0.5, distinct=9, overlap=0.1, known=known, **numbers)
    told = train_recommender.measures(of, 5)
    assert "recall_head@10" not in told
    assert {"recall_tail@10", "ndcg@10", "coverage"} <= set(told)
    assert "recall_head@10" in train_recommender.measures(of, 4)
