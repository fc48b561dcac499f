from datetime import timedelta

import numpy as np
import pyarrow as pa

from jobs import recommender_data
from jobs.recommender_data import groups, load
from tests.jobs.toy_lake import COLD, DS, event, put, shop, stage_shop


def small(make_night, rows, **changes):
    """Two products, two shoppers, and these events."""
    night = make_night(ds=DS.isoformat(), **changes)
    days = sorted({r["ds"] for r in rows} | {DS})
    put(night, "events_clean", rows, days)
    put(night, "products", [{"product_id": p, "ds": DS} for p in ("p2", "p1")], [DS])
    put(night, "users", [{"user_id": u, "ds": DS} for u in ("u2", "u1")], [DS])
    return load(night)


def test_shoppers_of_the_table_come_first_and_products_are_sorted(make_night):
    rows = [event(DS, user_id="a-unknown", product_id="p0-gone"), event(DS, user_id="u2", product_id="p2")]
    found = small(make_night, rows)
    assert found.users.to_pylist() == ["u1", "u2", "a-unknown"]
    assert found.known == 2
    assert found.items.product_id.tolist() == ["p0-gone", "p1", "p2"]
    assert found.listed.tolist() == [False, True, True]
    assert found.items.in_stock.tolist() == [False, True, True]
    assert sorted(zip(found.events.user.tolist(), found.events.item.tolist(), strict=True)) == [
        (1, 2),
        (2, 0),
    ]


def test_nothing_later_than_the_date_is_seen(make_night):
    tomorrow = DS + timedelta(days=1)
    rows = [
        event(DS, event_id="now"),
        event(DS, event_id="late", arrived=tomorrow),
        event(tomorrow, event_id="future"),
        event(DS, event_id="misfiled", event_time=event(tomorrow)["event_time"]),
        event(DS - timedelta(days=10), event_id="old"),
    ]
    assert len(small(make_night, rows).events) == 2
    assert len(small(make_night, rows, history_days=10).events) == 1


def test_an_anonymous_visit_is_linked_to_who_signed_in_and_nobody_else(make_night):
    rows = [
        event(DS, user_id=None, session_id="s", product_id="p1"),
        event(DS, user_id="u1", session_id="s", product_id="p2"),
        event(DS, user_id=None, session_id="t", product_id="p1"),
        event(DS, user_id=None, session_id=None, product_id="p1"),
    ]
    events = small(make_night, rows).events
    assert sorted(events.user.tolist()) == [-1, -1, 0, 0]
    assert (events.session[events.user == 0] == events.session[events.user == 0][0]).all()
    assert sorted(events.session[events.user == -1].tolist())[0] == -1


def test_files_and_batches_leave_no_trace(make_night, monkeypatch):
    one = make_night(ds=DS.isoformat(), run_id="one")
    stage_shop(one)
    whole = load(one)
    monkeypatch.setattr(recommender_data, "CHUNK_ROWS", 50)
    parts = load(one)
    assert whole.fingerprint() == parts.fingerprint()
    assert np.array_equal(whole.events.session, parts.events.session)


def test_another_event_or_title_is_another_input(make_night):
    one, two = make_night(ds=DS.isoformat(), run_id="one"), make_night(ds=DS.isoformat(), run_id="two")
    stage_shop(one)
    stage_shop(two, more_events=[event(DS, event_id="x1")])
    assert load(one).fingerprint() != load(two).fingerprint()


def test_variants_share_a_parent_and_blank_text_is_no_category(make_night):
    night = make_night(ds=DS.isoformat())
    stage_shop(night, shop(n_users=3))
    items = load(night).items
    assert items.parent[4] == items.parent[5] == items.parent[6]
    assert len(np.unique(items.parent)) == len(items) - 2
    assert items.in_stock[2]
    assert not items.in_stock[3]
    index, values = groups(pa.chunked_array([["b", " ", None, "a", "b"]]))
    assert index.tolist() == [1, -1, -1, 0, 1]
    assert values.to_pylist() == ["a", "b"]


def test_a_variant_of_a_variant_is_one_of_the_same_product_and_a_circle_ends(make_night):
    night = make_night(ds=DS.isoformat())
    above = {"a": None, "b": "a", "c": "b", "d": "c", "e": "f", "f": "g", "g": "e", "h": "g", "i": "gone",
             "j": "gone", "k": "k", "l": " "}  # fmt: skip
    rows = [{"product_id": p, "variant_of": v, "ds": DS} for p, v in above.items()]
    put(night, "products", rows, [DS])
    parent = dict(zip(above, load(night).items.parent.tolist(), strict=True))
    together = [{p for p in above if parent[p] == one} for one in dict.fromkeys(parent.values())]
    assert together == [set("abcd"), set("efgh"), set("ij"), {"k"}, {"l"}]


def test_an_empty_shop_is_no_error(make_night):
    found = load(make_night(ds=DS.isoformat()))
    assert len(found.events) == len(found.items) == found.known == 0


def test_the_cold_shopper_is_there(make_night):
    night = make_night(ds=DS.isoformat())
    stage_shop(night, shop(n_users=3))
    found = load(night)
    assert found.users.to_pylist()[found.known - 1] == COLD
