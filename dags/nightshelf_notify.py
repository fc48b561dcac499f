"""What people are told of a night, by e-mail and webhook: tried a few times, and never a night's failure.

A message holds names of DAG, run and task, a date, one of our own sentences and, of an unusual night, counts
and shares: no error's text, which may quote a row, and no run's conf, which may hold a shopper's id.
"""

from __future__ import annotations

import html
import logging
import os
import re
from collections.abc import Mapping
from typing import Any

import aiosmtplib
import httpx
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import BaseHook, BaseNotifier
from airflow.sdk.configuration import conf
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

log = logging.getLogger(__name__)

TRIES = 3
TIMEOUT_SECONDS = 10

SENTENCES = {
    "failed": "The night failed; its report says why.",
    "late": "The night is not published in time.",
    "approval": "The night waits for a person: is it to be published?",
    "kept": "The night was not published: it is unusual, and nobody approved it.",
    "care_failed": "A command of care failed.",
}


def say_failed(context: Any) -> None:
    """Failure callback of a DAG: a line that a log search finds, and a message."""
    run = context["dag_run"]
    nightly = run.dag_id == "nightly"
    if nightly:
        log.error("NIGHTSHELF NIGHT FAILED: run %s of %s; its report says why", run.run_id, run.dag_id)
    else:
        log.error("NIGHTSHELF FAILED: run %s of %s; its log says why", run.run_id, run.dag_id)
    Notifier("failed" if nightly else "care_failed")(context)


async def say_late(**kwargs: Any) -> None:
    """Deadline callback: the night is not published in time.

    Of a backfill nothing is told: all its nights are queued at once, and wait for their turn.
    """
    context = kwargs.get("context") or {}
    if _of(context.get("dag_run"), "run_type") == "backfill":
        return
    log.error("NIGHTSHELF NIGHT LATE: %s", kwargs.get("text", "a night missed its deadline"))
    await Notifier("late", context=context)


class MailHook(SmtpHook):
    """Airflow's hook, on port 465 (TLS at once) and 587 (STARTTLS) alike, whatever way to log in is offered.

    Airflow's own asks for STARTTLS inside TLS, or twice, both of which servers and clients refuse.
    """

    @property
    def smtp_starttls(self) -> bool:
        return not self.use_ssl and super().smtp_starttls

    async def _abuild_client(self) -> aiosmtplib.SMTP:
        # `aget_conn` asks for STARTTLS itself, after this.
        client = _Client(**self._build_client_kwargs(is_async=True) | {"start_tls": False})
        await client.connect()
        await client.ehlo()
        return client


class _Client(aiosmtplib.SMTP):
    async def auth_login(self, username: Any, password: Any, /, **kwargs: Any) -> aiosmtplib.SMTPResponse:
        """The one way by which `aget_conn` logs in; by PLAIN where the server does not offer it."""
        offered = self.server_auth_methods
        way = super().auth_plain if "login" not in offered and "plain" in offered else super().auth_login
        return await way(username, password, **kwargs)


