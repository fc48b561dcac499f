"""A mapping: which raw column or SQL expression becomes which column of the contract.

One small TOML file per source. Everything a person can get wrong in it ends
as one `BadInput` that names the file, the key and the nearest right one.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.errors import BadInput
from jobs.lake.registry import BY_NAME
from jobs.settings import ROOT

EntityName = Literal["events", "products", "users"]
ENTITIES: tuple[EntityName, ...] = get_args(EntityName)
TABLE_OF: dict[EntityName, str] = {"events": "events_clean", "products": "products", "users": "users"}
# Columns that the intake itself fills.
_OURS = {"source", "arrived", "first_seen", "ds"}
# `day` is no column of the tables: it says from which day on a product or user row holds.
DAY = "day"
REQUIRED: dict[EntityName, tuple[str, ...]] = {
    "events": ("user_id", "product_id", "event_type", "event_time"),
    "products": ("product_id",),
    "users": ("user_id",),
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def contract_columns(entity: EntityName) -> tuple[str, ...]:
    """Columns of the entity's table that raw data may fill, in the registry's order."""
    return tuple(c.name for c in BY_NAME[TABLE_OF[entity]].columns if c.name not in _OURS)


def mappable_columns(entity: EntityName) -> tuple[str, ...]:
    return contract_columns(entity) if entity == "events" else (*contract_columns(entity), DAY)


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, else all of them."""
    names = sorted(set(known))
    close = get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    for candidate in names:
        if close and candidate.lower() == close[0]:
            return f"did you mean '{candidate}'?"
    shown = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
    return f"known: {shown}" if names else "there are none"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Read(_Strict):
    """How raw files are read."""

    format: Literal["csv", "jsonl", "json", "parquet"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=4)
    encoding: str = "utf-8"
    multiline: bool = Field(default=False, description="CSV fields may hold line breaks; files are not split")
    timezone: str = Field(default="UTC", description="zone of times that name none")
    time_format: str = Field(default="", description="Spark datetime pattern; empty: ISO 8601")
    arrived_from_filename: str = Field(default="", description="regex; its group 1 is the arrival date")

    @property
    def guesses_lines(self) -> bool:
        """Whether nobody has said that fields of this CSV hold no line breaks."""
        return self.format == "csv" and "multiline" not in self.model_fields_set

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"'{value}' is no time zone; use a name such as Europe/London or UTC") from None
        return value

    @field_validator("delimiter")
    @classmethod
    def _separator(cls, value: str) -> str:
        # Spark would read a backslash as the start of an escape, and quotes and line ends are its own.
        if any(mark in value for mark in '\\"\r\n'):
            raise ValueError(
                f'{value!r} has a backslash, a quote or a line end; write a tab in double quotes, "\\t"'
            )
        return value

    @field_validator("encoding")
    @classmethod
    def _codec(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(f"'{value}' is no encoding; use one such as utf-8, gb18030 or cp1252") from None
        return value

    @field_validator("arrived_from_filename")
    @classmethod
    def _regex(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if value and groups != 1:
            raise ValueError("needs exactly one group, around the date: 'events-(\\d{4}-\\d{2}-\\d{2})'")
        return value


class Entity(_Strict):
    """One entity of the contract, made from raw rows."""

    read: Read
    files: str = Field(
        default="*", description="glob on the file's base name; files it does not match are not read"
    )
    columns: dict[str, str] = Field(default_factory=dict, description="contract column → raw column")
    sql: dict[str, str] = Field(
        default_factory=dict, description="contract column → Spark SQL over raw columns"
    )
    where: str = Field(default="", description="SQL: the raw rows that belong to this entity")
    explode: str = Field(
        default="", description="SQL array; one row per element, as `item` at `pos` (from 0)"
    )
    refuse: dict[str, str] = Field(
        default_factory=dict, description="rule → SQL; TRUE sends the row to quarantine"
    )
    optional: tuple[str, ...] = Field(default=(), description="raw columns that a file may lack")


class Mapping(_Strict):
    source: str
    events: Entity | None = None
    products: Entity | None = None
    users: Entity | None = None
    path: str = Field(description="where it was read, for messages")

    @field_validator("source")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f"'{value}': use small letters, digits, '-' and '_'")
        return value

    def entities(self) -> dict[EntityName, Entity]:
        found = {name: getattr(self, name) for name in ENTITIES}
        return {name: entity for name, entity in found.items() if entity is not None}

    def fingerprint(self) -> str:
        """Hash of what the mapping means: comments and the file's place do not count."""
        return hashlib.sha256(self.model_dump_json(exclude={"path"}).encode()).hexdigest()


def find_mapping(name: str | Path) -> Path:
    """The mapping's file: a path, or the name of one that ships with the project."""
    path = Path(name)
    shipped = ROOT / "mappings" / f"{name}.toml"
    if path.suffix != ".toml" and not path.exists() and shipped.is_file():
        return shipped
    if not path.is_file():
        known = [p.stem for p in (ROOT / "mappings").glob("*.toml")]
        raise BadInput(
            f"mapping '{name}': no such file; give a .toml file or a shipped name; "
            f"{nearest(str(name), known)}"
        )
    return path


def load_mapping(name: str | Path) -> Mapping:
    """Read a mapping; raises `BadInput` naming file, key and remedy."""
    path = find_mapping(name)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"mapping {path}: not valid TOML: {error}") from None
    common = raw.pop("read", {})
    if not isinstance(common, dict):
        raise BadInput(f"mapping {path}: 'read' is a section: write [read]")
    _check_keys(path, "read", common, Read)
    for name_ in ENTITIES:
        section = raw.get(name_)
        if isinstance(section, dict):
            own = section.get("read", {})
            section["read"] = {**common, **own} if isinstance(own, dict) else own
    try:
        mapping = Mapping(**raw, path=str(path))
    except ValidationError as error:
        raise BadInput(_sentence(path, error)) from None
    _check(mapping)
    return mapping


