"""When what there is to learn asks for another writer; no model is trained here."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pytest

from jobs import writer_files as files
from jobs.night import Night
from jobs.reviews import Decision, add, erase_product
from jobs.settings import load_settings
from jobs.train_writer import learnt_from, load_pairs
from jobs.writer_learnt import changed, still_good
from tests.jobs.writer_shop import put, repainted, shop

DAY = date(2026, 1, 10)
NEXT = DAY + timedelta(days=1)
PRODUCT = "p0001"


@pytest.fixture
def lake(tmp_path):
    return tmp_path / "lake"


def learnt(lake, day, rows=None, **changes):
    """A night and what a model of it would be learnt from."""
    night = Night(load_settings(lake=str(lake), **changes), day, f"run-{day}")
    night.pin()
    put(night, "products", rows or shop(day))
    judges = files.verifiers(night)
    return night, learnt_from(night, load_pairs(night, judges), judges)


def model_of(lake, rows=None):
    """The row of a model that was trained on the first day; its files say nothing but that they are there."""
    night, found = learnt(lake, DAY, rows)
    for name in files.FILES:
        night.store.write(f"{files.location('v1')}/{name}", b"x")
    found.save(night.store, "v1")
    return {"version": "v1", "location": files.location("v1"), "trained_on": json.dumps(found.as_json())}


def why(lake, model, rows=None, **changes):
    """Why the next night trains none; "" where it does."""
    night, found = learnt(lake, NEXT, rows, **changes)
    return still_good(night, model, found)


def test_a_few_changed_pairs_ask_for_no_model_and_more_do(lake):
    model = model_of(lake)
    assert "are those of" in why(lake, model)
    few = why(lake, model, repainted(shop(NEXT), 5))
    assert "changed since v1 was trained, not over 2.00%" in few
    assert not why(lake, model, repainted(shop(NEXT), 40))
    assert why(lake, model, repainted(shop(NEXT), 40), writer_retrain_share=0.5)
    assert not why(lake, model, repainted(shop(NEXT), 1), writer_retrain_share=0.0)


def test_a_share_is_what_came_or_went_whichever_is_more():
    old = np.arange(100, dtype=np.uint64)
    assert changed(old, old) == 0
    assert changed(old, old[1:]) == 0.01
    assert changed(old[:50], old) == 0.5
    assert changed(old, old + 3) == pytest.approx(0.03)


@pytest.mark.parametrize("verdict", ["edit", "reject"])
def test_one_verdict_on_a_text_that_was_learnt_asks_for_a_model(lake, verdict):
    model = model_of(lake)
    text = next(r["description_en"] for r in shop(DAY) if r["product_id"] == PRODUCT)
    edit = "A red bowl, made of stoneware." if verdict == "edit" else ""
    night, _ = learnt(lake, DAY)
    add(night.store, [Decision(PRODUCT, "en", "description", verdict, DAY, text, edit)])
    night, found = learnt(lake, NEXT)
    assert 0 < changed(learnt(lake / "without", NEXT)[1].pairs, found.pairs) < 0.02
    assert not still_good(night, model, found)


def test_one_erased_edit_that_was_learnt_asks_for_a_model(lake):
    night, _ = learnt(lake, DAY)
    edit = Decision(PRODUCT, "en", "description", "edit", DAY, "x", "A red bowl, made of stoneware.")
    add(night.store, [edit])
    model = model_of(lake)
    # Until then the edit asks for none, whatever becomes of a few other products.
    assert why(lake, model, repainted(shop(NEXT), 2))
    erase_product(night.store, PRODUCT)
    assert not why(lake, model)


def test_rejecting_a_learnt_text_that_the_shop_took_back_asks_for_a_model(lake):
    model = model_of(lake)
    rows = shop(NEXT)
    text, rows[1]["description_en"] = rows[1]["description_en"], None
    night, found = learnt(lake, NEXT, rows)
    assert still_good(night, model, found)
    add(night.store, [Decision(PRODUCT, "en", "description", "reject", DAY, text)])
    assert not why(lake, model, rows)


def test_a_verdict_on_what_a_machine_wrote_asks_for_none(lake):
    model = model_of(lake)
    night, _ = learnt(lake, DAY)
    add(night.store, [Decision(PRODUCT, "en", "description", "reject", DAY, "A machine's words.")])
    assert why(lake, model, repainted(shop(NEXT), 2))


def test_other_rules_count_where_they_change_a_pair(lake):
    model = model_of(lake)
    assert "are those of" in why(lake, model, competitors=["Rivalmart"])
    assert not why(lake, model, repainted(shop(NEXT), 1), competitors=["Rivalmart"])
    assert not why(lake, model, seed=7)


def test_no_model_or_one_whose_files_are_gone_asks_for_another(lake):
    night, found = learnt(lake, NEXT)
    assert not still_good(night, None, found)
    model = model_of(lake)
    assert still_good(night, model, found)
    night.store.delete([f"{files.location('v1')}/weights.npz"])
    assert not still_good(night, model, found)


def test_a_model_from_before_its_pairs_were_kept_is_trained_anew_after_any_change(lake):
    model = model_of(lake)
    night, found = learnt(lake, NEXT, repainted(shop(NEXT), 1))
    assert still_good(night, model, found)
    night.store.delete([f"{files.location('v1')}/learnt.npz"])
    assert not still_good(night, model, found)
