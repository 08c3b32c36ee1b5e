"""What the deployment files name exists in the code: variables, ports, probes, images, modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from common.settings.table import variables

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "orchestrator", "executor", "knowledge")


def yaml_documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in YAML(typ="safe", pure=True).load_all(path) if each]


def known_variables() -> set[str]:
    names = {variable.name for variable in variables()}
    return names | {f"{name}_FILE" for name in names}


def compose() -> dict[str, Any]:
    return yaml_documents(ROOT / "deploy/compose/compose.yaml")[0]


def test_compose_sets_only_variables_that_the_settings_know() -> None:
    known = known_variables() | {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}
    named = {name for one in compose()["services"].values() for name in one.get("environment", {})}
    assert named <= known, named - known


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
