"""What a deployment starts from can be prepared again and again; Airflow's own commands are kept out."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from tests.docker.test_compose import DOCKER


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, without Airflow: its import alone makes a folder and a configuration."""
    for name in ("airflow", "airflow.cli"):
        stub = SimpleNamespace(configuration=None, cli_parser=None)
        monkeypatch.setitem(sys.modules, name, stub)
    spec = importlib.util.spec_from_file_location("init_airflow", DOCKER / "init_airflow.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("GPU_SLOTS", "NIGHTSHELF_GPU_POOL", "NIGHTSHELF_S3_ENDPOINT", "ADMIN_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ADMIN_PASSWORD", "planted")
    monkeypatch.setenv("NIGHTSHELF_LAKE", "/lake")
    return module


@pytest.mark.parametrize(
    ("given", "name", "slots"),
    [({}, "gpu", "1"), ({"GPU_SLOTS": "2", "NIGHTSHELF_GPU_POOL": "cards"}, "cards", "2")],
)
@pytest.mark.parametrize("there", [False, True])
def test_the_pool_is_the_one_that_the_dag_waits_for_and_keeps_its_slots(
    init: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], name: str, slots: str, there: bool
) -> None:
    """A person may have given it others on Airflow's page."""
    asked: list[tuple[str, ...]] = []

    def airflow(*words: str) -> None:
        asked.append(words[:4])
        if words[:2] == ("pools", "get") and not there:
            raise SystemExit(f"Pool {words[2]} does not exist")

    monkeypatch.setattr(init, "airflow", airflow)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    init.main()
    pools = [("pools", "get", name)] + [("pools", "set", name, slots)] * (not there)
    assert [words for words in asked if words[0] == "pools"] == pools


class Bucket:
    """A store that answers for one bucket: to whether it is there, and to being asked to make it."""

    def __init__(self, there: int, made: int) -> None:
        self.asked = asked = list[str]()
        codes = {"HEAD": there, "PUT": made}

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.send_response(codes[self.command])
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_HEAD

            def log_message(self, *_: object) -> None:
                """Keep the tests' output quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    bucket = Bucket(*request.param)
    threading.Thread(target=bucket.server.serve_forever, daemon=True).start()
    yield bucket
    bucket.server.shutdown()
    bucket.server.server_close()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHELF_S3_ACCESS_KEY", "key")
    monkeypatch.setenv("NIGHTSHELF_S3_SECRET_KEY", "planted-secret")


@pytest.mark.parametrize("store", [(200, 403)], indirect=True)
def test_keys_that_may_only_use_the_bucket_are_enough(init: Any, store: Bucket) -> None:
    init.make_bucket("s3://shop/lake", store.url)
    assert store.asked == ["HEAD /shop"]


@pytest.mark.parametrize("store", [(404, 200)], indirect=True)
def test_a_bucket_that_is_missing_is_made(init: Any, store: Bucket) -> None:
    init.make_bucket("s3://shop/lake", store.url)
    assert store.asked == ["HEAD /shop", "PUT /shop"]


@pytest.mark.parametrize("store", [(403, 200)], indirect=True)
def test_a_bucket_that_the_keys_may_not_see_is_an_error(init: Any, store: Bucket) -> None:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match="403"):
        init.make_bucket("s3://shop/lake", store.url)
    assert store.asked == ["HEAD /shop"]


@pytest.mark.parametrize("store", [(200, 200)], indirect=True)
def test_a_role_may_give_the_keys(init: Any, store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their files are emptied then."""
    for name in ("ACCESS", "SECRET"):
        monkeypatch.setenv(f"NIGHTSHELF_S3_{name}_KEY", "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-a-role")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    init.make_bucket("s3://shop/lake", store.url)
    assert store.asked == ["HEAD /shop"]
