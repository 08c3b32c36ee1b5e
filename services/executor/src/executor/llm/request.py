"""What a task asks of a language model."""

from __future__ import annotations

from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from common.serving.failures import FunctionError

Role = Literal["system", "user", "assistant", "tool"]


class LlmMessage(BaseModel):
    """A turn of the conversation. `content` is text, or a list of parts as the provider takes them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    role: Role
    content: Any = None


class LlmRequest(BaseModel):
    """Input of `llm:1.0.0`. What is absent comes from the settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    provider: str | None = None
    model: str | None = None
    system: str | None = None
    prompt: str | None = None
    messages: list[LlmMessage] | None = Field(default=None, min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    response_schema: dict[str, Any] | bool | None = None
    tools: list[dict[str, Any]] | None = None
    passages: list[Any] | None = None
    """Passages to answer from, such as the hits of `search`; beside those that the messages quote."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages")
        if self.tools and self.wants_json:
            raise ValueError("give either tools or responseSchema")
        return self

    @property
    def wants_json(self) -> bool:
        return self.response_schema is not None and self.response_schema is not False

    @property
    def schema_of_answer(self) -> dict[str, Any] | None:
        """The schema that the answer must fit; `None` when any JSON will do, or text."""
        return self.response_schema if isinstance(self.response_schema, dict) else None

    def system_text(self) -> str:
        """Every instruction, in order: `system` first, then messages of that role."""
        parts = [self.system or ""]
        parts += [text_of(one.content) for one in self.messages or () if one.role == "system"]
        return "\n\n".join(part for part in parts if part)

    def conversation(self) -> list[LlmMessage]:
        """Everything but the instructions; passages are quoted ahead of the last user message."""
        if self.messages is None:
            turns = [LlmMessage(role="user", content=self.prompt)]
        else:
            turns = [one for one in self.messages if one.role != "system"]
        if not self.passages:
            return turns
        quoted = LlmMessage(role="user", content=quote(self.passages))
        return [*turns[:-1], quoted, *turns[-1:]]


def parse_request(input: Any) -> LlmRequest:
    try:
        return LlmRequest.model_validate(input)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        places = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)
        raise FunctionError(f"llm: {places}", type="validation", retryable=False) from None


def text_of(content: Any) -> str:
    """The text in a message's content; other JSON is written out."""
    match content:
        case None:
            return ""
        case str():
            return content
        case list() if all(isinstance(part, dict) and "type" in part for part in content):
            return "\n".join(str(part.get("text", "")) for part in content)
        case _:
            return orjson.dumps(content).decode()


def quote(passages: list[Any]) -> str:
    """Numbered, each with where it is from, so that an answer can cite them."""
    lines = ["Passages:"]
    for number, passage in enumerate(passages, start=1):
        if isinstance(passage, dict):
            source = passage.get("title") or passage.get("document") or passage.get("id") or ""
            text = str(passage.get("text", ""))
            lines.append(f"[{number}] {f'({source}) ' if source else ''}{text}")
        else:
            lines.append(f"[{number}] {passage}")
    return "\n\n".join(lines)
