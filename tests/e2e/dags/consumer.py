"""A DAG of another team: it waits for what the night publishes, and keeps who published it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, task

LISTS = Asset(name="nightshelf.recommendations", uri="nightshelf://tables/recommendations")

with DAG(dag_id="consumer", schedule=[LISTS], catchup=False) as dag:

    @task
    def read(**context: Any) -> list[str]:
        events = context["triggering_asset_events"][LISTS]
        return [f"{e.source_dag_id} {e.source_run_id} {e.source_task_id}" for e in events]

    read()
