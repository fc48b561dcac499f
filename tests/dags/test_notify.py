"""What people are told, to a real HTTP and a real SMTP server; and that telling never fails a night."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import servers
from tests.dags.webhook import SECRET, Hook

# A run as callbacks see it: its conf holds a shopper's id, its error a row.
RUN = SimpleNamespace(
    dag_id="nightly",
    run_id="manual__1",
    logical_date=None,
    conf={"ds": "2026-01-31", "user_id": "zoe-shopper"},
)
FAILED = {
    "dag_run": RUN,
    "ti": SimpleNamespace(task_id="audit"),
    "exception": ValueError("row of zoe-shopper is bad"),
}
EXPECTED = {
    "event": "failed",
    "text": "The night failed; its report says why.",
    "dag": "nightly",
    "run": "manual__1",
    "ds": "2026-01-31",
    "task": "audit",
}


class Box:
    """Keeps the letters that an SMTP server takes; refuses the first `refuse` of them for now."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.refuse = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuse:
            self.refuse -= 1
            return "451 try again later"
        self.letters.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 taken"


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    box = Box()
    (port,) = servers.free_ports(1)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("NIGHTSHELF_NOTIFY_EMAIL", "night@shop.example, ops@shop.example")
    set_smtp(monkeypatch, port)
    yield box
    controller.stop()


def set_smtp(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    extra = {"from_email": "nightshelf@shop.example", "disable_ssl": True, "disable_tls": True}
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))


def text_of(letter: Any) -> str:
    return "".join(
        part.get_payload(decode=True).decode() for part in letter.walk() if not part.is_multipart()
    )


def test_a_failure_is_told_to_both(webhook: Hook, mail: Box) -> None:
    from nightshelf_notify import say_failed

    say_failed(dict(FAILED))
    assert webhook.got == [EXPECTED]
    ((to, letter),) = mail.letters
    assert to == ["night@shop.example", "ops@shop.example"]
    assert letter["Subject"] == "Nightshelf: failed 2026-01-31"
    assert "The night failed; its report says why." in text_of(letter)
    assert "audit" in text_of(letter)
    assert "zoe" not in json.dumps(webhook.got) + text_of(letter)


def test_a_missed_deadline_is_told_to_both(webhook: Hook, mail: Box) -> None:
    """As the triggerer does it: asynchronously, with a run that is a dictionary."""
    from airflow.api_fastapi.core_api.datamodels.dag_run import DAGRunResponse
    from nightshelf_notify import say_late

    run = {
        "dag_id": "nightly",
        "dag_run_id": "scheduled__1",
        "logical_date": "2026-01-30T02:00:00Z",
        "conf": {},
    }
    assert run.keys() <= DAGRunResponse.model_fields.keys(), "of this class Airflow makes the dictionary"
    asyncio.run(say_late(text="late", context={"dag_run": run, "deadline": {"id": "1"}}))
    (got,) = webhook.got
    assert (got["event"], got["run"], got["ds"]) == ("late", "scheduled__1", "2026-01-30")
    assert [letter["Subject"] for _, letter in mail.letters] == ["Nightshelf: late 2026-01-30"]


def test_nights_of_a_backfill_wait_for_one_another_and_are_not_late(webhook: Hook, mail: Box) -> None:
    from nightshelf_notify import say_late

    run = {"dag_id": "nightly", "dag_run_id": "backfill__1", "run_type": "backfill"}
    asyncio.run(say_late(text="late", context={"dag_run": run}))
    assert (webhook.got, mail.letters) == ([], [])


