"""`/debug` of a process, beside its `/health`: what it is doing at this moment, and how much it says about it.

It shows all organisations' work at once, so the rights of one organisation's administrator are not enough: it asks for
`DEBUG_TOKEN`, which belongs to whoever runs the installation. Without that variable there is no `/debug`. Stacks show
places in the code and no values, settings show no secrets.
"""

import asyncio
import gc
import hmac
import io
import logging
import os
import platform
import resource
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from common.logs import get_logger, level_name, set_level
from common.release import version
from common.settings import CommonSettings
from common.settings.variable import facts_of

log = get_logger(__name__)

TASKS_MAX: Final = 500
OBJECT_TYPES_MAX: Final = 50
BODY_BYTES_MAX: Final = 256
LEVELS: Final = ("debug", "info", "warning", "error")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def debug_routes(service: str, settings: CommonSettings) -> list[web.RouteDef]:
    """None where no token is set."""
    if settings.debug_token is None:
        return []
    token = settings.debug_token.get_secret_value().encode()
    pages = Pages(service, settings)

    def guarded(handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            given = request.headers.get(hdrs.AUTHORIZATION, "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(errors="surrogateescape"), token):
                log.warning("debug_refused", path=request.path, address=request.remote)
                raise web.HTTPUnauthorized(
                    headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
                    text="send the value of DEBUG_TOKEN: Authorization: Bearer …\n",
                )
            return await handler(request)

        return handle

    return [
        web.get("/debug", guarded(pages.overview)),
        web.get("/debug/tasks", guarded(pages.tasks)),
        web.get("/debug/threads", guarded(pages.threads)),
        web.get("/debug/objects", guarded(pages.objects)),
        web.put("/debug/log-level", guarded(pages.change_level)),
    ]


class Pages:
    def __init__(self, service: str, settings: CommonSettings) -> None:
        self._service = service
        self._settings = settings
        self._began = time.monotonic()

    async def overview(self, _request: web.Request) -> web.Response:
        """The process in figures, and its settings."""
        return _json(
            {
                "service": self._service,
                "version": version(),
                "python": platform.python_version(),
                "pid": os.getpid(),
                "uptimeSeconds": round(time.monotonic() - self._began, 1),
                "residentMiB": round(_resident_bytes() / 2**20, 1),
                "threads": threading.active_count(),
                "tasks": len(asyncio.all_tasks()),
                "collections": [generation["collections"] for generation in gc.get_stats()],
                "logLevel": level_name(),
                "settings": _shown(self._settings),
                "pages": ["/debug/tasks", "/debug/threads", "/debug/objects", "/debug/log-level"],
            }
        )

    async def tasks(self, _request: web.Request) -> web.Response:
        """Where each coroutine waits."""
        tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
        text = io.StringIO()
        text.write(f"{len(tasks)} tasks\n")
        for task in tasks[:TASKS_MAX]:
            text.write("\n")
            task.print_stack(file=text)
        return _text(text.getvalue())

    async def threads(self, _request: web.Request) -> web.Response:
        """Where each thread is."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        parts = [
            f"{names.get(ident, 'unknown')}\n{''.join(traceback.format_stack(frame))}"
            for ident, frame in sys._current_frames().items()  # noqa: SLF001  # the only way to other threads
        ]
        return _text("\n".join(parts))

    async def objects(self, _request: web.Request) -> web.Response:
        """What there is most of. The process stands still while it counts, some tenths of a second."""
        counted = Counter(type(one) for one in gc.get_objects())
        found = [
            {"type": f"{kind.__module__}.{kind.__qualname__}", "objects": number}
            for kind, number in counted.most_common(OBJECT_TYPES_MAX)
        ]
        return _json({"tracked": counted.total(), "types": found})

    async def change_level(self, request: web.Request) -> web.Response:
        """From the next line on, until the process ends."""
        wanted = (await request.content.read(BODY_BYTES_MAX)).decode(errors="replace").strip()
        if wanted not in LEVELS:
            raise web.HTTPUnprocessableEntity(
                text=f"the body should be one of {', '.join(LEVELS)}\n"
            )
        log.warning("log_level_changed", to=wanted, by="debug", address=request.remote)
        set_level(getattr(logging, wanted.upper()))
        return _json({"logLevel": level_name()})


def _shown(settings: CommonSettings) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if facts_of(field).secret:
            value = "unset" if value is None else "set"
        shown[name.upper()] = value if isinstance(value, int | float | bool | None) else str(value)
    return shown


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # a file that is no file
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _json(body: Any) -> web.Response:
    return web.Response(
        body=orjson.dumps(body, option=orjson.OPT_INDENT_2),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _text(text: str) -> web.Response:
    return web.Response(text=text, headers={"Cache-Control": "no-store"})
