"""The gate before publish: everything staged is checked, and only what passed may be published."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from jobs import audit, check_inputs, quality, recommend, train_recommender
from jobs.errors import GateFailed
from jobs.lake.publish import Publisher
from jobs.lake.registry import NIGHTLY
from jobs.night import Options
from tests.expectations.good_rows import DS, good
from tests.jobs.small_lake import events, failed_rules, put, stage_inputs, stage_outputs

if TYPE_CHECKING:
    from jobs.night import Night
    from tests.conftest import MakeNight

pytestmark = pytest.mark.usefixtures("spark")


def pass_inputs(night: Night) -> None:
    """As `check_inputs` notes inputs that passed, without its cost."""
    staged = {
        r.table: {"rows": r.rows, "metadata": r.metadata, "outcomes": []} for r in night.staging.records()
    }
    note = {"critical": [], "tables": staged, "measures": [], "warnings": ["w" * 900, *"abcdef"]}
    night.note("quality_inputs", note)


def audited(night: Night) -> set[str]:
    return {r.table for r in night.staging.records() if r.audited == r.metadata}


def test_a_shop_with_one_shopper_passes_both_gates(night: Night) -> None:
    """Its tables hold one of everything, and no audience: it is too small for a group."""
    hers = [e | {"user_id": "u1"} for e in events(dict.fromkeys(range(10), 10))]
    stage_inputs(night, users=[good("users")], events_clean=hers)
    assert check_inputs.run(night)["status"] == "ok"
    lists = [good("recommendations", rank=r, product_id=p) for r, p in enumerate(("p1", "p2"), start=1)]
    one = {table: [good(table)] for table in ("user_features", "user_profiles")}
    stage_outputs(night, recommendations=lists, audiences=[], **one)
    assert audit.run(night)["status"] == "ok"
    assert audited(night) == {t.name for t in NIGHTLY if t.job != "publish"}


def recommended(night: Night, products: tuple[str, ...], bought: dict[str, tuple[str, ...]]) -> None:
    """A night of these products and of what each shopper bought, with the lists of its own recommender."""
    no_list = {"list_ds": None, "list_rank": None}
    events_clean = [
        good("events_clean", event_id=f"{user}-{product}", user_id=user, product_id=product, **no_list)
        for user, basket in bought.items()
        for product in basket
    ]
    rows = [good("products", product_id=p, variant_of=None) for p in products]
    stage_inputs(
        night, events_clean=events_clean, products=rows, users=[good("users", user_id=u) for u in bought]
    )
    pass_inputs(night)
    of_products = {
        "item_features": [good("item_features", product_id=p) for p in products],
        "product_descriptions": [
            good("product_descriptions", product_id=p, language=language, channel=channel)
            for p in products
            for language in night.settings.languages
            for channel in night.settings.channels
        ],
    }
    of_users = {t: [good(t, user_id=u) for u in bought] for t in ("user_features", "user_profiles")}
    stage_outputs(night, **of_products, **of_users)
    train_recommender.run(night)
    recommend.run(night)


def test_a_shopper_who_has_bought_all_that_is_in_stock_stops_no_night(night: Night) -> None:
    """Those lists hold what was bought already; the others' are as ever."""
    products = ("p1", "p2", "p3")
    recommended(night, products, {"u1": products, "u2": ("p1", "p2"), "u3": ("p1",)})
    audit.run(night)
    lists = night.read("recommendations").to_pandas()
    shown = lists.groupby("user_id")["product_id"].apply(lambda ids: sorted(ids)).to_dict()
    assert shown == {"u1": ["p1", "p2", "p3"], "u2": ["p3"], "u3": ["p2", "p3"]}
    said = {
        "You bought this before",
        "Popular in the shop this week",
        "Popular in the shop",
        "From our range",
    }
    assert set(lists[lists["user_id"] == "u1"]["reason"]) <= said


def test_a_shop_of_one_product_passes_though_that_has_no_neighbours(night: Night) -> None:
    recommended(night, ("p1",), {"u1": ("p1",), "u2": ()})
    assert audit.run(night)["status"] == "warning"
    assert set(night.read("recommendations")["user_id"].to_pylist()) == {"u1", "u2"}
    assert len(night.read("similar_items")) == 0
    failed = failed_rules(night.notes()["audit"])
    assert failed["similar_items", "every_product_has_neighbours"] == 1


