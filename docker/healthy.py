"""Exit 0 where the API server has heard of a part of Airflow lately: dag_processor, triggerer or scheduler.

For health checks: a part's own command for that takes seconds of CPU each time.
"""

import json
import sys
from urllib.request import urlopen

with urlopen("http://airflow-api-server:8080/api/v2/monitor/health", timeout=5) as answer:  # nosec B310
    status = json.load(answer)[sys.argv[1]]["status"]
print(status)
sys.exit(status != "healthy")
