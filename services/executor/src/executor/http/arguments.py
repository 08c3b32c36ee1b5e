"""What a task asks of `call: http`, checked once more: expressions may have produced anything."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from multidict import CIMultiDict
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from yarl import URL

from common.serving.failures import FunctionError
from executor.http.authentication import Authentication

_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that the connection itself decides about."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Endpoint(_Part):
    uri: str
    authentication: Authentication | None = None


def _endpoint(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


class HttpArguments(_Part):
    method: str
    endpoint: Annotated[Endpoint, BeforeValidator(_endpoint)]
    headers: dict[str, str | int | float | bool] | None = None
    query: dict[str, Any] | None = None
    body: Any = None
    authentication: Authentication | None = None
    output: Literal["content", "raw", "response"] | None = None
    redirect: bool | None = None

    @property
    def credentials(self) -> Authentication | None:
        """The core gives them beside the endpoint, documents within it."""
        return self.authentication or self.endpoint.authentication

    @property
    def verb(self) -> str:
        return self.method.upper()

    def url(self) -> URL:
        try:
            url = URL(self.endpoint.uri)
        except ValueError as error:
            raise _invalid(f"endpoint: {error}") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise _invalid("endpoint: an absolute http or https URI is needed")
        return url.extend_query(list(_query(self.query or {}))) if self.query else url

    def request_headers(self) -> CIMultiDict[str]:
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in (self.headers or {}).items():
            text = _text(value)
            if name.lower() in _OURS:
                raise _invalid(f"headers: {name} is set by the connection itself")
            if not name.isascii() or any(c in name + text for c in "\r\n\x00"):
                raise _invalid(f"headers: {name!r} cannot be sent")
            headers[name] = text
        return headers

    def encoded_body(self, headers: CIMultiDict[str]) -> bytes | None:
        """The body's bytes; sets `Content-Type` where the task did not. Text goes as it is, all else as JSON."""
        if self.body is None:
            return None
        declared = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if isinstance(self.body, str):
            headers.setdefault("Content-Type", "text/plain; charset=utf-8")
            return self.body.encode()
        if declared == "application/x-www-form-urlencoded" and isinstance(self.body, dict):
            return urlencode(list(_query(self.body))).encode()
        headers.setdefault("Content-Type", "application/json")
        return orjson.dumps(self.body)


def parse_arguments(input: Any) -> HttpArguments:
    try:
        return HttpArguments.model_validate(input)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        places = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)
        raise _invalid(places) from None


def _query(values: dict[str, Any]) -> Any:
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield name, _text(one)


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return orjson.dumps(value).decode()
        case _:
            return str(value)


def _invalid(detail: str) -> FunctionError:
    return FunctionError(f"call http: {detail}", type="validation", retryable=False)
