"""The gate before anything is made: real Spark, real Great Expectations, a few literal rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from jobs import check_inputs, quality
from jobs.errors import GateFailed
from tests.expectations.good_rows import DS, NOON, good
from tests.jobs.small_lake import events, failed_rules, put, stage_inputs

if TYPE_CHECKING:
    from jobs.night import Night

pytestmark = pytest.mark.usefixtures("spark")


def test_good_inputs_pass_and_are_recorded(night: Night) -> None:
    stage_inputs(night)
    summary = check_inputs.run(night)
    assert summary["status"] == "ok"
    assert summary["rows"] == {"events_clean": 100, "products": 2, "users": 2, "quarantine": 1, "intake": 1}
    note = night.notes()["quality_inputs"]
    assert note["critical"] == note["warnings"] == []
    record = night.staging.record("products")
    assert record is not None
    assert note["tables"]["products"]["metadata"] == record.metadata
    measured = {(m["table_name"], m["metric"]): m["value"] for m in note["measures"]}
    assert measured["events_clean", "rows"] == 10
    assert measured["events_clean", "users"] == 2
    assert measured["events_clean", "purchases"] == 10
    assert measured["events_clean", "age_hours"] == 12
    assert measured["events_clean", "null_share.price"] == 0
    assert measured["intake", "refused_share.sample.events"] == pytest.approx(1 / 106)
    assert night.store.exists(summary["docs"])
    assert len(night.store.list(night.key("docs/inputs/validations"))) == 5


def test_critical_rules_stop_the_night_with_names_and_counts(night: Night) -> None:
    broken = events({0: 10, 1: 10})
    broken[3]["price"] = -1.0
    broken[4]["event_id"] = broken[5]["event_id"]
    broken[6]["event_time"] += timedelta(days=1)
    # An input may lack what is only a warning: it is noted, and stops nobody.
    products = [good("products", price=None)]
    stage_inputs(night, events_clean=broken, products=products)
    with pytest.raises(GateFailed, match="Nothing was published") as error:
        check_inputs.run(night)
    text = str(error.value)
    assert "events_clean: 1 rows break price_finite" in text
    assert "events_clean: 2 rows break key_unique" in text
    assert "events_clean: 1 rows break ds_is_day_of_event" in text
    note = night.notes()["quality_inputs"]
    assert note["status"] == "critical"
    assert failed_rules(note)["products", "price_present"] == 1
    assert "products: 1 rows break price_present (the product has a price)" in note["warnings"]


def test_empty_tables_unaccounted_rows_and_refusals_are_critical(night: Night) -> None:
    intake = [
        good("intake", rows_in=100, good=48, quarantined=51, duplicates=0, late=0),
        good("intake", entity="products", rows_in=100, good=94, quarantined=6, duplicates=0, late=0),
    ]
    stage_inputs(night, products=[], users=[], intake=intake)
    with pytest.raises(GateFailed):
        check_inputs.run(night)
    note = night.notes()["quality_inputs"]
    assert failed_rules(note) == {
        ("products", "enough_rows"): 0,
        ("users", "enough_rows"): 0,
        ("intake", "conservation"): 1,
    }
    assert "the share of refused events from sample is 51.0% of 100 rows, above 50%" in note["critical"]
    assert "the share of refused products from sample is 6.0% of 100 rows, above 5%" in note["warnings"]


def test_refusals_before_the_lookback_are_critical_but_not_recorded(night: Night) -> None:
    old = [
        good("intake", ds=DS - timedelta(days=n), rows_in=100, good=40, quarantined=60, duplicates=0, late=0)
        for n in range(4, 10)
    ]
    stage_inputs(night, intake=[good("intake", rows_in=100, good=100, quarantined=0, duplicates=0), *old])
    with pytest.raises(GateFailed, match=r"51\.4% of 700 rows"):
        check_inputs.run(night)
    note = night.notes()["quality_inputs"]
    (found,) = note["critical"]
    assert "refused events from sample in the 7 days that were rebuilt is 51.4% of 700 rows" in found
    recorded = {m["metric"]: m["value"] for m in note["measures"]}
    assert recorded["refused_share.sample.events"] == 0


def critical(night: Night) -> list[str]:
    measures, _ = check_inputs.measure_inputs(night, quality.history(night), 0.05, 0.5)
    return [m.detail for m in measures if m.status == "critical"]


def test_an_empty_day_is_seen_on_the_first_night_from_the_events_themselves(night: Night) -> None:
    stage_inputs(night, events_clean=events(dict.fromkeys(range(1, 12), 10)))
    found = critical(night)
    assert "rows of events_clean on 2026-01-10: none at all, where the last 11 days had 10 or more" in found
    assert any(d.startswith("purchases of events_clean on 2026-01-10: none at all") for d in found)


def test_history_of_earlier_nights_counts_and_late_arrivals_do_not(night: Night) -> None:
    # The earlier nights published 1,000 rows a day; the day itself has 10, and 990 that arrive tomorrow.
    late = [good("events_clean", event_id=f"late-{n}", arrived=DS + timedelta(days=1)) for n in range(990)]
    stage_inputs(night, events_clean=events({0: 10}) + late)
    days = [DS - timedelta(days=n) for n in range(1, 9)]
    metric = {"table_name": "events_clean", "metric": "rows", "value": 1000.0}
    put(night, "quality_metrics", [good("quality_metrics", ds=d, **metric) for d in days], days)
    (found,) = critical(night)
    assert found.startswith("rows of events_clean on 2026-01-10: 10, far below the 1,000 usual")


def test_inputs_must_be_staged(night: Night) -> None:
    with pytest.raises(GateFailed, match="run the step 'clean' first"):
        check_inputs.run(night)


def test_age_grows_over_days_without_events() -> None:
    noon = NOON.timestamp()
    two_ago, one_ago = DS - timedelta(days=2), DS - timedelta(days=1)
    days = {two_ago: {"rows": 5.0, "newest": noon - 48 * 3600}}
    values, past = check_inputs.with_age(days, DS)
    assert values == {"rows": 0.0, "users": 0.0, "products": 0.0, "purchases": 0.0, "age_hours": 60.0}
    assert past["age_hours"] == [(two_ago, 12.0), (one_ago, 36.0)]
    assert past["rows"] == [(two_ago, 5.0), (one_ago, 0.0)]
    assert datetime.fromtimestamp(noon, UTC) == NOON


def test_a_shop_without_any_event_has_no_age() -> None:
    values, past = check_inputs.with_age({}, DS)
    assert "age_hours" not in values
    assert values["rows"] == 0
    assert past == {}
