"""The steps of the night, in the order in which they may run by hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One command of the night: module `jobs.<name>` with `run(night) -> dict`."""

    name: str
    help: str


STEPS: tuple[Step, ...] = (
    Step("pin_inputs", "Record the run's date, options, and the version of every table it reads."),
    Step("ingest", "Land the raw files that the settings name as sources."),
    Step("clean", "Type, check, split and deduplicate the landed rows."),
    Step("check_inputs", "Hold the cleaned rows against the rules and against history."),
    Step("features", "Make the features and profiles of shoppers and products."),
    Step("train_recommender", "Retrain the recommender, and let the gate decide."),
    Step("recommend", "Write a list for every shopper and neighbours for every product."),
    Step("ab_report", "Compare the arms of the experiment by what shoppers did after their lists."),
    Step("train_writer", "Retrain the writer, and let the gate decide."),
    Step("describe", "Write copy for every product that changed."),
    Step("review_queue", "Choose the copy that a person should look at, riskiest first."),
    Step("audit", "Check everything staged, exactly as it would be published."),
    Step("publish", "Make the night visible: all of it, or none."),
    Step("report", "Write the run's HTML report, whatever the outcome."),
)
