"""From the result of a turn to rows and stream entries. Pure: the same result gives the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from common.contracts.base import INLINE_INPUT_BYTES_MAX, PayloadReference, encode
from common.contracts.executions import ContinueExecution
from common.contracts.tasks import TaskRequested
from common.ids import derived_uuid7, partition_of, task_uuid
from common.security.vault import Vault
from common.streams import names
from common.streams.publisher import Outgoing
from orchestrator.deliveries import Live
from orchestrator.event_rows import stored_event, type_key
from orchestrator.generation import Generation
from orchestrator.ports import (
    CancelMark,
    Facts,
    HistoryRow,
    NewExecution,
    NewListener,
    NewState,
    NewWait,
    Payload,
    PhaseChange,
    Settled,
    Windows,
    Write,
)
from orchestrator.publications import Owed, events_entries
from orchestrator.secrets import sealed
from workflow.core.effects import Effects, OpenWait, StoredValue, TaskStart
from workflow.core.turn import TurnResult
from workflow.core.values import Value

START_KEY = "start"
"""The wait of an execution that exists and has not begun: `admission` until it may, then `continue`."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is fixed for all executions of this installation."""

    partitions: int
    events_maxlen: int = 100_000
    generation: Generation = field(default_factory=Generation)
    vault: Vault = field(default_factory=Vault)

    def sealed(self, facts: Facts, value: Value | StoredValue) -> bytes:
        """The value as it may be stored and sent."""
        return sealed(self.vault, facts.organization_id, value.raw, value.secrets)

    def partition(self, execution_id: UUID) -> int:
        return partition_of(execution_id, self.partitions)


@dataclass(frozen=True, slots=True)
class NewChild:
    """A sub-workflow that a turn asked for."""

    wait: OpenWait
    id: UUID
    facts: Facts | None
    """With the definition it will run; None if it cannot be created."""

    admitted: bool = True
    """False if it must wait until its organisation has room for one more execution."""

    obstacle: Mapping[str, object] = field(default_factory=dict)
    """Why it cannot be created, as the task's error."""


def child_id_of(parent: UUID, key: str, now_ms: int) -> UUID:
    return derived_uuid7(now_ms, str(parent), key)


def write_turn(
    write: Write, live: Live, result: TurnResult, installation: Installation, *, expected: int
) -> None:
    """Add the rows of one turn, but for its tasks and children."""
    effects, facts = result.effects, live.facts
    final = effects.phase is not None and effects.phase.is_final
    write.states.append(
        NewState(
            facts.execution_id,
            facts.organization_id,
            expected,
            result.sequence_to,
            result.snapshot,
            final,
        )
    )
    if effects.events:
        write.history.append(
            HistoryRow(
                facts.execution_id,
                facts.organization_id,
                result.sequence_from,
                result.sequence_to,
                orjson.dumps(effects.events),
            )
        )
    write.closed.extend((facts.execution_id, key) for key in effects.closed)
    for value in effects.values:
        write.payloads.append(
            Payload(
                facts.execution_id,
                UUID(value.id),
                facts.organization_id,
                installation.sealed(facts, value),
            )
        )
    if effects.phase is not None and expected >= 0:
        write.phases.append(
            PhaseChange(
                facts.execution_id,
                effects.phase.value,
                installation.sealed(facts, effects.output) if effects.output is not None else None,
                orjson.dumps(effects.error) if effects.error is not None else None,
            )
        )
    write.opened.extend(
        _plain_wait(wait, facts, installation)
        for wait in effects.opened
        if wait.task is None and wait.child is None
    )


def _plain_wait(wait: OpenWait, facts: Facts, installation: Installation) -> NewWait:
    """A timer, a suspension, a `continue`: nothing has to be sent for it."""
    return NewWait(
        facts.execution_id,
        wait.key,
        wait.kind.value,
        facts.organization_id,
        installation.partition(facts.execution_id),
        wait.reference,
        wait.due_at,
    )


def new_execution(
    facts: Facts,
    input_raw: bytes,
    labels: dict[str, str],
    effects: Effects | None,
    installation: Installation,
) -> NewExecution:
    """The row of an execution; without effects it is pending."""
    if effects is None or effects.phase is None:
        return NewExecution(facts, "pending", input_raw, labels)
    return NewExecution(
        facts,
        effects.phase.value,
        input_raw,
        labels,
        installation.sealed(facts, effects.output) if effects.output is not None else None,
        orjson.dumps(effects.error) if effects.error is not None else None,
    )


def add_tasks(
    write: Write,
    owed: Owed,
    facts: Facts,
    effects: Effects,
    *,
    installation: Installation,
    windows: Windows,
) -> None:
    """Waits for executor work; each is published now if its queue has room, and stays `ready` if not."""
    for wait in effects.opened:
        if wait.task is None:
            continue
        partition = installation.partition(facts.execution_id)
        body, payload = _request(wait.key, wait.task, facts, partition, installation)
        published = windows.admit(wait.task.queue)
        write.opened.append(
            NewWait(
                facts.execution_id,
                wait.key,
                wait.kind.value,
                facts.organization_id,
                partition,
                wait.task.reference,
                queue=wait.task.queue,
                published=published,
                body=body,
            )
        )
        if payload is not None:
            write.payloads.append(payload)
        if published:
            owed.tasks.append((facts.execution_id, wait.key))
            owed.outgoing.append(Outgoing(names.tasks(wait.task.queue), body))
    owed.cancelled.extend(
        CancelMark(each.queue, each.task_id, each.attempt) for each in effects.cancelled_tasks
    )


