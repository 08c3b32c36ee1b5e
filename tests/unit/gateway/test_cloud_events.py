"""CloudEvents as HTTP carries them, and what is said about those that are none."""

from typing import Any

import orjson
import pytest

from common.errors import EngineError
from gateway.cloud_events import BATCH, STRUCTURED, read_events

EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid"}
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "CE-Type": "paid"}


def read(headers: dict[str, str], body: Any) -> list[dict[str, Any]]:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_events(headers, raw, depth_max=20)


def refusal(headers: dict[str, str], body: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        read(headers, body)
    return caught.value


@pytest.mark.parametrize("media", [STRUCTURED, f"{STRUCTURED}; charset=utf-8", "application/json"])
def test_a_structured_event_is_read(media: str) -> None:
    assert read({"Content-Type": media}, {**EVENT, "data": [1]}) == [{**EVENT, "data": [1]}]


def test_a_batch_is_read_in_its_order() -> None:
    batch = [EVENT, {**EVENT, "id": "2"}]
    assert read({"Content-Type": BATCH}, batch) == batch
    assert read({"Content-Type": BATCH}, []) == []


@pytest.mark.parametrize(
    ("content_type", "body", "content"),
    [
        ("application/json", b'{"a": 1}', {"data": {"a": 1}}),
        ("application/vnd.shop+json; charset=utf-8", b"[1]", {"data": [1]}),
        ("text/plain", "grüß".encode(), {"data": "grüß"}),
        ("text/plain", b"\xff", {"data_base64": "/w=="}),
        ("image/png", b"\x00\x01", {"data_base64": "AAE="}),
        ("application/json", b"", {}),
    ],
)
def test_a_binary_event_has_its_attributes_in_headers(
    content_type: str, body: bytes, content: dict[str, Any]
) -> None:
    headers = {**HEADERS, "ce-region": "K%C3%B6ln", "Content-Type": content_type}
    expected = {**EVENT, "region": "Köln", "datacontenttype": content_type, **content}
    assert read(headers, body) == [expected]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"source": 7}, "/source"),
        ({"time": "yesterday"}, "/time"),
        ({"time": "2026-02-31T00:00:00Z"}, "/time"),
        ({"Region": "eu"}, "/Region"),
        ({"region": {"a": 1}}, "/region"),
        ({"data_base64": "?"}, "/data_base64"),
        ({"data": 1, "data_base64": "AA=="}, "/data_base64"),
        ({"data": "x" * 300_000}, ""),
    ],
)
def test_each_wrong_place_is_named(change: dict[str, Any], pointer: str) -> None:
    error = refusal({"Content-Type": STRUCTURED}, {**EVENT, **change})
    assert (error.http_status, error.code) == (422, "invalid_event")
    assert [each.pointer for each in error.errors] == [pointer]
    (batched,) = refusal({"Content-Type": BATCH}, [EVENT, {**EVENT, **change}]).errors
    assert batched.pointer == "/1" + pointer


def test_what_is_missing_is_named() -> None:
    error = refusal({"Content-Type": STRUCTURED}, {"specversion": "1.0"})
    assert [each.pointer for each in error.errors] == ["/id", "/source", "/type"]
    headers = {"ce-specversion": "1.0", "ce-id": "1", "Content-Type": "text/plain"}
    assert [each.pointer for each in refusal(headers, b"").errors] == ["ce-source", "ce-type"]


@pytest.mark.parametrize("body", [[], "text", None, 7])
def test_what_is_no_object_is_refused(body: Any) -> None:
    assert refusal({"Content-Type": STRUCTURED}, body).http_status == 422


def test_a_batch_is_an_array_and_bounded() -> None:
    assert refusal({"Content-Type": BATCH}, EVENT).http_status == 422
    assert refusal({"Content-Type": BATCH}, [EVENT] * 1001).http_status == 413


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}])
def test_what_says_not_that_it_is_an_event_is_refused(headers: dict[str, str]) -> None:
    error = refusal(headers, b"x")
    assert error.http_status == 415
    assert "ce-id" in error.detail
