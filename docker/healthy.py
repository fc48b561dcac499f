"""Exit 0 where a part of the stack is well, as another part says of it.

`dag_processor`, `triggerer`, `scheduler`, `metadatabase`: as Airflow's API server says; a part's own command
for that takes seconds of CPU each time. `spark_worker`: as Spark's master says of the one in here.
"""

import json
import socket
import sys
from typing import Any
from urllib.request import urlopen


def told(url: str) -> Any:
    with urlopen(url, timeout=5) as answer:  # nosec B310
        return json.load(answer)


def spark_worker() -> str:
    name = socket.gethostname()
    here = {name, socket.gethostbyname(name)}
    workers = told("http://spark-master:8080/json/")["workers"]
    states = {worker["state"] for worker in workers if worker["host"] in here}
    # One that came back is in the list twice for a while.
    return "healthy" if "ALIVE" in states else f"of this worker the master knows {sorted(states)}"


def airflow(part: str) -> str:
    return str(told("http://airflow-api-server:8080/api/v2/monitor/health")[part]["status"])


if __name__ == "__main__":
    status = spark_worker() if sys.argv[1] == "spark_worker" else airflow(sys.argv[1])
    print(status)
    sys.exit(status != "healthy")
