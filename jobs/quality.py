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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.anomaly import WEEKDAY_WINDOW_DAYS, Kind, Point, judge
from expectations.contracts import Contract, Coverage, contract
from expectations.suites import Checked, Checks
from jobs.errors import GateFailed
from jobs.lake.registry import BY_NAME, Table
from jobs.night import Night
from jobs.spark import path, read, spark, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

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
        "popularity_share": "avg(if(source = 'popularity', 1D, 0D))",
    },
    "similar_items": {"fallback_share": "avg(if(source = 'category', 1D, 0D))"},
    "product_descriptions": {
        "template_share": "avg(if(tier = 'template', 1D, 0D))",
        "mean_length": "avg(length(text))",
    },
}
_IDS = {"user_id": "users", "product_id": "products"}


@dataclass(frozen=True)
class Measure:
    """One row of `quality_metrics`, but for its date."""

    table_name: str
    metric: str
    value: float
    status: str = "ok"
    detail: str = ""


# Rules ------------------------------------------------------------------------------------------


def staged(night: Night, table: str) -> tuple[DataFrame, int]:
    """Exactly the files that this run staged of a table, and their rows."""
    record = night.staging.record(table)
    if record is None:
        raise GateFailed(f"{table} is not staged in this run: run the step '{BY_NAME[table].job}' first")
    session = spark(night.settings)
    if not record.files:
        return session.createDataFrame([], spark_schema(table)), 0
    frame = session.read.schema(spark_schema(table)).parquet(*[path(f) for f in record.files])
    return frame, record.rows


def check_table(night: Night, checks: Checks, table: str) -> list[Checked]:
    """Hold a staged table against its contract: its rows first, then what it must cover."""
    promise = contract(table, BY_NAME[table].key)
    frame, rows = staged(night, table)
    frame = _with_references(night, frame, promise)
    done = [checks.run(table, frame, promise.rules, promise.min_rows, rows)]
    for coverage in promise.coverages:
        done.append(_check_coverage(night, checks, table, coverage))
    return done


def _with_references(night: Night, frame: DataFrame, promise: Contract) -> DataFrame:
    from pyspark.sql import functions as F

    for reference in promise.references:
        other = read(night, reference.to)
        added = [F.expr(sql).alias(name) for name, sql in reference.adds]
        other = other.select(F.col(reference.to_key).alias(reference.column), *added)
        frame = frame.join(other, reference.column, "left")
    return frame


def _check_coverage(night: Night, checks: Checks, table: str, coverage: Coverage) -> Checked:
    """One row for each key that must be there, marked `covered` where it is."""
    from pyspark.sql import functions as F

    wanted = read(night, coverage.of).select(F.col(coverage.of_key).alias(coverage.match))
    on = [coverage.match]
    if coverage.languages:
        languages = F.array(*[F.lit(x) for x in night.settings.languages])
        wanted = wanted.select("*", F.explode(languages).alias("language"))
        on.append("language")
    there = staged(night, table)[0].select(*on).distinct().withColumn("covered", F.lit(True))
    frame = wanted.join(there, on, "left")
    rows = wanted.count()
    rule = replace(coverage.rule, severity="info") if limited(night, table) else coverage.rule
    name = f"{table}.{rule.name}"
    return replace(checks.run(name, frame, (rule,), 0, rows), table=table)


def limited(night: Night, table: str) -> bool:
    """Whether a person asked this run for only a part of the table."""
    options = night.options
    limits = {"recommendations": options.max_users, "product_descriptions": options.max_products}
    return limits.get(table) is not None


# Measures ---------------------------------------------------------------------------------------


def aggregates(spec: Table) -> dict[str, Column]:
    """What is measured of a table, each an aggregate: all of them take one pass.

    Distinct ids are estimated with HyperLogLog++ (1 % error, the same for the same rows).
    """
    from pyspark.sql import functions as F

    measures = {"rows": F.count(F.lit(1)).cast("double")}
    for column in spec.columns:
        if column.name not in (*spec.key, spec.partition):
            is_null = F.col(column.name).isNull().cast("double")
            measures[f"null_share.{column.name}"] = F.avg(is_null)
        if column.name in _IDS and spec.name not in _IDS.values():
            measures[_IDS[column.name]] = F.approx_count_distinct(column.name, 0.01).cast("double")
    for name, sql in _EXTRA.get(spec.name, {}).items():
        measures[name] = F.expr(sql).cast("double")
    return measures


def measure(frame: DataFrame, spec: Table) -> dict[str, float]:
    """Metric → value of a frame; a measure of nothing, such as a share of no rows, is left out."""
    columns = [c.alias(n) for n, c in aggregates(spec).items()]
    return _known(frame.agg(*columns).first())


def measure_days(frame: DataFrame, spec: Table) -> dict[date, dict[str, float]]:
    """As `measure`, for each `ds` of the frame."""
    columns = [c.alias(n) for n, c in aggregates(spec).items()]
    return {row["ds"]: _known(row) for row in frame.groupBy("ds").agg(*columns).collect()}


def _known(row: Any) -> dict[str, float]:
    return {k: float(v) for k, v in row.asDict().items() if k != "ds" and v is not None}


def kind_of(metric: str) -> Kind | None:
    """How a metric is judged; None: only recorded."""
    if metric in ("rows", "users", "products", "purchases"):
        return "volume"
    if metric.startswith("null_share.") or metric.endswith("_share"):
        return "share"
    return "age" if metric == "age_hours" else None


def history(night: Night) -> dict[tuple[str, str], list[Point]]:
    """(table, metric) → what earlier nights published, oldest first."""
    first = night.ds - timedelta(days=WEEKDAY_WINDOW_DAYS)
    rows = night.read("quality_metrics", start=first, end=night.ds - timedelta(days=1))
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for row in sorted(rows.to_pylist(), key=lambda r: r["ds"]):
        if row["value"] is not None:
            found[row["table_name"], row["metric"]].append((row["ds"], row["value"]))
    return dict(found)


def judged(night: Night, table: str, values: Mapping[str, float], past: History) -> list[Measure]:
    """Every value with its verdict against the table's own history."""
    done = []
    for metric, value in sorted(values.items()):
        kind = kind_of(metric)
        if kind is None:
            done.append(Measure(table, metric, value))
            continue
        what = f"{metric} of {table} on {night.ds}"
        found = judge(what, kind, value, past.get((table, metric), ()), night.ds)
        done.append(Measure(table, metric, value, found.status, found.detail))
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
    return {
        "status": "critical" if critical else "warning" if warnings else "ok",
        "critical": critical,
        "warnings": warnings,
        "tables": tables,
        "measures": [asdict(m) for m in measures],
        "docs": docs,
    }


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
    raise GateFailed(f"{step}: {shown}. Nothing was published. Details: {note['docs']} in the lake")
