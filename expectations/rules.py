"""Row rules: what a good row is, said once.

The intake refuses rows by the critical rules here, and Great Expectations
later checks the very same predicates on what was let through. A predicate is
Spark SQL over the table's columns; TRUE means good, and NULL counts as broken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]

MAX_ID = 200
MAX_TITLE = 1_000
MAX_ATTRIBUTES = 20_000
MAX_VALUE = 4_000
MAX_DESCRIPTION = 20_000
MAX_COPY = 4_000
EVENT_TYPES = ("view", "favourite", "cart", "purchase", "return")


@dataclass(frozen=True)
class Rule:
    """One statement about one row.

    `predicate` may use only `columns`. A row that breaks a critical rule is
    refused at the intake, and stops the night if it is found in a staged
    table; a warning is recorded and shown; `info` is only counted.
    """

    name: str
    predicate: str
    severity: Severity
    columns: tuple[str, ...]
    doc: str


def row_rules(table: str) -> tuple[Rule, ...]:
    """The rules of one table, by its name in the registry; `events` means `events_clean`.

    Raises `KeyError` for a table that has none: every table must have some.
    """
    return _RULES["events_clean" if table == "events" else table]


def broken(rule: Rule) -> str:
    """Spark SQL that is TRUE for a row that breaks the rule, never NULL."""
    return f"NOT coalesce({rule.predicate}, false)"


# Building blocks --------------------------------------------------------------------------------


def _one_of(values: tuple[str, ...]) -> str:
    return "(" + ", ".join(f"'{v}'" for v in values) + ")"


def _id(column: str, severity: Severity = "critical") -> tuple[Rule, ...]:
    """Ids travel in paths, URLs and logs: they are present, short and printable."""
    return (
        Rule(
            f"{column}_present",
            f"length(trim({column})) > 0",
            severity,
            (column,),
            f"{column} is given and not blank",
        ),
        Rule(
            f"{column}_well_formed",
            rf"{column} IS NULL OR (length({column}) <= {MAX_ID} AND NOT {column} RLIKE '\\p{{Cc}}')",
            "critical",
            (column,),
            f"{column} has at most {MAX_ID} characters and no control character",
        ),
    )


def _rule(
    name: str, predicate: str, columns: str, doc: str, severity: Severity = "critical"
) -> tuple[Rule, ...]:
    return (Rule(name, predicate, severity, tuple(columns.split()), doc),)


def _bounded(column: str, most: int) -> tuple[Rule, ...]:
    return _rule(
        f"{column}_bounded",
        f"{column} IS NULL OR length({column}) <= {most}",
        column,
        f"{column} has at most {most} characters",
    )


def _finite(
    column: str, low: float, high: float = 1e15, optional: bool = True
) -> tuple[Rule, ...]:
    """NaN compares as the largest number in Spark, so an upper bound refuses NaN and infinity alike."""
    null = f"{column} IS NULL OR " if optional else ""
    predicate = f"{null}{column} BETWEEN {low!r}D AND {high!r}D"
    return _rule(
        f"{column}_finite",
        predicate,
        column,
        f"{column} is a number from {low:g} to {high:g}",
    )


def _member(
    column: str,
    values: tuple[str, ...],
    optional: bool = False,
    severity: Severity = "critical",
) -> tuple[Rule, ...]:
    null = f"{column} IS NULL OR " if optional else ""
    return _rule(
        f"{column}_known",
        f"{null}{column} IN {_one_of(values)}",
        column,
        f"one of {values}",
        severity,
    )


def _counts(columns: str) -> tuple[Rule, ...]:
    predicate = " AND ".join(f"{c} >= 0" for c in columns.split())
    return _rule(
        "counts_not_negative",
        predicate,
        columns,
        "every count is given and not negative",
    )


def _within(part: str, whole: str) -> tuple[Rule, ...]:
    return _rule(
        f"{part}_within_{whole}",
        f"{part} <= {whole}",
        f"{part} {whole}",
        f"{part} is a part of {whole}",
    )


def _as_map(column: str) -> str:
    """A JSON object as a map; NULL for what does not parse or is no object, also under ANSI."""
    return (
        f"from_json({column}, 'map<string,string>', map('allowSingleQuotes', 'false'))"
    )


def _json_object(
    column: str, optional: bool = True, severity: Severity = "critical"
) -> tuple[Rule, ...]:
    null = f"{column} IS NULL OR " if optional else ""
    # Spark's parser stops at the closing brace and would let trailing text pass.
    predicate = f"{null}(trim({column}) LIKE '{{%}}' AND {_as_map(column)} IS NOT NULL)"
    return _rule(
        f"{column}_json", predicate, column, f"{column} is a JSON object", severity
    )


def _json_list(column: str, most: int) -> tuple[Rule, ...]:
    predicate = f"{column} IS NULL OR json_array_length({column}) <= {most}"
    return _rule(
        f"{column}_list",
        predicate,
        column,
        f"{column} is a JSON array of at most {most}",
    )


def _attributes(column: str) -> tuple[Rule, ...]:
    values = f"map_values({_as_map(column)})"
    return (
        *_json_object(column),
        *_bounded(column, MAX_ATTRIBUTES),
        *_rule(
            f"{column}_values_bounded",
            f"{column} IS NULL OR coalesce(forall({values}, v -> length(coalesce(v, '')) <= {MAX_VALUE}), true)",
            column,
            f"no attribute value in {column} is longer than {MAX_VALUE} characters",
        ),
    )


# The tables -------------------------------------------------------------------------------------

_EVENTS = (
    *_id("event_id"),
    *_id("product_id"),
    *_id("user_id", "info"),
    *_member("event_type", EVENT_TYPES),
    *_rule(
        "event_time_present",
        "event_time IS NOT NULL",
        "event_time",
        "event_time is a readable time",
    ),
    *_rule(
        "event_time_plausible",
        "event_time IS NULL OR event_time >= TIMESTAMP '2000-01-01 00:00:00 UTC'",
        "event_time",
        "the event is not from before 2000-01-01",
    ),
    *_rule(
        "not_from_the_future",
        # A device whose clock runs ahead around midnight is forgiven one day.
        "event_time IS NULL OR arrived IS NULL OR to_date(event_time) <= date_add(arrived, 1)",
        "event_time arrived",
        "the event did not happen more than a day after it arrived",
    ),
    *_finite("price", 0.0, 1e12),
    *_rule(
        "purchase_price_positive",
        "event_type IS NULL OR event_type <> 'purchase' OR price IS NULL OR price > 0",
        "event_type price",
        "a purchase has a price above zero, if it has one",
    ),
    *_rule(
        "purchase_has_price",
        "event_type IS NULL OR event_type <> 'purchase' OR price IS NOT NULL",
        "event_type price",
        "a purchase says its price; without one it counts for taste but not for spend",
        "warning",
    ),
    *_rule(
        "quantity_positive",
        "quantity IS NULL OR quantity >= 1",
        "quantity",
        "at least one unit, if said",
    ),
    *_rule(
        "quantity_plausible",
        "quantity IS NULL OR quantity <= 100000",
        "quantity",
        "no more than 100,000 units in one line",
        "warning",
    ),
    *_bounded("platform", MAX_ID),
    *_bounded("session_id", MAX_ID),
)

_PRODUCTS = (
    *_id("product_id"),
    *_rule(
        "title_present",
        "length(trim(coalesce(title_en, ''))) > 0 OR length(trim(coalesce(title_zh, ''))) > 0",
        "title_en title_zh",
        "the product has a title in at least one language",
    ),
    *_bounded("title_en", MAX_TITLE),
    *_bounded("title_zh", MAX_TITLE),
    *_bounded("category", MAX_TITLE),
    *_bounded("brand", MAX_ID),
    *_bounded("currency", 10),
    *_bounded("variant_of", MAX_ID),
    *_rule(
        "price_positive",
        "price IS NULL OR (price > 0 AND price < 1e12D)",
        "price",
        "the price, where there is one, is a number above zero",
    ),
    *_rule(
        "price_present",
        "price IS NOT NULL",
        "price",
        "the product has a price",
        "warning",
    ),
    *_rule(
        "category_present",
        "category IS NOT NULL",
        "category",
        "the product has a category",
        "info",
    ),
    *_attributes("attributes_en"),
    *_attributes("attributes_zh"),
    *_bounded("description_en", MAX_DESCRIPTION),
    *_bounded("description_zh", MAX_DESCRIPTION),
    *_rule(
        "not_its_own_variant",
        "variant_of IS NULL OR variant_of <> product_id",
        "variant_of product_id",
        "a product is not a variant of itself",
        "warning",
    ),
)

_USERS = (
    *_id("user_id"),
    *_bounded("age_band", MAX_ID),
    *_bounded("gender", MAX_ID),
    *_bounded("city", MAX_ID),
)

_QUARANTINE = (
    *_member("entity", ("events", "products", "users")),
    *_rule(
        "row_hash_present", "length(row_hash) > 0", "row_hash", "the row can be named"
    ),
    *_rule(
        "rules_named", "length(rules) > 0", "rules", "the row says which rules it broke"
    ),
    *_rule("raw_kept", "raw IS NOT NULL", "raw", "the row is kept as it came"),
)

_INTAKE = (
    *_member("entity", ("events", "products", "users")),
    *_counts("rows_in good quarantined duplicates late"),
    *_rule(
        "conservation",
        "rows_in = good + quarantined + duplicates",
        "rows_in good quarantined duplicates",
        "every row that came in was kept, refused or dropped as a duplicate",
    ),
    *_within("late", "good"),
)

_USER_FEATURES = (
    *_id("user_id"),
    *_counts(
        "views_30d carts_30d purchases_30d views carts purchases returns active_days sessions products"
    ),
    *_within("views_30d", "views"),
    *_within("carts_30d", "carts"),
    *_within("purchases_30d", "purchases"),
    *_finite("spend", 0.0),
    *_finite("spend_30d", 0.0),
    *_finite("mean_price", 0.0),
    *_rule(
        "recency_before_tenure",
        "recency_days IS NULL OR (recency_days >= 0 AND recency_days <= tenure_days)",
        "recency_days tenure_days",
        "the last event is not before the first, nor after the date: nothing from the future was read",
    ),
)

_ITEM_FEATURES = (
    *_id("product_id"),
    *_counts("views_7d carts_7d purchases_7d purchases_30d purchases returns buyers"),
    *_within("purchases_7d", "purchases_30d"),
    *_within("purchases_30d", "purchases"),
    *_within("buyers", "purchases"),
    *_finite("popularity", 0.0, optional=False),
    *_finite("revenue_30d", 0.0),
    *_rule(
        "price_bucket_decile",
        "price_bucket IS NULL OR price_bucket BETWEEN 0 AND 9",
        "price_bucket",
        "the price bucket is a decile, 0 to 9",
    ),
    *_rule(
        "age_not_negative",
        "age_days IS NULL OR age_days >= 0",
        "age_days",
        "the product was not first seen after the date",
    ),
)

_USER_PROFILES = (
    *_id("user_id"),
    *_member("segment", ("new", "active", "loyal", "at_risk", "dormant", "prospect")),
    *_member("price_band", ("low", "mid", "high"), optional=True),
    *_json_list("favourite_categories", 3),
    *_json_list("favourite_brands", 3),
    *_json_list("active_hours", 3),
    *_json_list("platforms", 1_000),
    *_rule(
        "frequency_not_negative", "frequency >= 0", "frequency", "orders are counted"
    ),
    *_finite("monetary", -1e15),
    *_rule(
        "seen_in_order",
        "last_seen IS NULL OR first_seen IS NULL OR first_seen <= last_seen",
        "first_seen last_seen",
        "a shopper is first seen before being last seen",
        "warning",
    ),
)

_RECOMMENDATIONS = (
    *_id("user_id"),
    *_id("product_id"),
    *_rule("rank_from_one", "rank >= 1", "rank", "ranks count from 1"),
    *_finite("score", -1e15, optional=False),
    *_rule(
        "probability_in_range",
        "probability BETWEEN 0D AND 1D",
        "probability",
        "the chance of a purchase lies in [0, 1]",
    ),
    *_member("source", ("item_graph", "category_popularity", "popularity")),
    *_rule(
        "reason_present",
        "length(trim(reason)) > 0",
        "reason",
        "the shopper can read why, in English",
    ),
    *_rule(
        "reason_zh_present",
        "length(trim(reason_zh)) > 0",
        "reason_zh",
        "and in Chinese",
    ),
    *_bounded("reason", MAX_COPY),
    *_bounded("reason_zh", MAX_COPY),
    *_rule(
        "model_version_present",
        "length(model_version) > 0",
        "model_version",
        "the row names its model",
    ),
)

_SIMILAR_ITEMS = (
    *_id("product_id"),
    *_id("similar_id"),
    *_rule("rank_from_one", "rank >= 1", "rank", "ranks count from 1"),
    *_rule(
        "not_itself",
        "similar_id <> product_id",
        "similar_id product_id",
        "no product is its own neighbour",
    ),
    *_finite("score", -1e15, optional=False),
    *_member("source", ("item_graph", "category")),
)

_DESCRIPTIONS = (
    *_id("product_id"),
    *_member("language", ("en", "zh")),
    *_rule(
        "channel_present",
        "length(channel) > 0",
        "channel",
        "the copy says where it is shown",
    ),
    *_member("tier", ("model", "retry", "template", "human")),
    *_rule("text_present", "length(trim(text)) > 0", "text", "there is copy"),
    # A person may write longer copy than a machine; it came in under the products' own bound.
    *_rule(
        "text_bounded",
        f"length(text) <= IF(tier = 'human', {MAX_DESCRIPTION}, {MAX_COPY})",
        "text tier",
        f"machine-written copy has at most {MAX_COPY} characters",
    ),
    *_rule(
        "no_placeholder_left",
        r"tier = 'human' OR NOT text RLIKE '<unk>|\\[UNK\\]|\\{\\{|\\}\\}|<[a-z_]+[0-9]*>|[\\p{Cc}&&[^\\n]]'",
        "text tier",
        "no placeholder or unknown token was left standing in the copy",
    ),
    *_rule(
        "chinese_is_chinese",
        r"language <> 'zh' OR text RLIKE '\\p{IsHan}'",
        "text language",
        "Chinese copy holds Chinese characters",
        "warning",
    ),
    *_rule(
        "ai_label_present",
        "tier NOT IN ('model', 'retry') OR length(trim(ai_label)) > 0",
        "tier ai_label",
        "text that a model wrote carries its label",
    ),
    *_rule(
        "no_ai_label_on_human_text",
        "tier <> 'human' OR ai_label IS NULL",
        "tier ai_label",
        "text that a person wrote carries no such label",
    ),
    *_rule(
        "model_version_present",
        "tier NOT IN ('model', 'retry') OR length(model_version) > 0",
        "tier model_version",
        "text that a model wrote names the model",
    ),
    *_rule(
        "content_hash_present",
        "length(content_hash) > 0",
        "content_hash",
        "the row can be kept unchanged",
    ),
    *_json_object("checks"),
)

_MODELS = (
    *_member("model", ("recommender", "writer")),
    *_rule(
        "version_present", "length(version) > 0", "version", "the model has a version"
    ),
    *_member("verdict", ("accepted", "refused")),
    *_rule("why_present", "length(why) > 0", "why", "the gate gave its reason"),
    *_json_object("metrics"),
)

_QUALITY_METRICS = (
    *_rule(
        "metric_named",
        "length(table_name) > 0 AND length(metric) > 0",
        "table_name metric",
        "has a name",
    ),
    *_member("status", ("ok", "warning", "critical")),
    *_finite("value", -1e15),
)

_RUNS = (
    *_id("run_id"),
    *_rule(
        "in_order", "started <= ended", "started ended", "a run ends after it starts"
    ),
    *_json_object("outputs"),
)

_RULES: dict[str, tuple[Rule, ...]] = {
    "events_clean": _EVENTS,
    "products": _PRODUCTS,
    "users": _USERS,
    "quarantine": _QUARANTINE,
    "intake": _INTAKE,
    "user_features": _USER_FEATURES,
    "item_features": _ITEM_FEATURES,
    "user_profiles": _USER_PROFILES,
    "recommendations": _RECOMMENDATIONS,
    "similar_items": _SIMILAR_ITEMS,
    "product_descriptions": _DESCRIPTIONS,
    "models": _MODELS,
    "quality_metrics": _QUALITY_METRICS,
    "runs": _RUNS,
}