def test_how_much_of_the_lists_is_new_is_handed_on(make_night: MakeNight) -> None:
    """Approval asks by this number."""
    yesterday = make_night((DS - timedelta(days=1)).isoformat(), run_id="yesterday")
    lists = (("u1", "p1", "p2"), ("u2", "gone", "out"))
    rows = [
        good("recommendations", user_id=user, rank=rank, product_id=product, ds=yesterday.ds)
        for user, *products in lists
        for rank, product in enumerate(products, start=1)
    ]
    put(yesterday, "recommendations", rows, [yesterday.ds])
    yesterday.mark_audited("recommendations")
    Publisher(yesterday.catalog).publish(yesterday.staging, yesterday.ds.isoformat())
    today = make_night(DS.isoformat(), run_id="today")
    stage_inputs(today)
    pass_inputs(today)
    stage_outputs(today)
    assert audit.run(today)["list_change"] == 0.5


def test_a_shop_with_nothing_in_stock_is_stopped_and_told(night: Night) -> None:
    """Nothing can be recommended: what was read is not the shop, or nobody should be sent there."""
    recommended(night, ("p1", "p2"), {"u1": ("p1",), "u2": ()})
    put(night, "products", [good("products", product_id=p, in_stock=False) for p in ("p1", "p2")])
    recommend.run(night)
    with pytest.raises(GateFailed, match="recommendations: 0 rows, where at least 1 must be"):
        audit.run(night)


def test_a_right_night_is_audited_whole_and_its_quality_recorded(night: Night) -> None:
    stage_inputs(night)
    check_inputs.run(night)
    stage_outputs(night)
    # As `describe` counts them.
    counts = {"en": {"texts": 30, "near_duplicates": 3}, "zh": {"texts": 20, "near_duplicates": 0}}
    night.note("descriptions", {"alike": counts})
    summary = audit.run(night)
    assert summary["status"] == "ok"
    # What a person would be asked about, if there were anything; and no list is in service yet.
    assert (summary["warnings"], summary["warned"], summary["list_change"]) == (0, [], None)
    assert audited(night) == {t.name for t in NIGHTLY if t.job != "publish"}
    assert summary["rows"]["recommendations"] == 4
    rows = night.read("quality_metrics").to_pylist()
    values = {(r["table_name"], r["metric"]): r["value"] for r in rows}
    # Of the inputs as of the outputs.
    assert values["events_clean", "rows"] == 10
    assert values["recommendations", "users"] == 2
    assert values["recommendations", "mean_probability"] == pytest.approx(0.1)
    assert values["product_descriptions", "template_share"] == 0
    assert values["product_descriptions", "near_duplicate_share"] == pytest.approx(0.06)
    assert {r["ds"] for r in rows} == {DS}
    assert {r["status"] for r in rows} == {"ok"}
    assert set(night.notes()["audit"]["tables"]) == audited(night)


def test_every_broken_promise_is_named_and_nothing_is_marked(night: Night) -> None:
    products = [good("products"), good("products", product_id="p2", in_stock=False)]
    stage_inputs(night, products=products, users=[good("users", user_id=u) for u in ("u1", "u2", "u3")])
    pass_inputs(night)
    stage_outputs(
        night,
        recommendations=[
            good("recommendations", user_id="u1", rank=1),
            good("recommendations", user_id="u2", rank=2, product_id="p2"),
            good("recommendations", user_id="stranger", product_id="nothing", score=float("nan")),
        ],
        product_descriptions=[
            good("product_descriptions"),
            good("product_descriptions", language="en", ai_label=None),
            good("product_descriptions", language="en", channel="search", product_id="p2"),
            good("product_descriptions", language="en", channel="ad_copy.lively"),
        ],
        similar_items=[good("similar_items"), good("similar_items", product_id="p2", similar_id="gone")],
    )
    with pytest.raises(GateFailed, match=r"audit: .*recommendations: .* and .* more. Nothing was published"):
        audit.run(night)
    assert failed_rules(night.notes()["audit"]) == {
        ("recommendations", "ranks_without_gaps"): 1,
        ("recommendations", "user_known"): 1,
        ("recommendations", "product_known"): 1,
        # A product that is unknown cannot be bought either.
        ("recommendations", "product_in_stock"): 2,
        ("recommendations", "score_finite"): 1,
        ("recommendations", "every_user_has_a_list"): 1,
        ("product_descriptions", "ai_label_present"): 1,
        ("product_descriptions", "channel_known"): 1,
        # Two products in two languages and six channels; three of the rows are there.
        ("product_descriptions", "every_product_in_every_language"): 21,
        ("similar_items", "similar_known"): 1,
        ("user_features", "every_user_has_features"): 1,
        ("user_profiles", "every_user_has_a_profile"): 1,
    }
    assert audited(night) == set()


