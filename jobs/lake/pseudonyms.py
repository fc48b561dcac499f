"""Shoppers under pseudonyms: HMAC-SHA256 of the shop's id, with a key that no file of the lake holds.

    pseudonyms/key.json    the fingerprint of the key that made this lake's ids

Another key would make every shopper a new one, so a lake keeps to the key that it began with, or to none.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field

from jobs.errors import BadInput
from jobs.lake.store import Store
from jobs.settings import Settings

_FINGERPRINT = "pseudonyms/key.json"
# No id holds a control character, so this is nobody's pseudonym.
_NOBODY = b"\x00fingerprint"
_SET = "NIGHTSHELF_PSEUDONYM_KEY"
_NEW = "every shopper would become a new one"


@dataclass(frozen=True)
class Pseudonyms:
    """What a shop's ids become under one key."""

    key: bytes = field(repr=False)

    def of(self, user_id: str) -> str:
        """64 hexadecimal digits; `jobs.intake.pseudonyms` computes the same in Spark."""
        return hmac.digest(self.key, user_id.encode(), "sha256").hex()

    @property
    def fingerprint(self) -> str:
        return hmac.digest(self.key, _NOBODY, "sha256").hex()[:16]


def require(settings: Settings, store: Store) -> Pseudonyms | None:
    """What makes this lake's ids; None where they are the shop's own.

    Raises `BadInput` where the key is not the one that the lake began with, or is missing, or comes too late.
    """
    key = settings.pseudonym_key.get_secret_value()
    ours, began = Pseudonyms(key.encode()) if key else None, _began_with(store)
    if began and ours is None:
        raise BadInput(
            "setting 'pseudonym_key' is missing: this lake knows its shoppers by pseudonyms, made with the "
            f"key of fingerprint {began}: give that key in {_SET} (docs/privacy.md)"
        )
    if ours and began and began != ours.fingerprint:
        raise BadInput(
            f"setting 'pseudonym_key' has fingerprint {ours.fingerprint}, and this lake's key {began}: "
            f"{_NEW}. Give the lake's key in {_SET}, or begin a new lake with the new one (docs/privacy.md)"
        )
    if ours and not began and any("/_batches/" in k for k in store.list("landing")):
        raise BadInput(
            f"setting 'pseudonym_key': this lake holds the shop's own ids already, and {_NEW}. Begin a new "
            f"lake with the key, or leave {_SET} out (docs/privacy.md)"
        )
    return ours


def begin(settings: Settings, store: Store) -> None:
    """Bind the lake to the key, where it is bound to none yet; raises as `require` does."""
    ours = require(settings, store)
    if ours is not None and not _began_with(store):
        store.write(_FINGERPRINT, json.dumps({"fingerprint": ours.fingerprint}).encode())
        # Another first import may have written its own at the same time.
        require(settings, store)


def _began_with(store: Store) -> str:
    try:
        return str(json.loads(store.read(_FINGERPRINT))["fingerprint"])
    except FileNotFoundError:
        return ""
