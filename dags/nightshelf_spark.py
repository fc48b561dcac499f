"""A step as a Spark application: its driver here, its executors on the cluster of an Airflow connection."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
from nightshelf_step import HOME, KEPT_LINES, StepCommand, answer_in, failure, said_in, setting

CONNECTION = os.environ.get("NIGHTSHELF_SPARK_CONNECTION") or "spark_default"
# As in `jobs/spark.py`: what Spark needs to read and write S3.
HADOOP_AWS = "org.apache.hadoop:hadoop-aws:3.4.2"


class StepHook(SparkSubmitHook):
    """spark-submit in a session of its own, with what it printed and its exit code kept."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lines: list[str] = []

    def submit(self, application: str = "", **kwargs: Any) -> str | None:
        """A kill ends the driver's Python with its JVM; the environment stands on no command line."""
        return super().submit(application, cwd=HOME, env=_environment(), start_new_session=True, **kwargs)

    def _process_spark_submit_log(self, itr: Iterator[Any]) -> None:
        def kept() -> Iterator[Any]:
            for line in itr:
                # Spark says goodbye after the step's own last line.
                self.lines = [*self.lines, line.strip()][-KEPT_LINES:]
                yield line

        super()._process_spark_submit_log(kept())

    @property
    def exit_code(self) -> int | None:
        return self._submit_sp.returncode if self._submit_sp else None

    def on_kill(self) -> None:
        process = self._submit_sp
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class SparkStepOperator(StepCommand, SparkSubmitOperator):
    """Runs a step with `spark-submit`, in client mode: only there is the driver's exit code spark-submit's.

    The master and its options stand in the connection `spark_default`, or in the one that
    `NIGHTSHELF_SPARK_CONNECTION` names; what else Spark is to know, in `spark-defaults.conf`.
    """

    ui_color = "#fdf0e1"

    def __init__(
        self, *, step: str, options: Sequence[str] = (), told: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        # Not resumable: a task that is cleared runs again.
        super().__init__(application=str(_application()), conn_id=CONNECTION, durable=False, **kwargs)
        self.take(step, options, told)

    def execute(self, context: Any) -> Any:
        try:
            BaseHook.get_connection(CONNECTION)
        except AirflowNotFoundException:
            raise AirflowFailException(
                f"there is no connection '{CONNECTION}': add it in Airflow, such as "
                f"AIRFLOW_CONN_{CONNECTION.upper()}=spark://host:7077"
            ) from None
        self.application_args = self.words(context)
        try:
            super().execute(context)
        except AirflowException:
            code = self._hook.exit_code if isinstance(self._hook, StepHook) else None
            if not code:
                raise
            raise failure(self.step, code, said_in(self._hook.lines)) from None
        return answer_in(self._hook.lines)

    def _get_hook(self) -> SparkSubmitHook:
        return StepHook(
            conn_id=CONNECTION,
            deploy_mode="client",
            name=f"nightshelf {self.step}",
            spark_binary=_spark_submit(),
            application_args=self.application_args,
            driver_memory=str(setting("spark_memory") or "2g"),
            packages=HADOOP_AWS if _on_s3() and not _s3_is_part_of_spark() else None,
            conf={"spark.driver.extraJavaOptions": _java_options()},
        )


def _package(name: str) -> Path | None:
    """Where a package lies; it is not imported."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def _jobs() -> Path:
    here = HOME / "jobs"
    return here if here.is_dir() else _package("jobs") or here


def _application() -> Path:
    # Alone in its folder: Python puts the folder of a script first on its path.
    return _jobs() / "submitted" / "step.py"


def _spark_submit() -> str:
    """That of the worker's own PySpark, else the one on the path."""
    pyspark = _package("pyspark")
    own = pyspark / "bin" / "spark-submit" if pyspark else None
    found = str(own) if own and own.exists() else shutil.which("spark-submit")
    if found is None:
        raise AirflowFailException("spark-submit is not on this worker: install PySpark, or set PATH")
    return found


def _environment() -> dict[str, str]:
    python = os.environ.get("PYSPARK_PYTHON") or sys.executable
    path = os.pathsep.join(filter(None, [str(_jobs().parent), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYSPARK_PYTHON": python, "PYTHONPATH": path, "TZ": "UTC"}


def _java_options() -> str:
    """What a driver's JVM must know at its start, as in `jobs/spark.py`."""
    logging = (_jobs() / "log4j2.properties").as_uri()
    return f"-Duser.timezone=UTC -Dlog4j2.configurationFile={logging}"


def _on_s3() -> bool:
    return any("s3://" in str(setting(name)) for name in ("lake", "sources"))


def _s3_is_part_of_spark() -> bool:
    """As in `jobs/spark.py`: an image's Spark has its part for S3; elsewhere Maven brings it."""
    pyspark = _package("pyspark")
    home = os.environ.get("SPARK_HOME") or pyspark
    return bool(home) and any(Path(home, "jars").glob("*hadoop-aws-*.jar"))
