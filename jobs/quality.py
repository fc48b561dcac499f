"""What `check_inputs` and `audit` share: contracts and measures of staged tables, on Spark.

The rules and verdicts live in `expectations`; this module reads exactly what
is staged, joins what a contract refers to, and measures each table once.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from expectations.anomaly import WEEKDAY_WINDOW_DAYS, Kind, Point, judge
from expectations.contracts import Contract, Coverage, contract
from expectations.suites import FLOOR, Checked, Checks, Outcome
from jobs.errors import GateFailed
from jobs.lake.registry import BY_NAME, Table
from jobs.night import Night
from jobs.spark import path, read, spark, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import Column

History = Mapping[tuple[str, str], Sequence[Point]]

# Measures beyond rows, null shares and distinct ids: name → Spark SQL aggregate.
_EXTRA: dict[str, dict[str, str]] = {
    "events_clean": {
        "purchases": "count_if(event_type = 'purchase')",
        "newest": "unix_seconds(max(event_time))",
    },
    "products": {"in_stock_share": "avg(if(coalesce(in_stock, true), 1D, 0D))"},
    "recommendations": {
        "mean_probability": "avg(probability)",
        # An experiment's control arm is shown nothing else, and falls back on nothing.
        "popularity_share": (
            "avg(if(experiment IS NOT NULL AND bucket = 'control', NULL, if(source = 'popularity', 1D, 0D)))"
        ),
    },
    "similar_items": {"fallback_share": "avg(if(source = 'category', 1D, 0D))"},
    "product_descriptions": {
        # Titles and keywords are made by rules: the description shows how the model does.
        "template_share": "avg(if(channel = 'description', if(tier = 'template', 1D, 0D), NULL))",
        "bullets_template_share": "avg(if(channel = 'bullets', if(tier = 'template', 1D, 0D), NULL))",
        "title_human_share": "avg(if(channel = 'title', if(tier = 'human', 1D, 0D), NULL))",
        "refused_share": "avg(if(tier = 'refused', 1D, 0D))",
        "mean_length": "avg(if(channel = 'description', length(text), NULL))",
        "channels": "count(DISTINCT channel)",
    },
}
_IDS = {"user_id": "users", "product_id": "products"}
# Of these more is better: only a fall is odd.
_GOOD = ("in_stock_share", "title_human_share")
# Set by whoever begins or ends an experiment: nothing of it is missing.
_AS_SET = ("null_share.experiment",)

# The row that a night leaves whose changes a person accepted: what came before is no measure of what follows.
ACCEPTED = ("quality_metrics", "accepted_change")


@dataclass(frozen=True)
class Measure:
    """One row of `quality_metrics`, but for its date."""

    table_name: str
    metric: str
    value: float
    status: str = "ok"
    detail: str = ""


# Rules ------------------------------------------------------------------------------------------


def staged(night: Night, table: str) -> DataFrame:
    """Exactly the files that this run staged of a table."""
    record = night.staging.record(table)
    if record is None:
        raise GateFailed(f"{table} is not staged in this run: run the step '{BY_NAME[table].job}' first")
    session = spark(night.settings)
    if not record.files:
        return session.createDataFrame([], spark_schema(table))
    return session.read.schema(spark_schema(table)).parquet(*[path(f) for f in record.files])


def check_tables(night: Night, checks: Checks, tables: Sequence[str]) -> list[Checked]:
    """Hold staged tables against their contracts: the rows of each, then what they must cover."""
    promises = [contract(table, BY_NAME[table].key) for table in tables]
    frames = [staged(night, table) for table in tables]
    done = []
    for promise, frame in zip(promises, frames, strict=True):
        joined = _with_references(night, frame, promise)
        done.append(checks.run(promise.table, joined, promise.rules, promise.min_rows))
    return done + _check_coverages(night, checks, promises)


def _with_references(night: Night, frame: DataFrame, promise: Contract) -> DataFrame:
    from pyspark.sql import functions as F

    for reference in promise.references:
        other = read(night, reference.to)
        added = [F.expr(sql).alias(name) for name, sql in reference.adds]
        other = other.select(F.col(reference.to_key).alias(reference.column), *added)
        frame = frame.join(other, reference.column, "left")
    return frame


def _check_coverages(night: Night, checks: Checks, promises: Sequence[Contract]) -> list[Checked]:
    """All coverages in one pass: each row is one key that must be there."""
    from pyspark.sql import functions as F

    todo = [(p.table, c) for p in promises for c in p.coverages]
    if not todo:
        return []
    frames = [_wanted(night, t, c).withColumn("coverage", F.lit(c.rule.name)) for t, c in todo]
    rules = []
    for table, coverage in todo:
        name = coverage.rule.name
        predicate = f"coverage <> '{name}' OR coalesce({coverage.rule.predicate}, false)"
        severity = "info" if limited(night, table) else coverage.rule.severity
        rules.append(replace(coverage.rule, predicate=predicate, severity=severity))
    checked = checks.run(f"coverage-of-{len(todo)}", reduce(DataFrame.unionByName, frames), rules)
    owner = {c.rule.name: t for t, c in todo}
    # What belongs to no single rule, such as an unreadable frame, is told of the first table.
    grouped: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in checked.outcomes:
        if outcome.rule != FLOOR or not outcome.ok:
            grouped[owner.get(outcome.rule, todo[0][0])].append(outcome)
    return [Checked(table, checked.rows, tuple(outcomes)) for table, outcomes in sorted(grouped.items())]


def _wanted(night: Night, table: str, coverage: Coverage) -> DataFrame:
    """One row for each key that must be in the table, its `covered` true where it is."""
    from pyspark.sql import functions as F

    wanted = read(night, coverage.of).select(F.col(coverage.of_key).alias(coverage.match))
    on = [coverage.match]
    for setting, column in coverage.each:
        values = F.array(*[F.lit(x) for x in dict.fromkeys(getattr(night.settings, setting))])
        wanted = wanted.select("*", F.explode(values).alias(column))
        on.append(column)
    there = staged(night, table).select(*on).distinct().withColumn("covered", F.lit(True))
    return wanted.join(there, on, "left").select("covered")


def limited(night: Night, table: str) -> bool:
    """Whether a person asked this run for only a part of the table."""
    options = night.options
    limits = {"recommendations": options.max_users, "product_descriptions": options.max_products}
    return limits.get(table) is not None


# Measures ---------------------------------------------------------------------------------------


def aggregates(spec: Table) -> dict[str, Column]:
    """What is measured of a table, each an aggregate: all of them take one pass."""
    from pyspark.sql import functions as F

    measures = {"rows": F.count(F.lit(1)).cast("double")}
    for column in spec.columns:
        if column.name not in (*spec.key, spec.partition):
            is_null = F.col(column.name).isNull().cast("double")
            measures[f"null_share.{column.name}"] = F.avg(is_null)
        if column.name in _IDS and spec.name not in _IDS.values():
            measures[_IDS[column.name]] = F.count_distinct(F.col(column.name)).cast("double")
    for name, sql in _EXTRA.get(spec.name, {}).items():
        measures[name] = F.expr(sql).cast("double")
    return measures


def measure(frames: Mapping[str, DataFrame]) -> dict[str, dict[str, float]]:
    """Table → metric → value, of all frames in one Spark job.

    A measure of nothing, such as a share of no rows, is left out.
    """
    from pyspark.sql import functions as F

    parts = []
    for table, frame in frames.items():
        measures = aggregates(BY_NAME[table])
        one = frame.agg(*[c.alias(n) for n, c in measures.items()])
        pairs = [x for n in measures for x in (F.lit(n), F.col(f"`{n}`"))]
        parts.append(one.select(F.lit(table).alias("table"), F.create_map(*pairs).alias("values")))
    found = reduce(DataFrame.unionAll, parts).collect() if parts else []
    return {row["table"]: _known(row["values"]) for row in found}


def measure_days(frame: DataFrame, spec: Table) -> dict[date, dict[str, float]]:
    """As `measure`, for each `ds` of the frame."""
    columns = [c.alias(n) for n, c in aggregates(spec).items()]
    return {row["ds"]: _known(row.asDict()) for row in frame.groupBy("ds").agg(*columns).collect()}


def _known(values: Mapping[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in values.items() if k != "ds" and v is not None}


def kind_of(metric: str) -> Kind | None:
    """How a metric is judged; None: only recorded."""
    if metric in ("rows", "users", "products", "purchases"):
        return "volume"
    if metric in _GOOD:
        return "good_share"
    if metric in _AS_SET:
        return None
    if metric.startswith("null_share.") or metric.endswith("_share"):
        return "share"
    return "age" if metric == "age_hours" else None


def history(night: Night) -> dict[tuple[str, str], list[Point]]:
    """(table, metric) → what earlier nights published, oldest first; `ACCEPTED` of the night's date too."""
    first = night.ds - timedelta(days=WEEKDAY_WINDOW_DAYS)
    rows = night.read("quality_metrics", start=first, end=night.ds)
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for row in sorted(rows.to_pylist(), key=lambda r: r["ds"]):
        name = (row["table_name"], row["metric"])
        if row["value"] is not None and (row["ds"] < night.ds or name == ACCEPTED):
            found[name].append((row["ds"], row["value"]))
    return dict(found)


