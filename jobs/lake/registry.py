"""Every table of the lake, declared once.

The Iceberg schema, the staging checks, the audit, the docs page and the CLI
all read this registry: to add a table, add a `Table` here and its rules in
`expectations/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

UTC_TIME = pa.timestamp("us", tz="UTC")
STRING, DOUBLE, INT, LONG = pa.string(), pa.float64(), pa.int32(), pa.int64()
DATE, BOOL = pa.date32(), pa.bool_()
# The command, outside of any night, that forgets a shopper.
FORGET = "forget_user"


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    doc: str
    pii: bool = False


@dataclass(frozen=True)
class Table:
    """One published table: what it holds, who makes it, how it is kept.

    `partition` is the column whose values are replaced whole; `job` is the
    step that stages the table; `depends_on` names the tables it is made from.
    `retention_days`: maintenance drops partitions older than so many days; None: they are kept for ever.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    job: str
    depends_on: tuple[str, ...] = ()
    partition: str = "ds"
    owner: str = "data"
    retention_days: int | None = None
    schema: pa.Schema = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Every field is nullable: Spark writes nullable columns, and Iceberg
        # refuses a file whose optional column stands for a required one. What
        # may not be null is a rule in `expectations`.
        fields = [pa.field(c.name, c.type, nullable=True) for c in self.columns]
        object.__setattr__(self, "schema", pa.schema(fields))

    @property
    def pii(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.pii)


def _columns(*specs: tuple[str, pa.DataType, str], pii: tuple[str, ...] = ()) -> tuple[Column, ...]:
    return tuple(Column(n, t, d, n in pii) for n, t, d in specs)


_DS = ("ds", DATE, "the UTC date the row belongs to")
_USER = ("user_id", STRING, "the shopper")
_PRODUCT = ("product_id", STRING, "the product")

