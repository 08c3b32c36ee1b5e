"""The page at `/`: plain files, read once and served from memory.

Their addresses contain a digest of all of them, so a browser may keep them for ever and never mixes two versions.
Nothing on the page is inline, and nothing comes from elsewhere: the policy sent with it lets no other script run.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

INDEX: Final = "index.html"
VERSION_MARK: Final = b"{{version}}"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_SECURITY: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Page:
    version: str
    index: bytes
    files: Mapping[str, bytes]
    """By path below `static/`."""


def add_page(app: web.Application) -> None:
    """Routes of the page. They are no part of the API, so its description does not list them."""
    page = read_page(resources.files("gateway").joinpath("static"))

    async def index(_request: web.Request) -> web.Response:
        headers = {**_SECURITY, "Cache-Control": "no-cache"}
        return web.Response(
            body=page.index, content_type="text/html", charset="utf-8", headers=headers
        )

    async def file(request: web.Request) -> web.Response:
        path = request.match_info["path"]
        body = page.files.get(path)
        if body is None:
            raise web.HTTPNotFound
        # Another version's address: a replica that is older or newer than the one that served the page.
        current = request.match_info["version"] == page.version
        headers = {"Cache-Control": _FOR_EVER if current else "no-store"}
        return web.Response(
            body=body, content_type=_content_type(path), charset="utf-8", headers=headers
        )

    app.router.add_get("/", index)
    app.router.add_get("/static/{version}/{path:.+}", file)


def read_page(folder: Traversable) -> Page:
    files = dict(sorted(_files(folder)))
    digest = hashlib.sha256()
    for path, body in files.items():
        digest.update(path.encode() + b"\x00" + body + b"\x00")
    version = digest.hexdigest()[:12]
    index = files.pop(INDEX).replace(VERSION_MARK, version.encode())
    return Page(version, index, files)


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _content_type(path: str) -> str:
    if path.endswith(
        ".js"
    ):  # the machine's own table may say text/plain, and then no browser runs it
        return "text/javascript"
    return mimetypes.guess_type(path)[0] or "application/octet-stream"
