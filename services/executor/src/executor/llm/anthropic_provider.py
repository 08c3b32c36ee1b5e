"""Anthropic's models, through their own API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from common.serving.failures import FunctionError
from common.settings.providers import LlmSettings
from executor.llm.providers import (
    SILENCE_SECONDS_MAX,
    Completion,
    OnText,
    Sampling,
    Usage,
    connection_failure,
    cut_stream,
    is_transport_error,
    not_configured,
    status_failure,
)
from executor.llm.request import LlmMessage, LlmRequest, text_of

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_WRAPPED = "value"
_JSON_ONLY = "Answer with one JSON value and nothing else."
_TEMPERATURE_MAX = 1.0
_TAKES_TEMPERATURE = (
    "claude-3", "claude-haiku-4", "claude-sonnet-4", "claude-opus-4-0", "claude-opus-4-1",
    "claude-opus-4-5", "claude-opus-4-6",
)  # fmt: skip
"""Later models refuse any temperature."""

_VERSION_WITH_TEMPERATURE = "2023-06-01"
"""The API's next version, which the SDK asks for by itself, refuses it for every model."""

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicProvider:
    name = "anthropic"

    def __init__(self, settings: LlmSettings, *, base_url: str | None = None) -> None:
        self._settings = settings
        self._base_url = base_url
        self._client: AsyncAnthropic | None = None

    def sampling(self, request: LlmRequest, *, use_model: bool) -> Sampling:
        model = (request.model if use_model else None) or self._settings.anthropic_model
        wanted = request.temperature
        temperature = self._settings.openai_temperature if wanted is None else wanted
        takes_it = model.startswith(_TAKES_TEMPERATURE)
        return Sampling(
            model=model,
            temperature=min(temperature, _TEMPERATURE_MAX) if takes_it else None,
            max_tokens=request.max_tokens or self._settings.openai_max_tokens,
        )

    async def complete(
        self, request: LlmRequest, sampling: Sampling, on_text: OnText
    ) -> Completion:
        client = self._connected()
        import anthropic

        try:
            async with client.messages.stream(**_body(request, sampling)) as stream:
                async for text in stream.text_stream:
                    on_text(text)
                message = await stream.get_final_message()
        except anthropic.APIStatusError as error:
            raise status_failure(
                self.name, error.status_code, error.response.headers, _reason(error)
            ) from error
        except anthropic.APIError as error:
            raise connection_failure(self.name, error) from error
        except Exception as error:
            if isinstance(error, FunctionError) or not _is_cut(error):
                raise
            raise connection_failure(self.name, error) from error
        if message.stop_reason is None:
            raise cut_stream(self.name)
        return _completion(request, message)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def _connected(self) -> AsyncAnthropic:
        if self._client is None:
            key = self._settings.anthropic_api_key
            if key is None:
                raise not_configured("Anthropic", "ANTHROPIC_API_KEY")
            from anthropic import AsyncAnthropic

            self._client = AsyncAnthropic(
                api_key=key.get_secret_value(),
                base_url=self._base_url,
                timeout=SILENCE_SECONDS_MAX,
                max_retries=0,  # The engine retries.
            )
        return self._client


def _is_cut(error: Exception) -> bool:
    # The SDK asserts that a stream it assembles was whole, and parses the JSON of tools as it comes.
    return is_transport_error(error) or isinstance(error, AssertionError | ValueError)


def _body(request: LlmRequest, sampling: Sampling) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": sampling.model,
        "max_tokens": sampling.max_tokens,
        "messages": [_message(one) for one in request.conversation()],
    }
    if sampling.temperature is not None:
        body["extra_body"] = {"temperature": sampling.temperature}
        body["extra_headers"] = {"anthropic-version": _VERSION_WITH_TEMPERATURE}
    if (schema := request.schema_of_answer) is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": _accepted(schema)}}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    wants_any_json = request.wants_json and request.schema_of_answer is None
    system = "\n\n".join(filter(None, [request.system_text(), _JSON_ONLY * wants_any_json]))
    if system:
        body["system"] = system
    return body


def _message(message: LlmMessage) -> dict[str, Any]:
    if message.role == "tool":
        call_id = (message.model_extra or {}).get("tool_call_id", "")
        result = {
            "type": "tool_result",
            "tool_use_id": call_id,
            "content": text_of(message.content),
        }
        return {"role": "user", "content": [result]}
    content = message.content if isinstance(message.content, list) else text_of(message.content)
    return {"role": message.role, "content": content}


def _accepted(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as the API takes it: an object at the root, and only what it can enforce.

    The SDK turns the rest into descriptions; the answer is checked against the whole schema afterwards.
    """
    from anthropic import transform_schema

    if schema.get("type") != "object":
        schema = {"type": "object", "properties": {_WRAPPED: schema}, "required": [_WRAPPED]}
    try:
        return transform_schema(schema)
    except (ValueError, TypeError, KeyError):  # a schema the SDK has no words for
        return schema


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool)
    schema = function.get("parameters") or function.get("inputSchema") or {"type": "object"}
    return {
        "name": function.get("name"),
        "description": function.get("description", ""),
        "input_schema": function.get("input_schema") or schema,
    }


def _completion(request: LlmRequest, message: Any) -> Completion:
    text = "".join(block.text for block in message.content if block.type == "text")
    if request.wants_json:
        text = _unwrapped(request.schema_of_answer, text)
    return Completion(
        text=text,
        model=message.model,
        finish_reason=_FINISH_REASONS.get(message.stop_reason, str(message.stop_reason)),
        usage=Usage(
            input_tokens=message.usage.input_tokens, output_tokens=message.usage.output_tokens
        ),
        json_text=text if request.wants_json else None,
        tool_calls=[
            {"id": one.id, "name": one.name, "arguments": orjson.dumps(one.input).decode()}
            for one in message.content
            if one.type == "tool_use"
        ],
    )


def _unwrapped(schema: dict[str, Any] | None, text: str) -> str:
    if schema is None or schema.get("type") == "object":
        return text
    try:
        return orjson.dumps(orjson.loads(text)[_WRAPPED]).decode()
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return text  # malformed, as its reader will say


def _reason(error: Any) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    detail = body.get("error")
    return str(detail.get("message") if isinstance(detail, dict) else error.message)
