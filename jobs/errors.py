"""What can go wrong, by the exit code that says it."""

from __future__ import annotations


class NightshelfError(Exception):
    """An error a person can act on: one sentence with what, where and how to mend."""

    exit_code = 1


class BadInput(NightshelfError):
    """Wrong arguments, settings, mapping or file: nothing was written."""

    exit_code = 2


class GateFailed(NightshelfError):
    """The data or a model failed a gate; trying again would not help."""

    exit_code = 10


class Transient(NightshelfError):
    """The store, the catalog or the network did not answer; try again."""

    exit_code = 20
