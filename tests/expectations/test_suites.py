"""The rules through the real Great Expectations, on Spark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from expectations.contracts import contract, key_unique
from expectations.rule import Rule
from expectations.rules import row_rules
from expectations.suites import FLOOR, Checked, Checks, Outcome
from jobs.lake.registry import BY_NAME
from jobs.spark import spark_schema
from tests.expectations.good_rows import GOOD, good

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture(scope="module")
def checks(spark: SparkSession) -> Checks:
    return Checks(spark)


def frame(spark: SparkSession, table: str, rows: list[dict[str, Any]]) -> DataFrame:
    names = BY_NAME[table].schema.names
    return spark.createDataFrame([tuple(r[n] for n in names) for r in rows], spark_schema(table))


def failed(checked: Checked) -> dict[str, int | None]:
    return {o.rule: o.broken for o in checked.failed}


def test_good_rows_pass(spark: SparkSession, checks: Checks) -> None:
    rows = [good("products"), good("products", product_id="p2")]
    rules = (*row_rules("products"), key_unique(("product_id", "ds")))
    checked = checks.run("good", frame(spark, "products", rows), rules, 1)
    assert checked.worst is None
    assert checked.rows == 2
    assert len(checked.outcomes) == len(rules) + 1


def test_broken_rows_are_counted_and_the_worst_severity_tells(spark: SparkSession, checks: Checks) -> None:
    rows = [
        good("products"),
        good("products", product_id="p2", price=None),
        good("products", product_id="p3", price=None, category=None),
    ]
    checked = checks.run("warn", frame(spark, "products", rows), row_rules("products"), 1)
    assert failed(checked) == {"price_present": 2, "category_present": 1}
    assert checked.worst == "warning"
    assert checked.sentences("critical") == []
    assert checked.sentences("warning") == ["warn: 2 rows break price_present (the product has a price)"]

    rows.append(good("products", product_id="p4", attributes_en="oops"))
    checked = checks.run("crit", frame(spark, "products", rows), row_rules("products"), 1)
    assert checked.worst == "critical"
    assert failed(checked)["attributes_en_json"] == 1


def test_a_repeated_key_is_critical(spark: SparkSession, checks: Checks) -> None:
    rows = [good("users"), good("users"), good("users", user_id="u2")]
    checked = checks.run("twice", frame(spark, "users", rows), contract("users", ("user_id", "ds")).rules, 1)
    assert failed(checked) == {"key_unique": 2}
    assert checked.worst == "critical"


def test_an_empty_frame_fails_its_floor_and_passes_without_one(spark: SparkSession, checks: Checks) -> None:
    nothing = frame(spark, "users", [])
    checked = checks.run("empty", nothing, row_rules("users"), 1)
    assert failed(checked) == {FLOOR: 0}
    assert checked.sentences("critical") == ["empty: 0 rows, where at least 1 must be"]
    checked = checks.run("may-be-empty", nothing, row_rules("users"), 0)
    assert checked.worst is None
    assert checked.rows == 0


def test_what_cannot_be_evaluated_is_critical(spark: SparkSession, checks: Checks) -> None:
    rows = frame(spark, "users", [good("users")])
    absent = Rule("absent", "no_such_column > 0", "info", (), "never")
    assert checks.run("absent", rows, (absent,), 1).worst == "critical"
    # Division by zero stops Spark only when it runs: inside Great Expectations.
    raising = Rule("raises", "1 / length(substring(user_id, 1, 0)) > 0", "info", ("user_id",), "never")
    checked = checks.run("raising", rows, (raising,), 1)
    assert checked.worst == "critical"
    assert any("could not be checked" in s for s in checked.sentences("critical"))


def ranked(*rows: tuple[str, int | None, str]) -> list[dict[str, Any]]:
    return [good("recommendations", user_id=u, rank=r, product_id=p) for u, r, p in rows]


def test_lists_are_ranked_without_gaps_or_repeats(spark: SparkSession, checks: Checks) -> None:
    promise = contract("recommendations", ("user_id", "rank", "ds"))
    local = [r for r in promise.rules if not any(c.startswith("known_") for c in r.columns)]
    fine = ranked(("u1", 1, "a"), ("u1", 2, "b"), ("u2", 1, "a"))
    checked = checks.run("ranks", frame(spark, "recommendations", fine), local, 1)
    assert failed(checked) == {}
    gap = ranked(("u3", 1, "a"), ("u3", 3, "b"))
    late_start = ranked(("u4", 2, "a"), ("u4", 3, "b"), ("u4", 4, "c"))
    repeated_product = ranked(("u5", 1, "a"), ("u5", 2, "a"), ("u5", 3, "b"))
    repeated_rank = ranked(("u6", 1, "a"), ("u6", 1, "b"))
    rows = fine + gap + late_start + repeated_product + repeated_rank
    checked = checks.run("bad-ranks", frame(spark, "recommendations", rows), local, 1)
    assert failed(checked) == {
        "ranks_without_gaps": 2 + 3 + 2,
        "product_id_once_per_list": 2,
        "key_unique": 2,
    }


def test_every_audited_table_has_a_contract_with_a_unique_key() -> None:
    for table, spec in BY_NAME.items():
        promise = contract(table, spec.key)
        names = [r.name for r in promise.rules]
        assert "key_unique" in names
        assert len(set(names)) == len(names)
        for reference in promise.references:
            assert reference.column in spec.schema.names
            assert reference.to_key in BY_NAME[reference.to].schema.names


def test_data_docs_show_counts_and_no_value(spark: SparkSession, tmp_path: Path) -> None:
    own = Checks(spark)
    rows = [good("users", user_id="very-private-person\u0007"), good("users", city="Private-Town" * 30)]
    checked = own.run("users", frame(spark, "users", rows), row_rules("users"), 1)
    assert failed(checked) == {"user_id_well_formed": 1, "city_bounded": 1}
    index = own.build_docs(tmp_path / "docs")
    assert index.is_file()
    pages = {p: p.read_text() for p in (tmp_path / "docs").rglob("*.html")}
    text = "".join(pages.values())
    assert "user_id_well_formed" in text
    assert "not only blanks" in text
    assert any("validations" in str(p) for p in pages)
    assert "very-private" not in text
    assert "Private-Town" not in text


def test_what_stops_spark_quotes_no_value(spark: SparkSession, tmp_path: Path) -> None:
    own = Checks(spark)
    rows = frame(spark, "users", [good("users", user_id="very-private's-person")])
    rules = [
        Rule(name, f"CAST(user_id AS {kind}) > 0", "info", ("user_id",), "never")
        for name, kind in (("whole", "INT"), ("real", "DOUBLE"))
    ]
    checked = own.run("users", rows, rules, 1)
    assert [s for s in checked.sentences("critical") if "CAST_INVALID_INPUT" not in s] == []
    assert {o.rule for o in checked.failed} == {"whole", "real"}
    index = own.build_docs(tmp_path / "docs")
    text = "".join(p.read_text() for p in index.parent.rglob("*.html"))
    assert "CAST_INVALID_INPUT" in text
    for told in (*checked.sentences("critical"), text):
        assert "very-private" not in told


def test_outcomes_are_data() -> None:
    one = Outcome("a", "warning", False, 1, "doc")
    two = Outcome("b", "critical", True, 0, "doc")
    assert Checked("t", 3, (one, two)).worst == "warning"
    assert set(GOOD) == set(BY_NAME)
