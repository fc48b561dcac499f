"""The night: raw files to published recommendations and product copy.

Wiring only. Each task is one command line of `nightshelf`, which also runs
by hand; steps talk through tables, and nothing is visible before `publish`.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import pendulum
from airflow.sdk import (
    DAG,
    Asset,
    AsyncCallback,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
    Param,
)
from nightshelf_approval import PublishApproval, bound, mode, wait
from nightshelf_factory import step
from nightshelf_notify import say_failed, say_late
from nightshelf_step import number

CRON = os.environ.get("NIGHTSHELF_CRON", "0 2 * * *")
# 0: no deadline, for a night that a person watches.
DEADLINE = timedelta(minutes=number("NIGHTSHELF_DEADLINE_MINUTES", 240))

# What the night publishes, every table of it; a DAG downstream schedules on these.
OUTPUTS = [
    Asset(name=f"nightshelf.{table}", uri=f"nightshelf://tables/{table}")
    for table in (
        "events_clean", "products", "users", "quarantine", "intake", "user_features", "item_features",
        "user_profiles", "recommendations", "similar_items", "audiences", "trending", "experiments",
        "product_descriptions", "review_queue", "models", "quality_metrics", "runs",
    )
]  # fmt: skip

LONG = timedelta(hours=2)

PARAMS = {
    "ds": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Date",
        description="UTC date of the night. Empty: the run's logical date.",
    ),
    "retrain": Param("auto", enum=["auto", "always", "never"], title="Retrain the models"),
    "max_users": Param(None, type=["null", "integer"], minimum=1, title="Score at most so many shoppers"),
    "max_products": Param(None, type=["null", "integer"], minimum=1, title="Write at most so many products"),
    "accept_changes": Param(
        False,
        type="boolean",
        title="Accept changes that are meant",
        description="After a setting or the catalogue changed for good: numbers far from the usual only warn "
        "in this run, and once it is published history begins anew at its date. Broken rules stop it still.",
    ),
    "run_id": Param(None, type=["null", "string"], title="Name of the run. Empty: Airflow's own."),
}

with DAG(
    dag_id="nightly",
    description="Raw files to published recommendations and product copy.",
    doc_md=__doc__,
    # A run covers the day that ended before it: started on the 3rd at 02:00, its date is the 2nd.
    schedule=CronDataIntervalTimetable(CRON, timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["nightshelf"],
    on_failure_callback=say_failed,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=DEADLINE,
        callback=AsyncCallback(say_late, kwargs={"text": f"not published {DEADLINE} after it was queued"}),
    )
    if DEADLINE
    else None,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=number("NIGHTSHELF_RETRY_SECONDS", 120)),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=1),
    },
) as dag:
    pin_inputs = step("pin_inputs", options=["retrain", "max_users", "max_products", "accept_changes"])
    ingest = step("ingest")
    clean = step("clean")
    check_inputs = step("check_inputs")
    features = step("features")
    train_recommender = step("train_recommender", execution_timeout=LONG, gpu=True)
    recommend = step("recommend", execution_timeout=LONG, gpu=True)
    ab_report = step("ab_report")
    train_writer = step("train_writer", execution_timeout=LONG, gpu=True)
    describe = step("describe", execution_timeout=LONG, gpu=True)
    review_queue = step("review_queue")
    audit = step("audit")
    publish = step("publish", outlets=OUTPUTS, execution_timeout=timedelta(minutes=15))
    # A teardown: it runs whatever happened before, and does not make a failed night look green.
    told = {"kept": "approve"} if mode() != "off" else {}
    report = step("report", told=told, retries=0).as_teardown()

    pin_inputs >> ingest >> clean >> check_inputs >> [features, train_recommender, train_writer]
    [features, train_recommender] >> recommend
    train_writer >> describe >> review_queue
    recommend >> ab_report
    [ab_report, review_queue] >> audit
    audit >> publish >> report
    if mode() != "off":
        approve = PublishApproval(
            task_id="approve",
            audit="audit",
            most=bound(),
            ask=mode() == "ask",
            response_timeout=wait(),
            execution_timeout=timedelta(minutes=15),
        )
        audit >> approve >> publish
