"""The OpenAPI document is valid, and describes every route that the server has."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.openapi.document import openapi_document
from gateway.openapi.page import html_page
from gateway.routes.documentation import every_route

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(every_route())


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(child) for child in value.values()))
    if isinstance(value, list):
        return set().union(*(references(child) for child in value))
    return set()


def test_every_route_is_described_once(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in every_route()}
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known


def test_every_schema_is_a_valid_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_path_parameters_and_scopes_are_declared(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/workflows/{namespace}/{name}/executions"]["post"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {"namespace", "name", "wait", "Idempotency-Key"}
    assert operation["security"][0] == {"bearer": ["executions:write"]}
    assert set(operation["responses"]) >= {"200", "202", "401", "403", "404", "422", "429", "503"}


def test_nothing_but_health_and_documentation_is_open_to_everybody(
    document: dict[str, Any],
) -> None:
    public = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "security" not in operation
    }
    assert public == {"/health", "/ready", "/openapi.json", "/asyncapi.json", "/docs"}


def test_the_page_loads_nothing_from_elsewhere(document: dict[str, Any]) -> None:
    page = html_page(document).decode()
    assert "/v1/executions/{id}/events" in page
    for loading in ("<script", "<link", "<img", "src=", "@import", "url("):
        assert loading not in page


def test_the_guide_names_every_route_and_code() -> None:
    guide = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    for route in every_route():
        assert f"`{route.method} {route.path}`" in guide
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (REPOSITORY / "services/gateway/src/gateway").rglob("*.py")
    )
    for code in re.findall(r'code="([a-z_]+)"', sources):
        assert f"`{code}`" in guide, code
