"""One night of a small sample shop in a stack that try.sh started, driven through Airflow's REST API alone.

The shop's raw files go to the store from outside, and the published tables are read from outside.
Usage: python try_night.py FOLDER, the folder that prepare.sh made.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config
from pyiceberg.table import StaticTable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from jobs.lake.registry import NIGHTLY
from jobs.sample.shop import generate

BUCKET = "nightshelf"
POLL_SECONDS = 5
READY_SECONDS = 300
NIGHT_SECONDS = 2400


class Airflow:
    """Airflow's REST API, as the user admin."""

    def __init__(self, address: str, password: str) -> None:
        self.url = f"http://{address}"
        self.token = ""  # nosec B105
        answer = self.call("POST", "/auth/token", {"username": "admin", "password": password})
        self.token = answer["access_token"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode() if body is not None else None
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=60) as answer:  # nosec B310
            return json.load(answer)


def refuses(address: str, token: str) -> int:
    """The status of a request for the DAGs with this token."""
    try:
        with urlopen(  # nosec B310
            Request(f"http://{address}/api/v2/dags", headers={"Authorization": f"Bearer {token}"}), timeout=60
        ) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def wait_for(what: str, ready: Any, seconds: int) -> Any:
    """What `ready` gives once it gives something; `SystemExit` after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := ready():
                return found
        except (HTTPError, URLError, ConnectionError):
            pass
        time.sleep(POLL_SECONDS)
    sys.exit(f"{what}: not within {seconds} s")


def run_night(airflow: Airflow, ds: str) -> None:
    """Triggers `nightly` for a date and waits until it is green."""
    wait_for("DAG nightly", lambda: airflow.call("GET", "/api/v2/dags/nightly"), READY_SECONDS)
    # Before the run that the schedule owes, which waits its turn.
    run = {"logical_date": None, "run_after": "2000-01-01T00:00:00Z", "conf": {"ds": ds, "run_id": "try"}}
    name = airflow.call("POST", "/api/v2/dags/nightly/dagRuns", run)["dag_run_id"]
    airflow.call("PATCH", "/api/v2/dags/nightly?update_mask=is_paused", {"is_paused": False})
    place = f"/api/v2/dags/nightly/dagRuns/{name}"

    def over() -> str:
        state: str = airflow.call("GET", place)["state"]
        return state if state in ("success", "failed") else ""

    began = time.monotonic()
    state = wait_for("the night", over, NIGHT_SECONDS)
    tasks = airflow.call("GET", f"{place}/taskInstances")["task_instances"]
    for task in sorted(tasks, key=lambda t: t["start_date"] or ""):
        seconds = task["duration"] or 0
        print(f"  {task['task_id']:18} {task['state']:8} try {task['try_number']} {seconds:6.1f} s")
    print(f"night of {ds}: {state} after {time.monotonic() - began:.0f} s")
    if state != "success":
        sys.exit(1)


def read_tables(store: Any, endpoint: str, keys: dict[str, str], ds: str) -> None:
    """Every table of the night, read through current.json with nothing but keys of the store."""
    current = json.load(store.get_object(Bucket=BUCKET, Key="lake/current.json")["Body"])
    properties = {
        "s3.endpoint": endpoint,
        "s3.access-key-id": keys["aws_access_key_id"],
        "s3.secret-access-key": keys["aws_secret_access_key"],
        "s3.region": "us-east-1",
    }
    if current["ds"] != ds or current["run_id"] != "try":
        sys.exit(f"current.json names {current['run_id']} of {current['ds']}")
    rows = Counter()
    for table in NIGHTLY:
        metadata = StaticTable.from_metadata(current["tables"][table.name], properties)
        rows[table.name] = metadata.scan().to_arrow().num_rows
    print("tables:", ", ".join(f"{name} {count:,}" for name, count in rows.items()))
    for name in ("events_clean", "recommendations", "product_descriptions", "user_profiles", "runs"):
        if not rows[name]:
            sys.exit(f"{name}: no rows")


def main(folder: Path) -> None:
    settings = dict(
        line.split("=", 1) for line in (folder / ".env").read_text().splitlines() if line[:1].isalpha()
    )
    secret = {p.name: p.read_text() for p in (folder / "secrets").iterdir()}
    keys = {
        "aws_access_key_id": secret["s3_access_key"],
        "aws_secret_access_key": secret["s3_secret_key"],
    }
    endpoint = f"http://{settings['S3_BIND']}"
    config = Config(s3={"addressing_style": "path"})
    store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config, **keys)
    raw = folder / "shop"
    generate(raw, seed=7, products=240, users=200, days=24)
    files = sorted(p for p in raw.rglob("*") if p.is_file())
    for file in files:
        store.upload_file(str(file), BUCKET, f"raw/{file.relative_to(raw)}")
    ds = max(p.stem.removeprefix("events-") for p in files if p.name.startswith("events-"))
    print(f"{len(files)} raw files in the store, the last day is {ds}")

    address = settings["AIRFLOW_BIND"]
    airflow = wait_for("login", lambda: Airflow(address, secret["admin_password"]), READY_SECONDS)
    refused = refuses(address, ""), refuses(address, airflow.token[:-8] + "AAAAAAAA")
    print(f"without a login: {refused[0]}, with a forged token: {refused[1]}")
    if not set(refused) <= {401, 403}:
        sys.exit("Airflow's API answers without a login")
    run_night(airflow, ds)
    read_tables(store, endpoint, keys, ds)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
