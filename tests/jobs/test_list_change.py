"""How much of the lists is new: by hand on a few rows, and against what is really in service."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from jobs.lake.publish import Publisher
from jobs.list_change import change, list_change
from tests.expectations.good_rows import DS, good
from tests.jobs.small_lake import put

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.night import Night
    from tests.conftest import MakeNight


def lists(**of: str) -> list[tuple[str, str]]:
    """`lists(u1="abc")`: the shopper and each product of the list."""
    return [(user, product) for user, products in of.items() for product in products]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (lists(u1="abcd"), lists(u1="abcd"), 0.0),
        # Another order is no change of what is shown.
        (lists(u1="abcd"), lists(u1="dcba"), 0.0),
        (lists(u1="abcd"), lists(u1="abxy"), 0.5),
        (lists(u1="abcd"), lists(u1="wxyz"), 1.0),
        # A mean over shoppers, not over rows; new and gone shoppers do not count.
        (lists(u1="ab", u2="abcd", gone="a"), lists(u1="xy", u2="abcd", new="q"), 0.5),
        # A longer list: what was added is new.
        (lists(u1="ab"), lists(u1="abcd"), 0.5),
        (lists(u1="ab"), lists(u2="ab"), None),
        ([], lists(u1="ab"), None),
    ],
)
def test_change(spark: SparkSession, before: Any, after: Any, expected: float | None) -> None:
    schema = "user_id string, product_id string"
    assert change(spark.createDataFrame(before, schema), spark.createDataFrame(after, schema)) == expected


def serve(night: Night, **of: str) -> None:
    """Publish lists of the night's date, as if they had passed an audit."""
    rows = [
        good("recommendations", user_id=user, rank=rank, product_id=product, ds=night.ds)
        for user, products in of.items()
        for rank, product in enumerate(products, start=1)
    ]
    put(night, "recommendations", rows, [night.ds])
    night.mark_audited("recommendations")


def publish(night: Night) -> None:
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())


@pytest.mark.usefixtures("spark")
def test_lists_are_held_against_those_in_service(make_night: MakeNight) -> None:
    yesterday = make_night((DS - timedelta(days=1)).isoformat(), run_id="yesterday")
    serve(yesterday, u1="ab", u2="ab")
    assert list_change(yesterday) is None, "the first night has nothing to be held against"
    publish(yesterday)

    today = make_night(DS.isoformat(), run_id="today")
    serve(today, u1="ab", u2="xy")
    assert list_change(today) == 0.5
    publish(today)

    # Made again, the night is held against what is shown now.
    again = make_night(DS.isoformat(), run_id="again")
    serve(again, u1="ab", u2="xy")
    assert list_change(again) == 0.0
    # A backfill is held against no later date.
    old = make_night((DS - timedelta(days=1)).isoformat(), run_id="old")
    serve(old, u1="xy", u2="ab")
    assert list_change(old) == 0.5
