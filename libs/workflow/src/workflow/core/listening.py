"""`listen`: takes events one after another until what it listens for has come.

Theory of operation
-------------------
The host offers events that may be meant for a listener, in the order in which they arrived. The listener is idle, or at
work on one event; an event that comes while it is at work is left with the host, which offers it again when the turn says
that the listener is idle (`Effects.idle`). An idle listener decides: the event passes a filter and is *consumed*, or it is
*refused*, for good as far as this activation of the task is concerned. Consuming and refusing are reported in the effects,
so that the host notes them in the transaction that stores the turn: that is what makes it happen once.

A filter of `until` is asked before those of `any`; what ends the listening is not part of the output. After an event was
consumed, its `foreach` iteration runs, then the `until` condition is evaluated over everything consumed so far.
"""

from __future__ import annotations

from workflow.cloudevents import data_of, raw_data_of
from workflow.core.cancelling import close_listener
from workflow.core.effects import Listening, OpenWait, WaitKind
from workflow.core.errors import ErrorKind, TaskFault, fault
from workflow.core.event_filters import Fit, fit, interest_of, is_correlatable
from workflow.core.flow import fail
from workflow.core.listener_state import ListenState, Series, Stage
from workflow.core.messages import EventArrived
from workflow.core.nodes import Formula, ListenSpec, Reading, Strategy
from workflow.core.outcomes import Done, Outcome
from workflow.core.recording import record_workflow
from workflow.core.scope import TaskScope
from workflow.core.state import Frame, Step, derived_id
from workflow.core.tree import ancestors
from workflow.core.values import Json, Value
from workflow.core.work import Work, truthy


