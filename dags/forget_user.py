"""Forget a shopper: every byte of theirs leaves the lake, and no later night brings them back.

Started by hand, with the shopper's id. The task's log and its XCom name the shopper by a keyed hash alone;
the id stands in the run's conf: delete the run afterwards, as docs/privacy.md says.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pendulum
from airflow.sdk import DAG, Param
from nightshelf_notify import say_failed
from nightshelf_step import CareOperator

with DAG(
    dag_id="forget_user",
    description="Remove a shopper from the lake, for good.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2010, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "user_id": Param(
            type="string",
            minLength=1,
            maxLength=200,
            # No control character, a line's end included.
            pattern=r"^[^\x00-\x1f\x7f]+(?![\s\S])",
            title="Shopper",
            description="The id, as the shop has it.",
        )
    },
    tags=["nightshelf", "care"],
    on_failure_callback=say_failed,
) as dag:
    CareOperator(
        task_id="forget_user",
        step="forget",
        private={"user": "user_id"},
        retries=3,
        retry_delay=timedelta(minutes=5),
        execution_timeout=timedelta(hours=12),
    )
