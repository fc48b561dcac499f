"""Airflow's database is known from another one that has its address."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from scripts.services import airflow, postgres, stack
from scripts.services.stack import _PORTS, Stack


def test_a_database_made_anew_is_prepared_anew(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the folder of PostgreSQL was removed, and that of Airflow was not."""
    port = sa.make_url(postgres_url).port
    assert port
    services = Stack(tmp_path)
    services.state.ports = dict.fromkeys(_PORTS, port)
    given: list[str] = []
    monkeypatch.setattr(stack, "prepare_airflow", lambda _environment, _log, database: given.append(database))
    monkeypatch.setattr(stack, "find_java", lambda _settings: "/no/java")
    for _ in range(2):
        postgres.create_databases(port, "", [airflow.DATABASE])
        services.layers()[-1].before()
        services.layers()[-1].before()
        with contextlib.closing(postgres.connect(port)) as server, server.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{airflow.DATABASE}"')
    first, again, other, other_again = given
    assert first == again
    assert other == other_again
    assert first != other
