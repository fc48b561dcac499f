"""Keep the lake small: old days dropped, small files joined, what nothing names removed. Once a week."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable, Param
from nightshelf_notify import say_failed
from nightshelf_step import CareOperator

CRON = os.environ.get("NIGHTSHELF_MAINTENANCE_CRON", "0 12 * * 0")

with DAG(
    dag_id="lake_maintenance",
    description="Drop old days, join small files, expire snapshots, remove what is left over.",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(CRON, timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "dry_run": Param(False, type="boolean", title="Only say what would go"),
        "grace_days": Param(
            None,
            type=["null", "number"],
            minimum=1,
            title="Leave alone what is younger, in days",
            description="Longer than the longest run. Empty: as the settings say.",
        ),
    },
    tags=["nightshelf", "care"],
    on_failure_callback=say_failed,
) as dag:
    CareOperator(
        task_id="lake_maintenance",
        step="maintain",
        flags=["dry_run"],
        options=["grace_days"],
        retries=2,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=6),
    )
