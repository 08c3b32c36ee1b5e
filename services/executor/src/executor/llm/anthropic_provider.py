"""Anthropic's models. Structured output is a tool that the model must call."""

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

_ANSWER_TOOL = "answer"
_WRAPPED = "value"
_TEMPERATURE_MAX = 1.0
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
        wanted = request.temperature
        temperature = self._settings.openai_temperature if wanted is None else wanted
        return Sampling(
            model=(request.model if use_model else None) or self._settings.anthropic_model,
            temperature=min(temperature, _TEMPERATURE_MAX),
            max_tokens=request.max_tokens or self._settings.openai_max_tokens,
        )

    async def complete(
        self, request: LlmRequest, sampling: Sampling, on_text: OnText
    ) -> Completion:
        client = self._connected()
        import anthropic

        try:
            async with client.messages.stream(**_body(request, sampling)) as stream:
                async for event in stream:
                    if event.type == "text":
                        on_text(event.text)
                    elif event.type == "input_json" and request.wants_json:
                        on_text(event.partial_json)
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
    # The SDK asserts that a stream it assembles was whole, and parses partial JSON of tools as it comes.
    return is_transport_error(error) or isinstance(error, AssertionError | ValueError)


def _body(request: LlmRequest, sampling: Sampling) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": sampling.model,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "messages": [_message(one) for one in request.conversation()],
    }
    system = request.system_text()
    if request.wants_json:
        body["tools"] = [_answer_tool(request.schema_of_answer)]
        body["tool_choice"] = {"type": "tool", "name": _ANSWER_TOOL}
    elif request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
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


def _answer_tool(schema: dict[str, Any] | None) -> dict[str, Any]:
    """Tools take objects; a schema of anything else is wrapped into one."""
    if schema is None:
        schema = {"type": "object"}
    elif schema.get("type") != "object":
        schema = {"type": "object", "properties": {_WRAPPED: schema}, "required": [_WRAPPED]}
    return {
        "name": _ANSWER_TOOL,
        "description": "Give the answer in this form.",
        "input_schema": schema,
    }


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
    calls = [block for block in message.content if block.type == "tool_use"]
    finish_reason = _FINISH_REASONS.get(message.stop_reason, str(message.stop_reason))
    json_text: str | None = None
    if request.wants_json:
        json_text = _structured(request.schema_of_answer, calls)
        # The forced tool is our way of asking, not a call that the workflow should answer.
        calls, finish_reason = [], "stop" if finish_reason == "tool_calls" else finish_reason
    return Completion(
        text=json_text if json_text is not None else text,
        model=message.model,
        finish_reason=finish_reason,
        usage=Usage(
            input_tokens=message.usage.input_tokens, output_tokens=message.usage.output_tokens
        ),
        json_text=json_text,
        tool_calls=[
            {"id": one.id, "name": one.name, "arguments": orjson.dumps(one.input).decode()}
            for one in calls
        ],
    )


def _structured(schema: dict[str, Any] | None, calls: list[Any]) -> str:
    given = next((one.input for one in calls if one.name == _ANSWER_TOOL), None)
    if isinstance(given, dict) and schema is not None and schema.get("type") != "object":
        given = given.get(_WRAPPED)
    return orjson.dumps(given).decode() if given is not None else ""


def _reason(error: Any) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    detail = body.get("error")
    return str(detail.get("message") if isinstance(detail, dict) else error.message)
