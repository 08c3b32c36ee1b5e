"""Ask a service whether it is ready: GET /ready on its metrics port."""

import asyncio
import contextlib

PROBE_SECONDS_MAX = 2.0
STATUS_LINE_BYTES_MAX = 256


async def is_ready(host: str, port: int) -> bool:
    """Whether it answered 200. No answer, or a strange one, is a no."""
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            return await _status(host, port) == 200
    return False


async def _status(host: str, port: int) -> int:
    reader, writer = await asyncio.open_connection(host, port, limit=STATUS_LINE_BYTES_MAX)
    try:
        writer.write(f"GET /ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        words = (await reader.readline()).split()
        return int(words[1]) if len(words) > 1 else 0
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
