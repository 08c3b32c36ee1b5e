"""Models that refuse `temperature`, or know the limit of tokens by its other name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.settings.providers import LlmSettings
from executor.llm.function import LlmFunction
from executor.llm.openai_provider import OpenAIProvider


async def say_yes(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for delta, finish in (({"content": "yes"}, None), ({}, "stop")):
        event = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        await response.write(f"data: {json.dumps(event)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


class Model:
    """Answers as OpenAI does: a refused parameter is named with its code."""

    def __init__(self, **refused: str) -> None:
        self.refused = refused
        self.bodies: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        for name, message in self.refused.items():
            if name in body:
                error = {
                    "message": message,
                    "type": "invalid_request_error",
                    "param": name,
                    "code": "unsupported_parameter" if "parameter" in message else None,
                }
                return web.json_response({"error": error}, status=400)
        return await say_yes(request)


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[LlmFunction]:
    settings = LlmSettings(openai_api_key=SecretStr("sk-test"), openai_base_url=f"{url}/v1")
    function = LlmFunction({"openai": OpenAIProvider(settings)}, default="openai", fallback=[])
    try:
        yield function
    finally:
        await function.close()


NEW_NAME = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
FIXED = "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported."
QUESTION = {"prompt": "Say yes.", "model": "reasoner-9"}


async def test_refused_parameters_are_left_out_or_renamed_and_remembered(
    serve: Any, context: TaskContext
) -> None:
    model = Model(temperature=FIXED, max_tokens=NEW_NAME)
    async with serve(model.answer) as url, asking(url) as llm:
        assert (await llm(QUESTION, context))["text"] == "yes"
        assert len(model.bodies) == 3
        assert (await llm(QUESTION, context))["text"] == "yes"
    assert len(model.bodies) == 4, "the second call knows what the first has learned"
    assert "temperature" not in model.bodies[-1]
    assert model.bodies[-1]["max_completion_tokens"] == 2000


async def test_a_server_that_names_the_parameter_only_in_words_is_understood(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "temperature" in await request.json():
            message = "Extra inputs are not permitted: 'temperature'"
            return web.json_response({"error": {"message": message}}, status=422)
        return await say_yes(request)

    async with serve(answer) as url, asking(url) as llm:
        assert (await llm(QUESTION, context))["text"] == "yes"


async def test_what_is_learned_of_one_model_says_nothing_of_another(
    serve: Any, context: TaskContext
) -> None:
    model = Model(max_tokens=NEW_NAME)
    async with serve(model.answer) as url, asking(url) as llm:
        await llm(QUESTION, context)
        model.refused.clear()
        await llm({**QUESTION, "model": "plain-1"}, context)
    assert "max_tokens" in model.bodies[-1]


@pytest.mark.parametrize(
    "refused",
    [
        {"temperature": "temperature must be at most 2"},
        {"max_tokens": NEW_NAME, "max_completion_tokens": NEW_NAME},
        {"messages": "Unsupported parameter: 'messages'"},
    ],
    ids=["a value out of range", "neither name", "what we cannot do without"],
)
async def test_other_refusals_reach_the_workflow(
    serve: Any, context: TaskContext, refused: dict[str, str]
) -> None:
    model = Model(**refused)
    async with serve(model.answer) as url, asking(url) as llm:
        with pytest.raises(FunctionError) as caught:
            await llm(QUESTION, context)
    assert (caught.value.status, caught.value.retryable) == (400, False)
    assert len(model.bodies) <= 2
