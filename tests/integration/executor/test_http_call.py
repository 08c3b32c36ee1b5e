"""`call: http` against local servers: what is sent, what comes back, and where it must not go."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from executor.http.call import HttpFunction
from executor.outbound.addresses import OutboundRules
from executor.outbound.client import OutboundClient, OutboundFailed

LOCAL = ["127.0.0.1"]


@asynccontextmanager
async def calling(allow: list[str]) -> AsyncIterator[HttpFunction]:
    async with OutboundClient(OutboundRules.of(allow)) as client:
        yield HttpFunction(client)


async def call(context: TaskContext, url: str, **arguments: Any) -> Any:
    async with calling(LOCAL) as http:
        return await http({"method": "get", "endpoint": url} | arguments, context)


async def failure(context: TaskContext, url: str, **arguments: Any) -> FunctionError:
    with pytest.raises(FunctionError) as caught:
        await call(context, url, **arguments)
    return caught.value


def answering(**response: Any) -> Any:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(**response)

    return answer


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": [list(pair) for pair in request.query.items()],
            "headers": dict(request.headers),
            "body": (await request.read()).decode(),
        }
    )


async def test_the_request_is_what_the_task_says(serve: Any, context: TaskContext) -> None:
    async with serve(echo) as url:
        seen = await call(
            context,
            f"{url}/orders?a=1",
            method="post",
            query={"b": [1, 2], "c": True, "d": None},
            headers={"X-Own": "yes"},
            body={"n": 1},
        )
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/orders", '{"n":1}')
    assert seen["query"] == [["a", "1"], ["b", "1"], ["b", "2"], ["c", "true"]]
    assert seen["headers"]["X-Own"] == "yes"
    assert seen["headers"]["Content-Type"] == "application/json"


async def test_the_other_side_can_tell_a_repetition(serve: Any, context: TaskContext) -> None:
    async with serve(echo) as url:
        seen = (await call(context, url))["headers"]
    assert seen["Idempotency-Key"] == str(context.task_id)
    assert seen["Kwe-Try"] == "3"
    assert seen["traceparent"].startswith("00-")


@pytest.mark.parametrize(
    ("authentication", "header"),
    [
        (
            {"basic": {"username": "a", "password": "b"}},
            "Basic " + base64.b64encode(b"a:b").decode(),
        ),
        ({"bearer": {"token": "t"}}, "Bearer t"),
    ],
)
async def test_credentials_are_sent(
    serve: Any, context: TaskContext, authentication: Any, header: str
) -> None:
    async with serve(echo) as url:
        seen = await call(context, url, endpoint={"uri": url, "authentication": authentication})
    assert seen["headers"]["Authorization"] == header


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/problem+json; charset=utf-8", b"[1]", [1]),
        ("text/plain; charset=latin-1", "é".encode("latin-1"), "é"),
        ("text/html", b"<p>", "<p>"),
        ("application/pdf", b"\x00\x01", base64.b64encode(b"\x00\x01").decode()),
        ("application/json", b"", None),
    ],
)
async def test_content_is_decoded_by_its_type(
    serve: Any, context: TaskContext, content_type: str, body: bytes, expected: Any
) -> None:
    async with serve(answering(body=body, headers={"Content-Type": content_type})) as url:
        assert await call(context, url) == expected


async def test_raw_output_is_base64(serve: Any, context: TaskContext) -> None:
    async with serve(answering(text="hi")) as url:
        assert await call(context, url, output="raw") == base64.b64encode(b"hi").decode()


async def test_a_response_shows_both_sides_but_no_credentials(
    serve: Any, context: TaskContext
) -> None:
    endpoint_auth = {"bearer": {"token": "secret"}}
    async with serve(answering(text="hi", headers={"Set-Cookie": "s=1"})) as url:
        endpoint = {"uri": url, "authentication": endpoint_auth}
        seen = await call(context, url, endpoint=endpoint, output="response")
    assert (seen["statusCode"], seen["content"]) == (200, "hi")
    assert seen["request"]["method"] == "GET"
    assert "secret" not in str(seen)
    assert "Set-Cookie" not in seen["headers"]


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (404, False), (408, True), (409, False), (429, True), (500, True), (503, True)],
)
async def test_a_status_is_a_communication_error_with_that_status(
    serve: Any, context: TaskContext, status: int, retryable: bool
) -> None:
    async with serve(answering(status=status, text="why")) as url:
        error = await failure(context, f"{url}/thing?token=secret")
    assert (error.type, error.status, error.retryable) == ("communication", status, retryable)
    assert "why" in error.detail
    assert "secret" not in error.detail


async def test_retry_after_is_kept_in_seconds_or_as_a_date(
    serve: Any, context: TaskContext
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    async with serve(answering(status=503, headers={"Retry-After": "7"})) as url:
        assert (await failure(context, url)).retry_after == 7
    async with serve(answering(status=503, headers={"Retry-After": later})) as url:
        assert 50 < ((await failure(context, url)).retry_after or 0) <= 60


async def test_a_redirect_is_an_error_unless_it_may_be_followed(
    serve: Any, context: TaskContext
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/old":
            return web.Response(status=302, headers={"Location": "/new"})
        return await echo(request)

    async with serve(answer) as url:
        error = await failure(context, f"{url}/old")
        assert (error.status, error.retryable) == (302, False)
        seen = await call(context, f"{url}/old", method="post", body={"a": 1}, redirect=True)
    assert (seen["method"], seen["path"], seen["body"]) == ("GET", "/new", "")


async def test_credentials_do_not_follow_to_another_origin(
    serve: Any, context: TaskContext
) -> None:
    async with serve(echo) as elsewhere:
        leading = answering(status=307, headers={"Location": f"{elsewhere}/x"})
        async with serve(leading) as url:
            endpoint = {"uri": url, "authentication": {"bearer": {"token": "t"}}}
            seen = await call(context, url, endpoint=endpoint, redirect=True)
    assert "Authorization" not in seen["headers"]


async def test_redirects_in_circles_end(serve: Any, context: TaskContext) -> None:
    async with serve(answering(status=302, headers={"Location": "/again"})) as url:
        error = await failure(context, url, redirect=True)
    assert "redirects" in error.detail


async def test_a_redirect_into_the_inside_is_refused(serve: Any, context: TaskContext) -> None:
    target = "http://169.254.169.254/latest/meta-data/"
    async with serve(answering(status=302, headers={"Location": target})) as url:
        error = await failure(context, url, redirect=True)
    assert (error.type, error.retryable) == ("authorization", False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ],
)
async def test_the_inside_is_refused_however_it_is_spelled(
    serve: Any, context: TaskContext, host: str
) -> None:
    reached = False

    async def answer(request: web.Request) -> web.Response:
        nonlocal reached
        reached = True
        return web.Response()

    async with serve(answer) as url:
        port = URL(url).port
        async with calling([]) as http:
            with pytest.raises(FunctionError) as caught:
                await http({"method": "get", "endpoint": f"http://{host}:{port}/"}, context)
    assert not reached
    assert not caught.value.retryable or caught.value.type == "communication"


async def test_the_refusal_tells_an_operator_what_to_allow(context: TaskContext) -> None:
    async with calling([]) as http:
        with pytest.raises(FunctionError, match=r"OUTBOUND_ALLOW=10\.0\.0\.1:8080"):
            await http({"method": "get", "endpoint": "http://10.0.0.1:8080/"}, context)


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "ftp://example.com/", "/relative", "http://"]
)
async def test_only_absolute_http_uris_are_called(context: TaskContext, uri: str) -> None:
    error = await failure(context, uri)
    assert (error.type, error.retryable) == ("validation", False)


@pytest.mark.parametrize(
    "headers", [{"Host": "x"}, {"X": "a\r\nY: b"}, {"Content-Length": "9"}, {"X\n": "1"}]
)
async def test_headers_that_would_break_the_request_are_refused(
    serve: Any, context: TaskContext, headers: dict[str, str]
) -> None:
    async with serve(echo) as url:
        error = await failure(context, url, headers=headers)
    assert (error.type, error.retryable) == ("validation", False)


async def test_an_endless_response_is_cut_off(serve: Any) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    async with serve(answer) as url, OutboundClient(OutboundRules.of(LOCAL)) as client:
        with pytest.raises(OutboundFailed, match="more than") as caught:
            await client.request("GET", URL(url), headers={}, bytes_max=100_000)
    assert not caught.value.retryable


async def test_a_silent_server_is_given_up(serve: Any) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await request.content.read()
        return await never(request)

    async with serve(answer) as url, OutboundClient(OutboundRules.of(LOCAL)) as client:
        with pytest.raises(OutboundFailed, match="did not answer") as caught:
            await client.request("GET", URL(url), headers={}, seconds_max=0.2)
    assert caught.value.retryable


async def never(request: web.Request) -> web.StreamResponse:
    import asyncio

    await asyncio.Event().wait()
    raise AssertionError(request)


async def test_a_server_that_is_not_there_is_retryable(context: TaskContext) -> None:
    error = await failure(context, "http://127.0.0.1:1/")
    assert (error.type, error.retryable) == ("communication", True)


async def test_declared_json_that_is_none_is_a_communication_error(
    serve: Any, context: TaskContext
) -> None:
    async with serve(answering(body=b"{", content_type="application/json")) as url:
        error = await failure(context, url)
    assert (error.type, error.status) == ("communication", 500)
