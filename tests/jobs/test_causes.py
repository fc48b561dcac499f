"""A library's error in the words of a person who must act on it."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.causes import understood
from jobs.errors import BadInput, GateFailed, Transient

_ABORTED = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 4.0 failed 1 times"
)
_FULL = "java.io.IOException: No space left on device"


def database(told: str) -> sa.exc.OperationalError:
    return sa.exc.OperationalError("SELECT 1", {}, Exception(told))


def from_spark(name: str, told: str) -> Exception:
    """As py4j and PySpark raise it: the text of the JVM, with its trace of many lines."""
    trace = "\n\tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:2935)"
    kind: type[Exception] = type(name, (Exception,), {})
    return kind(
        f"An error occurred while calling o118.parquet.\n: {_ABORTED}{trace}\nCaused by: {told}{trace}"
    )


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/lake/x"), Transient, "no space is left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Transient, "make room"),
        (OSError("When reading x: AWS Error SLOW_DOWN during GetObject"), Transient, "did not answer"),
        (OSError("When reading x: AWS Error ACCESS_DENIED during GetObject"), BadInput, "'s3_…'"),
        (database("server closed the connection\n\tunexpectedly"), Transient, "connection unexpectedly"),
        (database('FATAL:  password authentication failed for user "a"'), BadInput, "setting 'catalog'"),
        (database('FATAL:  database "b" does not exist'), BadInput, "setting 'catalog'"),
        (from_spark("Py4JJavaError", _FULL), Transient, "no space is left"),
        (from_spark("Py4JJavaError", "java.io.IOException: Disk quota exceeded"), Transient, "make room"),
        (
            from_spark("Py4JJavaError", "org.apache.hadoop.fs.s3a.AWSServiceIOException: SlowDown"),
            Transient,
            "the store did not answer Spark: AWSServiceIOException: SlowDown",
        ),
        (
            from_spark("Py4JJavaError", "software.amazon.awssdk.core.exception.SdkClientException: timeout"),
            Transient,
            "the store did not answer Spark: SdkClientException: timeout",
        ),
        (
            from_spark("Py4JJavaError", "java.io.FileNotFoundException: File file:/x does not exist"),
            Transient,
            "a file was removed while Spark read it",
        ),
        (
            from_spark("AnalysisException", "[PATH_NOT_FOUND] Path does not exist: file:/lake/landing/x"),
            Transient,
            "a file was removed while Spark read it",
        ),
        (
            from_spark("PythonException", "OSError: [Errno 28] No space left on device: '/lake/work/x'"),
            Transient,
            "make room",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/lake/x"), BadInput, "owner and its mode"),
        (OSError(errno.EROFS, "Read-only file system", "/lake/x"), BadInput, "setting 'lake'"),
        (database("unable to open database file"), BadInput, "setting 'catalog'"),
        (GateFailed("no"), GateFailed, "no"),
    ],
)
def test_what_a_person_can_act_on(error: Exception, kind: type[Exception], told: str) -> None:
    found = understood(error)
    assert type(found) is kind
    assert told in str(found)
    assert "\n" not in str(found)


def test_what_it_was_raised_from_counts() -> None:
    error: Any = RuntimeError("could not write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert isinstance(understood(error), Transient)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        FileNotFoundError(errno.ENOENT, "x"),
        RuntimeError("x"),
        from_spark("Py4JJavaError", "java.lang.NullPointerException"),
        from_spark("PythonException", "ValueError: x"),
        from_spark("AnalysisException", "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column cannot be resolved"),
    ],
)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    assert understood(error) is None
