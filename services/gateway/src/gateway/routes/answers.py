"""How routes answer, for the OpenAPI document: shared descriptions of what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.models.common import Problem
from gateway.route import Answer

PROBLEM = "application/problem+json"


def _problem(description: str) -> Answer:
    return Answer(description, Problem, media_type=PROBLEM)


UNREADABLE = {400: _problem("The body or a parameter cannot be read.")}
INVALID = {
    **UNREADABLE,
    413: _problem("Larger than the limit."),
    422: _problem("Read, but it cannot be done."),
}
UNSUPPORTED = {415: _problem("Not a type of content that is understood here.")}
ABSENT = {404: _problem("There is none, or it is another organisation's.")}
CONFLICT = {409: _problem("Not in its present state.")}


def answers(*parts: Mapping[int, Answer]) -> dict[int, Answer]:
    return {status: answer for part in parts for status, answer in part.items()}


def ok(model: Any, description: str = "Here it is.", *, status: int = 200) -> dict[int, Answer]:
    return {status: Answer(description, model)}
