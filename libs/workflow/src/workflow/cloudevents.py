"""CloudEvents 1.0 as JSON objects: what makes one valid, and its data as listeners read it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

Json = Any

SPEC_VERSION: Final = "1.0"
EVENT_BYTES_MAX: Final = 262_144
"""As JSON. Many copies of an event are made: larger things are better stored, and named in the event."""

ATTRIBUTE_LENGTH_MAX: Final = 2048
_REQUIRED: Final = ("id", "source", "type")
_TEXTS: Final = ("subject", "datacontenttype", "dataschema", "time")
_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_CONTENT: Final = frozenset({"data", "data_base64"})


def problems_of(event: Json) -> Iterator[tuple[str, str]]:
    """The property that is wrong (empty: the whole), and what would be right."""
    if not isinstance(event, Mapping):
        yield "", "must be an object, a CloudEvent"
        return
    if event.get("specversion") != SPEC_VERSION:
        yield "specversion", f'must be "{SPEC_VERSION}"'
    for name in _REQUIRED:
        if name not in event:
            yield name, "is required"
        elif not _is_text(event[name]):
            yield name, f"must be a text of 1 to {ATTRIBUTE_LENGTH_MAX} characters"
    for name in _TEXTS:
        if name in event and not _is_text(event[name]):
            yield name, f"must be a text of 1 to {ATTRIBUTE_LENGTH_MAX} characters"
        elif name == "time" and "time" in event and not _is_instant(event["time"]):
            yield name, "must be an instant such as 2026-01-31T12:00:00Z (RFC 3339)"
    yield from _extension_problems(event)
    yield from _content_problems(event)
    if len(orjson.dumps(event)) > EVENT_BYTES_MAX:
        yield (
            "",
            f"must not be larger than {EVENT_BYTES_MAX} bytes; store the data and name it in the event",
        )


def data_of(event: Mapping[str, Json]) -> Json:
    """The data, decoded as far as its type says; binary data stays base64."""
    return event["data"] if "data" in event else event.get("data_base64")


def raw_data_of(event: Mapping[str, Json]) -> Json:
    """The data undecoded: a text as it is, JSON as its text, binary data as base64."""
    if "data" not in event:
        return event.get("data_base64")
    data = event["data"]
    if isinstance(data, str) and not is_json(event.get("datacontenttype")):
        return data
    return orjson.dumps(data).decode()


def is_json(content_type: str | None) -> bool:
    """Whether data of this type is JSON; without a type it is."""
    if content_type is None:
        return True
    media = content_type.partition(";")[0].strip().lower()
    return media.endswith(("/json", "+json"))


def _extension_problems(event: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    known = {"specversion", *_REQUIRED, *_TEXTS, *_CONTENT}
    for name, value in event.items():
        if name in known:
            continue
        if _NAME.fullmatch(name) is None:
            yield name, "is no name of an attribute: those have lower-case letters and digits only"
        elif isinstance(value, str) and len(value) > ATTRIBUTE_LENGTH_MAX:
            yield name, f"must not have more than {ATTRIBUTE_LENGTH_MAX} characters"
        elif not isinstance(value, str | bool | int):
            yield name, "must be a text, a whole number, true or false"


def _content_problems(event: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    if "data_base64" not in event:
        return
    if "data" in event:
        yield "data_base64", "must not stand beside `data`"
    try:
        base64.b64decode(event["data_base64"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        yield "data_base64", "must be base64"


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ATTRIBUTE_LENGTH_MAX


def _is_instant(text: str) -> bool:
    if _INSTANT.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text.upper()))
    except ValueError:
        return False
    return True
