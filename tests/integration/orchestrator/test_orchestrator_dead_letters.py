"""Messages nobody can read: kept with the reason, and published once more when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson

from common.contracts.administration import CreateApiKey, RedriveDeadLetter, RevokeApiKey
from common.contracts.base import encode
from common.contracts.tasks import TaskHeartbeat
from common.ids import partition_of, uuid7
from common.streams import names
from common.streams.publisher import Outgoing

Call = Callable[..., dict[str, Any]]
GARBAGE = (
    b"",
    b"\xff\x00\xfe",
    b"[1,2",
    b'{"type":"\\u0000\\ud800"}',
    b'{"type":"task.succeeded.v1"}',
)


async def letters(engine: Any, count: int) -> list[Any]:
    async def there() -> list[Any] | None:
        found: list[Any] = await engine.pool.fetch(
            "SELECT * FROM workflow.dead_letters ORDER BY id"
        )
        return found if len(found) == count else None

    found: list[Any] = await engine.until(there, f"{count} dead letters")
    return found


async def test_garbage_is_set_aside_and_stops_nobody(engine: Any, call: Call) -> None:
    workflow = await engine.register("quick", [{"a": call("echo", n=1)}])
    streams = [names.results(3), names.commands(3)]
    await engine.publisher.publish([Outgoing(stream, raw) for raw in GARBAGE for stream in streams])

    id = await engine.start(workflow)

    assert await engine.outcome(id) == {"n": 1}
    found = await letters(engine, 2 * len(GARBAGE))
    assert sorted({bytes(row["entry"]) for row in found}) == sorted(GARBAGE)
    assert {row["stream"] for row in found} == set(streams)
    assert {row["reason"] for row in found} == {"unreadable"}
    await engine.nothing_left()


async def test_a_message_of_tomorrow_is_its_organisations_dead_letter_and_can_be_redriven(
    engine: Any,
) -> None:
    about = uuid7()
    raw = orjson.dumps(
        {
            "type": "execution.start.v9",
            "organization_id": str(engine.organization),
            "execution_id": str(about),
        }
    )
    await engine.publisher.publish([Outgoing(names.commands(1), raw)])
    (letter,) = await letters(engine, 1)
    assert (letter["organization_id"], letter["execution_id"]) == (engine.organization, about)

    stranger = await engine.add_organization(uuid7())
    replies = [
        await engine.ask(
            RedriveDeadLetter(organization_id=organization, dead_letter_id=letter["id"]),
            names.commands(partition_of(organization, 8)),
        )
        for organization in (stranger, engine.organization)
    ]

    assert [reply.status for reply in replies] == [404, 202]
    # Nobody can read it now either: it is set aside once more.
    first, second = await letters(engine, 2)
    assert first["redriven_at"] is not None
    assert bytes(second["entry"]) == raw
    await engine.nothing_left()


async def test_a_remark_that_cannot_be_stored_is_set_aside_and_ends_nobody(
    engine: Any, call: Call
) -> None:
    workflow = await engine.register("quick", [{"a": call("echo", n=1)}])
    facts = {
        "organization_id": engine.organization,
        "execution_id": uuid7(),
        "task_id": uuid7(),
        "attempt": 1,
        "worker": "w",
    }
    bad, good = (encode(TaskHeartbeat(key=key, **facts)) for key in ("\x00", "1"))
    await engine.publisher.publish([Outgoing(names.results(3), raw) for raw in (good, bad, good)])

    assert await engine.outcome(await engine.start(workflow)) == {"n": 1}
    (letter,) = await letters(engine, 1)
    assert bytes(letter["entry"]) == bad
    assert letter["organization_id"] == engine.organization
    await engine.nothing_left()


async def test_a_key_for_no_organisation_is_a_404(engine: Any) -> None:
    command = CreateApiKey(
        organization_id=uuid7(), key_id=uuid7(), key_hash="ab" * 32, name="k", scopes=("admin",)
    )
    reply = await engine.ask(command, names.commands(0))
    assert (reply.status, reply.code) == (404, "organization_not_found")
    assert await engine.pool.fetchval("SELECT count(*) FROM workflow.api_keys") == 0


async def test_a_key_is_revoked_once_and_by_its_organisation_only(engine: Any) -> None:
    key_id, stranger = uuid7(), await engine.add_organization(uuid7())
    await engine.ask(
        CreateApiKey(
            organization_id=engine.organization,
            key_id=key_id,
            key_hash="cd" * 32,
            scopes=("admin",),
        ),
        names.commands(0),
    )

    async def revoke(organization: UUID) -> tuple[int, Any]:
        command = RevokeApiKey(organization_id=organization, key_id=key_id)
        reply = await engine.ask(command, names.commands(0))
        query = "SELECT revoked_at FROM workflow.api_keys WHERE id = $1"
        return reply.status, await engine.pool.fetchval(query, key_id)

    assert await revoke(stranger) == (404, None)
    status, revoked_at = await revoke(engine.organization)
    assert (status, revoked_at is None) == (204, False)
    assert await revoke(engine.organization) == (204, revoked_at)
