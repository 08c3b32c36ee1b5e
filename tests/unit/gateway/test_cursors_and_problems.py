"""Cursors come back as they were given; errors become RFC 9457 answers."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from common.contracts.replies import Reply
from common.errors import (
    Conflict,
    EngineError,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    Violation,
)
from common.ids import uuid7
from gateway.accepting import idempotency_key
from gateway.bounds.validation import Body, Query, validated, validated_query
from gateway.cursors import decode_cursor, encode_cursor
from gateway.problems import MethodNotAllowed, error_of_http, error_of_reply, problem_response


@given(st.text(max_size=60), st.integers(-(2**53), 2**53))
def test_a_cursor_comes_back_as_it_was_given(text: str, number: int) -> None:
    cursor = encode_cursor("list", [text, number])
    if len(cursor) <= 512:
        assert decode_cursor("list", cursor, types=[str, int]) == [text, number]


@given(st.text(max_size=80))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor("list", text, types=[str])


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="list"):
        decode_cursor("workflows", encode_cursor("executions", ["x"]), types=[str])
    with pytest.raises(InvalidRequest):
        decode_cursor("executions", encode_cursor("executions", [1]), types=[str])


def body_of(response: web.Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    parsed: dict[str, Any] = orjson.loads(response.body)
    return parsed


def test_a_problem_has_the_stable_code_the_places_and_the_request() -> None:
    error = Unprocessable("No.", code="invalid_body", errors=[Violation("/a", "is required")])
    response = problem_response(error, instance="/v1/x", request_id="r1")
    assert response.content_type == "application/problem+json"
    assert body_of(response) == {
        "type": "urn:kwe:error:invalid_body",
        "title": "Unprocessable request",
        "status": 422,
        "code": "invalid_body",
        "detail": "No.",
        "errors": [{"pointer": "/a", "detail": "is required"}],
        "instance": "/v1/x",
        "requestId": "r1",
    }


def test_waiting_times_and_challenges_are_headers() -> None:
    response = problem_response(Unavailable("x", retry_after=0.2), instance="/", request_id="r")
    assert response.headers["Retry-After"] == "1"
    response = problem_response(Unauthenticated("x"), instance="/", request_id="r")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (409, Conflict), (503, Unavailable), (599, EngineError)]
)
def test_refusals_of_owners_keep_their_kind(status: int, kind: type[EngineError]) -> None:
    reply = Reply(organization_id=uuid7(), request_id=uuid7(), status=status, code="c", detail="d")
    error = error_of_reply(reply)
    assert type(error) is kind
    assert (error.code, error.detail) == ("c", "d")


def test_what_aiohttp_refuses_speaks_our_words() -> None:
    error = error_of_http(web.HTTPMethodNotAllowed("PUT", ["GET"]))
    assert isinstance(error, MethodNotAllowed)
    assert error.extensions["allow"] == ["GET"]
    assert error_of_http(web.HTTPNotFound()).code == "no_such_route"


class Sample(Body):
    some_name: str
    count: int = Field(0, ge=0)
    nested: list[int] = Field(default_factory=list)


class SampleQuery(Query):
    some_limit: int = Field(5, ge=1)


def test_every_wrong_place_of_a_body_is_named_and_no_value_is_repeated() -> None:
    with pytest.raises(Unprocessable) as refused:
        validated(Sample, {"someNam": "secret", "count": "1", "nested": [1, "x"]})
    found = {violation.pointer: violation.detail for violation in refused.value.errors}
    assert set(found) == {"/someName", "/someNam", "/count", "/nested/1"}
    assert found["/someName"] == "is required"
    assert "spelling" in found["/someNam"]
    assert "secret" not in str(refused.value.as_problem())


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        validated_query(SampleQuery, {"someLimit": "0", "other": "1"})
    assert {violation.pointer for violation in refused.value.errors} == {"someLimit", "other"}
    assert validated_query(SampleQuery, {"someLimit": "7"}).some_limit == 7


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ü", "a\nb"])
def test_unusable_idempotency_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidRequest):
        idempotency_key(key)


def test_a_missing_idempotency_key_is_made() -> None:
    assert idempotency_key(None) != idempotency_key(None)
    assert idempotency_key('"quoted"') == "quoted"


def test_a_body_of_another_shape_is_told_without_our_names_for_things() -> None:
    with pytest.raises(Unprocessable) as refused:
        validated(Sample, [])
    assert [each.detail for each in refused.value.errors] == ["should be an object"]
