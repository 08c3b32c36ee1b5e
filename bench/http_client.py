"""The least HTTP/1.1 client that measures honestly: keep-alive, one request at a time per connection.

A full client library costs as much processor time per request as the server does, on the cores that both share.
"""

from __future__ import annotations

import asyncio
from typing import Self
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"


class HttpConnection:
    """One connection that posts JSON to one address."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head

    @classmethod
    async def open(cls, url: str, headers: dict[str, str]) -> Self:
        parts = urlsplit(url)
        assert parts.hostname is not None
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return cls(reader, writer, "\r\n".join([*lines, "Content-Length: "]).encode())

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._writer.write(b"%b%d%b%b" % (self._head, len(body), HEAD_END, body))
        head = await self._reader.readuntil(HEAD_END)
        return int(head[9:12]), await self._body(head.lower())

    async def _body(self, head: bytes) -> bytes:
        at = head.find(b"content-length:")
        if at >= 0:
            return await self._reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
        parts = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            parts.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        self._writer.close()