def _check_keys(path: Path, where: str, given: dict[str, Any], model: type[BaseModel]) -> None:
    for key in given:
        if key not in model.model_fields:
            raise BadInput(f"mapping {path}: unknown key '{where}.{key}'; {nearest(key, model.model_fields)}")


def _sentence(path: Path, error: ValidationError) -> str:
    """The first thing that is wrong, as one sentence; unknown keys before what they leave missing."""
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    loc = [str(part) for part in first["loc"]]
    where = ".".join(loc)
    if first["type"] == "extra_forbidden":
        model: type[BaseModel] = Mapping
        if len(loc) > 1:
            model = Read if loc[-2] == "read" else Entity
        known = set(model.model_fields) - {"path"}
        if model is Mapping:
            known.add("read")
        return f"mapping {path}: unknown key '{where}'; {nearest(loc[-1], known)}"
    return f"mapping {path}: '{where}': {first['msg'].removeprefix('Value error, ')}"


def _check_encoding(where: str, read: Read) -> None:
    """Lines are told apart by their bytes before they are decoded, which wide characters do not bear."""
    wide = codecs.lookup(read.encoding).name.startswith(("utf-16", "utf-32"))
    if wide and read.format == "csv" and not read.multiline:
        raise BadInput(f"{where}: {read.encoding} needs multiline = true, or convert the files to UTF-8")
    if wide and read.format == "jsonl":
        raise BadInput(f"{where}: {read.encoding} cannot be read line by line; convert the files to UTF-8")


def _check(mapping: Mapping) -> None:
    """What the types cannot say: the contract's columns, each once, the required ones all there."""
    entities = mapping.entities()
    here = f"mapping {mapping.path}"
    if not entities:
        raise BadInput(f"{here}: add a section [events], [products] or [users]")
    for name, entity in entities.items():
        _check_encoding(f"{here}: '{name}.read.encoding'", entity.read)
        known = mappable_columns(name)
        for part in ("columns", "sql"):
            for key in getattr(entity, part):
                if key not in known:
                    raise BadInput(f"{here}: unknown key '{name}.{part}.{key}'; {nearest(key, known)}")
        twice = sorted(set(entity.columns) & set(entity.sql))
        if twice:
            raise BadInput(f"{here}: '{name}.{twice[0]}' is in both columns and sql; keep one")
        for key in REQUIRED[name]:
            if key not in entity.columns and key not in entity.sql:
                raise BadInput(f"{here}: [{name}] lacks '{key}'; add it to [{name}.columns] or [{name}.sql]")
        for rule in entity.refuse:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", rule):
                raise BadInput(f"{here}: '{name}.refuse.{rule}': use small letters, digits and '_'")
