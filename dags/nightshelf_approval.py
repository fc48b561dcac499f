"""A person's say before `publish`, asked only when something of the night is unusual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from nightshelf_notify import Notifier
from nightshelf_step import choice, number

# off: nobody is asked, every night that passes its audit is published. ask: a person decides about an unusual
# night. keep: an unusual night is not published, and nobody is asked.
MODES = ("off", "ask", "keep")
_USUAL_MINUTES = 480


def mode() -> str:
    """Whether people are asked here; raises `ValueError` for a word that is none of `MODES`."""
    return choice("NIGHTSHELF_APPROVE", MODES)


def bound() -> float:
    """The share of a list that may be new before a person is asked."""
    return number("NIGHTSHELF_APPROVE_CHANGE", 0.8, most=1)


def wait() -> timedelta:
    """How long a person has to answer; where nobody is asked, the setting may say anything."""
    if mode() != "ask":
        return timedelta(minutes=_USUAL_MINUTES)
    nobody = "; where nobody is to be asked, set NIGHTSHELF_APPROVE=keep"
    return timedelta(minutes=number("NIGHTSHELF_APPROVE_MINUTES", _USUAL_MINUTES, zero=False, hint=nobody))


def unusual(answer: dict[str, Any] | None, most: float) -> list[str]:
    """What of an audit's answer a person should know of, as sentences; empty for a night like any other."""
    if not answer or "warnings" not in answer:
        # A pod's log was lost, say: nobody knows that the night was a usual one.
        return ["The audit's numbers could not be read; its report has them"]
    found = []
    if answer["warnings"]:
        noun = "warning" if answer["warnings"] == 1 else "warnings"
        found.append(f"{answer['warnings']} {noun} of the audit")
    change = answer.get("list_change")
    if change is not None and change > most:
        found.append(f"{change:.0%} of the products in shoppers' lists are new, usual are {most:.0%} at most")
    return found


def _first_asked(now: datetime) -> str:
    """The last words of a question: a cleared task's stays as it was first asked (Airflow 3.3.2), and no
    worker can change it, so that after another audit its numbers are old ones.
    """
    return (
        f"First asked {now:%Y-%m-%d %H:%M} UTC. Where the audit ran again since, these are the numbers from"
        " before; the new ones are in the message that people were sent, and in the log of this task."
    )


class PublishApproval(ApprovalOperator):
    """Asks before `publish` when the audit warned, or lists changed more than `most`; else lets it go on.

    A refusal, and no answer within `response_timeout`, skip what comes after: readers keep what they have.
    The XCom `kept` is the sentence that says so, for the report.
    """

    def __init__(self, *, audit: str, most: float, ask: bool, **kwargs: Any) -> None:
        super().__init__(
            subject="Publish this night?",
            defaults=self.REJECT,
            **kwargs,
        )
        self.audit, self.most, self.ask = audit, most, ask

    def execute(self, context: Any) -> Any:
        answer = context["ti"].xcom_pull(task_ids=self.audit)
        why = unusual(answer, self.most)
        if not why:
            self.log.info("nothing is unusual: nobody is asked")
            return {"asked": False}
        context["ti"].xcom_push(key="why", value="; ".join(why))
        warned = [f"    - {sentence}" for sentence in (answer or {}).get("warned", [])]
        numbers = "\n".join([*(f"- {sentence}" for sentence in why), *warned])
        self.log.info("unusual:\n%s", numbers)
        if not self.ask:
            return self._keep(context, "nobody is asked here")
        self.body = f"{numbers}\n\n{_first_asked(datetime.now(UTC))}"
        self.notifiers = [Notifier("approval", why="; ".join(why))]
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        if "error" in event or self.APPROVE in event["chosen_options"]:
            super().execute_complete(context, event)
            # Who said so is in Airflow's own records, and nowhere else.
            return {"asked": True, "approved": True}
        return self._keep(context, "nobody answered in time" if event.get("timedout") else "a person refused")

    def _keep(self, context: Any, because: str) -> Any:
        why = context["ti"].xcom_pull(task_ids=self.task_id, key="why") or "unusual"
        context["ti"].xcom_push(key="kept", value=f"{why}; {because}")
        Notifier("kept", why=f"{why}; {because}")(context)
        later = self.get_direct_relatives(upstream=False)
        # Raises, so that the skip is recorded with this task: nothing runs after this line.
        return self.skip(ti=context["ti"], tasks=[t for t in later if not t.is_teardown])
