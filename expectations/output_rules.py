"""Rules of what the night writes: features, recommendations, copy, models, metrics."""

from __future__ import annotations

from expectations.rule import (
    MAX_COPY,
    MAX_DESCRIPTION,
    MAX_ID,
    bounded,
    counts,
    finite,
    identifier,
    json_list,
    json_object,
    member,
    rule,
    within,
)

USER_FEATURES = (
    *identifier("user_id"),
    *counts("views_30d carts_30d purchases_30d views carts purchases returns active_days sessions products"),
    *within("views_30d", "views"),
    *within("carts_30d", "carts"),
    *within("purchases_30d", "purchases"),
    *finite("spend", 0.0),
    *finite("spend_30d", 0.0),
    *finite("mean_price", 0.0),
    *rule(
        "recency_before_tenure",
        "recency_days IS NULL OR (recency_days >= 0 AND recency_days <= tenure_days)",
        "recency_days tenure_days",
        "the last event is not before the first, nor after the date: nothing from the future was read",
    ),
)

ITEM_FEATURES = (
    *identifier("product_id"),
    *counts("views_7d carts_7d purchases_7d purchases_30d purchases returns buyers"),
    *within("purchases_7d", "purchases_30d"),
    *within("purchases_30d", "purchases"),
    *within("buyers", "purchases"),
    *finite("popularity", 0.0, optional=False),
    *finite("revenue_30d", 0.0),
    *rule(
        "price_bucket_decile",
        "price_bucket IS NULL OR price_bucket BETWEEN 0 AND 9",
        "price_bucket",
        "the price bucket is a decile, 0 to 9",
    ),
    *rule(
        "age_not_negative",
        "age_days IS NULL OR age_days >= 0",
        "age_days",
        "the product was not first seen after the date",
    ),
)

USER_PROFILES = (
    *identifier("user_id"),
    *member("segment", ("new", "active", "loyal", "at_risk", "dormant", "prospect")),
    *member("price_band", ("low", "mid", "high"), optional=True),
    *json_list("favourite_categories", 3),
    *json_list("favourite_brands", 3),
    *json_list("active_hours", 3),
    *json_list("platforms", 1_000),
    *rule("frequency_not_negative", "frequency >= 0", "frequency", "orders are counted"),
    *finite("monetary", -1e15),
    *rule(
        "seen_in_order",
        "last_seen IS NULL OR first_seen IS NULL OR first_seen <= last_seen",
        "first_seen last_seen",
        "a shopper is first seen before being last seen",
        "warning",
    ),
)

RECOMMENDATIONS = (
    *identifier("user_id"),
    *identifier("product_id"),
    *rule("rank_from_one", "rank >= 1", "rank", "ranks count from 1"),
    *finite("score", -1e15, optional=False),
    *rule(
        "probability_in_range",
        "probability BETWEEN 0D AND 1D",
        "probability",
        "the chance of a purchase lies in [0, 1]",
    ),
    *member("source", ("item_graph", "sequence", "attributes", "category_popularity", "popularity")),
    *rule(
        "reason_present",
        "length(trim(reason)) > 0",
        "reason",
        "the shopper can read why, in English",
    ),
    *rule(
        "reason_zh_present",
        "length(trim(reason_zh)) > 0",
        "reason_zh",
        "and in Chinese",
    ),
    *bounded("reason", MAX_COPY),
    *bounded("reason_zh", MAX_COPY),
    *rule(
        "model_version_present",
        "length(model_version) > 0",
        "model_version",
        "the row names its model",
    ),
    *rule(
        "bucket_present",
        f"length(bucket) BETWEEN 1 AND {MAX_ID}",
        "bucket",
        "the row says which arm the shopper is in",
    ),
    *bounded("experiment", MAX_ID),
)

SIMILAR_ITEMS = (
    *identifier("product_id"),
    *identifier("similar_id"),
    *rule("rank_from_one", "rank >= 1", "rank", "ranks count from 1"),
    *rule(
        "not_itself",
        "coalesce(similar_id <> product_id, true)",
        "similar_id product_id",
        "no product is its own neighbour",
    ),
    *finite("score", -1e15, optional=False),
    *member("source", ("item_graph", "category")),
)

AUDIENCES = (
    *member("audience", ("product", "category")),
    *rule("target_present", "length(target) > 0", "target", "the row says what is to be bought"),
    *rule("rank_from_one", "rank >= 1", "rank", "ranks count from 1"),
    *identifier("user_id"),
    *rule(
        "probability_in_range",
        "probability BETWEEN 0D AND 1D",
        "probability",
        "the chance of a purchase lies in [0, 1]",
    ),
    *rule(
        "model_version_present",
        "length(model_version) > 0",
        "model_version",
        "the row names its model",
    ),
)

TRENDING = (
    *rule("scope_present", "length(scope) > 0", "scope", "the row says where the product is trending"),
    *rule("rank_from_one", "rank >= 1", "rank", "ranks count from 1"),
    *identifier("product_id"),
    *member("signal", ("bought", "looked_at")),
    *rule("more_than_usual", "score > 1D AND score < 1e15D", "score", "it is surely more than usual"),
    *counts("recent before"),
    *finite("expected", 0.0, optional=False),
)

