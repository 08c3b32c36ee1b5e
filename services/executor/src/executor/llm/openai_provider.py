"""OpenAI, and every server that speaks its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.serving.failures import FunctionError
from common.settings.providers import LlmSettings
from executor.llm.openai_dialect import FIXED_TEMPERATURE, Dialect
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
from executor.llm.request import LlmRequest

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(slots=True)
class _Answer:
    """What has come of the stream so far."""

    text: list[str] = field(default_factory=list)
    tools: dict[int, dict[str, str]] = field(default_factory=dict)
    model: str = ""
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)


class OpenAIProvider:
    name = "openai"

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._client: AsyncOpenAI | None = None
        self._dialect = Dialect(is_openai=settings.openai_base_url is None)

    def sampling(self, request: LlmRequest, *, use_model: bool) -> Sampling:
        model = (request.model if use_model else None) or self._settings.openai_model
        default = self._settings.openai_temperature
        # A task's own wish is sent; only the default of the settings is withheld from those that refuse it.
        temperature = None if model.startswith(FIXED_TEMPERATURE) else default
        return Sampling(
            model=model,
            temperature=request.temperature if request.temperature is not None else temperature,
            max_tokens=request.max_tokens or self._settings.openai_max_tokens,
        )

    async def complete(
        self, request: LlmRequest, sampling: Sampling, on_text: OnText
    ) -> Completion:
        client = self._connected()
        import openai

        try:
            stream = await self._opened(client, request, sampling)
            answer = await _collect(stream, on_text)
        except openai.APIStatusError as error:
            raise status_failure(
                self.name, error.status_code, error.response.headers, _reason(error)
            ) from error
        except openai.APIError as error:
            raise connection_failure(self.name, error) from error
        except Exception as error:
            if isinstance(error, FunctionError) or not is_transport_error(error):
                raise
            raise connection_failure(self.name, error) from error
        if not answer.finish_reason:
            raise cut_stream(self.name)
        return _completion(request, sampling, answer)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def _connected(self) -> AsyncOpenAI:
        if self._client is None:
            key, base_url = self._settings.openai_api_key, self._settings.openai_base_url
            if key is None and base_url is None:
                raise not_configured("OpenAI", "OPENAI_API_KEY")
            # 20 MB and half a second that an executor without this provider need not spend.
            from openai import AsyncOpenAI

            self._client = AsyncOpenAI(
                api_key=key.get_secret_value() if key is not None else "none",
                base_url=base_url,
                timeout=SILENCE_SECONDS_MAX,
                max_retries=0,  # The engine retries, durably and where everybody can see it.
            )
        return self._client

    async def _opened(self, client: AsyncOpenAI, request: LlmRequest, sampling: Sampling) -> Any:
        """The stream of the answer. A refused parameter is learned, at most one of each kind per call."""
        import openai

        while True:
            body = self._body(request, sampling)
            try:
                return await client.chat.completions.create(**body)
            except openai.APIStatusError as error:
                if not self._dialect.learns(sampling.model, body, error):
                    raise

    def _body(self, request: LlmRequest, sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": sampling.model,
            "messages": _messages(request),
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._dialect.parameters(
                sampling.model, temperature=sampling.temperature, max_tokens=sampling.max_tokens
            ),
        }
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        if (schema := request.schema_of_answer) is not None:
            wanted = {"name": "answer", "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        elif request.wants_json:
            body["response_format"] = {"type": "json_object"}
        return body


def _messages(request: LlmRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if system := request.system_text():
        messages.append({"role": "system", "content": system})
    return messages + [one.model_dump() for one in request.conversation()]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Ours are `{name, description, parameters}`; OpenAI's own form passes as it is."""
    if "function" in tool:
        return tool
    function = {
        "name": tool.get("name"),
        "description": tool.get("description", ""),
        "parameters": tool.get("parameters") or tool.get("inputSchema") or {"type": "object"},
    }
    return {"type": "function", "function": function}


async def _collect(stream: AsyncIterator[Any], on_text: OnText) -> _Answer:
    answer = _Answer()
    async for chunk in stream:
        answer.model = chunk.model or answer.model
        if chunk.usage is not None:
            answer.usage = Usage(
                input_tokens=chunk.usage.prompt_tokens, output_tokens=chunk.usage.completion_tokens
            )
        for choice in chunk.choices:
            answer.finish_reason = choice.finish_reason or answer.finish_reason
            if choice.delta.content:
                answer.text.append(choice.delta.content)
                on_text(choice.delta.content)
            for call in choice.delta.tool_calls or ():
                _add_tool_piece(answer.tools, call)
    return answer


def _add_tool_piece(tools: dict[int, dict[str, str]], call: Any) -> None:
    known = tools.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
    known["id"] = call.id or known["id"]
    if call.function is not None:
        known["name"] += call.function.name or ""
        known["arguments"] += call.function.arguments or ""


def _completion(request: LlmRequest, sampling: Sampling, answer: _Answer) -> Completion:
    text = "".join(answer.text)
    return Completion(
        text=text,
        model=answer.model or sampling.model,
        finish_reason=answer.finish_reason,
        usage=answer.usage,
        json_text=text if request.wants_json else None,
        tool_calls=list(answer.tools.values()),
    )


def _reason(error: Any) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or body.get("code") or error.message)
