"""A writer is trained for real, once for this file; the other tests ask what its night decided."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from jobs import describe, train_writer
from jobs import writer_files as files
from jobs.errors import BadInput
from jobs.night import Night, Options
from jobs.settings import load_settings
from tests.jobs.writer_shop import publish, put, repainted, shop

DAY = date(2026, 1, 10)
STEPS = 80


def new_night(lake: Path, day: date, run_id: str, retrain: str = "auto", **changes) -> Night:
    wanted = {"writer_steps": STEPS, "writer_batch": 16, **changes}
    night = Night(load_settings(lake=str(lake), **wanted), day, run_id, Options(retrain=retrain))
    night.pin()
    return night


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Lake, night and summary of a first training; the night is published."""
    lake = tmp_path_factory.mktemp("writer") / "lake"
    night = new_night(lake, DAY, "first")
    put(night, "products", shop(DAY))
    summary = train_writer.run(night)
    note = night.notes()["writer"]
    publish(night)
    return lake, summary, note


def row_of(lake: Path) -> dict:
    return new_night(lake, DAY, "reader").model_in_service("writer")


def test_a_first_model_passes_its_gate(trained):
    lake, summary, note = trained
    assert summary["verdict"] == "accepted", summary["why"]
    row = row_of(lake)
    metrics, baseline = json.loads(row["metrics"]), json.loads(row["baseline"])
    assert metrics["chrf"] > max(baseline["template.chrf"], baseline["nearest neighbour.chrf"])
    assert metrics["verified"] >= 70
    assert metrics["unsupported"] <= 10
    assert baseline["template.unsupported"] == 0
    assert row["version"].startswith(f"{DAY}-")
    assert note["losses"][-1] < note["losses"][0] / 2
    assert note["samples"]
    json.dumps(note)


def test_its_files_are_whole_and_hold_no_pickle(trained):
    lake, *_ = trained
    night = new_night(lake, DAY, "reader")
    row = night.model_in_service("writer")
    names = [k.rsplit("/", 1)[-1] for k in night.store.list(row["location"])]
    assert names == sorted([*files.FILES, "card.json", "learnt.npz"])
    with np.load(night.store.uri(f"{row['location']}/weights.npz"), allow_pickle=False) as weights:
        assert all(weights[n].dtype == np.float32 for n in weights.files)
    assert files.load(night.store, row["location"]) is not None
    assert files.load(night.store, "models/writer/absent") is None


def test_held_out_products_and_their_variants_are_not_trained_on(trained):
    lake, *_ = trained
    night = new_night(lake, DAY, "reader")
    rows = shop(DAY)
    for number, row in enumerate(rows):
        row["variant_of"] = rows[number - number % 4]["product_id"] if number % 4 else None
    put(night, "products", rows)
    pairs = train_writer.load_pairs(night, files.verifiers(night))
    family = {r["product_id"]: r["variant_of"] or r["product_id"] for r in rows}
    held = {family[p.product_id] for p, _ in pairs.held}
    assert held
    assert not held & {family[p.product_id] for p, _ in pairs.train}


def test_the_same_date_again_keeps_its_verdict_without_training(trained, monkeypatch):
    lake, summary, _ = trained
    monkeypatch.setattr(train_writer, "_fit", None)
    night = new_night(lake, DAY, "again")
    again = train_writer.run(night)
    assert again == summary
    assert night.model_in_service("writer")["version"] == summary["version"]


def test_unchanged_pairs_the_next_day_train_nothing(trained, monkeypatch):
    lake, summary, _ = trained
    monkeypatch.setattr(train_writer, "_fit", None)
    night = new_night(lake, DAY + timedelta(days=1), "next")
    put(night, "products", shop(night.ds))
    again = train_writer.run(night)
    assert again["trained"] is False
    assert again["in_service"] == summary["version"]
    assert "stays in service" in night.notes()["writer"]["why"]
    assert night.candidates() == []


def test_never_trains_nothing(trained, monkeypatch):
    lake, summary, _ = trained
    monkeypatch.setattr(train_writer, "_fit", None)
    night = new_night(lake, DAY + timedelta(days=1), "never", retrain="never")
    put(night, "products", shop(night.ds)[:150])
    assert train_writer.run(night)["in_service"] == summary["version"]


def test_a_worse_model_is_refused_and_the_one_in_service_stays(trained):
    lake, summary, _ = trained
    # On the day of the week that starts from nothing, one step teaches nothing.
    cold = next(
        DAY + timedelta(days=d) for d in range(1, 8) if (DAY + timedelta(days=d)).toordinal() % 7 == 0
    )
    night = new_night(lake, cold, "worse", writer_steps=1)
    put(night, "products", shop(night.ds))
    again = train_writer.run(night)
    assert again["verdict"] == "refused"
    assert "word frequencies" in again["why"]
    assert again["in_service"] == summary["version"]
    assert night.model_in_service("writer")["version"] == summary["version"]
    assert json.loads(night.candidates()[0]["incumbent"])["chrf"] > 0


