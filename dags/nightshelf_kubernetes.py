"""A step as a pod of its own: the same command line in an image, the last line it printed as the XCom."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from kubernetes.client import models as k8s
from nightshelf_step import KEPT_LINES, StepCommand, answer_in, failure, said_in

# Until the image is there, and a node for it.
_START_SECONDS = 1800


def _setting(name: str, default: str = "") -> str:
    return os.environ.get(f"NIGHTSHELF_POD_{name}") or default


def image(gpu: bool) -> str:
    """The image of a step; raises `ValueError` where none is set."""
    found = (_setting("GPU_IMAGE") if gpu else "") or _setting("IMAGE")
    if not found:
        raise ValueError("NIGHTSHELF_POD_IMAGE is not set: name the image that steps run in")
    return found


def resources(gpu: bool) -> k8s.V1ResourceRequirements:
    memory = _setting("MEMORY", "6Gi")
    limits = {"memory": memory}
    gpus = _setting("GPUS", "0")
    if gpu and gpus != "0":
        limits["nvidia.com/gpu"] = gpus
    return k8s.V1ResourceRequirements(
        requests={"cpu": _setting("CPUS", "2"), "memory": memory}, limits=limits
    )


class _Printed(KubernetesPodOperatorCallback):
    """Keeps the last lines that a pod printed: a sidecar for the XCom would need one more image."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress_callback(self, *, line: str, **_: Any) -> None:
        self.lines = [*self.lines, *line.splitlines()][-KEPT_LINES:]


class PodStepOperator(StepCommand, KubernetesPodOperator):
    """Runs a step in a pod.

    Settings of the steps, keys among them, come from the Secret that `NIGHTSHELF_POD_SECRET` names; what else
    a pod needs, such as a service account or tolerations, from the file `NIGHTSHELF_POD_TEMPLATE`.
    """

    ui_color = "#e3f1ec"

    def __init__(
        self,
        *,
        step: str,
        options: Sequence[str] = (),
        told: dict[str, str] | None = None,
        gpu: bool = False,
        **kwargs: Any,
    ) -> None:
        self._printed = _Printed()
        secret = k8s.V1SecretEnvSource(name=_setting("SECRET", "nightshelf"))
        super().__init__(
            name=f"nightshelf-{step.replace('_', '-')}",
            namespace=_setting("NAMESPACE") or None,
            pod_template_file=_setting("TEMPLATE") or None,
            image=image(gpu),
            cmds=["nightshelf"],
            env_from=[k8s.V1EnvFromSource(secret_ref=secret)],
            labels={"app.kubernetes.io/name": "nightshelf", "app.kubernetes.io/component": step},
            container_resources=resources(gpu),
            container_security_context=k8s.V1SecurityContext(
                allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
            ),
            automount_service_account_token=False,
            startup_timeout_seconds=_START_SECONDS,
            # A failed pod's last words stand in the task's log and in its error.
            termination_message_policy="FallbackToLogsOnError",
            log_pod_spec_on_failure=False,
            deferrable=False,
            callbacks=[self._printed],
            **kwargs,
        )
        if self.execution_timeout is not None:
            # Ends the pod, though nobody watches it any more.
            self.active_deadline_seconds = int(self.execution_timeout.total_seconds())
        self.take(step, options, told)

    def execute(self, context: Any) -> dict[str, Any] | None:
        self.arguments = self.words(context)
        try:
            super().execute(context)
        except (AirflowFailException, AirflowSkipException):
            raise
        except AirflowException as error:
            code = exit_code(self.remote_pod, self.base_container_name)
            if not code:
                raise
            raise failure(self.step, code, said_in(self._printed.lines)) from error
        answer = answer_in(self._printed.lines)
        if answer is not None:
            # Airflow pushes what is returned only with `do_xcom_push`, which here means the sidecar.
            context["ti"].xcom_push(key="return_value", value=answer)
        return answer


def exit_code(pod: k8s.V1Pod | None, container: str) -> int | None:
    """The exit code of a pod's container; None where it did not end, as when its node was lost."""
    statuses = (pod.status.container_statuses if pod is not None and pod.status else None) or []
    for status in statuses:
        if status.name == container and status.state and status.state.terminated:
            return int(status.state.terminated.exit_code)
    return None
