"""Performing `call: http`: the request, and what its response means to the workflow."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import ClientMiddlewareType, DigestAuthMiddleware
from multidict import CIMultiDict
from yarl import URL

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.telemetry import current_traceparent
from executor.http.arguments import HttpArguments, parse_arguments
from executor.http.tokens import Grant, Tokens
from executor.outbound.client import (
    OutboundClient,
    OutboundFailed,
    OutboundRefused,
    OutboundResponse,
)
from executor.retry_after import retry_after_seconds

_RETRYABLE = frozenset({408, 425, 429})
_SNIPPET_CHARACTERS = 300
_SEARCHED_BYTES = 64 * 1024
_HIDDEN = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


class HttpFunction:
    """The handler of tasks whose function is `http`."""

    def __init__(self, client: OutboundClient) -> None:
        self._client = client
        self._tokens = Tokens(client)

    async def __call__(self, input: Any, context: TaskContext) -> Any:
        arguments = parse_arguments(input)
        url = arguments.url()
        headers = arguments.request_headers()
        body = arguments.encoded_body(headers)
        _identify(headers, context)
        response = await self._authenticated(arguments, url, headers, body, context)
        _raise_for_status(response, context)
        return _output(arguments, headers, response)

    async def _authenticated(
        self,
        arguments: HttpArguments,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | None,
        context: TaskContext,
    ) -> OutboundResponse:
        """The response to the request with its credentials; a token that is refused is exchanged for another one, once."""
        given = arguments.credentials
        middlewares = []
        if given is not None and given.header is not None:
            _authorize(headers, given.header, context)
        elif given is not None and given.digest is not None:
            middlewares = [DigestAuthMiddleware(given.digest.username, given.digest.password)]
        if given is None or given.grant is None:
            return await self._send(arguments, url, headers, body, middlewares)
        context.hiding.add(_confidential(given.grant))
        token = await self._tokens.token(context.organization_id, given.grant)
        _authorize(headers, f"Bearer {token}", context)
        response = await self._send(arguments, url, headers, body)
        if response.status != 401 or response.url.origin() != url.origin():
            return response
        token = await self._tokens.token(context.organization_id, given.grant, refused=token)
        _authorize(headers, f"Bearer {token}", context)
        return await self._send(arguments, url, headers, body)

    async def _send(
        self,
        arguments: HttpArguments,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | None,
        middlewares: Sequence[ClientMiddlewareType] = (),
    ) -> OutboundResponse:
        try:
            return await self._client.request(
                arguments.verb,
                url,
                headers=headers,
                body=body,
                follow_redirects=bool(arguments.redirect),
                middlewares=middlewares,
            )
        except OutboundRefused as error:
            raise FunctionError(str(error), type="authorization", retryable=False) from error
        except OutboundFailed as error:
            raise FunctionError(
                error.detail, type="communication", retryable=error.retryable
            ) from error


def _authorize(headers: CIMultiDict[str], header: str, context: TaskContext) -> None:
    headers["Authorization"] = header
    context.hiding.add([header.partition(" ")[2]])


def _confidential(grant: Grant) -> list[str]:
    """What of a grant must not be seen, also where it is written in the document."""
    client, tokens = grant.client, (grant.subject, grant.actor)
    texts = [client.secret, client.assertion, grant.password]
    return [text for text in texts if text] + [one.token for one in tokens if one is not None]


def _identify(headers: CIMultiDict[str], context: TaskContext) -> None:
    """The same key over all tries, so that the other side can tell a repetition from a new request."""
    headers.setdefault("Idempotency-Key", context.idempotency_key)
    headers.setdefault("Kwe-Try", str(context.attempt))
    headers.setdefault("traceparent", current_traceparent())
    headers.setdefault("User-Agent", "kwe-executor")


def _raise_for_status(response: OutboundResponse, context: TaskContext) -> None:
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
    # Secrets are taken out before the text is cut, maybe within one of them.
    text = context.hiding.text(response.body[:_SEARCHED_BYTES].decode(errors="replace"))
    snippet = text.strip()[:_SNIPPET_CHARACTERS]
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