EXPERIMENTS = (
    *rule(
        "arm_named",
        "length(experiment) > 0 AND length(arm) > 0",
        "experiment arm",
        "the row names experiment and arm",
    ),
    *member("metric", ("conversion", "purchases", "revenue", "click_through")),
    *rule("users_counted", "users IS NULL OR users >= 1", "users", "an arm without shoppers has no row"),
    *rule(
        "small_arm_withheld",
        "users IS NOT NULL OR (mean IS NULL AND lift IS NULL AND p_value IS NULL)",
        "users mean lift p_value",
        "an arm that is too small to be reported shows no number",
    ),
    *finite("mean", 0.0),
    *rule(
        "interval_holds_lift",
        "lift IS NULL OR coalesce(lift BETWEEN lift_low AND lift_high, false)",
        "lift lift_low lift_high",
        "the lift lies in its interval",
    ),
    *rule(
        "p_values_in_range",
        "(p_value IS NULL OR p_value BETWEEN 0D AND 1D) AND "
        "(srm_p_value IS NULL OR srm_p_value BETWEEN 0D AND 1D)",
        "p_value srm_p_value",
        "a p-value lies in [0, 1]",
    ),
    *member("status", ("ok", "warning")),
    *rule(
        "no_look_ahead",
        "last_list < ds AND first_list <= last_list",
        "first_list last_list ds",
        "only lists that a day of events followed are counted",
    ),
)

DESCRIPTIONS = (
    *identifier("product_id"),
    *member("language", ("en", "zh")),
    *rule(
        "channel_known",
        r"channel RLIKE '^(title|bullets|description|ad_copy(\\.[a-z_]+)?|search_keywords)\\z'",
        "channel",
        "one of the channels of copy; ad copy of a further tone is ad_copy.<tone>",
    ),
    *member("tier", ("model", "retry", "template", "human", "refused")),
    *rule("text_present", "tier = 'refused' OR length(trim(text)) > 0", "text tier", "there is copy"),
    *rule(
        "refused_is_empty",
        "tier <> 'refused' OR (text IS NULL AND ai_label IS NULL)",
        "text tier ai_label",
        "where copy was refused there is none",
    ),
    *rule(
        "refused_says_why",
        "tier <> 'refused' OR checks RLIKE ': *\"'",
        "tier checks",
        "where copy was refused, a check says why",
    ),
    # A person may write longer copy than a machine; it came in under the products' own bound.
    *rule(
        "text_bounded",
        f"tier = 'refused' OR length(text) <= IF(tier = 'human', {MAX_DESCRIPTION}, {MAX_COPY})",
        "text tier",
        f"machine-written copy has at most {MAX_COPY} characters",
    ),
    *rule(
        "no_placeholder_left",
        r"tier IN ('human', 'refused') OR "
        r"NOT text RLIKE '<unk>|\\[UNK\\]|\\{\\{|\\}\\}|<[a-z_]+[0-9]*>|[\\p{Cc}&&[^\\n]]'",
        "text tier",
        "no placeholder or unknown token was left standing in the copy",
    ),
    *rule(
        "chinese_is_chinese",
        r"language <> 'zh' OR tier = 'refused' OR text RLIKE '\\p{IsHan}'",
        "text language tier",
        "Chinese copy holds Chinese characters",
        "warning",
    ),
    *rule(
        "ai_label_present",
        "tier NOT IN ('model', 'retry') OR length(trim(ai_label)) > 0",
        "tier ai_label",
        "text that a model wrote carries its label",
    ),
    *rule(
        "no_ai_label_on_human_text",
        "tier <> 'human' OR ai_label IS NULL",
        "tier ai_label",
        "text that a person wrote carries no such label",
    ),
    *rule(
        "model_version_present",
        "tier NOT IN ('model', 'retry') OR length(model_version) > 0",
        "tier model_version",
        "text that a model wrote names the model",
    ),
    *rule(
        "content_hash_present",
        "length(content_hash) > 0",
        "content_hash",
        "the row can be kept unchanged",
    ),
    *json_object("checks"),
)

REVIEW_QUEUE = (
    *rule("rank_from_one", "rank >= 1", "rank", "ranks count from 1"),
    *member("risk", ("high", "medium", "low")),
    *rule(
        "reasons_given",
        "json_array_length(reasons) >= 1",
        "reasons",
        "the row says why a person should look at it",
    ),
    *identifier("product_id"),
    *member("language", ("en", "zh")),
    *rule("channel_present", "length(channel) > 0", "channel", "the row says where the copy is shown"),
    *member("tier", ("model", "retry", "template", "human", "refused")),
    *rule(
        "text_present", "tier = 'refused' OR length(trim(text)) > 0", "text tier", "there is copy to judge"
    ),
    *rule("content_hash_present", "length(content_hash) > 0", "content_hash", "the copy can be traced"),
)

MODELS = (
    *member("model", ("recommender", "writer")),
    *rule("version_present", "length(version) > 0", "version", "the model has a version"),
    *member("verdict", ("accepted", "refused")),
    *rule("why_present", "length(why) > 0", "why", "the gate gave its reason"),
    *json_object("metrics"),
)

QUALITY_METRICS = (
    *rule(
        "metric_named",
        "length(table_name) > 0 AND length(metric) > 0",
        "table_name metric",
        "has a name",
    ),
    *member("status", ("ok", "warning", "critical")),
    *finite("value", -1e15),
)

RUNS = (
    *identifier("run_id"),
    *rule("in_order", "started <= ended", "started ended", "a run ends after it starts"),
    *json_object("outputs"),
)

ERASURES = (
    *rule("user_hash_keyed", r"user_hash RLIKE '^[0-9a-f]{64}\\z'", "user_hash", "a keyed hash, never an id"),
    *counts("rows_removed files_rewritten files_removed"),
    *json_object("tables"),
)
