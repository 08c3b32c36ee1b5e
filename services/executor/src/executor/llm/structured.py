"""Answers that must be JSON."""

from __future__ import annotations

from typing import Any

import orjson

from common.serving.failures import FunctionError
from executor.llm.providers import Completion
from executor.llm.request import LlmRequest
from executor.schemas import Schema


class AnswerForm:
    """The form that a request asks for: none, any JSON, or a schema."""

    def __init__(self, request: LlmRequest) -> None:
        self._wants_json = request.wants_json
        self._schema: Schema | None = None
        if request.schema_of_answer is not None:
            try:
                self._schema = Schema(
                    request.schema_of_answer, of="The model's answer", trusted=False
                )
            except ValueError as error:
                raise FunctionError(
                    f"responseSchema: {error}", type="validation", retryable=False
                ) from error

    def read(self, completion: Completion) -> Any:
        """The answer as JSON; `None` where text was asked for. Another try may answer better, so it is retryable."""
        if not self._wants_json:
            return None
        try:
            value = orjson.loads(_without_fence(completion.json_text or ""))
        except orjson.JSONDecodeError as error:
            reason = (
                "it ran into maxTokens"
                if completion.finish_reason == "length"
                else "it is malformed"
            )
            raise FunctionError(
                f"The model was asked for JSON, and its answer cannot be read: {reason}.",
                title="Malformed answer",
            ) from error
        if self._schema is not None and (problems := self._schema.problems(value)):
            raise FunctionError(
                "The model's answer does not fit responseSchema: " + "; ".join(problems),
                title="Malformed answer",
            )
        return value


def _without_fence(text: str) -> str:
    """Servers without structured output wrap JSON into a Markdown code block."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped[3:-3].removeprefix("json").strip()
    return stripped
