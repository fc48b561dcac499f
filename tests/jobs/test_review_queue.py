"""What a person is asked to look at: the riskiest first, a fair sample, nothing twice, never too much."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from jobs import describe, report, review_queue
from jobs.night import Night
from jobs.review_queue import Item, Shortlist
from jobs.review_risk import Lengths, Reason, reasons
from jobs.reviews import Decision, add, edit_hash
from jobs.settings import load_settings
from models.writer.rules import load_rules
from tests.expectations.good_rows import good
from tests.jobs.writer_shop import Row, publish, put, shop

DAY = date(2026, 1, 10)
RULES = load_rules("en")
EVIL = '<script>alert("x")</script>'


def night_of(lake, day: date = DAY, run_id: str = "", **changes) -> Night:
    wanted = {"review_share": 0.0, **changes}
    night = Night(load_settings(lake=str(lake), **wanted), day, run_id or f"run-{day}")
    night.pin()
    return night


def copy(number: int, **changes: Any) -> Row:
    """A row that a model wrote and nothing speaks against."""
    fields = {"product_id": f"p{number:04d}", "language": "en", "text": "A red mug.", "ds": DAY}
    fields |= {"checks": '{"values": true}', "model_version": "v1"}
    return good("product_descriptions", **{**fields, **changes})


def human(number: int, checks: dict[str, Any], **changes: Any) -> Row:
    fields = {"tier": "human", "ai_label": None, "model_version": None, "checks": json.dumps(checks)}
    return copy(number, **{**fields, **changes})


def put_copy(night: Night, rows: list[Row]) -> None:
    put(night, "products", shop(night.ds, 40))
    put(night, "product_descriptions", [r | {"ds": night.ds} for r in rows])


def queue(night: Night) -> list[Row]:
    """The queue of the night, in its order, with its reasons as a list."""
    review_queue.run(night)
    rows = sorted(night.read("review_queue").to_pylist(), key=lambda r: r["rank"])
    assert [r["rank"] for r in rows] == list(range(1, len(rows) + 1))
    return [r | {"reasons": json.loads(r["reasons"])} for r in rows]


@pytest.fixture
def lake(tmp_path):
    return tmp_path / "lake"


@pytest.mark.parametrize(
    ("row", "risk", "why"),
    [
        (
            human(1, {"claims": "'the best' (eu-superlative)"}),
            "high",
            "a person's text fails claims: 'the best'",
        ),
        (human(1, {"numbers": "'5' is in no attribute"}), "high", "a person's text fails numbers"),
        (human(1, {"coverage": "0 attributes named, not 2"}), "medium", "a person's text fails coverage"),
        (
            copy(1, tier="template", checks='{"claims": "x"}'),
            "medium",
            "no text of the model held: claims: x",
        ),
        (copy(1, tier="retry", checks='{"claims": "x"}'), "low", "another text was refused: claims: x"),
        (copy(1, tier="template", model_version=None), "low", "a template wrote it"),
        (copy(1, tier="refused", text=None, checks='{"facts": "none"}'), "medium", "nothing is published"),
        (copy(1, checks='{"rejected": "y"}'), "medium", "written after a person rejected another text"),
        (
            copy(1, text="A recycled mug."),
            "medium",
            "qualified claim 'recycled' (eu-material-claim, us-material-claim)",
        ),
        (
            copy(1, text="A lead-free mug."),
            "medium",
            "qualified claim 'lead-free' (any-protection, us-free-of)",
        ),
        (copy(1, text="A red mug.", model_version="v2"), "low", "first night of model v2"),
    ],
)
def test_what_speaks_for_a_look(row: Row, risk: str, why: str) -> None:
    (found,) = reasons(row, RULES, {"v1"}, None)
    assert found.risk == risk
    assert found.says.startswith(why)


def test_what_attributes_alone_bear_out_is_no_reason_for_a_look() -> None:
    assert reasons(copy(1, text="Machine washable, a pack of two mugs."), RULES, {"v1"}, None) == []


def test_a_claim_that_fails_is_told_once() -> None:
    said = human(1, {"claims": "'designed in milan' (us-origin)"}, text="A recycled mug, designed in Milan.")
    assert [r.says.split(" (")[0] for r in reasons(said, RULES, {"v1"}, None)] == [
        "a person's text fails claims: 'designed in milan'",
        "qualified claim 'recycled'",
    ]


def test_a_longer_word_than_the_claim_that_fails_is_told_once() -> None:
    said = human(1, {"claims": "'organic' (us-green)"}, text="An organic-cotton mug.")
    assert len(reasons(said, RULES, {"v1"}, None)) == 1


def test_every_claim_of_a_rule_is_told() -> None:
    found = reasons(copy(1, text="A recycled, handmade mug, handmade by Ann."), RULES, {"v1"}, None)
    assert [r.says.split(" (")[0] for r in found] == [
        "qualified claim 'recycled'",
        "qualified claim 'handmade'",
    ]


@pytest.mark.parametrize(
    ("language", "text", "queued"),
    [
        ("en", "Not waterproof.", False),
        ("en", "It comes without a warranty.", False),
        ("en", "No gluten, and zero sugar.", True),
        ("en", "Lead free.", True),
        ("en", "Waterproof, not heavy.", True),
        ("zh", "不防水。", False),
        ("zh", "无铅。", True),
        ("zh", "不含双酚A。", True),
    ],
)
def test_a_denial_is_no_claim_and_an_absence_is_one(language: str, text: str, queued: bool) -> None:
    found = reasons(copy(1, language=language, text=text), load_rules(language), {"v1"}, None)
    assert bool(found) == queued, found


def test_nothing_speaks_against_copy_that_holds() -> None:
    assert reasons(copy(1), RULES, {"v1"}, None) == []
    assert reasons(human(1, {"values": True}), RULES, {"v1"}, None) == []


def test_unusual_lengths_are_told_and_usual_ones_are_not() -> None:
    lengths = Lengths.of([90, 100, 110, 95, 105] * 5)
    assert lengths is not None
    assert lengths.reason(100) == lengths.reason(112) == []
    assert lengths.reason(400)[0].says == "400 characters, where 100 are usual"
    assert lengths.reason(12)[0].says == "12 characters, where 100 are usual"
    assert Lengths.of([90, 110] * 9) is None
    assert Lengths.of([100] * 30) is None


def test_the_riskiest_come_first_and_the_limit_holds(lake) -> None:
    night = night_of(lake, review_limit=4)
    low = [copy(n, tier="template", model_version=None) for n in range(20)]
    medium = [human(n, {"coverage": "none"}) for n in range(20, 23)]
    grave = [human(30, {"claims": "x"}), human(31, {"claims": "x", "values": "y"})]
    put_copy(night, [*low, *medium, *grave])
    found = queue(night)
    assert [r["risk"] for r in found] == ["high", "high", "medium", "medium"]
    assert found[0]["product_id"] == "p0031"  # two grave reasons before one
    assert night.notes()["review_queue"]["counts"] == {"texts": 25, "high": 2, "medium": 3, "low": 20}


def test_the_queue_is_the_same_again_and_ties_are_drawn_anew_each_night(lake) -> None:
    orders = []
    for day, run_id in [(DAY, "a"), (DAY, "b"), (DAY + timedelta(days=1), "c")]:
        night = night_of(lake, day, run_id, review_limit=10)
        put_copy(night, [copy(n, tier="template", model_version=None) for n in range(40)])
        orders.append([r["product_id"] for r in queue(night)])
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_the_sample_is_of_all_texts_and_has_its_places_beside_the_risky(lake) -> None:
    night = night_of(lake, review_share=1.0, review_limit=20)
    fine = [human(n, {"values": True}) for n in range(30, 40)]
    put_copy(night, [human(n, {"claims": "x"}) for n in range(30)] + fine)
    drawn = sorted(review_queue.items(night), key=lambda i: i.draw)[:2]
    found = queue(night)
    assert len(found) == 20
    assert {i.row["product_id"] for i in drawn} <= {r["product_id"] for r in found}
    assert sum(r["risk"] == "high" for r in found) >= 18
    assert all(r["reasons"][-1] == "random sample" for r in found)


def test_a_sample_is_about_as_large_as_asked_for(lake) -> None:
    night = night_of(lake, review_share=0.25, review_limit=4000)
    put_copy(night, [human(n, {"values": True}, channel=f"c{c}") for n in range(40) for c in range(20)])
    found = queue(night)
    assert {tuple(r["reasons"]) for r in found} == {("random sample",)}
    assert 150 <= len(found) <= 250  # of 800


def test_a_shortlist_keeps_the_first_whatever_the_order_they_come_in() -> None:
    items = [
        Item(copy(n), (Reason(risk, "x"),), draw=n / 1000, sampled=False)
        for n, risk in enumerate(["low", "medium", "high"] * 200)
    ]
    for order in (items, items[::-1]):
        short = Shortlist(30)
        for item in order:
            short.add(item)
        assert short.chosen() == sorted(items, key=lambda i: i.place)[:30]


def test_no_limit_no_queue(lake) -> None:
    night = night_of(lake, review_limit=0, review_share=1.0)
    put_copy(night, [human(1, {"claims": "x"})])
    assert queue(night) == []
    assert night.is_staged("review_queue")


def accept(row: Row, why: tuple[str, ...]) -> Decision:
    return Decision(row["product_id"], row["language"], row["channel"], "accept", DAY, row["text"], "", why)


def test_what_a_person_accepted_comes_back_only_with_a_new_reason(lake) -> None:
    night = night_of(lake, run_id="a")
    rows = [human(1, {"claims": "x"}), human(2, {"claims": "x"})]
    put_copy(night, rows)
    add(night.store, [accept(r, tuple(r["reasons"])) for r in queue(night)])
    again = night_of(lake, run_id="b", review_share=1.0)
    put_copy(again, [rows[0], human(2, {"claims": "x", "values": "y"}), human(3, {"claims": "x"})])
    assert [r["product_id"] for r in queue(again)] == ["p0002", "p0003"]


def test_an_accepted_length_stays_settled_where_the_usual_moves_a_little(lake) -> None:
    def texts(usual: int) -> list[Row]:
        mugs = [copy(n, text="A red mug." + "x" * (usual + n % 5)) for n in range(1, 30)]
        return [*mugs, copy(30, text="A red mug." + "x" * 900)]

    night = night_of(lake, run_id="a")
    put_copy(night, texts(90))
    found = [r for r in queue(night) if r["product_id"] == "p0030"]
    assert any("910 characters, where 102 are usual" in r["reasons"] for r in found)
    add(night.store, [accept(r, tuple(r["reasons"])) for r in found])
    again = night_of(lake, run_id="b")
    put_copy(again, texts(91))
    assert "p0030" not in {r["product_id"] for r in queue(again)}


def test_an_edit_is_settled_for_what_its_writer_was_told(lake) -> None:
    night = night_of(lake)
    told = ("a person's text fails values: x",)
    add(night.store, [Decision("p0001", "en", "description", "edit", DAY, "a", "My mug.", told)])
    night = night_of(lake)
    row = human(1, {"values": "x"}, text="My mug.", content_hash=edit_hash("en", "description", "My mug."))
    put_copy(night, [row])
    assert queue(night) == []
    put_copy(night, [row | {"checks": '{"values": "another"}'}])
    assert len(queue(night)) == 1


def test_a_real_night_queues_its_own_copy(lake) -> None:
    night = night_of(lake)
    rows = shop(DAY, 30, 0.5)
    rows[0]["description_en"] = "The best mug, see www.shop.com"
    put(night, "products", rows)
    describe.run(night)
    found = queue(night)
    assert found[0]["product_id"] == "p0000"
    assert found[0]["text"] == "The best mug, see www.shop.com"
    assert {r.split(":")[0] for r in found[0]["reasons"]} >= {
        "a person's text fails claims",
        "a person's text fails contacts",
    }
    # Templates write the other channels by design: of those a sample is asked for.
    assert Counter((r["channel"], r["tier"]) for r in found)["description", "template"] == 30
    publish(night)
    assert night_of(lake, DAY + timedelta(days=1)).read("review_queue", DAY, DAY).num_rows == len(found)


def test_the_report_lists_the_queue_and_escapes_it(lake) -> None:
    night = night_of(lake)
    rows = shop(DAY, 40)
    rows[1] |= {"title_en": EVIL, "title_zh": None}
    rows_of_copy = [human(n, {"claims": f"'{EVIL}'"}, text=EVIL) for n in range(1, 31)]
    put_copy(night, [*rows_of_copy, copy(35, tier="refused", text=None, checks='{"facts": "no title"}')])
    put(night, "products", rows)
    review_queue.run(night)
    page = report.render(report.story(night))
    assert "<script>" not in page
    for told in (
        "Copy to look at", "p0007 · en · description · human", "30 of high risk", "11 more", "&lt;script&gt;",
        "a person&#39;s text fails claims", "nothing is published: facts: no title",
        f"nightshelf review export --ds {DAY}",
    ):  # fmt: skip
        assert told in page, told


def test_a_night_with_nothing_to_look_at_and_one_without_the_step_say_so(lake) -> None:
    night = night_of(lake)
    assert "The step review_queue did not run." in report.render(report.story(night))
    put_copy(night, [human(1, {"values": True})])
    review_queue.run(night)
    assert "Nothing asks for a look." in report.render(report.story(night))
