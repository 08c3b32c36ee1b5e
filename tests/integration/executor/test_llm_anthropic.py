"""The real SDK against servers that behave as Anthropic's does on good days and bad ones."""

import json
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.settings.providers import LlmSettings
from executor.llm.anthropic_provider import AnthropicProvider
from executor.llm.function import LlmFunction


def start(input_tokens: int = 12) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-0001",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message}


def text_block(*pieces: str) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": piece},
            }
            for piece in pieces
        ],
        {"type": "content_block_stop", "index": 0},
    ]


def tool_block(name: str, *pieces: str) -> list[dict[str, Any]]:
    block = {"type": "tool_use", "id": "t1", "name": name, "input": {}}
    return [
        {"type": "content_block_start", "index": 0, "content_block": block},
        *[
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in pieces
        ],
        {"type": "content_block_stop", "index": 0},
    ]


def end(reason: str = "end_turn") -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]


async def stream(request: web.Request, *events: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    await response.write_eof()
    return response


async def ask(url: str, context: TaskContext, **input: Any) -> Any:
    settings = LlmSettings(anthropic_api_key=SecretStr("sk-test"), openai_max_tokens=77)
    provider = AnthropicProvider(settings, base_url=url)
    function = LlmFunction({"anthropic": provider}, default="anthropic", fallback=[])
    try:
        return await function({"prompt": "Say hello."} | input, context)
    finally:
        await function.close()


async def failure(url: str, context: TaskContext, **input: Any) -> FunctionError:
    with pytest.raises(FunctionError) as caught:
        await ask(url, context, **input)
    return caught.value


async def test_an_answer_has_text_usage_and_where_it_is_from(
    serve: Any, context: TaskContext, heard: Any
) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await stream(request, start(), *text_block("Hel", "lo"), *end())

    async with serve(answer) as url:
        output = await ask(url, context, system="Be kind.", temperature=2)
    assert output == {
        "text": "Hello",
        "finishReason": "stop",
        "model": "claude-test-0001",
        "provider": "anthropic",
        "usage": {"inputTokens": 12, "outputTokens": 5},
    }
    assert heard.texts == ["Hel", "lo"]
    body = bodies[0]
    assert (body["system"], body["max_tokens"], body["temperature"]) == ("Be kind.", 77, 1.0)
    assert body["messages"] == [{"role": "user", "content": "Say hello."}]


async def test_a_model_that_refuses_a_temperature_is_not_sent_one(
    serve: Any, context: TaskContext
) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await stream(request, start(), *text_block("x"), *end())

    async with serve(answer) as url:
        await ask(url, context, model="claude-opus-5", temperature=0)
    assert "temperature" not in bodies[0]


async def test_messages_of_the_system_become_instructions(serve: Any, context: TaskContext) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await stream(request, start(), *text_block("x"), *end())

    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    async with serve(answer) as url:
        settings_input = {"messages": messages, "prompt": None}
        await ask(url, context, **settings_input)
    assert bodies[0]["system"] == "Be brief."
    assert [one["role"] for one in bodies[0]["messages"]] == ["user"]


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (429, "communication", True),
        (529, "communication", True),
        (500, "communication", True),
        (400, "communication", False),
        (401, "authentication", False),
        (403, "authorization", False),
    ],
)
async def test_a_status_says_whether_to_try_again(
    serve: Any, context: TaskContext, status: int, kind: str, retryable: bool
) -> None:
    calls = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        body = {"type": "error", "error": {"type": "x", "message": "no"}}
        return web.json_response(body, status=status, headers={"Retry-After": "3"})

    async with serve(answer) as url:
        error = await failure(url, context)
    assert (error.type, error.status, error.retryable) == (kind, status, retryable)
    assert (error.retry_after, calls) == (3.0, 1)


async def test_a_stream_that_ends_early_is_retryable(serve: Any, context: TaskContext) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, start(), *text_block("Hel"))

    async with serve(answer) as url:
        error = await failure(url, context)
    assert (error.type, error.retryable) == ("communication", True)


async def test_a_stream_without_a_beginning_is_retryable(serve: Any, context: TaskContext) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request)

    async with serve(answer) as url:
        error = await failure(url, context)
    assert (error.type, error.retryable) == ("communication", True)


async def test_a_connection_cut_in_mid_stream_is_retryable(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        event = start()
        await response.write(f"event: message_start\ndata: {json.dumps(event)}\n\n".encode())
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serve(answer) as url:
        error = await failure(url, context)
    assert (error.type, error.retryable) == ("communication", True)


async def test_an_overload_in_mid_stream_is_retryable(serve: Any, context: TaskContext) -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, start(), *text_block("Hel"), overloaded)

    async with serve(answer) as url:
        error = await failure(url, context)
    assert (error.type, error.retryable) == ("communication", True)


SCHEMA = {
    "type": "object",
    "properties": {"days": {"type": "integer"}},
    "required": ["days"],
}


async def test_structured_output_is_asked_for_parsed_and_checked(
    serve: Any, context: TaskContext
) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await stream(request, start(), *text_block('{"da', 'ys": 30}'), *end())

    async with serve(answer) as url:
        output = await ask(url, context, responseSchema=SCHEMA)
    assert (output["json"], output["finishReason"]) == ({"days": 30}, "stop")
    asked = bodies[0]["output_config"]["format"]
    assert asked["type"] == "json_schema"
    assert asked["schema"]["properties"] == SCHEMA["properties"]


async def test_a_list_is_wrapped_on_the_way_and_unwrapped_again(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, start(), *text_block('{"value": [1, 2]}'), *end())

    schema = {"type": "array", "items": {"type": "integer"}}
    async with serve(answer) as url:
        output = await ask(url, context, responseSchema=schema)
    assert output["json"] == [1, 2]


async def test_any_json_is_asked_for_in_words(serve: Any, context: TaskContext) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await stream(request, start(), *text_block('```json\n{"a": 1}\n```'), *end())

    async with serve(answer) as url:
        output = await ask(url, context, responseSchema=True)
    assert output["json"] == {"a": 1}
    assert "JSON" in bodies[0]["system"]


@pytest.mark.parametrize("text", ['{"days": 30', '{"days": "thirty"}', "{}", "thirty", ""])
async def test_malformed_structured_output_is_retryable(
    serve: Any, context: TaskContext, text: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, start(), *text_block(text), *end())

    async with serve(answer) as url:
        error = await failure(url, context, responseSchema=SCHEMA)
    assert (error.title, error.retryable) == ("Malformed answer", True)


async def test_calls_of_the_workflows_own_tools_are_given_back(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        pieces = tool_block("look", '{"a": 1}')
        return await stream(request, start(), *pieces, *end("tool_use"))

    async with serve(answer) as url:
        output = await ask(url, context, tools=[{"name": "look", "parameters": SCHEMA}])
    assert output["finishReason"] == "tool_calls"
    assert output["toolCalls"] == [{"id": "t1", "name": "look", "arguments": '{"a":1}'}]
