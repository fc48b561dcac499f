"""Steps as pods: what each pod is, and what its end means, through the real operator and client."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dags.conftest import Instance, context
from tests.dags.toy_kubernetes import Pods, kubernetes

RENDERED = Path(__file__).with_name("nightly_pods.json")
GPU_STEPS = {"train_recommender", "recommend", "train_writer", "describe"}
LABEL = "app.kubernetes.io/component"


@pytest.fixture(autouse=True)
def by_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHELF_RUN_WITH", "kubernetes")
    monkeypatch.setenv("NIGHTSHELF_POD_IMAGE", "registry.example/nightshelf:1")


def pods_of(dag: Any) -> dict[str, dict[str, Any]]:
    """Task → its pod, as it would be sent, after the API's own types have read it and written it again."""
    from kubernetes.client import ApiClient
    from kubernetes.client import models as k8s

    client, found = ApiClient(), {}
    for task in sorted(dag.tasks, key=lambda t: t.task_id):
        task.arguments = task.words(context())
        sent = client.sanitize_for_serialization(task.build_pod_request_obj(dry_run=True))
        read = client._ApiClient__deserialize_model(sent, k8s.V1Pod)
        assert client.sanitize_for_serialization(read) == sent
        # Each pod has a name of its own.
        assert sent["metadata"].pop("name").startswith(f"nightshelf-{task.task_id.replace('_', '-')}-")
        sent["metadata"]["labels"].pop("airflow_version")
        found[task.task_id] = sent
    return found


def test_pods_are_as_reviewed(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """One pod of each kind whole, held against a stored copy; every other differs in its command alone."""
    monkeypatch.setenv("NIGHTSHELF_POD_GPU_IMAGE", "registry.example/nightshelf-gpu:1")
    monkeypatch.setenv("NIGHTSHELF_POD_GPUS", "1")
    monkeypatch.setenv("NIGHTSHELF_POD_NAMESPACE", "shop")
    monkeypatch.setenv("NIGHTSHELF_S3_SECRET_KEY", "planted-secret")
    pods = pods_of(load("nightly").dag)
    assert "planted-secret" not in json.dumps(pods)
    stored = json.loads(RENDERED.read_text())
    commands = json.loads(RENDERED.with_name("nightly_commands.json").read_text())["defaults"]
    for name, pod in pods.items():
        (container,) = pod["spec"]["containers"]
        assert [*container["command"], *container["args"]] == ["nightshelf", *commands[name]]
        assert pod["spec"].pop("activeDeadlineSeconds") >= 15 * 60
        assert pod["metadata"]["labels"].pop(LABEL) == name
        container.pop("args")
        assert pod == stored["gpu" if name in GPU_STEPS else "cpu"], name


def test_a_template_gives_what_only_a_cluster_knows(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    template = tmp_path / "pod.yaml"
    template.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: any}\nspec:\n  serviceAccountName: nightshelf\n"
        "  tolerations: [{key: gpu, operator: Exists}]\n  containers: [{name: base, image: any}]\n"
    )
    monkeypatch.setenv("NIGHTSHELF_POD_TEMPLATE", str(template))
    spec = pods_of(load("nightly").dag)["clean"]["spec"]
    assert spec["serviceAccountName"] == "nightshelf"
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert [c["image"] for c in spec["containers"]] == ["registry.example/nightshelf:1"]


def test_the_pool_counts_gpus_and_no_worker_needs_one(load: Callable[[str], Any]) -> None:
    dag = load("nightly").dag
    assert {t.task_id for t in dag.tasks if t.pool == "gpu"} == GPU_STEPS
    assert {t.queue for t in dag.tasks} == {"default"}


def test_without_an_image_it_is_said(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIGHTSHELF_POD_IMAGE")
    with pytest.raises(ValueError, match="NIGHTSHELF_POD_IMAGE is not set: name the image"):
        load("nightly")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with kubernetes(tmp_path / "bin", tmp_path / "config") as pods:
        yield pods


def run(cluster: Pods, code: str, step: str = "clean", ti: Instance | None = None) -> dict[str, Any] | None:
    """A task of the factory, executed; `code` is what the image's program does.

    Returns what a task after it would pull: Airflow's own code pushes what it pushes of an operator's answer.
    """
    from airflow.sdk import DAG
    from airflow.sdk.execution_time.task_runner import _push_xcom_if_needed
    from nightshelf_factory import step as make

    program = cluster.programs / "nightshelf"
    program.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    program.chmod(0o755)
    with DAG("d"):
        task = make(step, config_file=str(cluster.programs.parent / "config"), in_cluster=False)
    task.startup_check_interval_seconds = 1
    ti = ti or Instance(step)
    ti.task = task
    _push_xcom_if_needed(task.execute(context() | {"ti": ti}), ti, logging.getLogger(__name__))
    pulled: dict[str, Any] | None = ti.xcom_pull(task_ids=step)
    return pulled


def test_the_last_line_of_the_pod_is_the_xcom(cluster: Pods) -> None:
    answer = run(cluster, "print('noise'); print('{\"rows\": 3}'); print('{broken')")
    assert answer == {"rows": 3}
    (pod,) = cluster.made
    assert pod["metadata"]["labels"][LABEL] == "clean"
    assert pod["spec"]["containers"][0]["args"][:3] == ["clean", "--ds", "2026-01-31"]
    assert cluster.specs == {}, "a pod that ended is removed"


def test_the_approval_reads_the_numbers_of_an_audit_in_a_pod(cluster: Pods) -> None:
    """Else every night looks unusual, and where nobody is asked none is ever published."""
    from airflow.sdk import DAG
    from nightshelf_approval import PublishApproval

    ti = Instance("audit")
    run(cluster, 'print(\'{"warnings": 0, "list_change": 0.4}\')', "audit", ti)
    with DAG("d"):
        approve = PublishApproval(task_id="approve", audit="audit", most=0.8, ask=False)
    assert approve.execute(context() | {"ti": ti}) == {"asked": False}


def test_a_lost_log_leaves_no_xcom(cluster: Pods) -> None:
    ti = Instance("audit")
    assert run(cluster, "print('noise')", "audit", ti) is None
    assert "return_value" not in ti.xcoms


@pytest.mark.parametrize(("exit_code", "again"), [(2, False), (10, False), (1, True), (20, True)])
def test_exit_codes_decide_about_another_try(cluster: Pods, exit_code: int, again: bool) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match=f"exit {exit_code}.*why") as caught:
        run(cluster, f"print('why'); raise SystemExit({exit_code})")
    assert isinstance(caught.value, AirflowFailException) is not again


def test_a_killed_pod_is_tried_again(cluster: Pods) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match="exit 137") as caught:
        run(cluster, "import os; os.kill(os.getpid(), 9)")
    assert not isinstance(caught.value, AirflowFailException)
