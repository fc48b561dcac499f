"""Row rules of every table: what a good row is, said once.

The intake refuses rows by the critical rules here, and Great Expectations
later checks the very same predicates on what was let through.
"""

from __future__ import annotations

from expectations import input_rules as inputs
from expectations import output_rules as outputs
from expectations.input_rules import EVENT_TYPES
from expectations.rule import Rule, Severity, broken

__all__ = ["EVENT_TYPES", "Rule", "Severity", "broken", "row_rules"]


def row_rules(table: str) -> tuple[Rule, ...]:
    """The rules of one table, by its name in the registry; `events` means `events_clean`.

    Raises `KeyError` for a table that has none: every table must have some.
    """
    return _RULES["events_clean" if table == "events" else table]


_RULES: dict[str, tuple[Rule, ...]] = {
    "events_clean": inputs.EVENTS,
    "products": inputs.PRODUCTS,
    "users": inputs.USERS,
    "quarantine": inputs.QUARANTINE,
    "intake": inputs.INTAKE,
    "user_features": outputs.USER_FEATURES,
    "item_features": outputs.ITEM_FEATURES,
    "user_profiles": outputs.USER_PROFILES,
    "recommendations": outputs.RECOMMENDATIONS,
    "similar_items": outputs.SIMILAR_ITEMS,
    "audiences": outputs.AUDIENCES,
    "trending": outputs.TRENDING,
    "experiments": outputs.EXPERIMENTS,
    "product_descriptions": outputs.DESCRIPTIONS,
    "review_queue": outputs.REVIEW_QUEUE,
    "models": outputs.MODELS,
    "quality_metrics": outputs.QUALITY_METRICS,
    "runs": outputs.RUNS,
    "erasures": outputs.ERASURES,
}
