"""Airflow: API server, scheduler with LocalExecutor, DAG processor and triggerer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from jobs.settings import ROOT
from scripts.services import postgres
from scripts.services.keys import Secrets
from scripts.services.process import Server, answers, told

USER = "admin"
DATABASE = "airflow"
# As Airflow's own report of its health names them.
_PARTS = {
    # The log servers of these two would outlive them; the API server reads the logs from the disk.
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}
# It alone does not look for modules where DAGs lie, and calls ours when a night is late.
_TRIGGERER = {"PYTHONPATH": str(ROOT / "dags")}


def environment(home: Path, port: int, database_port: int, secrets: Secrets) -> dict[str, str]:
    """Airflow's settings, for its parts and for its command line."""
    tasks = max(2, min(8, os.cpu_count() or 2))
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # Masked in logs, pages and the audit log, which keep what a run of `forget_user` was given.
        "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES": "user_id",
        # Where lineage is switched on, its events would tell that id too.
        "AIRFLOW__OPENLINEAGE__EMISSION_POLICY": json.dumps(
            [{"scope": {"dag_id": "forget_user"}, "controls": {"emit": False}}]
        ),
        # LocalExecutor starts a process for each, 32 by default.
        "AIRFLOW__CORE__PARALLELISM": str(tasks),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url(port)}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": secrets.airflow_fernet,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        # The password stands there before Airflow starts: one that it makes itself, it prints.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secrets.airflow_passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url(database_port, DATABASE),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": postgres.url(database_port, DATABASE, "asyncpg"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url(port),
        "AIRFLOW__API__SECRET_KEY": secrets.airflow_api,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.airflow_jwt,
        # Tasks of a scheduler that died are found by the next one after so many seconds; 300 by default.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        # Titles of processes would be written over their environment, which tells whose they are.
        "SPT_NOENV": "1",
        "NO_COLOR": "1",
    }


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def servers(port: int, environment: Mapping[str, str]) -> list[Server]:
    """The four parts. They are started together: Airflow takes most of a minute on two cores."""
    parts = {"api-server": ["--host", "127.0.0.1", "--workers", "1"]} | _PARTS
    return [
        Server(
            f"airflow-{name}",
            [sys.executable, "-m", "airflow", name, *args],
            partial(is_healthy, port, name),
            {**environment, **(_TRIGGERER if name == "triggerer" else {})},
            ROOT,
            seconds=600,
        )
        for name, args in parts.items()
    ]


def is_healthy(port: int, part: str) -> bool:
    """What Airflow itself says of one of its parts: whether its last heartbeat is young."""
    if part not in _PARTS:
        return answers(f"{url(port)}/api/v2/version")
    return bool(told(f"{url(port)}/api/v2/monitor/health", part.replace("-", "_"), "status") == "healthy")
