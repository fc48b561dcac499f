"""One typed settings object.

Values come, strongest first, from `NIGHTSHELF_*` environment variables, from
`nightshelf.toml` in the working directory (or the file that
`NIGHTSHELF_CONFIG` names), and from the defaults below.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

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

# A shorter key could be found by trying.
_LEAST_KEY = 16
_ALL_SETTINGS = "All settings are in jobs/settings.py"

ROOT = Path(__file__).resolve().parent.parent


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
        if value and not value.startswith(("postgresql", "sqlite")):
            raise ValueError(
                "give a SQLAlchemy URL of PostgreSQL or SQLite: only there a night is one transaction "
                "(Glue and REST: docs/deploy.md)"
            )
        if value.startswith("postgresql") and value.partition("?")[0].count("@") > 1:
            # Its driver would take the rest of the password for the server's name, and tell it.
            raise ValueError("a sign in its user or password is not escaped: write '@' as %40, ':' as %3A")
        return value

    @field_validator("lake")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if value.startswith("s3://"):
            return value.rstrip("/")
        return str(Path(value.removeprefix("file://")).expanduser().resolve())

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


def _config() -> Path:
    return Path(os.environ.get("NIGHTSHELF_CONFIG") or "nightshelf.toml")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process; raises `BadInput` naming what is wrong."""
    return load_settings()


def load_settings(**overrides: Any) -> Settings:
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise BadInput(f"setting '{where}': {first['msg']}. {_ALL_SETTINGS}") from error
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
