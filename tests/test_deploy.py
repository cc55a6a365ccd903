"""deploy/: files that parse, names that agree with each other and with the command line, and no secret in any of them.

What can only be run on a cluster is read here line by line; docs/cluster.md says what was run.
"""

import copy
import gzip
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from lyapsweep import __version__
from lyapsweep.cli import main

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
IMAGE, POSTGRES = f"lyapsweep:{__version__}", "postgres:17-bookworm"
KUBERNETES = [
    document
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
LAUNCHER = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
SCRIPTS = [DEPLOY / "slurm/sweep.sbatch", DEPLOY / "healthy"]
FILES = sorted(p for p in DEPLOY.rglob("*") if p.is_file())


def pinned() -> dict[str, Version]:
    lines = [line for line in (DEPLOY / "constraints.txt").read_text().splitlines() if "==" in line]
    return {name.lower(): Version(version) for name, _, version in (line.partition("==") for line in lines)}


def inside(value: Any) -> Iterator[Any]:
    """Every mapping inside a document."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(part)


def pods() -> list[dict]:
    """Every pod specification, with its labels."""
    found = [m for document in KUBERNETES for m in inside(document) if "containers" in m.get("spec", {})]
    assert len(found) == 6  # PostgreSQL, MLflow, head, worker, submitter, atlas
    return found


# Commands


def commands_of(text: str, program: str, commands: Collection[str]) -> list[list[str]]:
    """Every command of a program in a text, as words."""
    joined = re.sub(r"\\\n\s*", " ", text)
    known = "|".join(sorted(commands, key=len, reverse=True))
    return [shlex.split(words) for words in re.findall(rf"\b{program} ((?:{known})\b(?: [^\n'#&|;`]*)?)", joined)]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(DEPLOY).as_posix())
def test_every_command_for_lyapsweep_is_one(file):
    seen = 0
    for words in commands_of(file.read_text(), "lyapsweep", main.commands):
        parses(words)
        seen += 1
    assert seen or file.name not in ("sweep.sbatch", "sweep.yaml", "ray-cluster.yaml")


def parses(words: list[str]) -> None:
    words = [w for w in words if w != "$@"]
    if words[0] == "sweep" and not any(w.startswith("sweeps/") for w in words):
        words.append("sweeps/forcing_interval.py")
    main.commands[words[0]].make_context(words[0], words[1:])
    assert all((ROOT / w).exists() for w in words if w.startswith("sweeps/"))


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_options_given_to_ray_and_mlflow_are_theirs():
    from mlflow.cli import cli as mlflow
    from ray.scripts.scripts import cli as ray

    known = {"ray": ray.commands, "mlflow": mlflow.commands}
    seen = []
    for file in FILES:
        text = re.sub(r"\n\s+--(?=[a-z])", " --", file.read_text())
        for program, commands in known.items():
            for words in commands_of(text, program, commands):
                given = {w.partition("=")[0] for w in words if w.startswith("--")}
                allowed = options_of(commands[words[0]])
                assert given <= allowed, f"{file.name}: {program} {words[0]} has no {given - allowed}"
                seen.append((program, words[0]))
    assert {("ray", "start"), ("ray", "health-check"), ("ray", "up"), ("mlflow", "server")} <= set(seen)
    (server,) = [c["args"] for p in pods() for c in p["spec"]["containers"] if c["name"] == "mlflow"]
    assert {w.partition("=")[0] for w in server if w.startswith("--")} <= options_of(mlflow.commands["server"])


# Docker Compose


def test_compose_is_one_image_and_every_service_it_waits_for_is_there():
    services = COMPOSE["services"]
    assert {s["image"] for s in services.values()} == {IMAGE, POSTGRES}
    for service in services.values():
        assert set(service.get("depends_on", ())) <= services.keys()
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert named <= COMPOSE["volumes"].keys()
        assert service["networks"] == ["cluster"]
    hosts = set(re.findall(r"(?:@|//|--address |RAY_ADDRESS: )([a-z]+):\d+", (DEPLOY / "compose.yaml").read_text()))
    assert hosts <= services.keys()
    assert {"head", "mlflow", "postgres"} <= hosts
    folder = "/home/lyapsweep/results"  # of the driver by default: records are written by workers, under the same path
    assert all(f"results:{folder}" in services[name]["volumes"] for name in ("head", "worker", "sweep"))
    assert f"WORKDIR {Path(folder).parent}\n" in (ROOT / "Dockerfile").read_text()


def test_compose_shows_nothing_to_the_outside_but_mlflow_on_this_machine():
    ports = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert ports == {"mlflow": ["127.0.0.1:5000:5000"]}


# Kubernetes


def kinds(kind: str) -> dict[str, dict]:
    return {d["metadata"]["name"]: d for d in KUBERNETES if d["kind"] == kind}


def closed(schema: dict) -> dict:
    """A schema of Kubernetes that admits no field it does not name, as `kubectl --validate=strict` does."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    parts = {name: closed(part) for name, part in schema.get("properties", {}).items()}
    kept = {key: schema[key] for key in ("type", "enum", "required", "pattern", "minimum") if key in schema}
    if "items" in schema:
        kept["items"] = closed(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        return kept | {"additionalProperties": closed(schema["additionalProperties"])}
    return kept | ({"properties": parts, "additionalProperties": False} if parts else {})


def test_the_rayjob_is_what_kuberay_1_5_1_admits():
    import jsonschema

    (file,) = (ROOT / "tests/data/kuberay").glob("*.json.gz")  # version v1 of KubeRay's definition, Apache-2.0
    definition = json.loads(gzip.decompress(file.read_bytes()))
    (version,) = (v for v in definition["spec"]["versions"] if v["name"] == "v1")
    validator = jsonschema.Draft202012Validator(closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    spec = kinds("RayJob")["sweep"]["spec"]
    assert [error.message for error in validator.iter_errors(spec)] == []
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}  # else the operator's own requests get a 401
    spec = copy.deepcopy(spec)
    spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["enviroment"] = []
    assert not validator.is_valid(spec)


def test_pods_pass_the_restricted_pod_security_standard():
    for pod in pods():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
        kinds_of_volumes = {key for volume in pod["spec"].get("volumes", ()) for key in volume if key != "name"}
        assert kinds_of_volumes <= {"persistentVolumeClaim", "configMap", "emptyDir"}


def test_services_and_policies_find_their_pods_and_ports():
    labels = [pod["metadata"]["labels"] for pod in pods()]
    by_app = {pod["metadata"]["labels"]["app"]: pod for pod in pods()}
    for service in kinds("Service").values():
        pod = by_app[service["spec"]["selector"]["app"]]
        ports = {p["name"]: p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports", ())}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"  # the cluster's network only
    policies = kinds("NetworkPolicy")
    assert {p["spec"]["podSelector"]["matchLabels"]["app"] for p in policies.values()} == {x["app"] for x in labels}
    addresses = set(re.findall(r"(?:@|//)([a-z]+):(\d+)", "\n".join(map(str, KUBERNETES))))
    assert {(name, str(s["spec"]["ports"][0]["port"])) for name, s in kinds("Service").items()} >= addresses
    assert len(addresses) == 2


def test_pods_run_as_nobody_in_particular_from_the_images_there_are():
    for pod in pods():
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            assert container["image"] in (IMAGE, POSTGRES)
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", ())} | {"data"}
        mounts = {m["name"] for c in pod["spec"]["containers"] for m in c.get("volumeMounts", ())}
        assert mounts <= volumes
    claims = {m["claimName"] for d in KUBERNETES for m in inside(d) if "claimName" in m}
    assert claims == kinds("PersistentVolumeClaim").keys()
    assert kinds("PersistentVolumeClaim")["results"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_head_and_workers_see_the_same_results_and_speak_the_same_ray():
    spec = kinds("RayJob")["sweep"]["spec"]["rayClusterSpec"]
    head, worker = spec["headGroupSpec"], spec["workerGroupSpecs"][0]
    (one,), (other,) = (group["template"]["spec"]["containers"] for group in (head, worker))
    assert one["env"] == other["env"]
    assert (
        {m["mountPath"] for m in one["volumeMounts"]} == {m["mountPath"] for m in other["volumeMounts"]} >= {"/results"}
    )
    assert Version(spec["rayVersion"]) == pinned()["ray"]
    assert head["rayStartParams"]["num-cpus"] == "0"


# Ray's cluster launcher


def test_the_launcher_file_passes_rays_own_schema():
    import jsonschema
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(LAUNCHER, schema)
    assert LAUNCHER["docker"]["image"] == IMAGE
    assert LAUNCHER["head_node_type"] in LAUNCHER["available_node_types"]
    assert LAUNCHER["max_workers"] >= LAUNCHER["available_node_types"]["worker"]["max_workers"]


# Shell scripts


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.name)
def test_shell_scripts_are_well_formed(script):
    subprocess.run(["bash" if "bash" in script.read_text()[:30] else "sh", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


def test_the_health_check_knows_every_role_that_is_started():
    script = (DEPLOY / "healthy").read_text()
    started = [s.get("command", "") for s in COMPOSE["services"].values() if s["image"] == IMAGE]
    assert sum("mlflow server" in command for command in started) == 1
    assert sum("ray start" in command for command in started) == 2
    assert '"mlflow server"' in script
    assert '"ray start"' in script
    assert ":5000/health" in script


# The image


def test_the_image_copies_what_there_is_and_runs_as_a_user():
    dockerfile, admitted = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        w for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) for w in line.split()[:-1] if w[0] != "-"
    ]
    assert copied
    for path in copied:
        assert (ROOT / path).exists()
        assert f"!{path}" in admitted
    assert dockerfile.index("\nUSER lyapsweep") < dockerfile.index("\nENTRYPOINT")
    assert "\nHEALTHCHECK " in dockerfile
    assert "latest" not in dockerfile


def test_the_pinned_versions_are_within_what_the_project_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["cluster"]]
    versions = pinned()
    for requirement in wanted:
        if requirement.name != "torch":  # comes from an index of its own, by the Dockerfile's ARG
            assert versions[requirement.name.lower()] in requirement.specifier, requirement.name
    torch = next(r for r in wanted if r.name == "torch")
    assert f'ARG TORCH="{torch}"'.replace("<=2.13,>=2.11", ">=2.11,<=2.13") in (ROOT / "Dockerfile").read_text()


# Secrets


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(DEPLOY).as_posix())
def test_no_file_holds_a_secret(file):
    """Whatever is called a password, token, secret or key comes from the environment or from a Secret."""
    for line in file.read_text().splitlines():
        found = re.search(r"^\s*(?:export )?\w*(?:PASSWORD|TOKEN|SECRET)\w*\s*[:=]\s*(\S.*)$", line)
        if found:
            assert re.match(r"\$[{(]", found[1]), line
    for document in yaml.safe_load_all(file.read_text()) if file.suffix == ".yaml" else ():
        for mapping in inside(document):
            if re.search(r"PASSWORD|TOKEN|SECRET", str(mapping.get("name", ""))):
                assert "secretKeyRef" in mapping.get("valueFrom", {}), mapping["name"]


def test_the_page_makes_every_secret_that_kubernetes_is_asked_for():
    wanted = {m["key"] for d in KUBERNETES for m in inside(d) if m.get("name") == "lyapsweep" and "key" in m}
    page = (ROOT / "docs/cluster.md").read_text()
    assert wanted == set(re.findall(r"--from-literal=([a-z-]+)=\"\$\(openssl rand -hex 24\)\"", page))