def test_inputs_staged_again_are_checked_again_and_limits_lower_the_bar(make_night: MakeNight) -> None:
    night = make_night(options=Options(max_users=1, max_products=1))
    stage_inputs(night)
    pass_inputs(night)
    stage_outputs(
        night,
        recommendations=[good("recommendations")],
        product_descriptions=[good("product_descriptions")],
    )
    put(night, "users", [good("users"), good("users", user_id="u2"), good("users", user_id="u2")])
    with pytest.raises(GateFailed, match="users: 2 rows break key_unique"):
        audit.run(night)
    put(night, "users", [good("users"), good("users", user_id="u2", city="York")])
    summary = audit.run(night)
    # The shopper and the copy that nobody asked for are counted, and stop nothing.
    assert summary["status"] == "ok"
    # What the inputs were warned of is handed on, the first of it, and cut: the line must stay small.
    assert summary["warnings"] == 7
    assert summary["warned"] == ["w" * 200, *"abcd"]
    rules = failed_rules(night.notes()["audit"])
    assert rules["recommendations", "every_user_has_a_list"] == 1
    assert rules["product_descriptions", "every_product_in_every_language"] == 23
    assert "users" in audited(night)
    # Numbers of a limited table would spoil the history.
    measured = {r["table_name"] for r in night.read("quality_metrics").to_pylist()}
    assert "similar_items" in measured
    assert "recommendations" not in measured


def test_an_experiment_is_no_drift(night: Night) -> None:
    """Its control arm is shown best sellers on purpose, and the column that names it is set, not missing."""
    rows = [good("recommendations", user_id=f"u{n}", experiment=None) for n in range(4)]
    rows[0]["source"] = "popularity"
    on = [r | {"experiment": "spring", "user_id": f"c{r['user_id']}", "bucket": "control"} for r in rows]
    put(night, "recommendations", [*rows, *(r | {"source": "popularity"} for r in on)])
    measured = quality.measure({"recommendations": quality.staged(night, "recommendations")})
    assert measured["recommendations"]["popularity_share"] == 0.25
    days = [DS - timedelta(days=n) for n in range(1, 10)]
    past = {("recommendations", m): [(d, 0.0) for d in days] for m in measured["recommendations"]}
    judged = quality.judged(night, "recommendations", {"null_share.experiment": 1.0}, past)
    assert [(m.value, m.status) for m in judged] == [(1.0, "ok")]


def test_a_catalogue_that_is_sold_out_at_once_warns(night: Night) -> None:
    days = [DS - timedelta(days=n) for n in range(1, 10)]
    past = {("products", "in_stock_share"): [(d, 0.95) for d in days]}
    for share, status in ((0.05, "warning"), (0.93, "ok"), (1.0, "ok")):
        (found,) = quality.judged(night, "products", {"in_stock_share": share}, past)
        assert found.status == status


def test_what_is_missing_is_named(night: Night) -> None:
    with pytest.raises(GateFailed, match="run the step 'check_inputs' first"):
        audit.run(night)
    stage_inputs(night)
    night.note("quality_inputs", {"critical": [], "tables": {}, "measures": []})
    with pytest.raises(GateFailed, match="user_features is not staged in this run: run the step 'features'"):
        audit.run(night)
    night.note("quality_inputs", {"critical": ["events are odd"], "tables": {}, "measures": []})
    with pytest.raises(GateFailed, match="did not pass 'check_inputs': events are odd"):
        audit.run(night)
