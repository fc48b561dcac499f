"""One typed settings object.

Values come, strongest first, from `NIGHTSHELF_*` environment variables, from
`nightshelf.toml` in the working directory (or the file that
`NIGHTSHELF_CONFIG` names; `/dev/null`: none), and from the defaults below.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from jobs.errors import BadInput

log = logging.getLogger(__name__)

# A shorter key could be found by trying.
_LEAST_KEY = 16
_ALL_SETTINGS = "All settings are in jobs/settings.py"

ROOT = Path(__file__).resolve().parent.parent

_PREFIX = "NIGHTSHELF_"
# What else reads a variable of this prefix: the command line, the DAGs, the containers, the tests.
_OTHER_VARIABLES = frozenset(
    _PREFIX + name
    for name in (
        *("CONFIG", "LOG", "FAIL_AT"),
        *("HOME", "COMMAND", "RUN_WITH", "SPARK_CONNECTION", "GPU_POOL"),
        *("CRON", "MAINTENANCE_CRON", "DEADLINE_MINUTES", "RETRY_SECONDS"),
        *("APPROVE", "APPROVE_CHANGE", "APPROVE_MINUTES", "NOTIFY_EMAIL", "NOTIFY_WEBHOOK"),
        *("POD_IMAGE", "POD_GPU_IMAGE", "POD_GPUS", "POD_SECRET", "POD_MEMORY", "POD_CPUS"),
        *("POD_NAMESPACE", "POD_TEMPLATE"),
        *("TAG", "SECRETS", "ENV_FILE", "SERVICES", "DATA", "PICTURES"),
    )
)
# Kubernetes sets these in every pod beside a Service whose name begins with `nightshelf`.
_OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
# As boto3 takes them.
_BUCKET = re.compile(r"s3://[A-Za-z0-9._-]{1,255}(/.*)?")
_REGION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:/")
_POSTGRESQL = "postgresql+psycopg2://"
_DRIVERS = {"postgresql": "psycopg2", "sqlite": "pysqlite"}


class Source(BaseModel):
    """Raw files that every night reads: a mapping and the files it maps."""

    model_config = ConfigDict(extra="forbid")
    mapping: str
    files: list[str]


class Experiment(BaseModel):
    """Which share of the shoppers gets which lists; without a name, none is on.

    The arm `control` gets what sold in the last 7 days, every other arm the model's lists.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(default="", max_length=100, description="another name, another draw; empty: none is on")
    arms: dict[str, float] = Field(default={"control": 0.1, "model": 0.9}, description="arm → share")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for arm, share in self.arms.items():
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,49}", arm):
                raise ValueError(f"arm '{arm}': use small letters, digits, '-' and '_'")
            if not 0 <= share <= 1:
                raise ValueError(f"share {share} of arm '{arm}' is not between 0 and 1")
        if self.name and "control" not in self.arms:
            raise ValueError("one arm must be named 'control': the others are compared with it")
        if abs(sum(self.arms.values()) - 1) > 1e-9:
            raise ValueError(f"the arms' shares add up to {sum(self.arms.values()):g}, not to 1")
        return self

    @property
    def on(self) -> bool:
        return bool(self.name)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="NIGHTSHELF_", env_nested_delimiter="__", extra="forbid", toml_file="nightshelf.toml"
    )

    lake: str = Field(default=str(ROOT / "var" / "lake"), description="folder or s3://bucket/prefix")
    catalog: str = Field(default="", description="SQLAlchemy URL; empty: SQLite inside the lake's folder")
    sources: list[Source] = Field(default_factory=list, description="raw files that every night reads")

    s3_endpoint: str = Field(default="", description="URL of an S3 store that is not AWS")
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr = SecretStr("")
    s3_secret_key: SecretStr = SecretStr("")

    pseudonym_key: SecretStr = Field(
        default=SecretStr(""),
        description="shoppers' ids are kept as HMAC-SHA256 with it; empty: as they came",
    )

    spark_master: str = "local[*]"
    spark_memory: str = "2g"
    java_home: str = ""

    seed: int = 20260102
    lookback_days: int = Field(default=3, ge=0, description="how late an event may come, in days")
    history_days: int = Field(default=365, ge=1, description="events older than this are not trained on")
    top_k: int = Field(default=20, ge=1, description="products in a shopper's list")
    category_share: float = Field(
        default=0.5, gt=0, le=1, description="largest part of a list of one category"
    )
    brand_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="largest part of a list of one brand",
    )
    diversity: float = Field(
        default=0.1, ge=0, lt=1, description="weight of unlikeness to the products above"
    )
    similar_k: int = Field(default=12, ge=1, description="neighbours of a product")
    holdout_days: int = Field(default=7, ge=1, description="last days held out to judge a new model")
    audience_cap: int = Field(default=200, ge=1, description="shoppers in an audience, at most")
    trending_k: int = Field(default=20, ge=1, description="products in a list of what is trending")
    experiment: Experiment = Field(default_factory=Experiment, description="an A/B test of the lists")
    experiment_days: int = Field(default=14, ge=1, description="lists of so many days enter an A/B report")
    min_group: int = Field(default=5, ge=1, description="smaller groups of shoppers are not reported")
    block_size: int = Field(default=2048, ge=1, description="shoppers scored, or products written, per shard")
    scoring: Literal["process", "spark"] = Field(
        default="process", description="where lists are made: in the step's process, or in Spark's executors"
    )
    writing: Literal["process", "spark"] = Field(
        default="process", description="where copy is written: in the step's process, or in Spark's executors"
    )
    languages: list[str] = ["en", "zh"]
    markets: dict[str, list[str]] = Field(
        default={"en": ["eu", "us"], "zh": ["cn"]},
        description="language → markets whose rules hold for its copy",
    )
    competitors: list[str] = Field(default_factory=list, description="names that copy never says")
    channels: list[str] = Field(
        default=["title", "bullets", "description", "ad_copy", "ad_copy.lively", "search_keywords"],
        min_length=1,
        description="where copy is shown; ad_copy.<tone> for further tones",
    )
    near_duplicate: float = Field(
        default=0.8, ge=0.6, le=1, description="descriptions of a category that share so much are too alike"
    )
    opening_share: float = Field(
        default=0.25, gt=0, le=1, description="largest part of a category whose descriptions begin alike"
    )
    writer_steps: int = Field(default=400, ge=1, description="training steps of the writer, per night")
    writer_batch: int = Field(default=64, ge=1)
    writer_width: int = Field(default=96, ge=16, multiple_of=8, description="width of the writer's network")
    writer_blocks: int = Field(
        default=2, ge=1, description="blocks of the writer's encoder, and of its decoder"
    )
    writer_retrain_share: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="a new writer is trained when more of its texts changed than that",
    )
    review_limit: int = Field(default=200, ge=0, description="texts a night that people are asked to look at")
    review_share: float = Field(
        default=0.01, ge=0, le=1, description="share of all texts that is drawn for a look by chance"
    )
    writer_backend: Literal["transformer", "preset"] = Field(
        default="transformer",
        description="what is trained: our own small network, or a preset's adapters",
    )
    writer_preset: str = Field(default="", description="folder of a keras-hub preset, the adapters' base")

    keep_runs: int = Field(default=14, ge=1, description="published nights that a rollback can go back to")
    keep_days: int = Field(default=90, ge=1, description="days for which reports of other runs are kept")
    keep_models: int = Field(default=10, ge=1, description="newest versions of each model that are kept")
    grace_days: float = Field(
        default=3, ge=0, description="unreachable files younger than this stay: longer than the longest run"
    )
    compact_mb: int = Field(
        default=128, ge=0, description="size of joined data files, in MB; 0: none are joined"
    )
    compact_files: int = Field(
        default=5, ge=2, description="partitions of at least so many small files are joined"
    )
    retention: dict[str, int] = Field(
        default_factory=dict,
        description="table → days for which its partitions are kept, instead of what the registry says",
    )

    @field_validator("catalog")
    @classmethod
    def _sql(cls, value: str) -> str:
        # SQLAlchemy reads the short forms as a driver that is not installed, or as none.
        value = re.sub(r"^postgres(ql)?://", _POSTGRESQL, value)
        database, _, driver = value.partition(":")[0].partition("+")
        if value and database not in _DRIVERS:
            raise ValueError(
                "give a SQLAlchemy URL of PostgreSQL or SQLite: only there a night is one transaction "
                "(Glue and REST: docs/deploy.md)"
            )
        if driver and driver != _DRIVERS[database]:
            raise ValueError(f"it is spoken to by psycopg2 alone: write {_POSTGRESQL}…, or sqlite:///…")
        if database == "postgresql" and value.partition("?")[0].count("@") > 1:
            # Its driver would take the rest of the password for the server's name, and tell it.
            raise ValueError("a sign in its user or password is not escaped: write '@' as %40, ':' as %3A")
        return value

    @field_validator("lake")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is empty: give a folder or s3://bucket/prefix, or leave it out")
        if _BUCKET.fullmatch(value):
            return value.rstrip("/")
        # Else a wrong scheme would be the name of a folder here.
        if _SCHEME.match(value) and not value.startswith(("file:///", "file://~")):
            raise ValueError(
                "give a folder, file:///folder or, for a bucket of any store, s3://bucket/prefix"
            )
        try:
            return str(Path(value.removeprefix("file://")).expanduser().resolve())
        except (RuntimeError, OSError) as error:
            raise ValueError(f"not a folder's path: {error}") from error

    @field_validator("s3_endpoint")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not _is_address(value):
            raise ValueError("give a whole URL, such as http://127.0.0.1:9000; empty: AWS")
        return value

    @field_validator("s3_region")
    @classmethod
    def _region(cls, value: str) -> str:
        if not _REGION.fullmatch(value):
            raise ValueError("give a region's name, such as eu-west-1, or leave it out: us-east-1")
        return value

    @field_validator("pseudonym_key")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < _LEAST_KEY:
            raise ValueError(f"give at least {_LEAST_KEY} random characters, or none")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=_config())
        return (init_settings, env_settings, toml)

    @property
    def on_s3(self) -> bool:
        return self.lake.startswith("s3://")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Asked for, a port that is none is an error.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _config() -> Path:
    return Path(os.path.expanduser(os.environ.get("NIGHTSHELF_CONFIG") or "nightshelf.toml"))


