"""What the system works on while it is hurt: a ledger that counts side effects, and workflows that cause them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiohttp import web


class Ledger:
    """An HTTP server that counts what is done under which idempotency key."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/effect", self._count)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/effect"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _count(self, request: web.Request) -> web.Response:
        self.effects[request.headers["Idempotency-Key"].strip('"')] += 1
        return web.json_response({"n": 1})


def definitions(ledger_url: str) -> list[dict[str, Any]]:
    """`proof/all` passes every way a task can go: http, own function, fork, timer, child."""

    def document(name: str, do: list[dict[str, Any]]) -> dict[str, Any]:
        header = {"dsl": "1.0.3", "namespace": "proof", "name": name, "version": "1.0.0"}
        return {"document": header, "do": do}

    def effect(n: int, function: str = "effect") -> dict[str, Any]:
        ms = "${ .ms // 0 }" if n == 0 else 0
        return {"call": f"{function}:1.0.0@default", "with": {"n": n, "ms": ms}}

    http = {
        "call": "http",
        "with": {"method": "post", "endpoint": ledger_url, "body": {"n": 0}},
    }
    child = {"namespace": "proof", "name": "child", "version": "1.0.0"}
    branches = [{"left": effect(1)}, {"right": effect(2)}]
    return [
        document("child", [{"inner": effect(7)}]),
        document("one", [{"only": effect(0)}]),
        document("once", [{"only": effect(0, "once")}]),
        document(
            "all",
            [
                {"first": effect(0)},
                {"split": {"fork": {"branches": branches}}},
                {"pause": {"wait": {"milliseconds": 50}}},
                {"sub": {"run": {"workflow": {**child, "input": {}}}}},
                {"last": http},
            ],
        ),
    ]


TASKS_WITH_EFFECTS = {"proof/all": 4, "proof/one": 1, "proof/once": 1, "proof/child": 1}
