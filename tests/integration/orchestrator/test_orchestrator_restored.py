"""A backup is put back: what was unfinished then goes on, and what Redis still holds of the undone time is recognised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr

from common.contracts.base import encode
from common.contracts.executions import CancelExecution
from common.ids import partition_of
from common.settings import DatabaseSettings
from common.streams import names
from common.streams.publisher import Outgoing
from kwe.backup.places import Folder
from kwe.backup.restoring import restore
from kwe.backup.taking import take

LARGE = "x" * 10_000
"""Too large for a message: it travels by reference."""


@dataclass
class Installation:
    """An engine, its backup, and where it is restored to."""

    before: Any
    other: str
    folder: Path
    ids: dict[str, UUID] = field(default_factory=dict)

    async def back_up(self) -> None:
        await take(_settings(self.before.database_url), Folder(self.folder), keep_days=7)

    @asynccontextmanager
    async def restored(self) -> AsyncIterator[Any]:
        """The same installation in another database, beside whatever Redis holds; nothing runs yet."""
        await restore(_settings(self.other), Folder(self.folder), None)
        pool = await asyncpg.create_pool(self.other, min_size=1, max_size=4)
        engine = type(self.before)(
            self.other, self.before.redis_url, pool, organization=self.before.organization
        )
        try:
            async with engine.requester.running():
                yield engine
        finally:
            await engine.close()
            await pool.close()


def _settings(dsn: str) -> DatabaseSettings:
    return DatabaseSettings(database_url=SecretStr(dsn))


@pytest.fixture
def installation(build_engine: Any, bare_database: str, tmp_path: Path) -> Installation:
    return Installation(build_engine, bare_database, tmp_path)


async def begin(installation: Installation, call: Any) -> None:
    """Executions that are unfinished at the time of the backup, each in a way of its own."""
    engine, ids = installation.before, installation.ids
    gated = call("wait", gate="${ .gate }", data="${ .data }")
    two = [{"first": gated}, {"second": call("wait", gate="second", n=2)}]
    await engine.register("two", two)
    await engine.register("one", [{"only": gated}])
    await engine.register("later", [{"pause": {"wait": "PT2S"}}, {"then": call("echo", n=3)}])
    for name, workflow in (("two", "two"), ("large", "one"), ("held", "one"), ("gone", "one")):
        ids[name] = await engine.start(f"tests/{workflow}", {"gate": name, "data": LARGE})
    ids["timed"] = await engine.start("tests/later")
    ids["done"] = await engine.start("tests/one", {"gate": "done", "data": 1})
    engine.functions.gate("done").set()
    await engine.outcome(ids["done"])
    await engine.control("suspend", ids["held"])

    async def all_running() -> bool:
        return len(engine.functions.runs) == 5

    await engine.until(all_running, "the first task of each to run")


async def complete(engine: Any, ids: dict[str, UUID]) -> None:
    """Let everything of the restored database go on to its end, and see that nothing is missing or left over."""
    for name in ("two", "second", "large", "held", "gone"):
        engine.functions.gate(name).set()
    await engine.control("resume", ids["held"])
    assert await engine.outcome(ids["two"]) == {"gate": "second", "n": 2}
    assert (await engine.outcome(ids["large"]))["data"] == LARGE
    assert (await engine.outcome(ids["held"]))["data"] == LARGE
    assert (await engine.outcome(ids["gone"]))["data"] == LARGE
    assert await engine.outcome(ids["timed"]) == {"n": 3}
    expected = {
        f"{id}/{number}"
        for id in ids.values()
        for number in range(1, len(await engine.history(id)) + 1)
    }

    async def all_public() -> bool:
        return bool(expected <= await engine.feed())

    await engine.until(all_public, "every event in the feed")
    await engine.nothing_left()


async def test_with_an_empty_redis_unfinished_executions_go_on(
    installation: Installation, call: Any
) -> None:
    before = installation.before
    async with before.orchestrator(), before.executor(drain_s=0):
        await begin(installation, call)
        await installation.back_up()
    await before.link.call(b"FLUSHALL")

    async with installation.restored() as engine, engine.orchestrator(), engine.executor():
        await complete(engine, installation.ids)
        assert (await engine.row(installation.ids["done"]))["status"] == "completed"
        runs = engine.functions.runs
        assert set(runs.values()) == {1}, "what was published again ran once"


async def live_on(installation: Installation, call: Any) -> dict[str, UUID]:
    """What happens after the backup and will be undone. Leaves newer results, commands and events in Redis."""
    engine, ids = installation.before, installation.ids
    lost: dict[str, UUID] = {}
    async with engine.executor(drain_s=0.2):
        async with engine.orchestrator():
            engine.functions.gate("two").set()
            await engine.waits_for(ids["two"], "task")
            await engine.control("cancel", ids["gone"])
            await engine.control("resume", ids["held"])
            lost["waiting"] = await engine.start("tests/one", {"gate": "never", "data": 0})
            lost["finished"] = await engine.start("tests/one", {"gate": "done", "data": 0})
            await engine.outcome(lost["finished"])

            async def second_runs() -> bool:
                return len(engine.functions.runs) == 8

            await engine.until(second_runs, "the second task to run")
        # Nobody reads results any more: these stay.
        for name in ("second", "large", "held"):
            engine.functions.gate(name).set()

        async def results_there() -> bool:
            streams = [names.results(each) for each in range(8)]
            return sum(await engine.link.pipeline([(b"XLEN", each) for each in streams])) >= 3

        await engine.until(results_there, "results that nobody reads")
    await send_commands(engine, lost)
    return lost


async def send_commands(engine: Any, lost: dict[str, UUID]) -> None:
    """Starts and a cancellation that were never read. One start's input is stored where it will not be found."""
    lost["sent"] = await engine.start_nowait("tests/one", {"gate": "done", "data": 5})
    request = engine.start_of("tests/one")
    reference = await engine.store_input(request.execution_id, b'{"gate":"done","data":6}')
    request = request.model_copy(update={"input": None, "input_ref": reference})
    lost["bodiless"] = request.execution_id
    cancel = CancelExecution(
        organization_id=engine.organization, execution_id=lost["waiting"], reason="undone"
    )
    await engine.publisher.publish(
        [
            Outgoing(names.commands(partition_of(request.execution_id, 8)), encode(request)),
            Outgoing(names.results(partition_of(lost["waiting"], 8)), encode(cancel)),
        ]
    )


