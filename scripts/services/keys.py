"""Passwords and keys of the services: made once, in files that their owner alone can read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

S3_ACCESS_KEY = "nightshelf:lake"


@dataclass(frozen=True)
class Secrets:
    """`folder` holds them; `repr` shows none."""

    folder: Path
    _values: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Secrets:
        """The secrets of a folder, made where there are none."""
        file = folder / "keys.json"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            write(file, json.dumps(_fresh()))
        return cls(folder, json.loads(file.read_text()))

    def __repr__(self) -> str:
        return f"Secrets({self.folder})"

    @property
    def postgres(self) -> str:
        return self._values["postgres"]

    @property
    def s3(self) -> str:
        return self._values["s3"]

    @property
    def airflow(self) -> str:
        """The password of Airflow's user."""
        return self._values["airflow"]

    @property
    def airflow_jwt(self) -> str:
        return self._values["airflow_jwt"]

    @property
    def airflow_api(self) -> str:
        return self._values["airflow_api"]

    @property
    def airflow_fernet(self) -> str:
        return self._values["airflow_fernet"]

    @property
    def pgpass(self) -> Path:
        """PostgreSQL's password file (PGPASSFILE); `Stack` writes it, for it names the port."""
        return self.folder / "pgpass"

    @property
    def airflow_passwords(self) -> Path:
        """The file in which Airflow's SimpleAuthManager looks passwords up."""
        return self.folder / "airflow-passwords.json"

    def write_files(self, database_port: int, airflow_user: str) -> None:
        write(self.pgpass, f"127.0.0.1:{database_port}:*:*:{self.postgres}\n")
        write(self.airflow_passwords, json.dumps({airflow_user: self.airflow}) + "\n")

    def all(self) -> list[str]:
        """Every secret: what must stand in no log and no list of processes."""
        return list(self._values.values())


def _fresh() -> dict[str, str]:
    return {
        "postgres": secrets.token_urlsafe(24),
        "s3": secrets.token_urlsafe(24),
        "airflow": secrets.token_urlsafe(18),
        "airflow_jwt": secrets.token_urlsafe(64),
        "airflow_api": secrets.token_urlsafe(32),
        "airflow_fernet": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }


def write(file: Path, text: str) -> None:
    """Write a file whole, that its owner alone can read, at no moment anybody else."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    os.replace(part, file)
