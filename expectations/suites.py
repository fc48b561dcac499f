"""Great Expectations suites made from the rules, and the checks that run them on Spark.

Each rule becomes a column that is 1 where a row breaks it, computed with the
rule's own predicate. Great Expectations sums these columns on Spark: the
answer is the number of broken rows, one pass serves all rules of a table,
and no value of a row ever reaches the driver or the data docs.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.quoting import without_values
from expectations.rule import SEVERITIES, Rule, Severity, broken

# Must stand before the import of Great Expectations: a shop's night reports to nobody.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from pyspark.sql import DataFrame, SparkSession

PREFIX = "broken_"
ROWS = "rows"
FLOOR = "enough_rows"


@dataclass(frozen=True)
class Outcome:
    """What became of one rule: how many rows broke it (of `enough_rows`: how many there are).

    `broken` is None where the rule could not be evaluated.
    """

    rule: str
    severity: Severity
    ok: bool
    broken: int | None
    doc: str
    error: str = ""


@dataclass(frozen=True)
class Checked:
    """One table, checked. `worst` is the severity of the gravest rule that failed, if one did."""

    table: str
    rows: int
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if not o.ok)

    @property
    def worst(self) -> Severity | None:
        return max((o.severity for o in self.failed), key=SEVERITIES.index, default=None)

    def sentences(self, severity: Severity) -> list[str]:
        """One sentence for every failed rule of that severity."""
        return [_sentence(self.table, o) for o in self.failed if o.severity == severity]


def _sentence(table: str, outcome: Outcome) -> str:
    if outcome.error:
        return f"{table}: {outcome.rule} could not be checked ({outcome.error})"
    if outcome.rule == FLOOR:
        return f"{table}: {outcome.broken or 0:,} rows, where {outcome.doc}"
    return f"{table}: {outcome.broken or 0:,} rows break {outcome.rule} ({outcome.doc})"


def marked(frame: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """A column `rows` that is 1, and one column a rule: 1 where the row breaks it, else 0.

    Nothing else of the row is kept. One row of zeros is added, which changes
    no sum: the sum of nothing would be null, and null passes for no answer.
    """
    from pyspark.sql import functions as F

    marks = [F.expr(broken(r)).cast("int").alias(PREFIX + r.name) for r in rules]
    zeros = [F.lit(0).alias(name) for name in (ROWS, *(PREFIX + r.name for r in rules))]
    one = frame.sparkSession.range(0, 1, 1, 1)
    return frame.select(F.lit(1).alias(ROWS), *marks).unionAll(one.select(*zeros))


def suite(name: str, rules: Sequence[Rule], min_rows: int = 0) -> ExpectationSuite:
    """The suite of a frame made by `marked`: enough rows, and none that breaks a rule."""
    import great_expectations as gx
    from great_expectations.expectations.core.expect_column_sum_to_be_between import (
        ExpectColumnSumToBeBetween,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity

    built = gx.ExpectationSuite(name=name)
    doc = f"at least {min_rows:,} must be"
    # Rows are counted as a sum too: a count would be one more pass over the data.
    floor = ExpectColumnSumToBeBetween(
        column=ROWS,
        min_value=min_rows,
        severity=FailureSeverity.CRITICAL,
        meta={"rule": FLOOR, "severity": "critical", "doc": doc},
        description=f"Rows, of which {doc}:",
    )
    built.add_expectation(floor)
    for rule in rules:
        meta = {"rule": rule.name, "severity": rule.severity, "doc": rule.doc, "predicate": rule.predicate}
        built.add_expectation(
            ExpectColumnSumToBeBetween(
                column=PREFIX + rule.name,
                min_value=0,
                max_value=0,
                severity=FailureSeverity(rule.severity),
                meta=meta,
                description=f"{rule.name} ({rule.severity}): {rule.doc}. Rows that break it:",
            )
        )
    return built


class Checks:
    """Runs suites in one Great Expectations context and builds their data docs."""

    def __init__(self, session: SparkSession) -> None:
        """`session` must be there first: Great Expectations would start one with settings of its own."""
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        # One pass answers everything, so nothing is worth caching.
        self._source = self._context.data_sources.add_spark("spark", persist=False)

    def run(self, table: str, frame: DataFrame, rules: Sequence[Rule], min_rows: int = 0) -> Checked:
        """Check one frame. Anything that cannot be evaluated counts as critical.

        `table` names the suite and must be new to this object.
        """
        try:
            marks = marked(frame, rules)
        except Exception as error:  # a missing column, a broken predicate: Spark says so at once
            return Checked(
                table, 0, (Outcome("readable", "critical", False, None, "", without_values(error)),)
            )
        result = self._validate(table, marks, suite(table, rules, min_rows))
        outcomes = tuple(_outcome(r) for r in result.results)
        if len(outcomes) != 1 + len(rules):
            raise RuntimeError(f"{table}: asked {1 + len(rules)} expectations, answered {len(outcomes)}")
        rows = next(o.broken or 0 for o in outcomes if o.rule == FLOOR)
        return Checked(table, rows, tuple(sorted(outcomes, key=lambda o: (o.ok, o.rule))))

    def _validate(self, name: str, marks: DataFrame, expectations: ExpectationSuite) -> Any:
        import great_expectations as gx

        context = self._context
        batch = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("staged")
        kept = context.suites.add(expectations)
        definition = gx.ValidationDefinition(name=name, data=batch, suite=kept)
        validation = context.validation_definitions.add(definition)
        checkpoint = gx.Checkpoint(name=name, validation_definitions=[validation], result_format="BASIC")
        run = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": marks})
        ((key, result),) = run.run_results.items()
        if raised := [one for r in result.results for one in _exceptions(r.exception_info)]:
            # The data docs show what the store holds: nothing there may quote a row.
            for one in raised:
                message = without_values(one.get("exception_message") or "it raised")
                one |= {"exception_message": message, "exception_traceback": ""}
            context.validation_results_store.set(key, result)
        return result

    def build_docs(self, folder: Path) -> Path:
        """Write the data docs of everything checked so far; returns the index page."""
        site: Any = {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        }
        self._context.add_data_docs_site(site_name="night", site_config=site)
        self._context.build_data_docs(site_names=["night"])
        # 4 MB of fonts and pictures in every run's folder would outweigh what they decorate.
        for part in ("fonts", "images"):
            shutil.rmtree(folder / "static" / part, ignore_errors=True)
        return folder / "index.html"


def _outcome(result: Any) -> Outcome:
    meta = result.expectation_config.meta
    raised = next((one["exception_message"] for one in _exceptions(result.exception_info)), "")
    observed = result.result.get("observed_value")
    count = int(observed) if isinstance(observed, int | float) else None
    if raised or (count is None and not result.success):
        error = raised or "no answer"
        return Outcome(meta["rule"], "critical", False, count, meta["doc"], error)
    return Outcome(meta["rule"], meta["severity"], bool(result.success), count, meta["doc"])


def _exceptions(info: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What was raised, if anything: the answer holds one, or one for each metric."""
    info = info or {}
    return [one for one in [info, *info.values()] if isinstance(one, dict) and one.get("raised_exception")]
