"""What the deployment files name exists in the code: variables, ports, probes, images, modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from common.settings.table import variables

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "orchestrator", "executor", "knowledge")
BASE = ROOT / "deploy/k8s/base"
FOREIGN = {"INSTANCE", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PGDATA"}
"""Variables of the servers, and the one name that the platform gives."""


def yaml_documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in YAML(typ="safe", pure=True).load_all(path) if each]


def known_variables() -> set[str]:
    names = {variable.name for variable in variables()}
    return names | {f"{name}_FILE" for name in names}


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    listed = yaml_documents(BASE / "kustomization.yaml")[0]["resources"]
    documents = [each for name in listed for each in yaml_documents(BASE / name)]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def containers() -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, container)
        for (kind, name), manifest in manifests().items()
        if kind in ("Deployment", "StatefulSet", "Job")
        for container in manifest["spec"]["template"]["spec"]["containers"]
    ]


def compose() -> dict[str, Any]:
    return yaml_documents(ROOT / "deploy/compose/compose.yaml")[0]


def test_every_file_of_the_base_is_listed() -> None:
    listed = set(yaml_documents(BASE / "kustomization.yaml")[0]["resources"])
    assert listed == {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}


def test_the_base_holds_all_services_their_stores_and_the_migrations() -> None:
    found = manifests()
    assert {("Deployment", name) for name in SERVICES} <= found.keys()
    assert {
        ("StatefulSet", "postgres"),
        ("StatefulSet", "valkey"),
        ("Job", "migrate"),
    } <= found.keys()


def test_manifests_set_only_variables_that_the_settings_know() -> None:
    known = known_variables() | FOREIGN
    named = set(manifests()["ConfigMap", "kwe-settings"]["data"])
    for _, container in containers():
        named |= {each["name"] for each in container.get("env", [])}
    assert named <= known, named - known


def test_compose_sets_only_variables_that_the_settings_know() -> None:
    known = known_variables() | {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}
    named = {name for one in compose()["services"].values() for name in one.get("environment", {})}
    assert named <= known, named - known


def test_containers_cannot_gain_rights_and_services_cannot_write() -> None:
    for name, container in containers():
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        if name in SERVICES:
            assert context["readOnlyRootFilesystem"] is True, name


@pytest.mark.parametrize("service", SERVICES)
def test_probes_ask_the_routes_that_services_have(service: str) -> None:
    container = dict(containers())[service]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    settings = manifests()["ConfigMap", "kwe-settings"]["data"]
    assert str(ports["metrics"]) == settings["METRICS_PORT"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_waits_for_the_migrations_in_compose(service: str) -> None:
    wanted = compose()["services"][service]["depends_on"]
    assert wanted["migrate"]["condition"] == "service_completed_successfully"


def test_the_dockerfiles_differ_only_in_the_service() -> None:
    def neutral(service: str) -> list[str]:
        text = (ROOT / "services" / service / "Dockerfile").read_text().replace(service, "SERVICE")
        return [
            line for line in text.splitlines() if "description" not in line and "EXPOSE" not in line
        ]

    assert all(neutral(service) == neutral("gateway") for service in SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_starts_the_service_it_is_named_for(service: str) -> None:
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    assert f'ENTRYPOINT ["python", "-m", "{service}"]' in text
    assert f"--package kwe-{service}" in text
    assert (ROOT / "services" / service / "src" / service / "__main__.py").exists()
