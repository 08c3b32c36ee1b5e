"""The files below deploy/k8s as they are written: needs nothing to render them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kustomized import K8S, OVERLAYS, POOLS, ROOT, SERVICES, yaml_objects

from common.settings.table import variables

KUSTOMIZATIONS = sorted(K8S.rglob("kustomization.yaml"))
KNOWN = {variable.name for variable in variables()}


def listed(kustomization: Path) -> set[str]:
    [content] = yaml_objects(kustomization)
    return {*content.get("resources", []), *content.get("components", [])}


def literals(kustomization: Path) -> dict[str, str]:
    """Settings that a kustomization generates itself or takes from its file."""
    [content] = yaml_objects(kustomization)
    lines: list[str] = []
    for generated in content.get("configMapGenerator", []):
        lines += generated.get("literals", [])
        for file in generated.get("envs", []):
            lines += (kustomization.parent / file).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_there_is_a_kustomization_for_everything_the_readme_promises() -> None:
    folders = {path.parent.relative_to(K8S).as_posix() for path in KUSTOMIZATIONS}
    assert {"base", *(f"overlays/{name}" for name in OVERLAYS)} <= folders
    assert {f"pools/{name}" for name in POOLS} <= folders


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_every_file_beside_a_kustomization_is_listed_and_everything_listed_exists(
    path: Path,
) -> None:
    beside = {each.name for each in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert {each for each in listed(path) if each.endswith(".yaml")} == beside
    assert all((path.parent / each).exists() for each in listed(path))


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_settings_of_a_kustomization_are_known_and_no_secrets(path: Path) -> None:
    secret = {variable.name for variable in variables() if variable.secret} - {"REDIS_URL"}
    named = literals(path).keys()
    assert named <= KNOWN, named - KNOWN
    assert not named & secret
    assert "@" not in literals(path).get("REDIS_URL", "")


@pytest.mark.parametrize("path", sorted(K8S.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_file_is_yaml_and_says_what_it_is_for(path: Path) -> None:
    assert yaml_objects(path)
    text = path.read_text()
    if path.name == "kustomization.yaml" or path.parent.name == "examples":
        assert text.startswith("#") or path.parent.name == "scaling", "begin with a comment"


@pytest.mark.parametrize("service", SERVICES)
def test_the_base_runs_the_image_that_this_repository_builds(service: str) -> None:
    [content] = yaml_objects(K8S / "base/kustomization.yaml")
    names = {each["name"] for each in content["images"]}
    assert f"kwe-{service}" in names
    assert (ROOT / "services" / service / "Dockerfile").exists()


def test_the_readme_names_every_overlay_pool_component_and_example() -> None:
    readme = (K8S / "README.md").read_text()
    for folder in ("overlays", "pools", "components", "examples"):
        for path in (K8S / folder).iterdir():
            assert path.stem in readme, path.relative_to(K8S)


def test_paths_in_the_readme_exist() -> None:
    readme = (K8S / "README.md").read_text()
    for path in re.findall(r"deploy/k8s/[\w/.-]*[\w]", readme):
        assert (ROOT / path).exists(), path
