"""How the client asks: what it repeats, and which error an answer becomes."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from scripted_api import scripted_api

from kwe import Client, errors

STARTED = {"id": "e1", "status": "pending", "idempotencyKey": "k"}
BUSY = {"code": "unavailable", "detail": "busy", "retryAfter": 0.01}


def client_of(url: str, patience: float = 5.0) -> Client:
    return Client(url, "kwe_key", patience=patience)


async def test_a_start_is_repeated_with_one_key_until_it_is_accepted() -> None:
    async with scripted_api((503, BUSY), (503, {"code": "outcome_unknown"}), (202, STARTED)) as api:
        async with client_of(api.url) as client:
            accepted = await client.start("a/b", {"x": 1})
        keys = {request.headers["Idempotency-Key"] for request in api.requests}
    assert accepted.id == "e1"
    assert len(api.requests) == 3
    assert len(keys) == 1


async def test_a_lost_answer_to_a_start_is_asked_for_again() -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with scripted_api(hang_up, (202, STARTED)) as api, client_of(api.url) as client:
        assert (await client.start("a/b")).id == "e1"
        assert len(api.requests) == 2


async def test_what_may_have_happened_is_not_repeated_without_a_key() -> None:
    unknown = {"code": "outcome_unknown", "detail": "no answer in time"}
    async with scripted_api((503, unknown)) as api, client_of(api.url) as client:
        with pytest.raises(errors.Unavailable, match="no answer in time"):
            await client.cancel("e1")
        assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.NotAuthenticated),
        (403, errors.NotAllowed),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (422, errors.InvalidRequest),
        (500, errors.Unavailable),
    ],
)
async def test_problems_become_errors_by_class(status: int, kind: type[errors.ApiError]) -> None:
    problem = {"code": "c", "detail": "because", "errors": [{"pointer": "/x", "detail": "bad"}]}
    async with scripted_api((status, problem)) as api, client_of(api.url, 0) as client:
        with pytest.raises(kind, match="because") as caught:
            await client.get("e1")
    assert type(caught.value) is kind
    assert caught.value.code == "c"
    assert caught.value.errors[0]["pointer"] == "/x"


async def test_an_unreachable_server_is_named() -> None:
    async with client_of("http://127.0.0.1:9", 0) as client:
        with pytest.raises(errors.Unreachable, match=r"http://127\.0\.0\.1:9"):
            await client.get("e1")


async def test_lists_fetch_pages_as_they_are_needed() -> None:
    def page(number: int, following: str | None) -> dict[str, Any]:
        item = {
            "id": str(number),
            "workflow": {"namespace": "a", "name": "b", "version": "1.0.0"},
            "status": "completed",
            "createdAt": "2026-01-01T00:00:00Z",
        }
        return {"items": [item], "nextCursor": following}

    async with scripted_api((200, page(1, "c1")), (200, page(2, None))) as api:
        async with client_of(api.url) as client:
            found = [one.id async for one in client.list(status="completed")]
        second = api.requests[1].query
    assert found == ["1", "2"]
    assert (second["cursor"], second["status"]) == ("c1", "completed")


async def test_a_name_that_is_no_workflow_is_refused_before_asking() -> None:
    async with client_of("http://127.0.0.1:9", 0) as client:
        with pytest.raises(errors.InvalidRequest, match="namespace/name"):
            await client.start("refund-policy")


async def test_the_input_is_an_empty_object_when_none_is_given() -> None:
    async with scripted_api((202, STARTED)) as api, client_of(api.url) as client:
        await client.start("a/b")
        assert orjson.loads(api.bodies[0]) == {"input": {}}