async def test_with_a_newer_redis_unfinished_executions_go_on_and_foreign_messages_are_recognised(
    installation: Installation, call: Any
) -> None:
    before = installation.before
    async with before.orchestrator(), before.executor(drain_s=0.2):
        await begin(installation, call)
        await installation.back_up()
    lost = await live_on(installation, call)
    undone = await before.feed()
    # Of a queue and an organisation that came after the backup.
    strangers = (names.tasks("later"), names.events("somebody"))
    request = await before.link.call(b"XRANGE", names.tasks("work"), b"-", b"+", b"COUNT", 1)
    for stream in strangers:
        await before.link.call(b"XADD", stream, b"*", *request[0][1])

    async with installation.restored() as engine:
        # Two start at once: one of them sees to it, the other waits.
        async with engine.orchestrator(), engine.orchestrator(), engine.executor():
            # A start that nobody had accepted is accepted now.
            engine.functions.gate("done").set()
            assert await engine.outcome_of_new(lost["sent"]) == {"gate": "done", "data": 5}
            await complete(engine, {**installation.ids, "sent": lost["sent"]})
            for name in ("waiting", "finished", "bodiless"):
                assert await engine.row(lost[name]) is None
            feed = await engine.feed()
            lengths = await engine.link.pipeline([(b"XLEN", stream) for stream in strangers])
            assert lengths == [0, 0]
        generation = await engine.link.call(b"GET", names.GENERATION_KEY)
        settled = await engine.pool.fetchval("SELECT redis_generation FROM workflow.installation")
        assert generation.decode() == settled != "of-the-tests"
        assert not [each for each in feed if each.startswith(str(lost["waiting"]))]
        assert [each for each in undone if each.startswith(str(lost["waiting"]))]
