"""The API's descriptions: for machines, and for people."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import orjson
from aiohttp import web

from gateway.openapi.document import openapi_document
from gateway.openapi.page import html_page
from gateway.route import Answer, Call, Route
from gateway.routes.table import ALL_ROUTES

_CACHED: Final = {"Cache-Control": "public, max-age=300"}
_CONTENT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"


async def openapi(_call: Call) -> web.Response:
    return _json(_openapi())


async def docs(_call: Call) -> web.Response:
    headers = {**_CACHED, "Content-Security-Policy": _CONTENT_POLICY}
    return web.Response(body=_page(), content_type="text/html", charset="utf-8", headers=headers)


async def asyncapi(_call: Call) -> web.Response:
    global _asyncapi
    if _asyncapi is None:
        _asyncapi = await _generate()
    return _json(_asyncapi)


_asyncapi: bytes | None = None


async def _generate() -> bytes:
    """In a process of its own: the generator's libraries would stay in ours for ever, for a text made once."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "common.asyncapi", stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"common.asyncapi ended with {process.returncode}")
    return output


@cache
def _openapi() -> bytes:
    return orjson.dumps(openapi_document(every_route()))


@cache
def _page() -> bytes:
    return html_page(openapi_document(every_route()))


def every_route() -> Sequence[Route]:
    return (*ALL_ROUTES, *ROUTES)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers=_CACHED)


_TAG: Final = "Documentation"
_ANY_OBJECT: Final = dict[str, Any]

ROUTES = (
    Route(
        method="GET",
        path="/openapi.json",
        handler=openapi,
        tag=_TAG,
        summary="This description, OpenAPI 3.1",
        answers={200: Answer("The document.", _ANY_OBJECT)},
    ),
    Route(
        method="GET",
        path="/asyncapi.json",
        handler=asyncapi,
        tag=_TAG,
        summary="The messages and public events, AsyncAPI 3.0",
        answers={200: Answer("The document.", _ANY_OBJECT)},
    ),
    Route(
        method="GET",
        path="/docs",
        handler=docs,
        tag=_TAG,
        summary="This description for people",
        answers={200: Answer("A page.", str, media_type="text/html")},
    ),
)