def test_a_warm_start_goes_on_from_the_model_in_service(trained):
    lake, summary, _ = trained
    warm = next(DAY + timedelta(days=d) for d in range(1, 3) if (DAY + timedelta(days=d)).toordinal() % 7)
    night = new_night(lake, warm, "warm", writer_steps=2)
    put(night, "products", shop(night.ds)[:190])
    again = train_writer.run(night)
    assert json.loads(night.candidates()[0]["trained_on"])["start"] == summary["version"]
    # One step on from a good model is still a good model.
    assert again["verdict"] == "accepted", again["why"]


def test_a_network_of_another_size_starts_from_nothing(trained):
    lake, *_ = trained
    warm = next(DAY + timedelta(days=d) for d in range(1, 3) if (DAY + timedelta(days=d)).toordinal() % 7)
    night = new_night(lake, warm, "wide", writer_steps=2, writer_width=64, writer_blocks=1)
    put(night, "products", shop(night.ds))
    train_writer.run(night)
    candidate = night.candidates()[0]
    assert json.loads(candidate["trained_on"])["start"] is None
    writer = files.load(night.store, candidate["location"])
    assert {k: writer.sizes[k] for k in ("width", "encoder_blocks", "decoder_blocks")} == {
        "width": 64,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
    }


def test_too_few_texts_leave_the_copy_to_templates(night):
    put(night, "products", shop(night.ds, 50))
    summary = train_writer.run(night)
    assert summary["trained"] is False
    assert summary["in_service"] is None
    assert "200 are needed" in summary["why"]
    assert "templates" in summary["why"]
    assert night.candidates() == []


@pytest.mark.timeout(120)
def test_texts_that_are_all_too_long_leave_the_copy_to_templates(make_night):
    """Cleaning lets 300 Chinese characters pass; the network learns from 160 tokens at most."""
    night = make_night(languages=["zh"])
    rows = shop(night.ds, 320, 1.0)
    for row in rows:
        # Of many letters, so that no piece of a text becomes one token.
        letters = "".join(
            chr(0x4E00 + (int(row["product_id"][1:]) * 191 + 37 * i) % 3000) for i in range(180)
        )
        row["description_zh"] += letters + "。"
    put(night, "products", rows)
    summary = train_writer.run(night)
    assert summary["trained"] is False
    assert "none of" in summary["why"]
    assert "templates" in summary["why"]
    assert night.notes()["writer"]["pairs"] >= train_writer.MIN_PAIRS


def test_an_unknown_language_is_bad_input(make_night):
    night = make_night(languages=["en", "fr"])
    put(night, "products", shop(night.ds, 5))
    with pytest.raises(BadInput, match="'fr'"):
        train_writer.run(night)


def test_versions_depend_on_inputs_settings_and_seed(make_night):
    night = make_night()
    put(night, "products", shop(night.ds, 30))
    judges = files.verifiers(night)
    pairs = train_writer.load_pairs(night, judges)

    def digest(of: Night) -> str:
        return train_writer.learnt_from(of, pairs, judges).digest

    base = digest(night)
    assert digest(make_night(seed=7)) != base
    assert digest(make_night(writer_steps=7)) != base
    pairs.train.pop()
    assert digest(night) != base


def test_one_changed_attribute_trains_no_model_and_rewrites_one_product(trained, monkeypatch):
    lake, summary, _ = trained
    first = new_night(lake, DAY, "described")
    describe.run(first)
    before = copy_of(first)
    publish(first)
    monkeypatch.setattr(train_writer, "_fit", None)
    second = new_night(lake, DAY + timedelta(days=1), "changed")
    put(second, "products", repainted(shop(second.ds), 1))
    again = train_writer.run(second)
    assert (again["trained"], again["in_service"]) == (False, summary["version"])
    assert "of the training pairs changed" in again["why"]
    describe.run(second)
    after = copy_of(second)
    assert {k[:2] for k, row in after.items() if row != before[k]} == {("p0000", "en")}
    assert len(after) == len(before)


def test_many_changed_texts_train_a_model(trained, monkeypatch):
    lake, *_ = trained
    night = new_night(lake, DAY + timedelta(days=1), "many")
    put(night, "products", repainted(shop(night.ds), 20))
    monkeypatch.setattr(train_writer, "_fit", asked)
    with pytest.raises(Asked):
        train_writer.run(night)


class Asked(Exception):
    """A model would be trained."""


def asked(*_):
    raise Asked


def copy_of(night: Night) -> dict:
    found = night.read("product_descriptions").to_pylist()
    return {(r["product_id"], r["language"], r["channel"]): {**r, "ds": None} for r in found}