def since(past: History, name: tuple[str, str], day: date) -> Sequence[Point]:
    """The points that `day` is compared with: from the newest accepted change before it on."""
    begin = max((d for d, _ in past.get(ACCEPTED, ()) if d < day), default=date.min)
    return [p for p in past.get(name, ()) if p[0] >= begin]


def accepts(night: Night, past: History) -> bool:
    """Whether the night's numbers may differ from history: a person said so, of this run or of one before
    it that published the same date.
    """
    return night.options.accept_changes or any(d == night.ds for d, _ in past.get(ACCEPTED, ()))


def judged(night: Night, table: str, values: Mapping[str, float], past: History) -> list[Measure]:
    """Every value with its verdict against the table's own history; where changes are accepted, none is
    critical.
    """
    done, accepted = [], accepts(night, past)
    for metric, value in sorted(values.items()):
        kind = kind_of(metric)
        if kind is None:
            done.append(Measure(table, metric, value))
            continue
        what = f"{metric} of {table} on {night.ds}"
        found = judge(what, kind, value, since(past, (table, metric), night.ds), night.ds)
        status, detail = str(found.status), found.detail
        if accepted and status == "critical":
            status, detail = "warning", f"{detail}; accepted, as a change that is meant"
        done.append(Measure(table, metric, value, status, detail))
    return done


