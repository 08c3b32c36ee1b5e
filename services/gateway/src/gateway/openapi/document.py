"""OpenAPI 3.1 from the table of routes: what the server does is what the document says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from common.security import Scope
from gateway.models.common import Problem
from gateway.route import Answer, Route
from gateway.routes.answers import PROBLEM

_REF: Final = "#/components/schemas/{model}"
_PARAMETER: Final = re.compile(r"{(\w+)(?::[^}]*)?}")
_DESCRIPTION: Final = """\
Errors are RFC 9457 problems (`application/problem+json`) with a stable `code`. Lists are pages: pass `nextCursor` back as \
`cursor`. Times are RFC 3339, ids UUIDv7. What belongs to another organisation is a 404. `X-Request-Id` and `traceparent` \
are accepted and returned."""


class _Schemas:
    """All models in one pass, so that each is described once and referred to everywhere."""

    def __init__(self, routes: Iterable[Route]) -> None:
        inputs: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = []
        for route in routes:
            if route.body is not None:
                inputs.append((route.body, "validation", TypeAdapter(route.body)))
            models = [answer.model for answer in route.answers.values() if answer.model is not None]
            inputs.extend((model, "serialization", TypeAdapter(model)) for model in models)
        inputs.append((Problem, "serialization", TypeAdapter(Problem)))
        found, definitions = TypeAdapter.json_schemas(
            inputs, ref_template=_REF, schema_generator=GenerateJsonSchema
        )
        self._found = found
        self.definitions: dict[str, Any] = definitions.get("$defs", {})

    def of(self, model: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        schema: dict[str, Any] = self._found[(model, mode)]
        return schema


def openapi_document(routes: Sequence[Route]) -> dict[str, Any]:
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
        operations[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Knowledge & Workflow Engine",
            "version": version("kwe-gateway"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A JSON Web Token, or an API key.",
                },
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__module__.rpartition(".")[2] + "_" + route.handler.__name__,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not None:
        schema = schemas.of(route.body, "validation")
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} for kind in route.body_media_types},
        }
    if route.scope is not None:
        scopes: list[Scope] = [route.scope]
        operation["security"] = [{"bearer": scopes}, {"apiKey": scopes}]
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        found.extend(_query_parameters(route))
    if route.idempotent_by_key:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Repeating with the same key never does it twice. Kept for 24 hours.",
                "schema": {"type": "string", "maxLength": 255},
            }
        )
    return found


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    assert route.query is not None
    _, described = models_json_schema([(route.query, "validation")])
    (schema,) = described["$defs"].values()
    for name, field in schema.get("properties", {}).items():
        parameter = {"name": name, "in": "query", "schema": field}
        if "description" in field:
            parameter["description"] = field["description"]
        yield parameter


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    answers = dict(route.answers)
    if route.scope is not None:
        answers[401] = Answer("No credential, or none that is valid.", Problem, media_type=PROBLEM)
        answers[403] = Answer(f"Needs the scope `{route.scope}`.", Problem, media_type=PROBLEM)
        answers[429] = Answer("Too many requests; see `Retry-After`.", Problem, media_type=PROBLEM)
    if route.needs_owner or route.scope is not None:
        answers.setdefault(
            503, Answer("Not now; see `Retry-After` and `code`.", Problem, media_type=PROBLEM)
        )
    return {str(status): _response(status, answers[status], schemas) for status in sorted(answers)}


def _response(status: int, answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description or HTTPStatus(status).phrase}
    if answer.model is not None:
        schema = schemas.of(answer.model, "serialization")
        response["content"] = {answer.media_type: {"schema": schema}}
    if answer.headers:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
    return response