class Notifier(BaseNotifier):
    """Tells of one kind of event (a key of `SENTENCES`) by all ways that are configured.

    `NIGHTSHELF_NOTIFY_EMAIL`: addresses, through Airflow's SMTP connection. `NIGHTSHELF_NOTIFY_WEBHOOK`: an
    HTTP connection of Airflow, or a URL; it is sent one JSON object. `why`: what of the night is unusual.
    """

    def __init__(self, event: str, *, why: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event, self.why = event, why

    def notify(self, context: Any) -> None:
        message = self.message(context)
        for way, send in (("webhook", self._post), ("e-mail", self._mail)):
            try:
                Retrying(**_patience())(send, message)
            except Exception as error:
                _say_untold(way, message, error)

    async def async_notify(self, context: Any) -> None:
        message = self.message(context)
        for way, send in (("webhook", self._apost), ("e-mail", self._amail)):
            try:
                await AsyncRetrying(**_patience())(send, message)
            except Exception as error:
                _say_untold(way, message, error)

    def message(self, context: Any) -> dict[str, str]:
        """What is told: event, sentence, why, DAG, run, date, task and link, each where it is known."""
        run = context.get("dag_run")
        task = context.get("ti") or context.get("task_instance")
        found = {
            "event": self.event,
            "text": SENTENCES[self.event],
            "why": self.why,
            "dag": _of(run, "dag_id"),
            "run": _run_id(run),
            "ds": _date(run),
            "task": _of(task, "task_id") if self.event != "late" else "",
            "link": _link(_of(run, "dag_id"), _run_id(run)),
        }
        return {name: value for name, value in found.items() if value}

    # -- webhook --------------------------------------------------------------------------------

    def _post(self, message: dict[str, str]) -> None:
        target = os.environ.get("NIGHTSHELF_NOTIFY_WEBHOOK", "")
        if not target:
            return
        url, headers = _request(target, None if _is_url(target) else BaseHook.get_connection(target))
        httpx.post(url, json=message, headers=headers, timeout=TIMEOUT_SECONDS).raise_for_status()

    async def _apost(self, message: dict[str, str]) -> None:
        target = os.environ.get("NIGHTSHELF_NOTIFY_WEBHOOK", "")
        if not target:
            return
        found = None if _is_url(target) else await BaseHook.aget_connection(target)
        url, headers = _request(target, found)
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            (await client.post(url, json=message, headers=headers)).raise_for_status()

    # -- e-mail ---------------------------------------------------------------------------------

    def _mail(self, message: dict[str, str]) -> None:
        to = _addresses()
        if to:
            with _smtp() as hook:
                hook.send_email_smtp(to=to, **_letter(message))

    async def _amail(self, message: dict[str, str]) -> None:
        to = _addresses()
        if to:
            async with _smtp() as hook:
                await hook.asend_email_smtp(to=to, **_letter(message))


def _patience() -> dict[str, Any]:
    return {
        "stop": stop_after_attempt(TRIES),
        "wait": wait_exponential(multiplier=0.5, max=5),
        "retry": retry_if_exception(_may_pass),
        "reraise": True,
    }


def _may_pass(error: BaseException) -> bool:
    """Whether another try may help: not where the other side understood, and refused."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    # Of smtplib and of aiosmtplib: 4xx is for now, 5xx for good.
    code = getattr(error, "smtp_code", None) or getattr(error, "code", None)
    if isinstance(code, int):
        return 400 <= code < 500
    return isinstance(error, OSError | httpx.TransportError)


def _say_untold(way: str, message: Mapping[str, str], error: Exception) -> None:
    # Not the error's text: it quotes the webhook's address, which is a secret.
    what = type(error).__name__
    if isinstance(error, httpx.HTTPStatusError):
        what = f"HTTP {error.response.status_code}"
    log.warning("NIGHTSHELF NOT TOLD by %s of '%s': %s", way, message["event"], what)


def _is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def _request(target: str, connection: Any) -> tuple[str, dict[str, str]]:
    """URL and headers: of a URL, or of a connection, whose password is sent as a bearer token."""
    if connection is None:
        return target, {}
    host = connection.host or ""
    if not _is_url(host):
        host = f"{connection.schema or 'https'}://{host}"
    if connection.port:
        host = f"{host}:{connection.port}"
    path = str(connection.extra_dejson.get("path", ""))
    headers = {"Authorization": f"Bearer {connection.password}"} if connection.password else {}
    return host + path, headers


def _smtp() -> MailHook:
    return MailHook(smtp_conn_id=conf.get("email", "email_conn_id", fallback=MailHook.default_conn_name))


def _addresses() -> list[str]:
    given = os.environ.get("NIGHTSHELF_NOTIFY_EMAIL", "")
    return [address.strip() for address in given.split(",") if address.strip()]


def _letter(message: Mapping[str, str]) -> dict[str, str]:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in message.items()
        if name != "text"
    )
    about = " ".join(filter(None, [message["event"].replace("_", " "), message.get("ds")]))
    text = html.escape(message["text"])
    return {"subject": f"Nightshelf: {about}", "html_content": f"<p>{text}</p><table>{rows}</table>"}


def _of(thing: Any, name: str) -> str:
    """A field of an object, or of the dictionary that a deadline is given in its place."""
    value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    return str(value or "")


def _run_id(run: Any) -> str:
    """As a deadline's dictionary names it, too: like Airflow's API."""
    return _of(run, "run_id") or _of(run, "dag_run_id")


def _date(run: Any) -> str:
    """The night's date, from the run's conf, else its logical date; empty for anything that is no date."""
    conf_of = run.get("conf") if isinstance(run, Mapping) else getattr(run, "conf", None)
    given = str((conf_of or {}).get("ds") or _of(run, "logical_date"))
    found = re.match(r"\d{4}-\d\d-\d\d(?![\d-])", given)
    return found.group() if found else ""


def _link(dag: str, run: str) -> str:
    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}/dags/{dag}/runs/{run}" if base and dag and run else ""