def run_listen(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is ListenSpec
    if not spec.filters or (spec.until is Strategy.ALL and spec.until_from == len(spec.filters)):
        return Done(Value([]))
    expected: dict[str, dict[str, Json]] = {}
    for position, filter in enumerate(spec.filters):
        values = {
            each.name: _shown(work.evaluate_value(each.expected, scope))
            for each in filter.correlations
            if each.expected is not None
        }
        if not all(is_correlatable(value) for value in values.values()):
            raise fault(ErrorKind.EXPRESSION, "a correlation expects a value that is too large")
        if values:
            expected[str(position)] = values
    return lambda: _begin(work, frame, spec, ListenState(expected))


def _shown(value: Value) -> Json:
    """What events are looked up by is stored as it is."""
    if value.secrets is not None:
        raise fault(ErrorKind.EXPRESSION, "events cannot be correlated by a secret")
    return value.json


def consider(work: Work, message: EventArrived) -> None:
    """An event that may be meant for a listener: consume it, refuse it, or leave it for later."""
    frame = work.state.frames.get(int(message.key)) if message.key.isdecimal() else None
    listener = None if frame is None else frame.extra
    if frame is None or type(listener) is not ListenState or not listener.is_open:
        return  # late: it has stopped listening
    if work.state.suspended_key is not None or listener.stage is not Stage.IDLE:
        return
    spec = frame.node.spec
    assert type(spec) is ListenSpec
    for position in _asked(spec, listener):
        found = _fit(work, frame, position, message.event)
        if found is not None:
            work.changed = True
            work.effects.consumed.append((message.key, message.number))
            frame.encoded = None
            listener.shared.update(found.correlated)
            if position >= spec.until_from:
                _note_ending(work, frame, position)
            else:
                _consume(work, frame, position, message.event)
            return
    work.effects.refused.append((message.key, message.number))


def advance(work: Work, frame: Frame) -> None:
    """Do what the listener has to do next about the event it consumed."""
    spec, listener = _listener_of(frame)
    if listener.stage is Stage.ACCEPTED and _begin_iteration(work, frame, spec, listener):
        return
    try:
        if listener.stage is Stage.ENDED:
            _end_iteration(work, frame, spec, listener)
            return
        _settle(work, frame, spec, listener)
    except TaskFault as raised:
        fail(work, frame, raised.failure)


def _begin(work: Work, frame: Frame, spec: ListenSpec, listener: ListenState) -> None:
    frame.extra = listener
    interests = tuple(
        dict.fromkeys(
            interest_of(filter, listener.expected.get(str(position), {}))
            for position, filter in enumerate(spec.filters)
        )
    )
    if spec.is_correlated:
        record_workflow(work, "correlation-started", task=frame.path)
    listening = Listening(_identity(work, frame), interests)
    key = str(frame.id)
    work.open(OpenWait(key, WaitKind.EVENT, reference=frame.path, listening=listening))


def _identity(work: Work, frame: Frame) -> str:
    """The listener as the document has it, the same in every turn of a loop: no event goes to it twice."""
    tails = [each.node.tail for each in (frame, *ancestors(frame))]
    return derived_id(work.state.facts.id, "listener" + "".join(reversed(tails)))


def _asked(spec: ListenSpec, listener: ListenState) -> list[int]:
    """The filters that an event may pass, in the order in which they are asked."""
    order = [*range(spec.until_from, len(spec.filters)), *range(spec.until_from)]
    return [position for position in order if not listener.met >> position & 1]


def _fit(work: Work, frame: Frame, position: int, event: dict[str, Json]) -> Fit | None:
    spec, listener = _listener_of(frame)

    def evaluate(formula: Formula, current: Json) -> Json:
        return work.evaluate(formula, TaskScope(work, frame, Value(current)))

    expected = listener.expected.get(str(position), {})
    filter = spec.filters[position]
    return fit(filter, event, evaluate, expected=expected, shared=listener.shared)


def _note_ending(work: Work, frame: Frame, position: int) -> None:
    """An event of `until`: perhaps the last that was missing."""
    spec, listener = _listener_of(frame)
    if spec.until is Strategy.ALL:
        listener.met |= 1 << position
    if _is_complete(spec, listener, until=True):
        listener.is_last = True
        listener.stage = Stage.SETTLING
        work.schedule(frame, Step.NEXT)


def _consume(work: Work, frame: Frame, position: int, event: dict[str, Json]) -> None:
    spec, listener = _listener_of(frame)
    if spec.strategy is Strategy.ALL:
        listener.met |= 1 << position
    listener.is_last = spec.is_bounded and _is_complete(spec, listener, until=False)
    listener.current = _read(spec, event)
    if spec.keeps_consumed:
        listener.consumed.add(listener.current)
    listener.stage = Stage.ACCEPTED
    work.schedule(frame, Step.NEXT)


def _listener_of(frame: Frame) -> tuple[ListenSpec, ListenState]:
    spec, listener = frame.node.spec, frame.extra
    assert type(spec) is ListenSpec
    assert type(listener) is ListenState
    return spec, listener


def _is_complete(spec: ListenSpec, listener: ListenState, *, until: bool) -> bool:
    if (spec.until if until else spec.strategy) is not Strategy.ALL:
        return True
    first, end = (spec.until_from, len(spec.filters)) if until else (0, spec.until_from)
    return all(listener.met >> position & 1 for position in range(first, end))


def _read(spec: ListenSpec, event: dict[str, Json]) -> Value:
    match spec.reading:
        case Reading.DATA:
            return Value(data_of(event))
        case Reading.ENVELOPE:
            return Value(event)
        case Reading.RAW:
            return Value(raw_data_of(event))


def _begin_iteration(work: Work, frame: Frame, spec: ListenSpec, listener: ListenState) -> bool:
    """Let `foreach` work on the event; False if there is nothing to wait for."""
    assert listener.current is not None
    frame.encoded = None
    if spec.foreach is None:
        listener.stage = Stage.SETTLING
        return False
    if not spec.foreach.tasks:
        frame.value = listener.current
        listener.stage = Stage.ENDED
        return False
    listener.stage = Stage.ITERATING
    frame.step = Step.OPEN
    frame.lap = 0
    work.spawn(spec.foreach.tasks[0], frame, listener.current)
    return True


def _end_iteration(work: Work, frame: Frame, spec: ListenSpec, listener: ListenState) -> None:
    """Transform and export what the iteration came to. Evaluates everything before it changes anything."""
    foreach, output = spec.foreach, frame.value
    assert foreach is not None
    assert output is not None
    scope = TaskScope(work, frame, output)
    scope.raw_output = output
    if foreach.output_as is not None:
        output = work.evaluate_value(foreach.output_as, scope)
    if foreach.output_schema is not None:
        foreach.output_schema.check(work.loaded(output))
    context = None
    if foreach.export_as is not None:
        scope.value = scope.output = output
        context = work.evaluate_value(foreach.export_as, scope)
        if foreach.export_schema is not None:
            foreach.export_schema.check(context)
    listener.outputs.add(output)
    if context is not None:
        frame.thread.context = context
        frame.thread.encoded = None
    frame.value = None
    listener.turn += 1
    listener.stage = Stage.SETTLING
    work.schedule(frame, Step.NEXT)


def _settle(work: Work, frame: Frame, spec: ListenSpec, listener: ListenState) -> None:
    """End, or wait for the next event."""
    is_last = listener.is_last or _has_enough(work, frame, spec, listener)
    result = _all_of(work, frame, _result(spec, listener)) if is_last else None
    frame.encoded = None
    frame.value = listener.current = None
    listener.stage = Stage.IDLE
    if result is None:
        frame.step = Step.OPEN
        work.effects.idle.append(str(frame.id))
        return
    close_listener(work, frame)
    if spec.is_correlated:
        keys = {name: str(value) for name, value in listener.shared.items()}
        record_workflow(work, "correlation-completed", task=frame.path, keys=keys)
    frame.value = result
    work.schedule(frame, Step.LEAVE)


def _has_enough(work: Work, frame: Frame, spec: ListenSpec, listener: ListenState) -> bool:
    if spec.condition is None:
        return False
    scope = _ConsumedScope(work, frame, listener.consumed)
    return truthy(work.evaluate(spec.condition, scope))


def _result(spec: ListenSpec, listener: ListenState) -> Series:
    return listener.consumed if spec.foreach is None else listener.outputs


def _all_of(work: Work, frame: Frame, series: Series) -> Value:
    absent = series.absent(work.state, frame.id)
    if absent:
        raise work.missing(*absent)
    return series.joined()


class _ConsumedScope(TaskScope):
    """`.` is the array of what was consumed, put together only for conditions that read it."""

    __slots__ = ("_series",)

    def __init__(self, work: Work, frame: Frame, series: Series) -> None:
        super().__init__(work, frame, Value())
        self._series = series

    def current(self) -> Json:
        return _all_of(self.work, self.frame, self._series).json
