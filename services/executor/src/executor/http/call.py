"""Performing `call: http`: the request, and what its response means to the workflow."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from multidict import CIMultiDict

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.telemetry import current_traceparent
from executor.http.arguments import HttpArguments, parse_arguments
from executor.outbound.client import (
    OutboundClient,
    OutboundFailed,
    OutboundRefused,
    OutboundResponse,
)
from executor.retry_after import retry_after_seconds

_RETRYABLE = frozenset({408, 425, 429})
_SNIPPET_CHARACTERS = 300
_HIDDEN = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


class HttpFunction:
    """The handler of tasks whose function is `http`."""

    def __init__(self, client: OutboundClient) -> None:
        self._client = client

    async def __call__(self, input: Any, context: TaskContext) -> Any:
        arguments = parse_arguments(input)
        url = arguments.url()
        headers = arguments.request_headers()
        body = arguments.encoded_body(headers)
        _identify(headers, context)
        try:
            response = await self._client.request(
                arguments.verb,
                url,
                headers=headers,
                body=body,
                follow_redirects=bool(arguments.redirect),
            )
        except OutboundRefused as error:
            raise FunctionError(str(error), type="authorization", retryable=False) from error
        except OutboundFailed as error:
            raise FunctionError(
                error.detail, type="communication", retryable=error.retryable
            ) from error
        _raise_for_status(response)
        return _output(arguments, headers, response)


def _identify(headers: CIMultiDict[str], context: TaskContext) -> None:
    """The same key over all tries, so that the other side can tell a repetition from a new request."""
    headers.setdefault("Idempotency-Key", context.idempotency_key)
    headers.setdefault("Kwe-Try", str(context.attempt))
    headers.setdefault("traceparent", current_traceparent())
    headers.setdefault("User-Agent", "kwe-executor")


def _raise_for_status(response: OutboundResponse) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    where = f"{response.method} {response.url.origin()}{response.url.path}"
    if 300 <= status < 400:
        advice = " Set `redirect: true` to follow it." if "Location" in response.headers else ""
        raise FunctionError(
            f"{where} answered {status}, a redirect.{advice}",
            type="communication",
            status=status,
            retryable=False,
        )
    snippet = response.body[:_SNIPPET_CHARACTERS].decode(errors="replace").strip()
    raise FunctionError(
        f"{where} answered {status}" + (f": {snippet}" if snippet else ""),
        type="communication",
        status=status,
        retryable=status in _RETRYABLE or status >= 500,
        retry_after=retry_after_seconds(response.headers),
    )


def _output(arguments: HttpArguments, sent: CIMultiDict[str], response: OutboundResponse) -> Any:
    match arguments.output or "content":
        case "raw":
            return base64.b64encode(response.body).decode()
        case "content":
            return _content(response)
        case _:
            return {
                "request": {
                    "method": response.method,
                    "uri": str(response.url),
                    "headers": _shown(sent),
                },
                "statusCode": response.status,
                "headers": _shown(response.headers),
                "content": _content(response),
            }


def _content(response: OutboundResponse) -> Any:
    """JSON types are decoded, `text/*` is text, anything else base64."""
    if not response.body:
        return None
    declared = response.headers.get("Content-Type", "")
    media_type = declared.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return _decoded(response)
    if media_type.startswith("text/"):
        return _text(response.body, declared)
    return base64.b64encode(response.body).decode()


def _decoded(response: OutboundResponse) -> Any:
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError as error:
        raise FunctionError(
            f"{response.url.host} declared JSON and sent something else: {error}",
            type="communication",
        ) from error


def _text(body: bytes, content_type: str) -> str:
    _, _, charset = content_type.lower().partition("charset=")
    name = charset.partition(";")[0].strip(" \"'") or "utf-8"
    try:
        return body.decode(name, errors="replace")
    except LookupError:
        return body.decode(errors="replace")


def _shown(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HIDDEN}
