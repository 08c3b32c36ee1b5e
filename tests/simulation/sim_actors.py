"""Who takes part: clients, orchestrators, executors, an operator, and a consumer of public events."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from sim_database import Database
from sim_redis import ORCHESTRATOR_IDLE_MS, ExecutorBus, OrchestratorBus
from sim_world import World, point

from common.contracts.arrivals import PublishEvents
from common.contracts.base import encode
from common.contracts.executions import (
    CancelExecution,
    ResumeExecution,
    StartExecution,
    SuspendExecution,
)
from common.contracts.wire import decode_for_orchestrator, decode_reply
from common.ids import derived_uuid7, partition_of
from common.serving import steps
from common.serving.failures import FunctionError
from common.streams import names
from common.streams.consumer import Entry
from orchestrator.accepting import Accepting
from orchestrator.advance import Advance, Outcome
from orchestrator.assemble import Installation
from orchestrator.children import Children
from orchestrator.committing import Committing
from orchestrator.condemning import Condemning
from orchestrator.deciding import Deciding
from orchestrator.definitions import Definition, Definitions
from orchestrator.deliveries import Delivery
from orchestrator.dispatcher import POISON_TRIES
from orchestrator.events import Events
from orchestrator.generation import Generation
from orchestrator.live import LiveExecutions
from orchestrator.notes import NOTES, Notes
from orchestrator.ports import StoreAway
from orchestrator.recovery import Recovery
from orchestrator.sweeps import Sweeps
from orchestrator.windows import QueueWindows
from workflow.core.plan import compile_plan
from workflow.core.turn import EvaluationFailure, Limits
from workflow.document import Functions, FunctionSpec

ORGANIZATION = UUID(int=0x7000_8000_0000_0000_0001)
QUEUE = "work"
PARTITIONS = 2
AWAY = (StoreAway, ConnectionError)


@dataclass
class Stage:
    """The world with everything that takes part, and what is known about it afterwards."""

    world: World
    database: Database
    definitions: dict[str, Definition]
    accepted: dict[str, UUID] = field(default_factory=dict)
    effects: Counter[str] = field(default_factory=Counter)
    """Side effects by idempotency key."""

    seen_events: set[str] = field(default_factory=set)
    kept_events: set[str] = field(default_factory=set)
    """Ids of events whose sender was told that they are kept."""

    unknown_answers: int = 0


def definitions_of(documents: list[dict[str, Any]]) -> dict[str, Definition]:
    functions = Functions(
        FunctionSpec(name=name, version="1.0.0", queue=QUEUE, at_most_once=name == "once")
        for name in ("work", "flaky", "once")
    )
    found = {}
    for content in documents:
        header = content["document"]
        workflow_id = f"{header['namespace']}/{header['name']}"
        plan = compile_plan(content, functions)
        found[workflow_id] = Definition(workflow_id, 1, header["version"], plan)
    return found


class Source:
    def __init__(self, definitions: dict[str, Definition]) -> None:
        self._definitions = definitions

    async def by_number(
        self, _organization: UUID, workflow_id: str, _version: int
    ) -> Definition | None:
        return self._definitions.get(workflow_id)

    async def number_of(self, _organization: UUID, workflow_id: str, _semver: str) -> int | None:
        found = self._definitions.get(workflow_id)
        return None if found is None else found.version


class NoLimits:
    async def limit_of(self, _organization: UUID) -> int:
        return 0


class NoEvaluator:
    async def evaluate(self, _need: object) -> EvaluationFailure:
        return EvaluationFailure("not in the simulation")


class WorldClock:
    def __init__(self, world: World) -> None:
        self._world = world

    def now_ms(self) -> int:
        return self._world.now_ms


async def client(stage: Stage, number: int, workflow_id: str) -> None:
    """Starts one execution, repeating with the same key until it has an answer."""
    world, key = stage.world, f"key-{number}"
    reply_stream = names.replies(f"client-{number}")
    attempt = 0
    while key not in stage.accepted:
        attempt += 1
        execution_id = derived_uuid7(world.now_ms, key, str(attempt))
        start = StartExecution(
            organization_id=ORGANIZATION,
            execution_id=execution_id,
            workflow_id=workflow_id,
            input={"n": number},
            idempotency_key=key,
            fingerprint=key,
            reply_to=reply_stream,
            deadline_ms=world.now_ms + 15_000,
        )
        try:
            await point()
            world.redis.publish(
                names.commands(partition_of(execution_id, PARTITIONS)), encode(start)
            )
        except ConnectionError:
            continue
        gives_up_at = world.now_ms + 15_000
        while world.now_ms < gives_up_at and key not in stage.accepted:
            await point()
            for raw in list(world.redis.stream(reply_stream).entries.values()):
                reply = decode_reply(raw)
                assert reply.status == 202, reply
                stage.accepted[key] = UUID(reply.body["id"])
        stage.unknown_answers += key not in stage.accepted


async def orchestrator(stage: Stage, name: str) -> None:
    """One replica, from its start to its death."""
    replica = Replica(stage, name)
    while True:
        await point()
        try:
            await replica.step()
        except AWAY:
            # Unacknowledged entries are delivered again; what was decided in memory is gone.
            replica.inbox.clear()
            replica.seen.clear()


class Replica:
    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        world, database = stage.world, stage.database
        self.bus = OrchestratorBus(world)
        clock = WorldClock(world)
        generation = Generation()
        installation = Installation(PARTITIONS, 0, generation)
        definitions = Definitions(Source(stage.definitions))
        windows = QueueWindows(6)
        committing = Committing(
            store=database,
            clock=clock,
            windows=windows,
            children=Children(ancestry=database, definitions=definitions, limits=NoLimits()),
            installation=installation,
        )
        live = LiveExecutions(database, definitions)
        self.events = Events(store=database, bus=self.bus, installation=installation)
        self.advance = Advance(
            store=database,
            bus=self.bus,
            live=live,
            accepting=Accepting(
                store=database, clock=clock, definitions=definitions, limits=NoLimits()
            ),
            deciding=Deciding(
                store=database, evaluator=NoEvaluator(), clock=clock, limits=Limits()
            ),
            committing=committing,
            events=self.events,
        )
        self.condemning = Condemning(
            store=database, live=live, bus=self.bus, clock=clock, installation=installation
        )
        self.failures: Counter[UUID] = Counter()
        self.notes = Notes(database, self.bus)
        self.windows = windows
        self.sweeps = Sweeps(
            store=database,
            bus=self.bus,
            queues=self.bus,
            windows=windows,
            installation=installation,
        )
        self.recovery = Recovery(
            store=database, key=self.bus, bus=self.bus, sweeps=self.sweeps, generation=generation
        )
        self.inbox: list[Delivery] = []
        self.seen: set[int] = set()

    async def step(self) -> None:
        """Mostly messages, now and then one of the periodic jobs."""
        if self.stage.world.random.random() < 0.2:
            await self._upkeep()
        deliveries, self.inbox = self.inbox + await self._read(), []
        if deliveries:
            await self._follow(await self.advance.process(deliveries))

    async def _read(self) -> list[Delivery]:
        redis, now_ms = self.stage.world.redis, self.stage.world.now_ms
        deliveries: list[Delivery] = []
        notes: list[tuple[Any, Entry]] = []
        for partition in range(PARTITIONS):
            for stream_name in (names.results(partition), names.commands(partition)):
                await point()
                taken = redis.stream(stream_name).read(
                    self.name, now_ms, 4, idle_ms=ORCHESTRATOR_IDLE_MS, seen=self.seen
                )
                for id, raw, _ in taken:
                    entry = Entry(stream_name, str(id).encode(), raw)
                    message = decode_for_orchestrator(raw)
                    if type(message) in NOTES:
                        notes.append((message, entry))
                    elif type(message) is PublishEvents:
                        await self.events.publish(message, entry)
                    else:
                        deliveries.append(Delivery(message, entry))
        if notes:
            deliveries += await self.notes.handle(notes)
        return deliveries

    async def _follow(self, outcome: Outcome) -> None:
        self.inbox += outcome.follow_ups
        for group in outcome.poisoned:
            self.failures[group.execution_id] += 1
            if self.failures[group.execution_id] < POISON_TRIES:
                self.inbox += group.deliveries
            else:
                await self.condemning.set_aside(group)

    async def _upkeep(self) -> None:
        kind = self.stage.world.random.randrange(7)
        if kind == 0:
            await self.sweeps.publish_owed()
        elif kind == 1:
            self.inbox += await self.sweeps.due_timers(range(PARTITIONS), late_s=0)
        elif kind == 2:
            self.inbox += await self.sweeps.mend_children()
        elif kind == 6:
            if self.stage.world.mutation.look_again:
                await self.events.sweep()
        elif kind == 3:
            self.windows.held_back.add(QUEUE)
            await self.sweeps.refill()
        elif self.stage.world.mutation.publish_again:
            await self._look_for_losses(overdue=kind == 4)

    async def _look_for_losses(self, *, overdue: bool) -> None:
        if overdue:
            self.inbox += await self.sweeps.look_after_overdue()
            return
        if self.stage.world.redis.lost:
            self.stage.world.redis.lost = False
            self.recovery.suspects_loss = True
        if await self.recovery.is_needed():
            waited_until = self.stage.world.now_ms + 5_000
            while self.stage.world.now_ms < waited_until:
                await point()
            await self.recovery.run()


class NoBodies:
    async def load(self, *_: Any) -> bytes:
        raise LookupError

    async def save(self, *_: Any) -> Any:
        raise AssertionError("no large outputs here")


class DirectGrants:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(self, claim: Any, partition: int) -> bool:
        del partition
        while True:
            try:
                return await self._database.grant(claim.execution_id, claim.key, claim.nonce)
            except StoreAway:
                await point()


async def executor(stage: Stage, name: str) -> None:
    """One executor with three slots that takes entries, runs them in turn, refreshing in between."""
    world = stage.world
    serving = serving_of(stage, name)
    running: dict[str, steps.Job] = {}
    while True:
        await point()
        try:
            jobs = await steps.accept(serving, await serving.bus.read(3), running)
            running = {job.claim.key: job for job in jobs}
            finished = []
            for job in jobs:
                for _ in range(world.random.randint(0, 3)):
                    await point()
                stopped = await steps.refresh(serving, list(running.values()))
                for lost in stopped:
                    running.pop(lost.claim.key, None)
                if job.claim.key in running:
                    finished.append(await steps.perform(serving, job))
            await steps.deliver(serving, [one for one in finished if one.claim.key in running])
        except AWAY:
            serving = serving_of(stage, name)
        running = {}


def serving_of(stage: Stage, name: str) -> steps.Serving:
    async def work(data: Any, context: Any) -> Any:
        await point()
        stage.effects[str(context.task_id)] += 1
        await point()
        return data

    async def flaky(data: Any, context: Any) -> Any:
        await point()
        stage.effects[str(context.task_id)] += 1
        if context.attempt < 3:
            raise FunctionError("not yet", status=503)
        return data

    return steps.Serving(
        queue=QUEUE,
        consumer=name,
        bus=ExecutorBus(stage.world, QUEUE, name),
        store=NoBodies(),
        grants=DirectGrants(stage.database),
        functions={"work:1.0.0": work, "flaky:1.0.0": flaky, "once:1.0.0": work},
        requests={},
        clock_ms=lambda: stage.world.now_ms,
    )


async def consumer(stage: Stage) -> None:
    """Reads the public feed."""
    stream_name = names.events(ORGANIZATION)
    while True:
        await point()
        stream = stage.world.redis.stream(stream_name)
        for entry_id, raw in list(stream.entries.items())[:5]:
            stage.seen_events.update(map(place_of, orjson.loads(raw)))
            stream.remove(entry_id)


def place_of(event: dict[str, Any]) -> str:
    return f"{event.get('executionid') or event['subject']}/{event['sequence']}"


async def sender(stage: Stage) -> None:
    """Posts what listeners wait for, each event until it is kept, some of them again; never stops."""
    world, reply_stream, number = stage.world, names.replies("sender"), 0
    while True:
        for _ in range(world.random.randint(5, 120)):
            await point()
        number += 1
        repeated = number if world.random.random() < 0.7 else max(1, number - 2)
        event = {
            "specversion": "1.0",
            "id": str(repeated),
            "source": "/sim",
            "type": "tick",
            "data": repeated,
        }
        command = PublishEvents(organization_id=ORGANIZATION, events=[event], reply_to=reply_stream)
        replies = world.redis.stream(reply_stream)
        gives_up_at = world.now_ms + 15_000
        try:
            world.redis.publish(names.commands(0), encode(command))
        except ConnectionError:
            continue
        while world.now_ms < gives_up_at and not _is_answered(replies, command):
            await point()
        answered = _is_answered(replies, command)
        for entry_id in list(replies.entries):
            replies.remove(entry_id)
        if answered:
            stage.kept_events.add(str(repeated))


def _is_answered(stream: Any, command: PublishEvents) -> bool:
    return any(
        decode_reply(raw).request_id == command.message_id for raw in stream.entries.values()
    )


async def operator(stage: Stage, seed: int) -> None:
    """Suspends, resumes and cancels at random; what it suspended is resumed in the end."""
    chance = random.Random(seed)
    suspended: list[UUID] = []
    while True:
        # What is suspended when the faults stop is resumed soon: liveness is measured from then.
        for _ in range(chance.randint(20, 200) if stage.world.faulty else 2):
            await point()
        if not stage.accepted:
            continue
        target = chance.choice(list(stage.accepted.values()))
        kind = chance.choice([CancelExecution, SuspendExecution, SuspendExecution, ResumeExecution])
        if not stage.world.faulty:
            if not suspended:
                suspended = list(stage.accepted.values())
            target, kind = suspended.pop(), ResumeExecution
        elif chance.random() < 0.5:
            continue
        message = kind(organization_id=ORGANIZATION, execution_id=target)
        try:
            stage.world.redis.publish(
                names.results(partition_of(target, PARTITIONS)), encode(message)
            )
        except ConnectionError:
            continue
