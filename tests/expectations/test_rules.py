"""Every rule, broken once: a good row with one value changed breaks that rule, and only that one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from expectations.rules import broken, row_rules
from jobs.lake.registry import BY_NAME
from jobs.spark import spark_schema
from tests.expectations.good_rows import DS, GOOD, NOON, good

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAN, INF = float("nan"), float("inf")
OLD, UNLISTED = datetime(1999, 12, 31, tzinfo=UTC), {"list_ds": None, "list_rank": None}
BELL = "a\u0007b"
REFUSED = {"tier": "refused", "text": None, "ai_label": None, "checks": '{"facts": "nothing to tell"}'}

# (table, the rules it breaks, what is changed in the good row)
BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("events_clean", "event_id_present", {"event_id": None}),
    ("events_clean", "event_id_well_formed", {"event_id": "  "}),
    ("events_clean", "event_id_well_formed", {"event_id": "x" * 201}),
    ("events_clean", "event_id_well_formed", {"event_id": BELL}),
    ("events_clean", "product_id_present", {"product_id": None}),
    ("events_clean", "product_id_well_formed", {"product_id": "a\nb"}),
    ("events_clean", "user_id_present", {"user_id": None}),
    ("events_clean", "user_id_well_formed", {"user_id": ""}),
    ("events_clean", "user_id_well_formed", {"user_id": BELL}),
    ("events_clean", "event_type_known", {"event_type": "wish"}),
    ("events_clean", "event_type_known", {"event_type": None}),
    ("events_clean", "event_time_present", {"event_time": None}),
    ("events_clean", "event_time_plausible", {"event_time": OLD, **UNLISTED}),
    ("events_clean", "not_from_the_future", {"event_time": NOON + timedelta(days=2)}),
    ("events_clean", "price_finite", {"price": -1.0, "event_type": "view"}),
    ("events_clean", "price_finite", {"price": NAN}),
    ("events_clean", "price_finite", {"price": INF}),
    ("events_clean", "purchase_price_positive", {"price": 0.0}),
    ("events_clean", "purchase_has_price", {"price": None}),
    ("events_clean", "quantity_positive", {"quantity": 0}),
    ("events_clean", "quantity_plausible", {"quantity": 100_001}),
    ("events_clean", "amount_plausible", {"price": 1e11, "quantity": 11}),
    ("events_clean", "amount_plausible,quantity_plausible", {"price": 2e7, "quantity": 2_147_483_647}),
    ("events_clean", "platform_bounded", {"platform": "x" * 201}),
    ("events_clean", "session_id_bounded", {"session_id": "x" * 201}),
    ("events_clean", "list_before_event", {"list_ds": date(2026, 1, 11)}),
    ("events_clean", "list_rank_plausible", {"list_rank": 0}),
    ("events_clean", "list_rank_plausible", {"list_rank": 1001}),
    ("events_clean", "list_named_whole", {"list_rank": None}),
    ("events_clean", "list_named_whole", {"list_ds": None}),
    ("products", "product_id_present", {"product_id": None}),
    ("products", "product_id_well_formed", {"product_id": BELL}),
    ("products", "title_present", {"title_en": " ", "title_zh": None}),
    ("products", "title_en_bounded", {"title_en": "x" * 1001}),
    ("products", "title_zh_bounded", {"title_zh": "杯" * 1001}),
    ("products", "category_bounded", {"category": "x" * 1001}),
    ("products", "brand_bounded", {"brand": "x" * 201}),
    ("products", "currency_bounded", {"currency": "x" * 11}),
    ("products", "variant_of_bounded", {"variant_of": "x" * 201}),
    ("products", "price_positive", {"price": 0.0}),
    ("products", "price_positive", {"price": NAN}),
    ("products", "price_present", {"price": None}),
    ("products", "category_present", {"category": None}),
    ("products", "attributes_en_json", {"attributes_en": "colour: red"}),
    ("products", "attributes_en_json", {"attributes_en": "[1]"}),
    ("products", "attributes_en_json", {"attributes_en": '{"a": 1} trailing'}),
    ("products", "attributes_en_json", {"attributes_en": "{'a': 1}"}),
    ("products", "attributes_en_values_bounded", {"attributes_en": f'{{"a": "{"x" * 10_000}"}}'}),
    ("products", "attributes_zh_json", {"attributes_zh": '{"a":'}),
    ("products", "attributes_zh_values_bounded", {"attributes_zh": f'{{"a": "{"杯" * 4001}"}}'}),
    ("products", "attributes_en_bounded", {"attributes_en": f'{{"{"x" * 20_000}": "a"}}'}),
    ("products", "attributes_zh_bounded", {"attributes_zh": f'{{"{"x" * 20_000}": "a"}}'}),
    ("products", "description_en_bounded", {"description_en": "x" * 20_001}),
    ("products", "description_zh_bounded", {"description_zh": "x" * 20_001}),
    ("products", "not_its_own_variant", {"variant_of": "p1"}),
    ("users", "user_id_present", {"user_id": None}),
    ("users", "user_id_well_formed", {"user_id": "x" * 201}),
    ("users", "age_band_bounded", {"age_band": "x" * 201}),
    ("users", "gender_bounded", {"gender": "x" * 201}),
    ("users", "city_bounded", {"city": "x" * 201}),
    ("quarantine", "entity_known", {"entity": "orders"}),
    ("quarantine", "row_hash_present", {"row_hash": None}),
    ("quarantine", "rules_named", {"rules": ""}),
    ("quarantine", "raw_kept", {"raw": None}),
    ("intake", "entity_known", {"entity": None}),
    ("intake", "counts_not_negative,conservation,late_within_good", {"good": None}),
    ("intake", "conservation", {"rows_in": 11}),
    ("intake", "conservation", {"forgotten": 1}),
    ("intake", "late_within_good", {"late": 8}),
    ("intake", "counts_not_negative", {"late": -1}),
    ("user_features", "user_id_present", {"user_id": None}),
    ("user_features", "user_id_well_formed", {"user_id": BELL}),
    ("user_features", "counts_not_negative", {"returns": -1}),
    ("user_features", "views_30d_within_views", {"views_30d": 7}),
    ("user_features", "carts_30d_within_carts", {"carts_30d": 5}),
    ("user_features", "purchases_30d_within_purchases", {"purchases_30d": 3}),
    ("user_features", "spend_finite", {"spend": -0.01}),
    ("user_features", "spend_30d_finite", {"spend_30d": INF}),
    ("user_features", "mean_price_finite", {"mean_price": NAN}),
    ("user_features", "recency_before_tenure", {"recency_days": 21}),
    ("user_features", "recency_before_tenure", {"recency_days": -1}),
    ("item_features", "product_id_present", {"product_id": None}),
    ("item_features", "product_id_well_formed", {"product_id": BELL}),
    ("item_features", "counts_not_negative", {"views_7d": None}),
    ("item_features", "purchases_7d_within_purchases_30d", {"purchases_7d": 3}),
    ("item_features", "purchases_30d_within_purchases", {"purchases_30d": 4}),
    ("item_features", "buyers_within_purchases", {"buyers": 4}),
    ("item_features", "popularity_finite", {"popularity": None}),
    ("item_features", "revenue_30d_finite", {"revenue_30d": NAN}),
    ("item_features", "price_bucket_decile", {"price_bucket": 10}),
    ("item_features", "age_not_negative", {"age_days": -1}),
    ("user_profiles", "user_id_present", {"user_id": None}),
    ("user_profiles", "user_id_well_formed", {"user_id": BELL}),
    ("user_profiles", "segment_known", {"segment": "vip"}),
    ("user_profiles", "price_band_known", {"price_band": "medium"}),
    ("user_profiles", "favourite_categories_list", {"favourite_categories": '["a","b","c","d"]'}),
    ("user_profiles", "favourite_brands_list", {"favourite_brands": "Acme"}),
    ("user_profiles", "active_hours_list", {"active_hours": "[1,2,3,4]"}),
    ("user_profiles", "platforms_list", {"platforms": "{}"}),
    ("user_profiles", "frequency_not_negative", {"frequency": None}),
    ("user_profiles", "monetary_finite", {"monetary": NAN}),
    ("user_profiles", "seen_in_order", {"first_seen": date(2026, 1, 11)}),
    ("recommendations", "user_id_present", {"user_id": None}),
    ("recommendations", "user_id_well_formed", {"user_id": BELL}),
    ("recommendations", "product_id_present", {"product_id": None}),
    ("recommendations", "product_id_well_formed", {"product_id": BELL}),
    ("recommendations", "rank_from_one", {"rank": 0}),
    ("recommendations", "score_finite", {"score": NAN}),
    ("recommendations", "score_finite", {"score": None}),
    ("recommendations", "probability_in_range", {"probability": 1.01}),
    ("recommendations", "probability_in_range", {"probability": NAN}),
    ("recommendations", "source_known", {"source": "magic"}),
    ("recommendations", "reason_present", {"reason": ""}),
    ("recommendations", "reason_zh_present", {"reason_zh": None}),
    ("recommendations", "reason_bounded", {"reason": "x" * 4001}),
    ("recommendations", "reason_zh_bounded", {"reason_zh": "x" * 4001}),
    ("recommendations", "model_version_present", {"model_version": None}),
    ("recommendations", "bucket_present", {"bucket": None}),
    ("recommendations", "bucket_present", {"bucket": ""}),
    ("recommendations", "experiment_bounded", {"experiment": "x" * 201}),
    ("audiences", "audience_known", {"audience": "shop"}),
    ("audiences", "target_present", {"target": None}),
    ("audiences", "rank_from_one", {"rank": 0}),
    ("audiences", "user_id_present", {"user_id": None}),
    ("audiences", "user_id_well_formed", {"user_id": BELL}),
    ("audiences", "probability_in_range", {"probability": 1.5}),
    ("audiences", "model_version_present", {"model_version": ""}),
    ("trending", "scope_present", {"scope": None}),
    ("trending", "rank_from_one", {"rank": 0}),
    ("trending", "product_id_present", {"product_id": None}),
    ("trending", "product_id_well_formed", {"product_id": BELL}),
    ("trending", "signal_known", {"signal": "hype"}),
    ("trending", "more_than_usual", {"score": 1.0}),
    ("trending", "more_than_usual", {"score": NAN}),
    ("trending", "counts_not_negative", {"before": None}),
    ("trending", "expected_finite", {"expected": None}),
    ("experiments", "arm_named", {"arm": ""}),
    ("experiments", "arm_named", {"experiment": None}),
    ("experiments", "metric_known", {"metric": "luck"}),
    ("experiments", "users_counted", {"users": 0}),
    ("experiments", "small_arm_withheld", {"users": None}),
    ("experiments", "mean_finite", {"mean": NAN}),
    ("experiments", "interval_holds_lift", {"lift": 0.4}),
    ("experiments", "interval_holds_lift", {"lift_low": None}),
    ("experiments", "p_values_in_range", {"p_value": 1.5}),
    ("experiments", "p_values_in_range", {"srm_p_value": NAN}),
    ("experiments", "status_known", {"status": "fine"}),
    ("experiments", "no_look_ahead", {"last_list": DS}),
    ("experiments", "no_look_ahead", {"first_list": None}),
    ("similar_items", "product_id_present", {"product_id": None}),
    ("similar_items", "product_id_well_formed", {"product_id": BELL}),
    ("similar_items", "similar_id_present", {"similar_id": None}),
    ("similar_items", "similar_id_well_formed", {"similar_id": BELL}),
    ("similar_items", "rank_from_one", {"rank": None}),
    ("similar_items", "not_itself", {"similar_id": "p1"}),
    ("similar_items", "score_finite", {"score": INF}),
    ("similar_items", "source_known", {"source": "popularity"}),
    ("product_descriptions", "product_id_present", {"product_id": None}),
    ("product_descriptions", "product_id_well_formed", {"product_id": BELL}),
    ("product_descriptions", "language_known", {"language": "fr"}),
    ("product_descriptions", "channel_known", {"channel": "search"}),
    ("product_descriptions", "channel_known", {"channel": "title\n"}),
    ("product_descriptions", "tier_known", {"tier": "intern", "ai_label": None}),
    ("product_descriptions", "text_present", {"text": "  ", "language": "en"}),
    ("product_descriptions", "refused_is_empty", REFUSED | {"text": "杯"}),
    ("product_descriptions", "refused_is_empty", REFUSED | {"ai_label": "AI"}),
    ("product_descriptions", "refused_says_why", REFUSED | {"checks": '{"facts": true}'}),
    ("product_descriptions", "text_bounded", {"text": "杯" * 4001}),
    ("product_descriptions", "no_placeholder_left", {"text": "<unk> 杯"}),
    ("product_descriptions", "no_placeholder_left", {"text": "{{brand}} 杯"}),
    ("product_descriptions", "no_placeholder_left", {"text": "杯 <brand_1>"}),
    ("product_descriptions", "no_placeholder_left", {"text": "杯\u0007"}),
    ("product_descriptions", "chinese_is_chinese", {"text": "A mug."}),
    ("product_descriptions", "ai_label_present", {"ai_label": None}),
    ("product_descriptions", "no_ai_label_on_human_text", {"tier": "human"}),
    ("product_descriptions", "model_version_present", {"model_version": None}),
    ("product_descriptions", "content_hash_present", {"content_hash": None}),
    ("product_descriptions", "checks_json", {"checks": "fine"}),
    ("review_queue", "rank_from_one", {"rank": 0}),
    ("review_queue", "risk_known", {"risk": "grave"}),
    ("review_queue", "reasons_given", {"reasons": "[]"}),
    ("review_queue", "reasons_given", {"reasons": None}),
    ("review_queue", "product_id_present", {"product_id": None}),
    ("review_queue", "product_id_well_formed", {"product_id": BELL}),
    ("review_queue", "language_known", {"language": "fr"}),
    ("review_queue", "channel_present", {"channel": ""}),
    ("review_queue", "tier_known", {"tier": "intern"}),
    ("review_queue", "text_present", {"text": " "}),
    ("review_queue", "text_present", {"text": None}),
    ("review_queue", "content_hash_present", {"content_hash": None}),
    ("models", "model_known", {"model": "other"}),
    ("models", "version_present", {"version": ""}),
    ("models", "verdict_known", {"verdict": "maybe"}),
    ("models", "why_present", {"why": None}),
    ("models", "metrics_json", {"metrics": "0.5"}),
    ("quality_metrics", "metric_named", {"metric": None}),
    ("quality_metrics", "status_known", {"status": "fine"}),
    ("quality_metrics", "value_finite", {"value": NAN}),
    ("runs", "run_id_present", {"run_id": None}),
    ("runs", "run_id_well_formed", {"run_id": BELL}),
    ("runs", "in_order", {"ended": NOON - timedelta(hours=1)}),
    ("runs", "outputs_json", {"outputs": "[]"}),
    ("erasures", "user_hash_keyed", {"user_hash": "zoe"}),
    ("erasures", "user_hash_keyed", {"user_hash": None}),
    ("erasures", "counts_not_negative", {"files_removed": -1}),
    ("erasures", "tables_json", {"tables": "[]"}),
]

# Rows that are unusual and right.
FINE: list[tuple[str, dict[str, Any]]] = [
    ("events_clean", {"price": 0.0, "event_type": "view"}),
    ("events_clean", {"quantity": None, "session_id": None, "platform": None}),
    ("events_clean", {"price": 1e12, "quantity": None}),
    ("events_clean", {"price": 1e10, "quantity": 100}),
    ("events_clean", {"event_time": NOON + timedelta(days=1)}),
    ("events_clean", {"list_ds": None, "list_rank": None}),
    ("events_clean", {"list_ds": DS}),
    ("recommendations", {"experiment": None}),
    ("intake", {"forgotten": None}),
    ("experiments", {"lift": None, "lift_low": None, "lift_high": None, "p_value": None}),
    ("experiments", {"users": None, "mean": None, "lift": None, "p_value": None, "status": "warning"}),
    ("products", {"title_en": None}),
    ("products", {"attributes_en": "{}", "attributes_zh": None}),
    ("products", {"attributes_en": '{"sizes": ["S", "M"], "note": null}'}),
    ("user_features", {"recency_days": None, "tenure_days": None, "mean_price": None}),
    ("user_profiles", {"favourite_brands": "[]", "price_band": None, "last_seen": None}),
    ("user_profiles", {"monetary": -5.0}),
    ("recommendations", {"score": -3.0, "probability": 0.0, "reason_product_id": None}),
    ("review_queue", {"tier": "refused", "text": None}),
    ("product_descriptions", {"tier": "human", "ai_label": None, "text": "杯" * 5000, "model_version": None}),
    ("product_descriptions", {"tier": "template", "ai_label": None, "model_version": None}),
    ("product_descriptions", REFUSED),
    ("product_descriptions", {"language": "en", "text": "Less than 5 < 6 mugs\nin two lines"}),
]


def broken_by(spark: SparkSession, table: str, rows: list[dict[str, Any]]) -> list[set[str]]:
    """The names of the rules that each row breaks, as Spark sees it."""
    from pyspark.sql import functions as F

    names = [f.name for f in spark_schema(table).fields]
    numbered = [(i, *(row[n] for n in names)) for i, row in enumerate(rows)]
    schema = spark_schema(table)
    from pyspark.sql.types import IntegerType, StructField, StructType

    frame = spark.createDataFrame(numbered, StructType([StructField("_i", IntegerType()), *schema.fields]))
    marks = [F.expr(broken(r)).alias(r.name) for r in row_rules(table)]
    found = frame.select("_i", *marks).orderBy("_i").collect()
    return [{k for k, v in row.asDict().items() if k != "_i" and v} for row in found]


@pytest.mark.parametrize("table", sorted(GOOD))
def test_each_change_breaks_its_rules_and_no_other(spark: SparkSession, table: str) -> None:
    cases = [(names, change) for t, names, change in BROKEN if t == table]
    fine = [change for t, change in FINE if t == table]
    rows = [good(table), *(good(table, **c) for c in fine), *(good(table, **c) for _, c in cases)]
    found = broken_by(spark, table, rows)
    for change, names in zip([{}, *fine], found, strict=False):
        assert names == set(), f"{table} {change} is fine"
    for (names, change), got in zip(cases, found[1 + len(fine) :], strict=True):
        assert got == set(names.split(",")), f"{table} {change}"


def test_every_table_has_rules_and_every_rule_is_broken_here() -> None:
    for table, spec in BY_NAME.items():
        rules = row_rules(table)
        assert len({r.name for r in rules}) == len(rules), f"{table}: a name stands twice"
        tested = {n for t, names, _ in BROKEN if t == table for n in names.split(",")}
        assert {r.name for r in rules} == tested, f"{table}: rules that nothing here breaks"
        for rule in rules:
            assert set(rule.columns) <= set(spec.schema.names), f"{table}.{rule.name}"
            assert rule.doc


def test_events_is_another_name_of_events_clean() -> None:
    assert row_rules("events") == row_rules("events_clean")


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        row_rules("orders")


def test_predicates_read_only_the_columns_they_name(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    for table in BY_NAME:
        frame = spark.createDataFrame([], spark_schema(table))
        for rule in row_rules(table):
            assert frame.select(*rule.columns).select(F.expr(rule.predicate)).columns, rule.name


def test_the_good_rows_are_of_one_day() -> None:
    assert {row["ds"] for row in GOOD.values()} == {DS}