def _require_config() -> None:
    """Raise `BadInput` where a file of settings is named and none is there."""
    path = _config()
    if os.environ.get("NIGHTSHELF_CONFIG") and not (path.is_file() or path == Path(os.devnull)):
        raise BadInput(
            f"NIGHTSHELF_CONFIG: {path} is not a file: name the file of settings, or /dev/null for none"
        )


@lru_cache(maxsize=8)
def _warn(unknown: tuple[str, ...]) -> None:
    """Tell of variables that nothing reads, once; never what they say."""
    known = sorted(_known())
    for name in unknown:
        near = difflib.get_close_matches(name, known, 1)
        meant = f": is {near[0]} meant?" if near else ";"
        log.warning("%s is set, and nothing reads it%s %s", name, meant, _ALL_SETTINGS)


def _known() -> set[str]:
    return {_PREFIX + name.upper() for name in Settings.model_fields} | _OTHER_VARIABLES


def _is_known(name: str) -> bool:
    """Whether something reads, or Kubernetes sets, a variable of our prefix."""
    # `…__…` names a part of a setting, `…_FILE` the file of a secret.
    whole, known = name.upper().partition("__")[0], _known()
    return whole in known or whole.removesuffix("_FILE") in known or bool(_OF_KUBERNETES.search(whole))


def _unknown() -> tuple[str, ...]:
    given = (name for name in os.environ if name.upper().startswith(_PREFIX))
    return tuple(sorted(name for name in given if not _is_known(name)))


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process; raises `BadInput` naming what is wrong."""
    return load_settings()


def load_settings(**overrides: Any) -> Settings:
    _warn(_unknown())
    try:
        _require_config()
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"setting '{where}': {told}. {_ALL_SETTINGS}") from error
    except SettingsError as error:
        # It names the field, and says nothing of what is wrong with it; its cause may quote a secret.
        found = re.search(r'field "(\w+)"', str(error))
        where = f"'{found.group(1)}'" if found else "in the environment"
        told = f"setting {where}: not valid JSON, which a list needs"
        raise BadInput(f"{told}, such as '[\"en\"]'. {_ALL_SETTINGS}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{_config()}: not valid TOML: {error}") from error
    except OSError as error:
        raise BadInput(f"{_config()}: cannot be read: {error.strerror}") from error
