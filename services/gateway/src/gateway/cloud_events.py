"""CloudEvents over HTTP: structured, as a batch, or binary with the attributes in headers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from common.errors import InvalidRequest, TooLarge, Unprocessable, Violation
from gateway.bounds.json_text import VIOLATIONS_MAX, parse_json, pointer_of
from gateway.problems import UnsupportedMediaType
from workflow.cloudevents import is_json, problems_of

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
HEADER_PREFIX: Final = "ce-"
BATCH_MAX: Final = 1000

_ADVICE: Final = (
    f"Send one CloudEvent as {STRUCTURED}, several as {BATCH}, or the attributes as headers (ce-id, ce-source, ce-type, "
    "ce-specversion) with the data as the body."
)


def read_events(headers: Mapping[str, str], raw: bytes, *, depth_max: int) -> list[dict[str, Any]]:
    """The events of a request, checked. Raises what the caller must mend."""
    media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media == BATCH:
        events = parse_json(raw, depth_max=depth_max)
        if not isinstance(events, list):
            raise _refused([Violation("", "must be an array of CloudEvents")])
        if len(events) > BATCH_MAX:
            raise TooLarge(
                f"A batch has at most {BATCH_MAX} events.", extensions={"limit": BATCH_MAX}
            )
        return _checked(
            events, lambda position, name: pointer_of((position, name) if name else (position,))
        )
    if media == STRUCTURED or (media == "application/json" and not _is_binary(headers)):
        event = parse_json(raw, depth_max=depth_max)
        return _checked([event], lambda _, name: pointer_of((name,) if name else ()))
    if not _is_binary(headers):
        raise UnsupportedMediaType(
            f"{media or 'A body without Content-Type'} is no CloudEvent. {_ADVICE}"
        )
    event = _attributes(headers) | _content(headers.get("Content-Type"), raw, depth_max)
    return _checked([event], lambda _, name: f"{HEADER_PREFIX}{name}" if name else "")


def _is_binary(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "ce-specversion" for name in headers)


def _attributes(headers: Mapping[str, str]) -> dict[str, Any]:
    """Values may be percent-encoded, as headers hold ASCII only."""
    attributes: dict[str, Any] = {}
    for header, value in headers.items():
        name = header.lower()
        if not name.startswith(HEADER_PREFIX):
            continue
        text = unquote(value, errors="strict" if "%" in value else "replace")
        if "\x00" in text:
            raise InvalidRequest(f"The header {header} contains NUL.", code="invalid_parameter")
        attributes[name.removeprefix(HEADER_PREFIX)] = text
    return attributes


def _content(content_type: str | None, raw: bytes, depth_max: int) -> dict[str, Any]:
    """JSON is decoded, text is text, anything else travels as base64."""
    content: dict[str, Any] = {}
    if content_type is not None:
        content["datacontenttype"] = content_type
    if not raw:
        return content
    if content_type is not None and is_json(content_type):
        return {**content, "data": parse_json(raw, depth_max=depth_max)}
    if content_type is not None and content_type.lower().startswith("text/"):
        text = raw.decode(errors="replace")
        if "\x00" not in text and "\ufffd" not in text:
            return {**content, "data": text}
    return {**content, "data_base64": base64.b64encode(raw).decode()}


def _checked(events: list[Any], place: Any) -> list[dict[str, Any]]:
    violations = [
        Violation(place(position, name), problem)
        for position, event in enumerate(events)
        for name, problem in problems_of(event)
    ]
    if violations:
        raise _refused(violations[:VIOLATIONS_MAX])
    return events


def _refused(violations: list[Violation]) -> Unprocessable:
    return Unprocessable("This is no valid CloudEvent.", code="invalid_event", errors=violations)