def test_a_link_leads_to_the_run(webhook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    from nightshelf_notify import Notifier

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.shop.example/")
    Notifier("approval")(dict(FAILED))
    assert webhook.got[0]["link"] == "https://airflow.shop.example/dags/nightly/runs/manual__1"


def test_a_connection_keeps_address_and_token_out_of_the_settings(
    webhook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nightshelf_notify import Notifier

    monkeypatch.setenv("NIGHTSHELF_NOTIFY_WEBHOOK", "night_webhook")
    connection = {"conn_type": "http", "host": "127.0.0.1", "schema": "http", "port": webhook.server_port}
    connection |= {"password": SECRET, "extra": {"path": "/hook"}}
    monkeypatch.setenv("AIRFLOW_CONN_NIGHT_WEBHOOK", json.dumps(connection))
    Notifier("failed")(dict(FAILED))
    asyncio.run(_await(Notifier("late", context={"dag_run": RUN})))
    assert [g["event"] for g in webhook.got] == ["failed", "late"]
    assert {h["Authorization"] for h in webhook.headers} == {f"Bearer {SECRET}"}


async def _await(notifier: Any) -> None:
    await notifier


def test_what_may_pass_is_tried_again_and_no_more_than_three_times(webhook: Hook, mail: Box) -> None:
    from nightshelf_notify import TRIES, Notifier

    webhook.codes, mail.refuse = [503, 429], 1
    Notifier("failed")(dict(FAILED))
    assert (webhook.calls, len(webhook.got)) == (3, 1)
    assert len(mail.letters) == 1

    webhook.codes, webhook.calls = [500] * 9, 0
    Notifier("failed")(dict(FAILED))
    assert webhook.calls == TRIES
    assert len(mail.letters) == 2, "one way that fails does not keep the other from telling"


# -- TLS ----------------------------------------------------------------------------------------

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "deploy.md").read_text()
PORTS = pytest.mark.parametrize("port", [465, 587])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate of 127.0.0.1 that is signed with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.shop.example")])
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    path.write_bytes(key.private_bytes(pem, *plain) + signed.public_bytes(pem))
    return path


@pytest.fixture
def serve(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`serve(465)`: a server of TLS at once, `serve(587)`: of STARTTLS; both as the page says to be set.

    With `login` it takes letters only of who is logged in, by one of the ways that are not `hidden`.
    """

    @contextmanager
    def run(port: int, login: bool = False, hidden: tuple[str, ...] = ()) -> Iterator[Box]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        tls: dict[str, Any] = {"ssl_context": context}
        if port == 587:
            tls = {"tls_context": context, "require_starttls": True}
        if login:
            tls |= {"auth_required": True, "authenticator": _knows, "auth_exclude_mechanism": hidden}
            # This server does not know that it is inside TLS.
            tls["auth_require_tls"] = port == 587
        box, (free,) = Box(), servers.free_ports(1)
        controller = Controller(box, hostname="127.0.0.1", port=free, **tls)
        monkeypatch.setenv("NIGHTSHELF_NOTIFY_EMAIL", "night@shop.example")
        monkeypatch.delenv("NIGHTSHELF_NOTIFY_WEBHOOK", raising=False)
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(_of_page(port, login) | {"port": free}))
        controller.start()
        try:
            yield box
        finally:
            controller.stop()

    return run


def _of_page(port: int, login: bool) -> dict[str, Any]:
    """The page's connection of a port, to this machine, with or without a login."""
    examples = map(json.loads, re.findall(r"AIRFLOW_CONN_SMTP_DEFAULT='(.*)'", PAGE))
    (found,) = (e for e in examples if e["port"] == port)
    who = {"login": "nightshelf", "password": SECRET} if login else {"login": "", "password": ""}
    return dict(found) | {"host": "127.0.0.1"} | who


def _knows(_server: Any, _session: Any, _envelope: Any, _way: str, given: Any) -> AuthResult:
    return AuthResult(success=(given.login, given.password) == (b"nightshelf", SECRET.encode()))


def say_it_failed() -> None:
    """As a worker does it."""
    from nightshelf_notify import say_failed

    say_failed(dict(FAILED))


def say_it_is_late() -> None:
    """As the triggerer does it."""
    from nightshelf_notify import say_late

    asyncio.run(say_late(text="late", context={"dag_run": RUN}))


TELL = pytest.mark.parametrize("tell", [say_it_failed, say_it_is_late])


@PORTS
@TELL
@pytest.mark.parametrize("login", [False, True])
def test_mail_goes_out_over_tls_and_over_starttls(
    serve: Callable[..., Any],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    port: int,
    tell: Callable[[], None],
    login: bool,
) -> None:
    """Airflow's hook asks for STARTTLS inside TLS and, asynchronously, for it twice: no mail was sent."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(port, login) as box:
        tell()
    assert [to for to, _ in box.letters] == [["night@shop.example"]]


@TELL
@pytest.mark.parametrize("hidden", ["LOGIN", "PLAIN"])
def test_a_server_may_offer_one_way_to_log_in(
    serve: Callable[..., Any],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[], None],
    hidden: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(587, login=True, hidden=(hidden,)) as box:
        tell()
    assert len(box.letters) == 1


@PORTS
@TELL
def test_no_mail_goes_to_a_server_whose_certificate_is_not_trusted(
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    port: int,
    tell: Callable[[], None],
) -> None:
    monkeypatch.setattr("nightshelf_notify.TRIES", 1)
    with serve(port) as box:
        tell()
    assert box.letters == []
    assert "NIGHTSHELF NOT TOLD by e-mail" in caplog.text


@pytest.mark.parametrize("trouble", ["refused", "nobody", "no connection"])
def test_a_notifier_that_fails_fails_nothing_and_says_no_secret(
    webhook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    from nightshelf_notify import say_failed

    (closed,) = servers.free_ports(1)
    monkeypatch.setenv("NIGHTSHELF_NOTIFY_EMAIL", "night@shop.example")
    set_smtp(monkeypatch, closed)
    if trouble == "refused":
        # Understood and refused: another try would change nothing.
        webhook.codes = [403] * 9
    elif trouble == "nobody":
        monkeypatch.setenv("NIGHTSHELF_NOTIFY_WEBHOOK", f"http://127.0.0.1:{closed}/hook/{SECRET}")
    else:
        monkeypatch.setenv("NIGHTSHELF_NOTIFY_WEBHOOK", "absent_connection")
        monkeypatch.delenv("AIRFLOW_CONN_SMTP_DEFAULT")
    with caplog.at_level(logging.INFO):
        say_failed(dict(FAILED))
    assert "NIGHTSHELF NOT TOLD by webhook" in caplog.text
    assert "NIGHTSHELF NOT TOLD by e-mail" in caplog.text
    assert SECRET not in caplog.text
    assert "zoe" not in caplog.text
    assert webhook.calls == (1 if trouble == "refused" else 0)


def test_where_nothing_is_set_nothing_is_sent(
    webhook: Hook, mail: Box, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from nightshelf_notify import say_failed

    monkeypatch.delenv("NIGHTSHELF_NOTIFY_WEBHOOK")
    monkeypatch.delenv("NIGHTSHELF_NOTIFY_EMAIL")
    say_failed(dict(FAILED))
    assert (webhook.calls, mail.letters) == (0, [])
    assert "NIGHTSHELF NIGHT FAILED: run manual__1 of nightly" in caplog.text
    assert "NOT TOLD" not in caplog.text