TABLES: tuple[Table, ...] = (
    Table(
        name="events_clean",
        doc="Every accepted event: one row per event id, in the day on which it happened.",
        columns=_columns(
            ("event_id", STRING, "unique id of the event"),
            ("user_id", STRING, "the shopper; null for an anonymous visit"),
            _PRODUCT,
            ("event_type", STRING, "view, favourite, cart, purchase or return"),
            ("event_time", UTC_TIME, "when it happened, UTC"),
            ("price", DOUBLE, "unit price, in the shop's currency"),
            ("quantity", INT, "units, at least 1 (a return counts the units that came back)"),
            ("platform", STRING, "web, app, store …"),
            ("session_id", STRING, "visit or order that groups events"),
            ("list_ds", DATE, "date of the list in `recommendations` that it came from; null where not said"),
            ("list_rank", INT, "the product's place in that list, 1 is the first"),
            ("source", STRING, "the mapping it came through"),
            ("arrived", DATE, "the day on which the shop received it; later than ds for a late event"),
            _DS,
            pii=("user_id", "session_id"),
        ),
        key=("event_id",),
        job="clean",
    ),
    Table(
        name="products",
        doc="The catalogue as of each date, with attributes in English and Chinese.",
        columns=_columns(
            _PRODUCT,
            ("title_en", STRING, "name in English"),
            ("title_zh", STRING, "name in Chinese"),
            ("category", STRING, "path, levels joined by ' > '"),
            ("brand", STRING, "brand"),
            ("price", DOUBLE, "list price"),
            ("currency", STRING, "ISO 4217 code"),
            ("in_stock", BOOL, "false: never recommended"),
            ("variant_of", STRING, "id of the parent product, for colours and sizes of one thing"),
            ("attributes_en", STRING, "JSON object, attribute name → value, English"),
            ("attributes_zh", STRING, "JSON object, attribute name → value, Chinese"),
            ("description_en", STRING, "copy a person wrote, where there is some, English"),
            ("description_zh", STRING, "copy a person wrote, where there is some, Chinese"),
            ("first_seen", DATE, "first day the product was known"),
            _DS,
        ),
        key=("product_id", "ds"),
        job="clean",
    ),
    Table(
        name="users",
        doc="The known shoppers as of each date.",
        columns=_columns(
            _USER,
            ("age_band", STRING, "such as 25-34"),
            ("gender", STRING, "as the shop recorded it"),
            ("city", STRING, "city or country"),
            ("first_seen", DATE, "first day the shopper was known"),
            _DS,
            pii=("user_id", "age_band", "gender", "city"),
        ),
        key=("user_id", "ds"),
        job="clean",
        depends_on=("events_clean",),
    ),
    Table(
        name="quarantine",
        doc="Every refused row, as it came, with the rules that it broke.",
        columns=_columns(
            ("source", STRING, "the mapping it came through"),
            ("entity", STRING, "events, products or users"),
            ("row_hash", STRING, "SHA-256 of the raw row, with its place among equal rows"),
            ("rules", STRING, "names of the broken rules, joined by commas"),
            ("raw", STRING, "the row as it came, as a JSON object"),
            ("file", STRING, "the file it stood in"),
            ("arrived", DATE, "the day on which the shop received it"),
            _DS,
            pii=("raw",),
        ),
        key=("source", "entity", "row_hash", "ds"),
        job="clean",
        retention_days=90,
    ),
    Table(
        name="intake",
        doc="Where every incoming row went: rows_in = good + quarantined + duplicates + forgotten.",
        columns=_columns(
            ("source", STRING, "the mapping"),
            ("entity", STRING, "events, products or users"),
            ("rows_in", LONG, "rows that arrived for this day"),
            ("good", LONG, "rows accepted"),
            ("quarantined", LONG, "rows refused"),
            ("duplicates", LONG, "rows dropped as duplicates or superseded versions"),
            ("late", LONG, "accepted rows that arrived after their day"),
            ("forgotten", LONG, "rows left out or taken out again: of shoppers who are to be forgotten"),
            _DS,
        ),
        key=("source", "entity", "ds"),
        job="clean",
    ),
    Table(
        name="user_features",
        doc="What models read of a shopper, from events up to the date.",
        columns=_columns(
            _USER,
            ("views_30d", LONG, "views in the last 30 days"),
            ("carts_30d", LONG, "carts in the last 30 days"),
            ("purchases_30d", LONG, "purchases in the last 30 days"),
            ("views", LONG, "views ever"),
            ("carts", LONG, "carts ever"),
            ("purchases", LONG, "purchases ever"),
            ("returns", LONG, "returns ever"),
            ("spend_30d", DOUBLE, "price × quantity of purchases in the last 30 days"),
            ("spend", DOUBLE, "price × quantity of purchases, ever"),
            ("mean_price", DOUBLE, "mean unit price of purchases, ever"),
            ("active_days", LONG, "days with at least one event, ever"),
            ("sessions", LONG, "distinct sessions ever"),
            ("products", LONG, "distinct products touched, ever"),
            ("recency_days", INT, "days since the last event"),
            ("tenure_days", INT, "days since the first event"),
            _DS,
            pii=("user_id",),
        ),
        key=("user_id", "ds"),
        job="features",
        retention_days=730,
        depends_on=("events_clean", "users"),
    ),
    Table(
        name="item_features",
        doc="What models read of a product, from events up to the date.",
        columns=_columns(
            _PRODUCT,
            ("category", STRING, "category path"),
            ("brand", STRING, "brand"),
            ("price", DOUBLE, "list price"),
            ("price_bucket", INT, "decile of price inside the catalogue, 0 to 9; null without a price"),
            ("in_stock", BOOL, "can be bought"),
            ("views_7d", LONG, "views in the last 7 days"),
            ("carts_7d", LONG, "carts in the last 7 days"),
            ("purchases_7d", LONG, "purchases in the last 7 days"),
            ("purchases_30d", LONG, "purchases in the last 30 days"),
            ("purchases", LONG, "purchases ever"),
            ("returns", LONG, "returns ever"),
            ("buyers", LONG, "distinct buyers ever"),
            ("revenue_30d", DOUBLE, "price × quantity of purchases in the last 30 days"),
            ("popularity", DOUBLE, "purchases, each decayed with a half-life of 7 days"),
            ("age_days", INT, "days since first seen"),
            _DS,
        ),
        key=("product_id", "ds"),
        job="features",
        depends_on=("events_clean", "products"),
    ),
    Table(
        name="user_profiles",
        doc="What people read of a shopper: recency, frequency, spend, tastes, habits.",
        columns=_columns(
            _USER,
            ("segment", STRING, "new, active, loyal, at_risk, dormant or prospect"),
            ("recency_days", INT, "days since the last purchase; null without one"),
            ("frequency", LONG, "orders ever (distinct purchase sessions, else days)"),
            ("monetary", DOUBLE, "price × quantity of purchases, less returns, ever"),
            ("favourite_categories", STRING, "JSON array, at most 3, best first; of the last history_days"),
            ("favourite_brands", STRING, "JSON array, at most 3, best first; of the last history_days"),
            ("price_band", STRING, "low, mid or high: terciles of the catalogue's prices"),
            (
                "active_hours",
                STRING,
                "JSON array of UTC hours, at most 3, busiest first; of the last history_days",
            ),
            ("platforms", STRING, "JSON array of platforms, most used first; of the last history_days"),
            ("first_seen", DATE, "first day the shopper was known"),
            ("last_seen", DATE, "day of the last event"),
            _DS,
            pii=("user_id", "segment", "favourite_categories", "favourite_brands", "active_hours"),
        ),
        key=("user_id", "ds"),
        job="features",
        retention_days=730,
        depends_on=("events_clean", "products", "users"),
    ),
    Table(
        name="recommendations",
        doc="For every known shopper, the products to show, best first.",
        columns=_columns(
            _USER,
            ("rank", INT, "1 is the best"),
            _PRODUCT,
            ("score", DOUBLE, "the model's score; comparable within one shopper's list"),
            ("probability", DOUBLE, "calibrated chance that the shopper buys it within 7 days"),
            ("reason", STRING, "why, in English, for the shopper to read"),
            ("reason_zh", STRING, "why, in Chinese"),
            ("reason_product_id", STRING, "the past product that contributed most, where there is one"),
            (
                "source",
                STRING,
                "item_graph, sequence, attributes, category_popularity or popularity: what gave most",
            ),
            ("model_version", STRING, "the version in `models`, or 7-day-popularity for the control arm"),
            ("experiment", STRING, "name of the experiment that the shopper is part of; null without one"),
            ("bucket", STRING, "the shopper's arm; model where there is no experiment"),
            _DS,
            pii=("user_id", "reason", "reason_zh", "reason_product_id"),
        ),
        key=("user_id", "rank", "ds"),
        job="recommend",
        retention_days=730,
        depends_on=("events_clean", "products", "users", "user_features", "item_features", "models"),
    ),
    Table(
        name="similar_items",
        doc="For every product, its neighbours, for product pages and campaigns.",
        columns=_columns(
            _PRODUCT,
            ("rank", INT, "1 is the nearest"),
            ("similar_id", STRING, "the neighbour"),
            ("score", DOUBLE, "strength of the link"),
            ("source", STRING, "item_graph, or category where the graph has no link"),
            ("model_version", STRING, "the version in `models`"),
            _DS,
        ),
        key=("product_id", "rank", "ds"),
        job="recommend",
        depends_on=("events_clean", "products", "models"),
    ),
    Table(
        name="audiences",
        doc="For a product or a category, the shoppers most likely to buy it: the lists, turned round.",
        columns=_columns(
            ("audience", STRING, "product or category"),
            ("target", STRING, "the product's id, or the category's path"),
            ("rank", INT, "1 is the likeliest buyer; at most audience_cap"),
            _USER,
            ("probability", DOUBLE, "calibrated chance of a purchase within 7 days"),
            ("model_version", STRING, "the version in `models`"),
            _DS,
            pii=("user_id",),
        ),
        key=("audience", "target", "rank", "ds"),
        job="recommend",
        retention_days=730,
        depends_on=("recommendations", "products"),
    ),
    Table(
        name="trending",
        doc="What is bought or looked at unusually much now, in the shop and in each category.",
        columns=_columns(
            ("scope", STRING, "shop, or a category path: of each level, what lies below it is included"),
            ("rank", INT, "1 is the most unusual"),
            _PRODUCT,
            ("signal", STRING, "bought or looked_at: which of the two is unusual, the stronger if both are"),
            ("score", DOUBLE, "lower bound of how many times as much as usual, 95 % sure; above 1"),
            ("recent", LONG, "visitors a day, summed over the last 3 days, with this signal"),
            ("before", LONG, "the same over the 28 days before those"),
            ("expected", DOUBLE, "what recent would be if the product had kept its share of the scope"),
            _DS,
        ),
        key=("scope", "rank", "ds"),
        job="features",
        depends_on=("events_clean", "products"),
    ),
    Table(
        name="experiments",
        doc="What the arms of an experiment made of their lists; empty where none is on.",
        columns=_columns(
            ("experiment", STRING, "its name"),
            ("arm", STRING, "control, or an arm with other lists"),
            ("metric", STRING, "conversion, purchases, revenue or click_through, each per shopper"),
            ("users", LONG, "shoppers of the arm; null for an arm that is too small to be reported"),
            ("mean", DOUBLE, "mean over the arm's shoppers"),
            ("lift", DOUBLE, "mean over the control arm's mean, less 1; null for the control arm itself"),
            ("lift_low", DOUBLE, "lower end of the 95 % interval of the lift"),
            ("lift_high", DOUBLE, "upper end of the 95 % interval of the lift"),
            ("p_value", DOUBLE, "chance of such a difference of means if there were none (Welch, two-sided)"),
            (
                "srm_p_value",
                DOUBLE,
                "chance of such sizes of the arms, if drawn as set (chi-square); null where one is small",
            ),
            ("status", STRING, "ok or warning"),
            ("detail", STRING, "the sentence, where the status is not ok"),
            ("first_list", DATE, "date of the oldest list that was counted"),
            ("last_list", DATE, "date of the newest list that was counted"),
            _DS,
        ),
        key=("experiment", "arm", "metric", "ds"),
        job="ab_report",
        depends_on=("events_clean", "recommendations"),
    ),
    Table(
        name="product_descriptions",
        doc="Copy for every product, verified against its attributes.",
        columns=_columns(
            _PRODUCT,
            ("language", STRING, "en or zh"),
            ("channel", STRING, "title, bullets, description, ad_copy, ad_copy.<tone> or search_keywords"),
            ("text", STRING, "the copy; bullets and keywords one a line; null where it was refused"),
            ("tier", STRING, "model, retry, template or human: who wrote it; refused: nothing can be told"),
            ("checks", STRING, "JSON object, check → true or what failed in the last refused candidate"),
            (
                "content_hash",
                STRING,
                "hash of attributes, language, channel, model or description, rules and settings",
            ),
            ("model_version", STRING, "the version in `models`; null where no model was used"),
            ("ai_label", STRING, "the label that AI-written text must carry; null for human or no text"),
            _DS,
        ),
        key=("product_id", "language", "channel", "ds"),
        job="describe",
        depends_on=("products", "models"),
    ),
    Table(
        name="review_queue",
        doc="The copy of the night that a person should look at, riskiest first, with a random sample.",
        columns=_columns(
            ("rank", INT, "1 is to be looked at first; at most review_limit"),
            ("risk", STRING, "high, medium or low"),
            ("reasons", STRING, "JSON array of sentences: what speaks for a look, gravest first"),
            _PRODUCT,
            ("language", STRING, "as in `product_descriptions`"),
            ("channel", STRING, "as in `product_descriptions`"),
            ("text", STRING, "the published copy; null where it was refused"),
            ("tier", STRING, "who wrote it"),
            ("content_hash", STRING, "the row's hash in `product_descriptions`"),
            ("model_version", STRING, "the version in `models`; null where no model was used"),
            _DS,
        ),
        key=("product_id", "language", "channel", "ds"),
        job="review_queue",
        depends_on=("product_descriptions", "products"),
    ),
    Table(
        name="models",
        doc="Every model that was trained: its measures, the gate's verdict, where it lies.",
        columns=_columns(
            ("model", STRING, "recommender or writer"),
            ("version", STRING, "version; a pure function of inputs, code and seed"),
            ("kind", STRING, "what the model is"),
            ("verdict", STRING, "accepted or refused"),
            ("why", STRING, "the gate's sentence"),
            ("metrics", STRING, "JSON object: this model's measures on the holdout"),
            ("baseline", STRING, "JSON object: the baseline's measures on the same holdout"),
            ("incumbent", STRING, "JSON object: the measures of the model in service, same holdout"),
            ("location", STRING, "folder of its files"),
            ("trained_on", STRING, "JSON object: tables, dates, rows"),
            _DS,
        ),
        key=("model", "version", "ds"),
        job="publish",
        depends_on=("events_clean", "products"),
    ),
    Table(
        name="quality_metrics",
        doc="One number per table, metric and day: the history that anomaly checks compare with.",
        columns=_columns(
            ("table_name", STRING, "the table"),
            (
                "metric",
                STRING,
                "such as rows, null_share.user_id, age_hours; accepted_change: history begins anew here",
            ),
            ("value", DOUBLE, "the number"),
            ("status", STRING, "ok, warning or critical"),
            ("detail", STRING, "the sentence, where the status is not ok"),
            _DS,
        ),
        key=("table_name", "metric", "ds"),
        job="audit",
        depends_on=("events_clean", "products", "users", "recommendations", "product_descriptions"),
    ),
    Table(
        name="runs",
        doc="What each night did: inputs, outputs, rows, timings, versions.",
        columns=_columns(
            ("run_id", STRING, "the run"),
            ("ds", DATE, "its date"),
            ("started", UTC_TIME, "start of the first step"),
            ("ended", UTC_TIME, "moment of publish"),
            ("inputs", STRING, "JSON object: table → pinned metadata file"),
            ("outputs", STRING, "JSON object: table → rows staged"),
            ("steps", STRING, "JSON array: step, seconds, peak memory, rows"),
            ("options", STRING, "JSON object: the run's parameters"),
            ("versions", STRING, "JSON object: code and library versions"),
        ),
        key=("run_id",),
        job="publish",
        partition="run_id",
    ),
    Table(
        name="erasures",
        doc="Proof of who was forgotten, and what was removed: one row a shopper, without the shopper's id.",
        columns=_columns(
            ("user_hash", STRING, "keyed hash of the shopper's id: SHA-256 with the lake's own salt"),
            ("ds", DATE, "the UTC date on which the last rows were removed"),
            ("rows_removed", LONG, "rows removed, over all tables and the landing"),
            ("tables", STRING, "JSON object: table, or landing → rows removed"),
            ("files_rewritten", LONG, "files that were written again without the shopper"),
            ("files_removed", LONG, "files that were removed: older versions, unreachable ones, shards"),
        ),
        key=("user_hash",),
        job=FORGET,
        depends_on=("users",),
        partition="user_hash",
    ),
)

# What every night stages and publishes; `erasures` is published by who forgets.
NIGHTLY: tuple[Table, ...] = tuple(t for t in TABLES if t.job != FORGET)

BY_NAME: dict[str, Table] = {t.name: t for t in TABLES}
