"""All channels of a night: what is written, what is kept, what is too alike. Templates write."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from jobs import describe, review_queue
from jobs.copy_tasks import Desk
from jobs.errors import BadInput
from jobs.night import Night
from jobs.reviews import Decision, add
from jobs.settings import load_settings
from models.writer.channels import ALL
from tests.jobs.writer_shop import publish, put, rows_of, shop

DAY = date(2026, 1, 10)
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def lake(tmp_path):
    return tmp_path / "lake"


def new_night(lake, day=DAY, **changes) -> Night:
    night = Night(load_settings(lake=str(lake), **{"block_size": 16, **changes}), day, f"run-{day}")
    night.pin()
    return night


def described(night: Night, rows) -> dict:
    put(night, "products", [r | {"ds": night.ds} for r in rows])
    return describe.run(night)


def copy_of(night: Night) -> dict[tuple[str, str, str], dict]:
    """(product, language, channel) → row, without its date."""
    found = night.read("product_descriptions").to_pylist()
    rows = {(r["product_id"], r["language"], r["channel"]): {**r, "ds": None} for r in found}
    assert len(rows) == len(found)
    return rows


def test_every_product_has_every_channel_in_every_language(lake):
    night = new_night(lake)
    summary = described(night, shop(DAY, 20, 0.5))
    rows = copy_of(night)
    assert summary["rows"] == len(rows) == 20 * 2 * len(ALL)
    assert {k[1:] for k in rows} == {(lang, c) for lang in ("en", "zh") for c in ALL}
    for (_, _, channel), row in rows.items():
        verdicts = json.loads(row["checks"])
        assert set(verdicts) >= {"numbers", "brands", "values", "claims", "contacts", "markup", "language"}
        assert all(v is True for v in verdicts.values())
        human = channel == "title" or (channel == "description" and int(row["product_id"][1:]) % 10 < 5)
        assert row["tier"] == ("human" if human else "template")
        assert (row["ai_label"] is None) == human
    note = night.notes()["descriptions"]
    assert note["tiers_by_channel"]["bullets"] == {"template": 40}
    assert {s["channel"] for s in note["samples"]} == set(ALL)


def test_an_unchanged_catalogue_writes_no_row_of_any_channel(lake):
    first = new_night(lake)
    described(first, shop(DAY, 20, 0.5))
    before = copy_of(first)
    publish(first)
    second = new_night(lake, NEXT)
    summary = described(second, shop(DAY, 20, 0.5))
    assert (summary["written"], summary["carried_over"]) == (0, 20 * 2 * len(ALL))
    assert copy_of(second) == before


def test_one_changed_attribute_rewrites_one_products_rows_and_a_price_none(lake):
    first = new_night(lake)
    rows = shop(DAY, 20, 0.0)
    described(first, rows)
    before = copy_of(first)
    publish(first)
    second = new_night(lake, NEXT)
    rows[7]["attributes_en"] = json.dumps({"colour": "red", "material": "glass", "capacity": "250 ml"})
    rows[8]["price"] = 1.0
    summary = described(second, rows)
    # All but the title, which is the shop's own.
    assert summary["written"] == len(ALL) - 1
    changed = {k for k, r in copy_of(second).items() if r != before[k]}
    assert changed == {("p0007", "en", c) for c in ALL}
    title = "p0007", "en", "title"
    # Its hash says that its checks are of the new attributes.
    assert copy_of(second)[title] == before[title] | {"content_hash": copy_of(second)[title]["content_hash"]}


@pytest.fixture
def judged(monkeypatch):
    """The channel texts of people that were judged, in order."""
    found = []
    verdict = Desk.verdict

    def counted(self, facts, channel, text):
        found.append((facts.product_id, facts.language, channel))
        return verdict(self, facts, channel, text)

    monkeypatch.setattr(Desk, "verdict", counted)
    return found


def test_a_changed_attribute_under_the_shops_own_text_is_judged_anew_and_queued(lake, judged):
    first = new_night(lake, review_share=0.0)
    rows = shop(DAY, 20, 1.0)
    described(first, rows)
    before = copy_of(first)
    publish(first)
    text = before["p0000", "en", "description"]
    assert "made of stoneware" in text["text"]
    assert json.loads(text["checks"])["values"] is True
    attributes = json.loads(rows[0]["attributes_en"])
    rows[0]["attributes_en"] = json.dumps(attributes | {"material": "glass"})
    judged.clear()
    second = new_night(lake, NEXT, review_share=0.0)
    summary = described(second, rows)
    after = copy_of(second)["p0000", "en", "description"]
    assert (after["text"], after["tier"]) == (text["text"], "human")
    assert "stoneware" in json.loads(after["checks"])["values"]
    # The title says nothing of the material: it is carried over.
    assert judged == [("p0000", "en", "description"), ("p0000", "en", "title")]
    assert summary["written"] == len(ALL) - 1
    review_queue.run(second)
    queued = second.read("review_queue").to_pylist()
    assert "stoneware" in next(r["reasons"] for r in queued if r["risk"] == "high")
    publish(second)
    judged.clear()
    third = new_night(lake, NEXT + timedelta(days=1))
    assert described(third, rows)["written"] == 0
    assert judged == []
    assert copy_of(third) == copy_of(second)


def test_another_list_of_competitors_judges_the_shops_own_texts_anew(lake):
    first = new_night(lake, channels=["description"])
    rows = shop(DAY, 6, 1.0)
    described(first, rows)
    before = rows_of(first)
    publish(first)
    second = new_night(lake, NEXT, channels=["description"], competitors=["Lumo"])
    summary = described(second, rows)
    fails = {k for k, r in rows_of(second).items() if json.loads(r["checks"])["claims"] is not True}
    assert fails == {k for k, r in before.items() if "Lumo" in r["text"]}
    assert summary["written"] == len(fails)
    assert {k: r["text"] for k, r in rows_of(second).items()} == {k: r["text"] for k, r in before.items()}


def test_a_new_description_rewrites_what_leans_on_it_and_nothing_else(lake):
    first = new_night(lake)
    rows = shop(DAY, 4, 0.0)
    described(first, rows)
    before = copy_of(first)
    publish(first)
    rows[1]["description_en"] = "A red bowl. It is made of stoneware."
    second = new_night(lake, NEXT)
    described(second, rows)
    changed = {k for k, r in copy_of(second).items() if r != before[k]}
    assert changed == {("p0001", "en", c) for c in ("description", "bullets", "ad_copy", "ad_copy.lively")}
    row = copy_of(second)["p0001", "en", "bullets"]
    assert "It is made of stoneware" in row["text"]
    # Cut out of a person's text by a machine: it is labelled, and may be written anew.
    assert (row["tier"], row["ai_label"]) == ("template", "AI-generated")


def test_a_shops_title_serves_where_it_keeps_to_the_form(lake):
    night = new_night(lake)
    rows = shop(DAY, 3, 0.0)
    rows[0]["title_en"] = "Mug coffee mug tea mug Lumo mug"
    rows[1]["title_en"] = "Lumo bowl, the best on the market"
    described(night, rows)
    found = rows_of(night, "title")
    assert (found["p0000", "en"]["tier"], found["p0000", "en"]["text"]) == (
        "template", "Lumo Red Stoneware Mug, 250 ml"
    )  # fmt: skip
    assert found["p0001", "en"]["tier"] == "template"
    assert "best" not in found["p0001", "en"]["text"]
    assert (found["p0002", "en"]["tier"], found["p0002", "en"]["text"]) == ("human", rows[2]["title_en"])


def test_a_person_may_edit_or_reject_any_channel_also_one_that_is_switched_off(lake):
    first = new_night(lake)
    rows = shop(DAY, 3, 0.0)
    described(first, rows)
    before = copy_of(first)
    publish(first)
    edited, rejected = ("p0000", "en", "bullets"), ("p0001", "zh", "ad_copy")
    add(first.store, [
        Decision(*edited, "edit", DAY, before[edited]["text"], "Red\nMade of stoneware"),
        Decision(*rejected, "reject", DAY, before[rejected]["text"]),
    ])  # fmt: skip
    second = new_night(lake, NEXT)
    assert described(second, rows)["written"] == 2
    after = copy_of(second)
    assert (after[edited]["tier"], after[edited]["text"].split("\n")[0]) == ("human", "Red")
    assert after[rejected]["text"] not in (None, before[rejected]["text"])
    publish(second)
    third = new_night(lake, NEXT + timedelta(days=1), channels=["title", "description"])
    described(third, rows)
    left = copy_of(third)
    assert left[edited] == after[edited]
    assert {k[2] for k in left if k != edited} == {"title", "description"}


def test_an_edit_that_is_new_stands_in_a_channel_that_was_switched_off_meanwhile(lake):
    first = new_night(lake)
    rows = shop(DAY, 3, 0.0)
    described(first, rows)
    before = copy_of(first)
    publish(first)
    edited = "p0000", "en", "bullets"
    decision = Decision(*edited, "edit", DAY, before[edited]["text"], "Red\nMade of stoneware")
    off = {"channels": ["title", "description"]}
    unread = new_night(lake, NEXT, **off)
    described(unread, rows)
    add(first.store, [decision])
    second = new_night(lake, NEXT, **off)
    described(second, rows)
    found = copy_of(second)
    assert (found[edited]["tier"], found[edited]["text"]) == ("human", "Red\nMade of stoneware")
    assert {k[2] for k in found if k != edited} == {"title", "description"}
    publish(second)
    third = new_night(lake, NEXT + timedelta(days=1), **off)
    described(third, rows)
    assert copy_of(third)[edited] == found[edited]


def test_without_descriptions_the_catalogues_own_text_still_serves_the_others(lake):
    night = new_night(lake, channels=["bullets"])
    described(night, shop(DAY, 4, 1.0))
    rows = copy_of(night)
    assert {k[2] for k in rows} == {"bullets"}
    assert "This mug by Lumo is made of stoneware" in rows["p0000", "en", "bullets"]["text"]


def test_an_unknown_channel_is_named(lake):
    night = new_night(lake, channels=["title", "banner"])
    with pytest.raises(BadInput, match="'banner'"):
        described(night, shop(DAY, 2, 0.0))


# -- near-duplicates and openings ----------------------------------------------------------


def alike_shop(products: int = 24):
    """Mugs that differ in nothing but one value of many: their templates read almost the same."""
    rows = shop(DAY, products, 0.0)
    shared = {f"feature {w}": f"{w} and {w[::-1]} finish" for w in ("matt", "oval", "slim", "calm", "dark")}
    for number, row in enumerate(rows):
        row["title_en"], row["brand"], row["category"] = "Stoneware mug", "Lumo", "Home > mug"
        row["attributes_en"] = json.dumps(shared | {"width": f"{number + 40} mm"})
    return rows


def test_alike_descriptions_give_way_and_are_reported(lake):
    off = new_night(lake / "off", languages=["en"], near_duplicate=1.0, opening_share=1.0)
    described(off, alike_shop())
    on = new_night(lake / "on", languages=["en"], near_duplicate=0.7)
    described(on, alike_shop())
    found, without = (n.notes()["descriptions"]["alike"]["en"] for n in (on, off))
    assert without["another_chosen"] == 0
    assert found["another_chosen"] > 0
    assert found["near_duplicates"] > 12
    assert found["share"] == pytest.approx(found["near_duplicates"] / 24)
    example = found["examples"][0]
    assert example["similarity"] >= 0.7
    assert [p["text"] for p in example["pair"]] == [
        rows_of(on)[p["product_id"], "en"]["text"] for p in example["pair"]
    ]
    assert max(o["products"] for o in found["openings"]) < max(o["products"] for o in without["openings"])
    assert rows_of(on) != rows_of(off)


def test_variants_of_one_product_are_exempt(lake):
    rows = alike_shop()
    for row in rows:
        row["variant_of"] = "p0000"
    night = new_night(lake, languages=["en"], near_duplicate=0.7)
    described(night, rows)
    found = night.notes()["descriptions"]["alike"]["en"]
    assert (found["near_duplicates"], found["another_chosen"]) == (0, 0)


def test_blocks_of_any_size_give_the_same_rows(lake):
    nights = [new_night(lake / str(n), near_duplicate=0.7, block_size=n) for n in (5, 16, 100)]
    found = []
    for night in nights:
        described(night, alike_shop())
        found.append((copy_of(night), night.notes()["descriptions"]["alike"]))
    assert found[0][1]["en"]["another_chosen"] > 0
    assert found[0] == found[1] == found[2]


def test_the_note_counts_what_is_published_after_the_choice(lake):
    night = new_night(lake, near_duplicate=0.7)
    described(night, alike_shop())
    rows, note = copy_of(night), night.notes()["descriptions"]
    assert note["rows"] == len(rows)
    assert sum(note["tiers"].values()) == len(rows)
    for sample in note["samples"]:
        assert rows[sample["product_id"], sample["language"], sample["channel"]]["text"] == sample["text"]


def test_kept_texts_stand_and_the_new_one_gives_way(lake):
    first = new_night(lake, languages=["en"], near_duplicate=0.7)
    described(first, alike_shop(8))
    before = copy_of(first)
    publish(first)
    second = new_night(lake, NEXT, languages=["en"], near_duplicate=0.7)
    rows = alike_shop(9)
    rows[8]["product_id"] = "a0000"  # first by id, and yet the last to choose
    summary = described(second, rows)
    assert summary["written"] == len(ALL)
    assert {k: r for k, r in copy_of(second).items() if k in before} == before
    assert second.notes()["descriptions"]["alike"]["en"]["another_chosen"] == 1


def test_a_crash_between_writing_and_choosing_changes_no_byte(lake, monkeypatch):
    undisturbed = new_night(lake / "other", near_duplicate=0.7)
    described(undisturbed, alike_shop())
    night = new_night(lake / "mine", near_duplicate=0.7)

    def crash(*_):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(describe, "limit", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            described(night, alike_shop())
    with monkeypatch.context() as patch:
        patch.setattr(describe, "write_block", crash)  # no block is written twice
        describe.run(night)
    mine, other = (
        {k.rsplit("/", 1)[-1]: n.store.read(k) for k in n.store.list(n.work("describe"))}
        for n in (night, undisturbed)
    )
    assert mine == other
    assert copy_of(night) == copy_of(undisturbed)
    assert night.notes()["descriptions"] == undisturbed.notes()["descriptions"]
