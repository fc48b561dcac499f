"""What a rule is, and the building blocks that rules are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

MAX_ID = 200
MAX_TITLE = 1_000
MAX_ATTRIBUTES = 20_000
MAX_VALUE = 4_000
MAX_DESCRIPTION = 20_000
MAX_COPY = 4_000


@dataclass(frozen=True)
class Rule:
    """One statement about one row.

    `predicate` is Spark SQL over `columns`: TRUE means good, NULL counts as
    broken. A row that breaks a critical rule is refused at the intake, and
    stops the night if it is found in a staged table; a warning is recorded
    and shown; `info` is only counted.
    """

    name: str
    predicate: str
    severity: Severity
    columns: tuple[str, ...]
    doc: str


def broken(rule: Rule) -> str:
    """Spark SQL that is TRUE for a row that breaks the rule, never NULL."""
    return f"NOT coalesce({rule.predicate}, false)"


def one_of(values: tuple[str, ...]) -> str:
    return "(" + ", ".join(f"'{v}'" for v in values) + ")"


def identifier(column: str, missing: Severity = "critical") -> tuple[Rule, ...]:
    """Ids travel in paths, URLs and logs: short, printable, not blank. `missing`: how grave a null is."""
    length = f"length(trim({column})) > 0 AND length({column}) <= {MAX_ID}"
    return (
        Rule(f"{column}_present", f"{column} IS NOT NULL", missing, (column,), f"{column} is given"),
        Rule(
            f"{column}_well_formed",
            rf"{column} IS NULL OR ({length} AND NOT {column} RLIKE '\\p{{Cc}}')",
            "critical",
            (column,),
            f"{column} has 1 to {MAX_ID} characters, not only blanks, and no control character",
        ),
    )


def rule(
    name: str, predicate: str, columns: str, doc: str, severity: Severity = "critical"
) -> tuple[Rule, ...]:
    return (Rule(name, predicate, severity, tuple(columns.split()), doc),)


def bounded(column: str, most: int) -> tuple[Rule, ...]:
    return rule(
        f"{column}_bounded",
        f"{column} IS NULL OR length({column}) <= {most}",
        column,
        f"{column} has at most {most} characters",
    )


def finite(column: str, low: float, high: float = 1e15, optional: bool = True) -> tuple[Rule, ...]:
    """NaN compares as the largest number in Spark, so an upper bound refuses NaN and infinity alike."""
    null = f"{column} IS NULL OR " if optional else ""
    predicate = f"{null}{column} BETWEEN {low!r}D AND {high!r}D"
    return rule(
        f"{column}_finite",
        predicate,
        column,
        f"{column} is a number from {low:g} to {high:g}",
    )


def member(
    column: str,
    values: tuple[str, ...],
    optional: bool = False,
    severity: Severity = "critical",
) -> tuple[Rule, ...]:
    null = f"{column} IS NULL OR " if optional else ""
    return rule(
        f"{column}_known",
        f"{null}{column} IN {one_of(values)}",
        column,
        f"one of {values}",
        severity,
    )


def counts(columns: str) -> tuple[Rule, ...]:
    predicate = " AND ".join(f"{c} >= 0" for c in columns.split())
    return rule(
        "counts_not_negative",
        predicate,
        columns,
        "every count is given and not negative",
    )


def within(part: str, whole: str) -> tuple[Rule, ...]:
    return rule(
        f"{part}_within_{whole}",
        f"{part} <= {whole}",
        f"{part} {whole}",
        f"{part} is a part of {whole}",
    )


def as_map(column: str) -> str:
    """A JSON object as a map; NULL for what does not parse or is no object, also under ANSI."""
    return f"from_json({column}, 'map<string,string>', map('allowSingleQuotes', 'false'))"


def json_object(column: str, optional: bool = True, severity: Severity = "critical") -> tuple[Rule, ...]:
    null = f"{column} IS NULL OR " if optional else ""
    # Spark's parser stops at the closing brace and would let trailing text pass.
    predicate = f"{null}(trim({column}) LIKE '{{%}}' AND {as_map(column)} IS NOT NULL)"
    return rule(f"{column}_json", predicate, column, f"{column} is a JSON object", severity)


def json_list(column: str, most: int) -> tuple[Rule, ...]:
    predicate = f"{column} IS NULL OR json_array_length({column}) <= {most}"
    return rule(
        f"{column}_list",
        predicate,
        column,
        f"{column} is a JSON array of at most {most}",
    )


def attributes(column: str) -> tuple[Rule, ...]:
    values = f"map_values({as_map(column)})"
    return (
        *json_object(column),
        *bounded(column, MAX_ATTRIBUTES),
        *rule(
            f"{column}_values_bounded",
            f"{column} IS NULL OR "
            f"coalesce(forall({values}, v -> length(coalesce(v, '')) <= {MAX_VALUE}), true)",
            column,
            f"no attribute value in {column} is longer than {MAX_VALUE} characters",
        ),
    )
