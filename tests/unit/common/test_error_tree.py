"""Errors say what the caller should do next, and become RFC 9457 problems."""

import pytest

from common import errors
from common.errors import (
    ConfigurationError,
    EngineError,
    InvalidRequest,
    OutcomeUnknown,
    TooManyRequests,
    Unavailable,
    Violation,
)


def subclasses(root: type[EngineError]) -> set[type[EngineError]]:
    direct = set(root.__subclasses__())
    return direct.union(*(subclasses(one) for one in direct)) if direct else direct


def own_errors() -> list[type[EngineError]]:
    return sorted(
        (one for one in subclasses(EngineError) if one.__module__ == "common.errors"),
        key=lambda one: one.__name__,
    )


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("InvalidRequest", 400, "invalid_request"),
        ("Unprocessable", 422, "unprocessable"),
        ("Unauthenticated", 401, "unauthenticated"),
        ("Forbidden", 403, "forbidden"),
        ("NotFound", 404, "not_found"),
        ("Conflict", 409, "conflict"),
        ("TooLarge", 413, "too_large"),
        ("TooManyRequests", 429, "too_many_requests"),
        ("Unavailable", 503, "unavailable"),
        ("OutcomeUnknown", 503, "outcome_unknown"),
    ],
)
def test_each_error_has_its_stable_status_and_code(name: str, status: int, code: str) -> None:
    error = getattr(errors, name)("because")
    assert (error.http_status, error.code, str(error)) == (status, code, "because")


def test_no_two_errors_share_a_code() -> None:
    codes = [one.code for one in own_errors()]
    assert len(codes) == len(set(codes))


def test_the_tree_in_the_module_docstring_is_complete() -> None:
    assert errors.__doc__ is not None
    for one in own_errors():
        assert f" {one.__name__} " in errors.__doc__
        assert str(one.http_status) in errors.__doc__


def test_an_instance_may_carry_a_narrower_code_without_changing_the_class() -> None:
    assert InvalidRequest("x", code="bad_cursor").code == "bad_cursor"
    assert InvalidRequest("x").code == "invalid_request"


def test_a_problem_names_every_violation() -> None:
    error = InvalidRequest(
        "Two places.", errors=[Violation("/a", "add it"), Violation("/b", "drop it")]
    )
    assert error.as_problem() == {
        "type": "urn:kwe:error:invalid_request",
        "title": "Invalid request",
        "status": 400,
        "code": "invalid_request",
        "detail": "Two places.",
        "errors": [{"pointer": "/a", "detail": "add it"}, {"pointer": "/b", "detail": "drop it"}],
    }


def test_who_should_wait_is_told_how_long_even_where_the_raiser_did_not_say() -> None:
    assert Unavailable("x").retry_after == 1
    assert TooManyRequests("x", retry_after=30).as_problem()["retryAfter"] == 30
    assert "retryAfter" not in InvalidRequest("x").as_problem()


def test_extensions_travel_along_but_cannot_replace_standard_members() -> None:
    error = OutcomeUnknown("x", extensions={"executionId": "e", "status": 200})
    assert error.as_problem()["executionId"] == "e"
    assert error.as_problem()["status"] == 503


def test_a_wrong_configuration_ends_the_process_with_code_2() -> None:
    assert ConfigurationError.exit_code == 2
