"""As much of the Kubernetes API as one pod needs, over HTTP: its container runs as a process of this machine.

No cluster: it schedules nothing, pulls nothing and isolates nothing. What is real are the client, the
operator, and the process with its output and its exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiClient
from kubernetes.client import models as k8s


class Pods:
    """The pods of one namespace; `programs` is the folder where a container's command is looked up."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.specs: dict[str, dict[str, Any]] = {}
        self.made: list[dict[str, Any]] = []
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.logs: dict[str, str] = {}

    def create(self, pod: dict[str, Any]) -> dict[str, Any]:
        # Refuses what the API's own types refuse.
        client = ApiClient()
        read = client._ApiClient__deserialize_model(pod, k8s.V1Pod)
        assert client.sanitize_for_serialization(read).keys() == pod.keys()
        name, (container,) = pod["metadata"]["name"], pod["spec"]["containers"]
        command = [str(self.programs / container["command"][0]), *container["args"]]
        self.specs[name] = pod
        self.made.append(pod)
        self.processes[name] = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
        )
        return self.read(name)

    def read(self, name: str) -> dict[str, Any]:
        code = self.processes[name].poll()
        container = self.specs[name]["spec"]["containers"][0]["name"]
        state: dict[str, Any] = {"running": {"startedAt": _now()}}
        phase = "Running"
        if code is not None:
            phase = "Failed" if code else "Succeeded"
            # As a container reports a death by signal.
            ended = {"exitCode": code if code >= 0 else 128 - code, "finishedAt": _now()}
            state = {"terminated": ended}
        status = {"name": container, "state": state, "ready": code is None, "restartCount": 0}
        status |= {"image": "toy", "imageID": "toy"}
        conditions = [{"type": "PodScheduled", "status": "True"}]
        return self.specs[name] | {
            "status": {"phase": phase, "containerStatuses": [status], "conditions": conditions}
        }

    def log(self, name: str) -> str:
        """What the container printed, each line with its time; waits for its end, as `follow` does."""
        if name not in self.logs:
            out, _ = self.processes[name].communicate()
            self.logs[name] = "".join(f"{_now()} {line}\n" for line in out.splitlines())
        return self.logs[name]

    def delete(self, name: str) -> None:
        self.specs.pop(name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _list(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": {}, "items": items}


class _Handler(BaseHTTPRequestHandler):
    pods: Pods

    def _answer(self, value: Any, code: int = 200) -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(code)
        kind = "text/plain" if isinstance(value, str) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _name(self) -> tuple[str, str]:
        """Name of the pod and what of it is asked, from …/pods/NAME/WHAT."""
        parts = urlsplit(self.path).path.split("/pods/")[-1].split("/")
        return parts[0], parts[1] if len(parts) > 1 else ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.endswith("/events"):
            return self._answer(_list("Event", []))
        if path.endswith("/pods"):
            return self._answer(_list("Pod", self._found()))
        name, what = self._name()
        if name not in self.pods.specs:
            return self._answer({"kind": "Status", "status": "Failure", "code": 404}, 404)
        return self._answer(self.pods.log(name) if what == "log" else self.pods.read(name))

    def _found(self) -> list[dict[str, Any]]:
        wanted = parse_qs(urlsplit(self.path).query).get("labelSelector", [""])[0].split(",")
        pairs = [w.split("=", 1) for w in wanted if "=" in w and "!=" not in w]
        pods = [self.pods.read(name) for name in self.pods.specs]
        return [p for p in pods if all(p["metadata"]["labels"].get(k) == v for k, v in pairs)]

    def do_POST(self) -> None:
        pod = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.pods.create(pod), 201)

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.pods.read(self._name()[0]))

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.pods.delete(self._name()[0])
        self._answer({"kind": "Status", "status": "Success"})

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output quiet."""


@contextlib.contextmanager
def kubernetes(programs: Path, config: Path) -> Iterator[Pods]:
    """The API on a free port; writes the client's configuration, without keys, to `config`."""
    pods = Pods(programs)
    handler = type("Handler", (_Handler,), {"pods": pods})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "toy",
                "clusters": [{"name": "toy", "cluster": {"server": address}}],
                "users": [{"name": "toy", "user": {}}],
                "contexts": [{"name": "toy", "context": {"cluster": "toy", "user": "toy"}}],
            }
        )
    )
    try:
        yield pods
    finally:
        server.shutdown()
        server.server_close()