def _request(
    key: str, task: TaskStart, facts: Facts, partition: int, installation: Installation
) -> tuple[bytes, Payload | None]:
    reference, payload, inline = None, None, None
    fits = task.input.is_loaded and len(task.input.raw) <= INLINE_INPUT_BYTES_MAX
    if task.input.reference is not None and not fits:
        reference = PayloadReference(
            owner_id=facts.execution_id,
            id=UUID(task.input.reference.id),
            size=task.input.reference.size,
        )
    elif fits:
        inline = _inline(task.input, facts, installation)
    else:
        raw = installation.sealed(facts, task.input)
        payload_id = task_uuid(facts.execution_id, f"input/{key}")
        reference = PayloadReference(owner_id=facts.execution_id, id=payload_id, size=len(raw))
        payload = Payload(facts.execution_id, payload_id, facts.organization_id, raw)
    request = TaskRequested(
        organization_id=facts.organization_id,
        traceparent=facts.traceparent,
        execution_id=facts.execution_id,
        key=key,
        task_id=UUID(task.task_id),
        attempt=task.attempt,
        function=task.function,
        workflow_id=facts.workflow_id,
        name=task.name,
        reference=task.reference,
        partition=partition,
        input=inline,
        input_ref=reference,
        timeout_ms=task.timeout_ms,
        at_most_once=task.at_most_once,
        generation=installation.generation.current,
    )
    return encode(request), payload


def _inline(value: Value, facts: Facts, installation: Installation) -> object:
    if value.secrets is None:
        return value.json
    return orjson.loads(installation.sealed(facts, value))


def add_child(
    write: Write, owed: Owed, parent: Facts, child: NewChild, installation: Installation
) -> None:
    """A sub-workflow: created pending in the parent's transaction, begun by its own first turn.

    If it cannot be created (`facts` None) only the wait is written; the host then tells the parent that it is broken.
    """
    assert child.wait.child is not None
    if child.wait.child.awaited:
        write.opened.append(
            NewWait(
                parent.execution_id,
                child.wait.key,
                child.wait.kind.value,
                parent.organization_id,
                installation.partition(parent.execution_id),
                child.wait.reference,
                child_id=child.id,
            )
        )
    if child.facts is None:
        return
    raw = installation.sealed(parent, child.wait.child.input)
    add_pending(write, child.facts, raw, {}, installation, admitted=child.admitted)
    if not child.admitted:
        return
    owed.add_notice(
        names.results(installation.partition(child.id)),
        ContinueExecution(
            organization_id=parent.organization_id,
            traceparent=parent.traceparent,
            execution_id=child.id,
        ),
    )


def add_pending(
    write: Write,
    facts: Facts,
    input_raw: bytes,
    labels: dict[str, str],
    installation: Installation,
    *,
    admitted: bool,
) -> None:
    """An execution that exists but has not begun, and the reason why."""
    write.executions.append(new_execution(facts, input_raw, labels, None, installation))
    write.states.append(
        NewState(facts.execution_id, facts.organization_id, -1, 0, b"", final=False)
    )
    write.opened.append(
        NewWait(
            facts.execution_id,
            START_KEY,
            "continue" if admitted else "admission",
            facts.organization_id,
            installation.partition(facts.execution_id),
            due_ms=0 if admitted else None,
        )
    )


def add_event_rows(write: Write, live: Live, effects: Effects) -> None:
    """What a turn emits, what it begins and ceases to listen for, and what it did with the events it was offered."""
    facts = live.facts
    id, organization = facts.execution_id, facts.organization_id
    write.emitted.extend(stored_event(organization, event, id) for event in effects.emitted)
    for wait in effects.opened:
        if wait.listening is not None:
            listener = UUID(wait.listening.listener)
            write.listeners.extend(
                NewListener(id, wait.key, organization, listener, type_key(each.type), *each[1:])
                for each in wait.listening.interests
            )
    write.settled.extend(Settled(id, *each, is_consumed=True) for each in effects.consumed)
    write.settled.extend(Settled(id, *each, is_consumed=False) for each in effects.refused)
    write.unlistened.extend((id, key) for key in effects.unlistened)
    if live.definition.plan.listens and effects.phase is not None and effects.phase.is_final:
        write.forgotten.append(id)


def add_events(owed: Owed, facts: Facts, result: TurnResult, installation: Installation) -> None:
    if result.effects.events:
        owed.events.append((facts.execution_id, result.sequence_from, result.sequence_to))
        owed.outgoing += events_entries(
            facts, result.sequence_from, result.effects.events, maxlen=installation.events_maxlen
        )
