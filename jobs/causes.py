"""What lies behind a library's error, said as one of `jobs.errors`: whose it is, and whether to try again."""

from __future__ import annotations

import errno
import re

from jobs.errors import BadInput, NightshelfError, Transient

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# As boto3 and as Arrow name them.
WRONG_KEYS = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403")
NO_BUCKET = "NoSuchBucket"
NO_RIGHT = ("AccessDenied", "403")
# What a role needs for the calls whose names are not their permissions' (docs/deploy.md). Where it may not
# list, AWS says of an absent object that access to it is denied.
_PERMISSIONS = {
    **dict.fromkeys(("GetObject", "HeadObject"), "GetObject and s3:ListBucket"),
    "DeleteObjects": "DeleteObject",
    "ListObjectsV2": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    **dict.fromkeys(("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"), "PutObject"),
    **dict.fromkeys(("CopyObject", "UploadPartCopy"), "GetObject and s3:PutObject"),
}
_ARROW_WRONG = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "NO_SUCH_BUCKET")
_CATALOG_WRONG = re.compile(
    r"authentication failed|(database|role) \"[^\"]*\" does not exist"
    # As SQLite says that its folder is no place to write.
    r"|unable to open database file|attempt to write a readonly database"
)
# Whatever language the server speaks.
_NO_RIGHT_IN_POSTGRESQL = "42501"
_SPARK_GONE = re.compile(r"FAILED_READ_FILE\.FILE_NOT_EXIST|PATH_NOT_FOUND|FileNotFoundException")
# Its sentence where the trace has one, which names buckets and keys, and quotes no row; else a frame of it.
_SPARK_STORE = (
    re.compile(r"(?:AWS\w*|SdkClient|S3)Exception\b[^\n]{0,300}"),
    re.compile(r"software\.amazon\.awssdk"),
)


def understood(error: BaseException) -> NightshelfError | None:
    """The error, or what it was raised from, as an error that a person can act on; None for a bug."""
    seen: BaseException | None = error
    while seen is not None:
        known = seen if isinstance(seen, NightshelfError) else _one(seen)
        if known is not None:
            return known
        seen = seen.__cause__
    return None


def _one(error: BaseException) -> NightshelfError | None:
    if isinstance(error, OSError):
        return _of_files(error)
    kind = type(error)
    if kind.__module__.startswith("strictyaml."):
        return _of_pyiceberg(error)
    if _without_right(error):
        return catalog_away(error)
    # By name: neither library need be loaded to tell that an error is not theirs.
    if kind.__module__.startswith("sqlalchemy.") and kind.__name__ in ("OperationalError", "InterfaceError"):
        return catalog_away(error)
    # In the JVM, or in Python code that an executor ran.
    if kind.__name__ in ("Py4JJavaError", "PythonException"):
        return _of_spark(str(error))
    if kind.__name__ == "AnalysisException" and _SPARK_GONE.search(str(error)):
        return _of_spark(str(error))
    return None


def _of_pyiceberg(error: BaseException) -> BadInput:
    """PyIceberg's file of settings; never what stands in it, which may be a password."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f", line {mark.line + 1}" if mark else ""
    return BadInput(
        f".pyiceberg.yaml{where}: not YAML that PyIceberg can read; mend it, or take it away: it is in the "
        "folder that PYICEBERG_HOME names, your home or the working directory"
    )


def catalog_away(error: BaseException) -> NightshelfError:
    """A catalog that does not answer, or that the settings name wrongly."""
    told = " ".join(str(getattr(error, "orig", error)).split())
    if _without_right(error):
        return BadInput(
            f"setting 'catalog': {told.split(' LINE ')[0]}; its user makes the catalog's tables on the first "
            "night, and reads and writes them on every one: let it own the database, or grant it these rights"
        )
    if _CATALOG_WRONG.search(told):
        return BadInput(f"setting 'catalog': {told}")
    return Transient(f"the catalog does not answer: {told}")


def _without_right(error: BaseException) -> bool:
    return getattr(getattr(error, "orig", None), "pgcode", None) == _NO_RIGHT_IN_POSTGRESQL


def permission(operation: str) -> str:
    """The permission of AWS that a call to S3, named as boto3 names it, takes."""
    return f"s3:{_PERMISSIONS.get(operation, operation)}"


def _of_files(error: OSError) -> NightshelfError | None:
    told = " ".join(str(error).split())
    if error.errno in _FULL:
        return _full(told)
    if error.errno in _FORBIDDEN:
        return BadInput(f"no right to a file ({told}): look at its owner and its mode, and at setting 'lake'")
    if "AWS Error" not in told:
        return None
    if any(code in told for code in _ARROW_WRONG):
        return BadInput(f"settings 'lake' and 's3_…': the store refused: {told}")
    return Transient(f"the store did not answer: {told}")


def _of_spark(told: str) -> NightshelfError | None:
    if "No space left on device" in told or "Disk quota exceeded" in told:
        return _full("No space left on device, says Spark")
    gone = _SPARK_GONE.search(told)
    if gone:
        return Transient(f"a file was removed while Spark read it, as an erasure does ({gone[0]}): try again")
    found = next((f for pattern in _SPARK_STORE if (f := pattern.search(told))), None)
    return Transient(f"the store did not answer Spark: {found[0]}") if found else None


def _full(told: str) -> Transient:
    return Transient(f"no space is left ({told}): make room, then run the step again; nothing was published")
