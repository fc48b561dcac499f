"""What a published table promises as a whole: keys, order, references, coverage.

A contract is data: rules (also rules over windows and over joined tables),
the tables that it refers to, and the rows that it must cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from expectations.rule import Rule, Severity
from expectations.rules import row_rules


@dataclass(frozen=True)
class Reference:
    """A left join: `column` of the table with `to_key` of table `to`, same date.

    `adds` maps a new column to the Spark SQL over `to` that fills it; it is
    NULL where there is no such row, and NULL breaks a rule.
    """

    column: str
    to: str
    to_key: str
    adds: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Coverage:
    """Every key of table `of` must be in the table; `each`: once for each value of these settings.

    `match` names the table's own column that holds the key; `each` pairs a setting with the column that
    holds its values.
    """

    rule: Rule
    of: str
    of_key: str
    match: str
    each: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Contract:
    """All promises of one table; an empty table with `min_rows` above 0 is critical."""

    table: str
    rules: tuple[Rule, ...]
    min_rows: int = 0
    references: tuple[Reference, ...] = ()
    coverages: tuple[Coverage, ...] = field(default=())


def contract(table: str, key: Sequence[str]) -> Contract:
    """The contract of a table, by its name and key in the registry."""
    rules = (*row_rules(table), key_unique(key), *_SET_RULES.get(table, ()))
    references = _REFERENCES.get(table, ())
    return Contract(table, rules, _MIN_ROWS.get(table, 0), references, _COVERAGES.get(table, ()))


def key_unique(key: Sequence[str]) -> Rule:
    columns = ", ".join(key)
    predicate = f"count(1) OVER (PARTITION BY {columns}) = 1"
    return Rule("key_unique", predicate, "critical", tuple(key), f"one row for each {columns}")


def _rule(name: str, predicate: str, columns: str, doc: str, severity: Severity = "critical") -> Rule:
    return Rule(name, predicate, severity, tuple(columns.split()), doc)


def _ranks(owner: str) -> Rule:
    # With unique ranks, first rank 1 and as many ranks as the last one leave no room for a gap.
    window = f"OVER (PARTITION BY {', '.join([*owner.split(), 'ds'])})"
    predicate = f"min(rank) {window} = 1 AND max(rank) {window} = count(1) {window}"
    doc = f"ranks of each {owner or 'date'} run 1, 2, 3 …"
    return _rule("ranks_without_gaps", predicate, f"{owner} rank ds", doc)


def _once(owner: str, column: str) -> Rule:
    predicate = f"count(1) OVER (PARTITION BY {', '.join([*owner.split(), column, 'ds'])}) = 1"
    doc = f"no {column} stands twice in a list"
    return _rule(f"{column}_once_per_list", predicate, f"{owner} {column} ds", doc)


_PRODUCT = Reference("product_id", "products", "product_id", (("known_product", "true"),))
# A shop that does not say is taken to have it: only false means "never recommend".
_STOCKED = Reference(
    "product_id",
    "products",
    "product_id",
    (("known_product", "true"), ("known_in_stock", "coalesce(in_stock, true)")),
)
_USER = Reference("user_id", "users", "user_id", (("known_user", "true"),))
_PRODUCT_KNOWN = _rule("product_known", "known_product", "known_product", "the product is in the catalogue")
_USER_KNOWN = _rule("user_known", "known_user", "known_user", "the shopper is known")

_SET_RULES: dict[str, tuple[Rule, ...]] = {
    "events_clean": (
        _rule(
            "ds_is_day_of_event",
            "ds = to_date(event_time)",
            "ds event_time",
            "the event lies in the day on which it happened",
        ),
    ),
    "recommendations": (
        _ranks("user_id"),
        _once("user_id", "product_id"),
        _USER_KNOWN,
        _PRODUCT_KNOWN,
        _rule(
            "product_in_stock", "known_in_stock", "known_in_stock", "the recommended product can be bought"
        ),
    ),
    "similar_items": (
        _ranks("product_id"),
        _once("product_id", "similar_id"),
        _PRODUCT_KNOWN,
        _rule("similar_known", "known_similar", "known_similar", "the neighbour is in the catalogue"),
    ),
    "audiences": (_ranks("audience target"), _once("audience target", "user_id"), _USER_KNOWN),
    "trending": (
        _ranks("scope"),
        _once("scope", "product_id"),
        _PRODUCT_KNOWN,
        _rule("product_in_stock", "known_in_stock", "known_in_stock", "what is trending can be bought"),
    ),
    "product_descriptions": (_PRODUCT_KNOWN,),
    "review_queue": (_ranks(""), _once("", "rank"), _PRODUCT_KNOWN),
    "item_features": (_PRODUCT_KNOWN,),
    "user_features": (_USER_KNOWN,),
    "user_profiles": (_USER_KNOWN,),
}

_REFERENCES: dict[str, tuple[Reference, ...]] = {
    "recommendations": (_USER, _STOCKED),
    "audiences": (_USER,),
    "trending": (_STOCKED,),
    "similar_items": (
        _PRODUCT,
        Reference("similar_id", "products", "product_id", (("known_similar", "true"),)),
    ),
    "product_descriptions": (_PRODUCT,),
    "review_queue": (_PRODUCT,),
    "item_features": (_PRODUCT,),
    "user_features": (_USER,),
    "user_profiles": (_USER,),
}

# A shop without one event, product, shopper or row of output has not been read right. A shop of one product
# has no neighbours: that warns, and stops nothing.
_MIN_ROWS = {
    "events_clean": 1,
    "products": 1,
    "users": 1,
    "intake": 1,
    "user_features": 1,
    "item_features": 1,
    "user_profiles": 1,
    "recommendations": 1,
    "product_descriptions": 1,
    "quality_metrics": 1,
}


def _covers(
    name: str, of: str, key: str, doc: str, severity: Severity, each: tuple[tuple[str, str], ...] = ()
) -> Coverage:
    return Coverage(_rule(name, "covered", "covered", doc, severity), of, key, key, each)


_COVERAGES: dict[str, tuple[Coverage, ...]] = {
    "recommendations": (
        _covers("every_user_has_a_list", "users", "user_id", "every known shopper has a list", "critical"),
    ),
    "product_descriptions": (
        _covers(
            "every_product_in_every_language",
            "products",
            "product_id",
            "every product has copy in every language and channel",
            "critical",
            each=(("languages", "language"), ("channels", "channel")),
        ),
    ),
    "similar_items": (
        _covers("every_product_has_neighbours", "products", "product_id", "every product has one", "warning"),
    ),
    "item_features": (
        _covers("every_product_has_features", "products", "product_id", "no product is left out", "warning"),
    ),
    "user_features": (
        _covers("every_user_has_features", "users", "user_id", "no shopper is left out", "warning"),
    ),
    "user_profiles": (
        _covers("every_user_has_a_profile", "users", "user_id", "no shopper is left out", "warning"),
    ),
}
