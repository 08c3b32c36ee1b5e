"""`emit`: an event for the organisation, committed with the turn that emits it."""

from __future__ import annotations

from workflow.cloudevents import SPEC_VERSION, problems_of
from workflow.core.errors import ErrorKind, fault
from workflow.core.instants import iso8601
from workflow.core.nodes import EmitSpec
from workflow.core.outcomes import Done, Outcome
from workflow.core.recording import task_event
from workflow.core.scope import TaskScope
from workflow.core.state import Frame, derived_id
from workflow.core.values import Json, Value
from workflow.core.work import Work


def run_emit(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is EmitSpec
    value = work.evaluate_value(spec.event, scope)
    if value.secrets is not None:
        raise fault(ErrorKind.EXPRESSION, "the event holds secrets, and events are public")
    given: dict[str, Json] = value.json
    event = {"specversion": SPEC_VERSION, **_defaults(work, frame), **given}
    for name, problem in problems_of(event):
        subject = f"`{name}` of the emitted event" if name else "the emitted event"
        raise fault(ErrorKind.VALIDATION, f"{subject} {problem}")
    return Done(Value(event), begin=lambda: _emit(work, frame, event))


def _defaults(work: Work, frame: Frame) -> dict[str, Json]:
    facts = work.state.facts
    return {
        # From ids, not from a random source: the same turn decided again must emit the same event.
        "id": derived_id(facts.id, f"event/{frame.path}/{frame.attempt}"),
        "source": f"/{facts.namespace}/{facts.name}/{facts.version}",
        "time": iso8601(work.now_ms),
    }


def _emit(work: Work, frame: Frame, event: dict[str, Json]) -> None:
    work.emit({**task_event(work, frame, "event.emitted"), "event": event})
    work.effects.emitted.append(event)
