"""What Spark says of a row, without what stands in the row."""

from __future__ import annotations

import re

_LIMIT = 300


def without_values(error: object) -> str:
    """The first line of a message. Spark quotes values in single quotes: whatever is between the first and
    the last goes, line breaks in it too.
    """
    text = re.sub(r"'.*'", "'…'", str(error).strip(), flags=re.DOTALL)
    return text.split("\n")[0][:_LIMIT]
