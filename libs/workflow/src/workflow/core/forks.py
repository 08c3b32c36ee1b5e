"""`fork`: branches side by side, each with a `$context` of its own, joined in the order of declaration."""

from __future__ import annotations

from functools import reduce

from workflow.core.cancelling import cancel_inside
from workflow.core.extras import BranchResult, ForkState, Unpacker, unpack_result
from workflow.core.nodes import ForkSpec
from workflow.core.outcomes import Done, Outcome
from workflow.core.scope import TaskScope, context_of
from workflow.core.state import Frame, Step, derived_id
from workflow.core.values import Reference, Secrets, Value, together
from workflow.core.work import Work


def run_fork(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is ForkSpec
    value = scope.value
    if not spec.branches:
        return Done(Value([]))
    return lambda: _begin(work, frame, spec, value)


def branch_ended(work: Work, fork: Frame, branch: Frame, output: Value) -> None:
    """A branch came to its end; the last one, or the first of a competition, ends the fork."""
    spec, state = fork.node.spec, fork.extra
    assert type(spec) is ForkSpec
    assert type(state) is ForkState
    fork.encoded = None
    if spec.compete:
        cancel_inside(work, fork)
        if branch.context is not None:
            fork.thread.context = branch.context
            fork.thread.encoded = None
        fork.value = output
        fork.extra = None
        work.schedule(fork, Step.LEAVE)
        return
    state.add(branch.node.position, BranchResult(output, branch.context))
    if state.is_complete:
        work.schedule(fork, Step.NEXT)


def join(work: Work, fork: Frame) -> None:
    """All branches ended: their outputs become an array, their contexts one."""
    state = fork.extra
    assert type(state) is ForkState
    results = _results(work, fork, state)
    contexts = [result.context for result in results if result.context is not None]
    values = [result.output for result in results] + contexts
    absent = [value for value in values if not value.is_loaded]
    if absent:
        raise work.missing(*absent)
    if contexts:
        fork.thread.context = _merged(work, fork, contexts)
        fork.thread.encoded = None
    raw = b"[" + b",".join(result.output.raw for result in results) + b"]"
    fork.value = Value.of_bytes(raw, _secrets_of([result.output for result in results]))
    fork.extra = None
    work.schedule(fork, Step.LEAVE)


def _begin(work: Work, frame: Frame, spec: ForkSpec, value: Value) -> None:
    frame.extra = ForkState(len(spec.branches), work.state.counter + 1)
    for branch in spec.branches:
        work.spawn(branch, frame, value)


def _results(work: Work, fork: Frame, state: ForkState) -> list[BranchResult]:
    """In the order of declaration; those of an earlier turn may have to be loaded."""
    unpacker = Unpacker()
    for position in range(state.count):
        if position in state.results:
            continue
        envelope = state.envelopes.get(position)
        if envelope is None:
            id = derived_id(work.state.facts.id, f"fork/{fork.id}/{position}")
            envelope = state.envelopes[position] = Value.of_reference(Reference(id, 0))
        if envelope.is_loaded:
            state.results[position] = unpack_result(envelope.json, unpacker)
    absent = [value for value in state.envelopes.values() if not value.is_loaded]
    if absent:
        raise work.missing(*absent)
    return [state.results[position] for position in range(state.count)]


def _merged(work: Work, fork: Frame, contexts: list[Value]) -> Value:
    """Shallowly, later branches over earlier ones. A context that is no object replaces what was there."""
    before = context_of(fork)
    merged = work.read(before)
    for context in contexts:
        exported = context.json
        both = isinstance(merged, dict) and isinstance(exported, dict)
        merged = {**merged, **exported} if both else exported
    return Value(merged, secrets=_secrets_of([before, *contexts]))


def _secrets_of(values: list[Value]) -> Secrets:
    return reduce(together, (value.secrets for value in values), None)
