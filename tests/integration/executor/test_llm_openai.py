"""The real SDK against servers that behave as OpenAI's does on good days and bad ones."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.settings.providers import LlmSettings
from executor.llm.extractive.provider import ExtractiveProvider
from executor.llm.function import LlmFunction
from executor.llm.openai_provider import OpenAIProvider
from executor.llm.providers import Provider


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {"content": content} if content is not None else {}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-test-0001",
        "choices": [{"index": 0, "delta": delta | more, "finish_reason": finish}],
    }


USAGE = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt-test-0001",
    "choices": [],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
}


async def stream(
    request: web.Request, *events: dict[str, Any], ends: bool = True
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(f"data: {json.dumps(event)}\n\n".encode())
    if ends:
        await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def ask(url: str, context: TaskContext, fallback: bool = False, **input: Any) -> Any:
    settings = LlmSettings(
        openai_api_key=SecretStr("sk-test"), openai_base_url=f"{url}/v1", openai_max_tokens=77
    )
    providers: dict[str, Provider] = {
        "openai": OpenAIProvider(settings),
        "extractive": ExtractiveProvider(),
    }
    function = LlmFunction(providers, default="openai", fallback=["extractive"] if fallback else [])
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
        return await stream(request, chunk("Hel"), chunk("lo"), chunk(finish="stop"), USAGE)

    async with serve(answer) as url:
        output = await ask(url, context, system="Be kind.")
    assert output == {
        "text": "Hello",
        "finishReason": "stop",
        "model": "gpt-test-0001",
        "provider": "openai",
        "usage": {"inputTokens": 12, "outputTokens": 5},
    }
    assert context.usage == {
        "provider": "openai",
        "model": "gpt-test-0001",
        "inputTokens": 12,
        "outputTokens": 5,
    }
    assert heard.texts == ["Hel", "lo"]
    assert bodies[0]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Say hello."},
    ]


async def test_settings_are_defaults_that_a_task_overrides(
    serve: Any, context: TaskContext
) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await stream(request, chunk("x"), chunk(finish="stop"))

    async with serve(answer) as url:
        await ask(url, context)
        await ask(url, context, model="other", maxTokens=9, temperature=0)
    asked = [(body["model"], body["max_tokens"], body["temperature"]) for body in bodies]
    assert asked == [("gpt-4o-mini", 77, 0.7), ("other", 9, 0)]


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {"Retry-After": "7"}, (True, 7.0)),
        (503, {}, (True, None)),
        (529, {"retry-after-ms": "1500"}, (True, 1.5)),
        (500, {}, (True, None)),
        (400, {}, (False, None)),
        (401, {}, (False, None)),
        (404, {}, (False, None)),
    ],
)
async def test_a_status_says_whether_to_try_again_and_when(
    serve: Any,
    context: TaskContext,
    status: int,
    headers: dict[str, str],
    expected: tuple[bool, float | None],
) -> None:
    calls = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        body = {"error": {"message": "no", "type": "x"}}
        return web.json_response(body, status=status, headers=headers)

    async with serve(answer) as url:
        error = await failure(url, context)
    assert error.status == status
    assert (error.retryable, error.retry_after) == expected
    assert calls == 1, "the engine retries, not the SDK"


async def test_a_stream_that_ends_early_is_retryable(serve: Any, context: TaskContext) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, chunk("Hel"), ends=False)

    async with serve(answer) as url:
        error = await failure(url, context)
    assert (error.type, error.retryable) == ("communication", True)


async def test_a_connection_cut_in_mid_stream_is_retryable(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"data: {json.dumps(chunk('Hel'))}\n\n".encode())
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serve(answer) as url:
        error = await failure(url, context)
    assert (error.type, error.retryable) == ("communication", True)


async def test_a_server_that_is_not_there_is_retryable(context: TaskContext) -> None:
    error = await failure("http://127.0.0.1:1", context)
    assert (error.type, error.retryable) == ("communication", True)


async def test_an_error_in_mid_stream_is_retryable(serve: Any, context: TaskContext) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, chunk("Hel"), {"error": {"message": "overloaded"}})

    async with serve(answer) as url:
        error = await failure(url, context)
    assert error.retryable


SCHEMA = {
    "type": "object",
    "properties": {"days": {"type": "integer"}},
    "required": ["days"],
    "additionalProperties": False,
}


async def test_structured_output_is_parsed_and_checked(serve: Any, context: TaskContext) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await stream(request, chunk('{"days": 30}'), chunk(finish="stop"))

    async with serve(answer) as url:
        output = await ask(url, context, responseSchema=SCHEMA)
    assert output["json"] == {"days": 30}
    assert bodies[0]["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize(
    "text", ['{"days": 30', "thirty", '{"days": "thirty"}', '{"other": 1}', "", "[NaN]"]
)
async def test_malformed_structured_output_is_retryable_and_its_cost_recorded(
    serve: Any, context: TaskContext, text: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, chunk(text), chunk(finish="stop"), USAGE)

    async with serve(answer) as url:
        error = await failure(url, context, responseSchema=SCHEMA)
    assert (error.title, error.retryable) == ("Malformed answer", True)
    assert context.usage["outputTokens"] == 5


async def test_a_schema_that_is_none_is_refused_before_anything_is_paid(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise AssertionError("not to be asked")

    async with serve(answer) as url:
        error = await failure(url, context, responseSchema={"type": "nonsense"})
    assert (error.type, error.retryable) == ("validation", False)


async def test_tool_calls_come_back_whole(serve: Any, context: TaskContext) -> None:
    def piece(**call: Any) -> dict[str, Any]:
        return chunk(tool_calls=[{"index": 0, **call}])

    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(
            request,
            piece(id="t1", type="function", function={"name": "look", "arguments": '{"a"'}),
            piece(function={"arguments": ": 1}"}),
            chunk(finish="tool_calls"),
        )

    async with serve(answer) as url:
        output = await ask(url, context, tools=[{"name": "look"}])
    assert output["finishReason"] == "tool_calls"
    assert output["toolCalls"] == [{"id": "t1", "name": "look", "arguments": '{"a": 1}'}]


async def test_a_fallback_answers_when_the_first_provider_is_overloaded(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "busy"}}, status=529)

    prompt = "[1] Returns are free within 30 days of delivery.\n\nQuestion: Are returns free?"
    async with serve(answer) as url:
        output = await ask(url, context, fallback=True, prompt=prompt)
    assert output["provider"] == "extractive"
    assert "30 days" in output["text"]


async def test_a_rejected_request_is_not_given_to_the_fallback(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "bad"}}, status=400)

    async with serve(answer) as url:
        error = await failure(url, context, fallback=True)
    assert error.status == 400


async def test_an_aborted_task_stops_the_request(serve: Any, context: TaskContext) -> None:
    started, gone = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        started.set()
        try:
            while True:
                await response.write(f"data: {json.dumps(chunk('x'))}\n\n".encode())
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.CancelledError):
            gone.set()
            raise

    async with serve(answer) as url:
        task = asyncio.ensure_future(ask(url, context))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)


async def test_without_a_key_the_advice_names_the_variable(context: TaskContext) -> None:
    function = LlmFunction({"openai": OpenAIProvider(LlmSettings())}, default="openai", fallback=[])
    with pytest.raises(FunctionError, match="OPENAI_API_KEY") as caught:
        await function({"prompt": "x"}, context)
    assert not caught.value.retryable
