"""What people decide about copy stands in the nights that follow, and in no night before."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from jobs import describe, train_writer, writer_files
from jobs.lake.store import LocalStore
from jobs.night import Night
from jobs.reviews import (
    REVIEWS,
    Decision,
    Reviews,
    Standing,
    add,
    edit_hash,
    erase_product,
    erase_reviewer,
    taken_back,
)
from jobs.settings import load_settings
from tests.jobs.writer_shop import Row, publish, put, rows_of, shop

DAY = date(2026, 1, 10)
EDIT = "A stoneware mug by Lumo, in red."
KEY = ("p0000", "en")


def night_of(lake, day=DAY, run_id="") -> Night:
    night = Night(load_settings(lake=str(lake), channels=["description"]), day, run_id or f"run-{day}")
    night.pin()
    return night


def described(lake, day=DAY, written=0.0, run_id="", **changes) -> dict[tuple[str, str], Row]:
    """One night of four products; `changes` are of the first one. Published."""
    night = night_of(lake, day, run_id)
    rows = shop(day, 4, written)
    rows[0] |= changes
    put(night, "products", rows)
    describe.run(night)
    found = rows_of(night)
    publish(night)
    return found


def decision(verdict: str, text: str, new_text: str = "", days: int = 1, **changes) -> Decision:
    made = DAY + timedelta(days=days)
    fields = {"product_id": "p0000", "language": "en", "channel": "description"} | changes
    return Decision(verdict=verdict, made=made, text=text, new_text=new_text, **fields)


@pytest.fixture
def lake(tmp_path):
    return tmp_path / "lake"


@pytest.fixture
def store(lake) -> LocalStore:
    return LocalStore(lake)


def test_an_edit_becomes_a_human_row_and_a_changed_catalogue_does_not_overwrite_it(lake, store):
    before = described(lake)
    add(store, [decision("edit", before[KEY]["text"], EDIT)])
    after = described(lake, DAY + timedelta(days=1))
    row = after[KEY]
    assert (row["text"], row["tier"], row["ai_label"], row["model_version"]) == (EDIT, "human", None, None)
    assert row["content_hash"] == edit_hash("en", "description", EDIT)
    assert json.loads(row["checks"])["values"] is True
    assert {k: r["text"] for k, r in after.items() if k != KEY} == {
        k: r["text"] for k, r in before.items() if k != KEY
    }
    third = described(
        lake,
        DAY + timedelta(days=2),
        description_en="The catalogue's newer words.",
        attributes_en=json.dumps({"colour": "black", "material": "glass", "capacity": "250 ml"}),
        title_en="Lumo black mug",
    )
    assert (third[KEY]["text"], third[KEY]["tier"]) == (EDIT, "human")
    # What changed around it is told to whoever looks: glass and black are other products' values as well.
    assert json.loads(third[KEY]["checks"])["values"] != json.loads(row["checks"])["values"]


def test_an_unchanged_edit_counts_as_carried_over(lake, store):
    text = described(lake)[KEY]["text"]
    add(store, [decision("edit", text, EDIT)])
    described(lake, DAY + timedelta(days=1))
    night = night_of(lake, DAY + timedelta(days=2))
    put(night, "products", shop(night.ds, 4, 0.0))
    assert describe.run(night)["carried_over"] == 8


def test_an_edit_counts_from_its_date_on_and_a_rerun_of_an_earlier_date_is_as_it_was(lake, store):
    before = described(lake)
    add(store, [decision("edit", before[KEY]["text"], EDIT)])
    assert described(lake, DAY, run_id="again") == before
    assert described(lake, DAY + timedelta(days=1))[KEY]["text"] == EDIT


def test_what_is_imported_while_a_run_goes_on_counts_for_the_next_one(lake, store):
    text = described(lake)[KEY]["text"]
    night = night_of(lake, DAY + timedelta(days=1))
    add(store, [decision("edit", text, EDIT)])
    assert Reviews.as_of(night).of("p0000", "en", "description").edit == ""
    assert Reviews.as_of(night_of(lake, night.ds)).of("p0000", "en", "description").edit == EDIT


def test_a_rejected_text_gives_way_to_another_and_does_not_come_back(lake, store):
    seen = [described(lake)[KEY]["text"]]
    for days in (1, 2, 3):
        add(store, [decision("reject", seen[-1], days=days)])
        row = described(lake, DAY + timedelta(days=days))[KEY]
        assert row["tier"] == "template"
        assert row["text"] not in seen
        seen.append(row["text"])
    night = night_of(lake, DAY + timedelta(days=4))
    put(night, "products", shop(night.ds, 4, 0.0))
    assert describe.run(night)["carried_over"] == 8
    assert rows_of(night)[KEY]["text"] == seen[-1]


def test_a_rejection_that_is_taken_back_lets_the_first_text_return(lake, store):
    first = described(lake)[KEY]["text"]
    add(store, [decision("reject", first), decision("accept", first, days=2)])
    assert described(lake, DAY + timedelta(days=1))[KEY]["text"] != first
    assert described(lake, DAY + timedelta(days=2))[KEY]["text"] == first


def test_a_rejected_catalogue_text_is_written_anew_and_learnt_no_more(lake, store):
    text = described(lake, written=1.0)[KEY]["text"]
    add(store, [decision("reject", text)])
    night = night_of(lake, DAY + timedelta(days=1))
    put(night, "products", shop(night.ds, 4, 1.0))
    describe.run(night)
    row = rows_of(night)[KEY]
    assert row["tier"] == "template"
    assert row["text"] != text
    assert text not in learnt(night)


def test_an_edit_is_a_training_pair_in_place_of_the_catalogues_text(lake, store):
    text = described(lake, written=1.0)[KEY]["text"]
    add(store, [decision("edit", text, EDIT)])
    night = night_of(lake, DAY + timedelta(days=1))
    put(night, "products", shop(night.ds, 4, 1.0))
    found = learnt(night)
    assert EDIT in found
    assert text not in found
    earlier = night_of(lake, DAY, "as-it-was")
    put(earlier, "products", shop(DAY, 4, 1.0))
    assert EDIT not in learnt(earlier)


def learnt(night: Night) -> set[str]:
    pairs = train_writer.load_pairs(night, writer_files.verifiers(night))
    return {p.text for p, _ in pairs.train + pairs.held}


def test_the_last_decision_wins_whatever_its_kind():
    standing = Standing()
    for step, (edit, rejected) in [
        (decision("edit", "a", "b"), ("b", set())),
        (decision("reject", "b"), ("", {"b"})),
        (decision("accept", "b"), ("", set())),
        (decision("reject", "B  "), ("", {"b"})),
        (decision("edit", "a", "b"), ("b", set())),
    ]:
        standing.apply(step)
        assert (standing.edit, standing.rejected) == (edit, rejected)


def test_who_accepts_a_text_takes_the_edit_of_it_back(lake, store):
    """Also where the edit has been published meanwhile: the row is not carried over."""
    before = described(lake)
    add(store, [decision("edit", before[KEY]["text"], EDIT)])
    assert described(lake, DAY + timedelta(days=1))[KEY]["text"] == EDIT
    back = decision("accept", before[KEY]["text"], days=2)
    assert taken_back(store, [back, decision("accept", "x", language="zh")]) == [back]
    add(store, [back])
    assert taken_back(store, [back]) == []
    again = described(lake, DAY + timedelta(days=2))[KEY]
    assert (again["text"], again["tier"]) == (before[KEY]["text"], "template")


def test_an_edit_of_an_edit_is_taken_back_to_the_first():
    standing = Standing()
    for step, edit in [
        (decision("edit", "a", "First"), "First"),
        (decision("edit", "First", "Second"), "Second"),
        (decision("accept", "a"), "Second"),  # not what stood before it
        (decision("reject", "First"), "Second"),
        (decision("accept", "first"), "First"),
        (decision("accept", "First"), "First"),
        (decision("edit", "First", "FIRST"), "FIRST"),
        (decision("accept", "FIRST"), "FIRST"),
    ]:
        standing.apply(step)
        assert standing.edit == edit
        assert not standing.withdrawn


def test_an_accepted_text_is_settled_for_the_reasons_that_were_known():
    standing = Standing()
    standing.apply(decision("accept", "a", reasons=("x", "y")))
    assert standing.settled("A", ["x"])
    assert not standing.settled("a", ["x", "z"])
    assert not standing.settled("b", [])


def test_the_same_decisions_twice_are_kept_once(store):
    two = [decision("edit", "a", "b"), decision("reject", "c", language="zh")]
    assert add(store, two, "Ann") == two
    files = {k: store.read(k) for k in store.list(REVIEWS)}
    assert add(store, two, "Ann") == []
    assert {k: store.read(k) for k in store.list(REVIEWS)} == files
    assert add(store, [two[0], decision("accept", "d")]) == [decision("accept", "d")]


def test_among_decisions_of_one_date_the_one_imported_last_wins(lake, store):
    for number in range(12):  # more than nine: names sort as numbers
        add(store, [decision("edit", "a", f"text {number}")])
    found = Reviews.as_of(night_of(lake, DAY + timedelta(days=1)))
    assert found.of("p0000", "en", "description").edit == "text 11"


def test_a_decision_that_is_made_again_after_another_stands_again(lake, store):
    first, second = decision("edit", "a", "First"), decision("edit", "a", "Second")
    for one in (first, second, first):
        assert add(store, [one]) == [one]
    assert add(store, [first]) == []
    read = night_of(lake, DAY + timedelta(days=1))
    assert Reviews.as_of(read).of("p0000", "en", "description").edit == "First"
    for verdict in ("reject", "accept", "reject"):
        add(store, [decision(verdict, "b", language="zh")])
    later = night_of(lake, DAY + timedelta(days=1), "later")
    assert Reviews.as_of(later).of("p0000", "zh", "description").rejects("b")


def test_a_file_with_several_decisions_about_one_text_is_known_when_it_comes_again(store):
    both = [decision("edit", "a", "First"), decision("reject", "c", language="zh")]
    back = [*both, decision("edit", "a", "Second"), decision("edit", "a", "First")]
    assert len(add(store, back)) == 4
    assert add(store, back) == []
    # Decisions of a later date are other decisions, and a part that is new is kept.
    add(store, [decision("edit", "a", "Third", days=2)])
    assert add(store, back) == []
    assert add(store, [*back[-2:], decision("edit", "a", "Fourth")]) == [decision("edit", "a", "Fourth")]


def test_erasing_a_product_leaves_none_of_its_words_and_no_later_night_brings_them_back(lake, store):
    text = described(lake)[KEY]["text"]
    add(store, [decision("edit", text, EDIT), decision("reject", "x", product_id="p0001")], "Ann")
    assert described(lake, DAY + timedelta(days=1))[KEY]["text"] == EDIT
    assert erase_product(store, "p0000") == 1
    assert not any(EDIT.encode() in store.read(k) for k in store.list(REVIEWS))
    assert described(lake, DAY + timedelta(days=2))[KEY]["tier"] == "template"
    assert Reviews.as_of(night_of(lake, DAY + timedelta(days=3))).of("p0001", "en", "description").rejected
    assert erase_product(store, "p0000") == 0


def test_erasing_a_reviewer_leaves_the_decisions(lake, store):
    add(store, [decision("edit", "a", EDIT)], "Ann")
    add(store, [decision("edit", "a", "other")], "Bo")
    assert erase_reviewer(store, "Ann") == 1
    assert [json.loads(store.read(k))["reviewer"] for k in store.list(REVIEWS)] == ["", "Bo"]
    assert erase_reviewer(store, "") == 0