# The verdict ------------------------------------------------------------------------------------


def sentences(checked: Iterable[Checked], measures: Iterable[Measure], severity: str) -> list[str]:
    """What failed with this severity, rules first."""
    rules = [s for c in checked for s in c.sentences(severity)]  # type: ignore[arg-type]
    return rules + [m.detail for m in measures if m.status == severity]


def as_note(
    night: Night, checked: Sequence[Checked], measures: Sequence[Measure], docs: str
) -> dict[str, Any]:
    """What the report shows, and what `audit` takes over from `check_inputs`."""
    tables: dict[str, Any] = {}
    for one in checked:
        entry = tables.setdefault(one.table, {"rows": one.rows, "outcomes": []})
        entry["outcomes"] += [asdict(o) for o in one.outcomes]
        record = night.staging.record(one.table)
        entry["metadata"] = record.metadata if record else None
    critical = sentences(checked, measures, "critical")
    warnings = sentences(checked, measures, "warning")
    # Refused shares are of broken rules: those nobody can accept.
    unusual = [m for m in measures if m.status == "critical" and kind_of(m.metric)]
    return {
        "status": "critical" if critical else "warning" if warnings else "ok",
        "critical": critical,
        "warnings": warnings,
        "mend": _how_to_accept(night.ds, len(unusual), len(critical)) if unusual else "",
        "tables": tables,
        "measures": [asdict(m) for m in measures],
        "docs": docs,
    }


def _how_to_accept(ds: date, unusual: int, critical: int) -> str:
    rest = "" if unusual == critical else " (broken rules, and rows that were refused, must be mended first)"
    command = f"nightshelf nightly --ds {ds} --accept-changes"
    return f"If the change is meant, run the date again with accept_changes: {command}{rest}"


def push_docs(night: Night, checks: Checks, name: str) -> str:
    """Build the data docs and put them into the run's folder; returns the key of the index page."""
    prefix = night.key(f"docs/{name}")
    night.store.delete(night.store.list(prefix))
    with tempfile.TemporaryDirectory(prefix="nightshelf-docs-") as folder:
        checks.build_docs(Path(folder))
        night.store.push_dir(Path(folder), prefix)
    return f"{prefix}/index.html"


def gate(step: str, note: Mapping[str, Any]) -> None:
    """Raise `GateFailed` with what was critical; a night that passes goes on silently."""
    critical = note["critical"]
    if not critical:
        return
    shown = "; ".join(critical[:5]) + (f"; and {len(critical) - 5} more" if len(critical) > 5 else "")
    mend = f" {note['mend']}." if note["mend"] else ""
    raise GateFailed(f"{step}: {shown}. Nothing was published.{mend} Details: {note['docs']} in the lake")
