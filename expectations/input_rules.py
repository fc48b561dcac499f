"""Rules of what comes in: events, the catalogue, the shoppers, and what was refused."""

from __future__ import annotations

from expectations.rule import (
    MAX_DESCRIPTION,
    MAX_ID,
    MAX_TITLE,
    attributes,
    bounded,
    counts,
    finite,
    identifier,
    member,
    rule,
    within,
)

EVENT_TYPES = ("view", "favourite", "cart", "purchase", "return")

EVENTS = (
    *identifier("event_id"),
    *identifier("product_id"),
    *identifier("user_id", "info"),
    *member("event_type", EVENT_TYPES),
    *rule(
        "event_time_present",
        "event_time IS NOT NULL",
        "event_time",
        "event_time is a readable time",
    ),
    *rule(
        "event_time_plausible",
        "event_time IS NULL OR event_time >= TIMESTAMP '2000-01-01 00:00:00 UTC'",
        "event_time",
        "the event is not from before 2000-01-01",
    ),
    *rule(
        "not_from_the_future",
        # A device whose clock runs ahead around midnight is forgiven one day.
        "event_time IS NULL OR arrived IS NULL OR to_date(event_time) <= date_add(arrived, 1)",
        "event_time arrived",
        "the event did not happen more than a day after it arrived",
    ),
    *finite("price", 0.0, 1e12),
    *rule(
        "purchase_price_positive",
        "event_type IS NULL OR event_type <> 'purchase' OR price IS NULL OR price > 0",
        "event_type price",
        "a purchase has a price above zero, if it has one",
    ),
    *rule(
        "purchase_has_price",
        "event_type IS NULL OR event_type <> 'purchase' OR price IS NOT NULL",
        "event_type price",
        "a purchase says its price; without one it counts for taste but not for spend",
        "warning",
    ),
    *rule(
        "quantity_positive",
        "quantity IS NULL OR quantity >= 1",
        "quantity",
        "at least one unit, if said",
    ),
    *rule(
        "quantity_plausible",
        "quantity IS NULL OR quantity <= 100000",
        "quantity",
        "no more than 100,000 units in one line",
        "warning",
    ),
    *rule(
        "amount_plausible",
        # Sums of money are held to 1e15 when the night is audited: one mistyped line must not reach that.
        # Of a price that is no number `price_finite` tells.
        "price IS NULL OR NOT (price BETWEEN 0D AND 1e12D) "
        "OR price * greatest(coalesce(quantity, 1), 1) <= 1e12D",
        "price quantity",
        "price × quantity of a line is at most 1,000,000,000,000",
    ),
    *bounded("platform", MAX_ID),
    *bounded("session_id", MAX_ID),
    *rule(
        "list_before_event",
        # A list is dated by the day it was made from, and shown after it.
        "list_ds IS NULL OR event_time IS NULL OR list_ds <= to_date(event_time)",
        "list_ds event_time",
        "the list that the event came from is not of a later day",
    ),
    *rule(
        "list_rank_plausible",
        "list_rank IS NULL OR list_rank BETWEEN 1 AND 1000",
        "list_rank",
        "the place in the list counts from 1, to 1,000 at most",
    ),
    *rule(
        "list_named_whole",
        "(list_ds IS NULL) = (list_rank IS NULL)",
        "list_ds list_rank",
        "an event says both the list's date and the place in it, or neither",
        "warning",
    ),
)

PRODUCTS = (
    *identifier("product_id"),
    *rule(
        "title_present",
        "length(trim(coalesce(title_en, ''))) > 0 OR length(trim(coalesce(title_zh, ''))) > 0",
        "title_en title_zh",
        "the product has a title in at least one language",
    ),
    *bounded("title_en", MAX_TITLE),
    *bounded("title_zh", MAX_TITLE),
    *bounded("category", MAX_TITLE),
    *bounded("brand", MAX_ID),
    *bounded("currency", 10),
    *bounded("variant_of", MAX_ID),
    *rule(
        "price_positive",
        "price IS NULL OR (price > 0 AND price < 1e12D)",
        "price",
        "the price, where there is one, is a number above zero",
    ),
    *rule(
        "price_present",
        "price IS NOT NULL",
        "price",
        "the product has a price",
        "warning",
    ),
    *rule(
        "category_present",
        "category IS NOT NULL",
        "category",
        "the product has a category",
        "info",
    ),
    *attributes("attributes_en"),
    *attributes("attributes_zh"),
    *bounded("description_en", MAX_DESCRIPTION),
    *bounded("description_zh", MAX_DESCRIPTION),
    *rule(
        "not_its_own_variant",
        "variant_of IS NULL OR product_id IS NULL OR variant_of <> product_id",
        "variant_of product_id",
        "a product is not a variant of itself",
        "warning",
    ),
)

USERS = (
    *identifier("user_id"),
    *bounded("age_band", MAX_ID),
    *bounded("gender", MAX_ID),
    *bounded("city", MAX_ID),
)

QUARANTINE = (
    *member("entity", ("events", "products", "users")),
    *rule("row_hash_present", "length(row_hash) > 0", "row_hash", "the row can be named"),
    *rule("rules_named", "length(rules) > 0", "rules", "the row says which rules it broke"),
    *rule("raw_kept", "raw IS NOT NULL", "raw", "the row is kept as it came"),
)

INTAKE = (
    *member("entity", ("events", "products", "users")),
    *counts("rows_in good quarantined duplicates late"),
    *rule(
        "conservation",
        # Days from before anybody could be forgotten have no such count.
        "rows_in = good + quarantined + duplicates + coalesce(forgotten, 0L)",
        "rows_in good quarantined duplicates forgotten",
        "every row that came in was kept, refused, dropped as a duplicate, or is of a forgotten shopper",
    ),
    *within("late", "good"),
)
