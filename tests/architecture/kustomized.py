"""Renders the Kubernetes manifests, and finds things in what came out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy/k8s"
OVERLAYS = ("development", "production")
POOLS = ("llm", "functions")
SERVICES = ("gateway", "orchestrator", "executor", "knowledge")
WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")

Object = dict[str, Any]


def yaml_objects(path: Path) -> list[Object]:
    return [each for each in YAML(typ="safe", pure=True).load_all(path) if each]


def renderer() -> list[str] | None:
    """The command that renders a folder, where this machine has one."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


@cache
def rendered(folder: str, root: Path = K8S) -> tuple[Object, ...]:
    """The objects of a folder below deploy/k8s; skips the test where nothing can render it."""
    command = renderer()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is here to render manifests")
    run = subprocess.run([*command, folder], cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    objects = YAML(typ="safe", pure=True).load_all(run.stdout)
    return tuple(each for each in objects if each)


def overlay(name: str) -> Manifests:
    return Manifests(rendered(f"overlays/{name}"))


@dataclass(frozen=True)
class Manifests:
    objects: tuple[Object, ...]

    def of(self, kind: str) -> dict[str, Object]:
        return {each["metadata"]["name"]: each for each in self.objects if each["kind"] == kind}

    def one(self, kind: str, name: str) -> Object:
        return self.of(kind)[name]

    def settings(self) -> dict[str, str]:
        """What every service reads, whatever the hash in its name."""
        maps = self.of("ConfigMap")
        [found] = [each for name, each in maps.items() if name.startswith("kwe-settings")]
        return dict(found["data"])

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Templates of pods, by `kind/name` of what makes them."""
        for each in self.objects:
            if each["kind"] in WORKLOADS:
                yield f"{each['kind']}/{each['metadata']['name']}", template_of(each)

    def services(self) -> Iterator[tuple[str, Object]]:
        """The deployments of our services with the service each of them runs, pools included."""
        for each in self.of("Deployment").values():
            yield each["metadata"]["labels"]["app.kubernetes.io/name"], each


def template_of(workload: Object) -> Object:
    spec = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return dict(spec["template"])


def container_of(workload: Object) -> Object:
    [container] = template_of(workload)["spec"]["containers"]
    return dict(container)


def plain_variables(container: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


def secret_variables(container: Object) -> dict[str, Object]:
    """The references, by the variable they fill."""
    return {
        each["name"]: each["valueFrom"]["secretKeyRef"]
        for each in container.get("env", [])
        if "valueFrom" in each
    }


def effective(manifests: Manifests, workload: Object) -> dict[str, str]:
    """The settings as the container sees them, secrets left out."""
    return manifests.settings() | plain_variables(container_of(workload))


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector takes something with these labels."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In", rule
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return True
