"""Snapshots: small, exact, and of a size that does not grow with what is over."""

import uuid

import pytest

from workflow.core.messages import Continue, Start, TaskCompleted
from workflow.core.plan import compile_plan
from workflow.core.snapshot import UnknownFormat, decode, encode
from workflow.core.state import derived_id, new_state
from workflow.core.turn import NeedValues, Turn
from workflow.core.values import Reference, Value
from workflow.document.catalog import Functions, FunctionSpec

ECHO = FunctionSpec(name="echo", version="1.0.0", queue="echo")
CALL = {"call": "echo:1.0.0@default", "with": {"n": 1}}
ID = str(uuid.UUID(int=1))


@pytest.fixture
def begin(make_document):
    def make(tasks, **parts):
        plan = compile_plan(make_document(tasks, **parts), Functions([ECHO]))
        return plan, new_state(ID, namespace="tests", name="example", version="1.0.0")

    return make


def sizes(plan, state, output, *, reload, input=None):
    """Answer call after call; the size of the snapshot after each turn."""
    messages = [Start(Value(input or {}))]
    values, found = {}, []
    for message in messages:
        turn = Turn(plan, state, now_ms=1)
        answer = turn.run(message)
        while isinstance(answer, NeedValues):
            turn.supply_values({id: values[id] for id in answer.references})
            answer = turn.resume()
        result = turn.finish()
        found.append(len(result.snapshot))
        values.update((value.id, value.raw) for value in result.effects.values)
        messages.extend(
            TaskCompleted(wait.key, Value(output)) if wait.task else Continue()
            for wait in result.effects.opened
        )
        if reload and result.snapshot:
            state = decode(result.snapshot, plan)
    assert state.phase == "completed"
    return found


@pytest.mark.parametrize("reload", [False, True])
def test_a_long_loop_has_a_small_snapshot_at_every_turn(begin, reload):
    plan, state = begin([{"l": {"for": {"in": ".items"}, "do": [{"c": CALL}]}}])
    items = {"items": [{"n": n, "t": "x" * 20} for n in range(400)]}
    assert max(sizes(plan, state, {"n": 1}, reload=reload, input=items)) < 400


@pytest.mark.parametrize("reload", [False, True])
def test_results_of_branches_do_not_accumulate_in_the_snapshot(begin, reload):
    branches = [{f"b{n}": CALL} for n in range(200)]
    plan, state = begin([{"f": {"fork": {"branches": branches}}}])
    assert max(sizes(plan, state, {"t": "x" * 200}, reload=reload)) < 500


def test_a_usual_flow_stays_under_two_kilobytes(begin):
    tasks = [{f"t{n}": {**CALL, "export": {"as": "$context + {k: .}"}}} for n in range(10)]
    plan, state = begin([{"t": {"try": [{"d": {"do": tasks}}], "catch": {"retry": {}}}}])
    given = {"q": "x" * 5000}
    assert max(sizes(plan, state, {"answer": "y" * 5000}, reload=True, input=given)) < 2000


def test_what_was_decoded_is_encoded_to_the_same_bytes(begin):
    plan, state = begin([{"a": CALL}])
    turn = Turn(plan, state, now_ms=1)
    turn.run(Start(Value({"n": 1})))
    snapshot = turn.finish().snapshot
    assert encode(decode(snapshot, plan)) == (snapshot, [])
    assert encode(state) == (snapshot, [])


def test_large_snapshots_are_compressed(begin):
    branches = [{f"b{n}": {"wait": {"hours": 1}}} for n in range(100)]
    plan, state = begin([{"f": {"fork": {"branches": branches}}}])
    turn = Turn(plan, state, now_ms=1)
    turn.run(Start(Value({})))
    snapshot = turn.finish().snapshot
    assert snapshot[:2] == b"\x01\x01"
    assert encode(decode(snapshot, plan))[0] == snapshot


@pytest.mark.parametrize("snapshot", [b"", b"\x01", b"\x02\x00[]", b"\x01\x07[]"])
def test_a_snapshot_of_another_format_is_refused(begin, snapshot):
    plan, _ = begin([])
    with pytest.raises(UnknownFormat):
        decode(snapshot, plan)


def test_a_turn_without_effect_has_no_snapshot(begin):
    plan, state = begin([{"a": CALL}])
    turn = Turn(plan, state, now_ms=1)
    turn.run(TaskCompleted("5", Value(1)))
    result = turn.finish()
    assert (result.changed, result.snapshot, result.effects.events) == (False, b"", [])


def test_a_message_can_be_decided_again_after_a_lost_commit(begin):
    plan, state = begin([{"a": CALL}, {"w": {"wait": "PT1S"}}])
    turn = Turn(plan, state, now_ms=1)
    turn.run(Start(Value({})))
    first = turn.finish()
    message = TaskCompleted(first.effects.opened[0].key, Value("x" * 3000))
    results = []
    for _ in range(2):
        turn = Turn(plan, decode(first.snapshot, plan), now_ms=2)
        turn.run(message)
        results.append(turn.finish())
    assert results[0] == results[1]
    assert len(results[1].effects.values) == 1


def test_ids_inside_an_execution_are_uuids_of_version_five():
    assert derived_id(ID, "/do/0/a") == str(uuid.uuid5(uuid.UUID(ID), "/do/0/a"))


def test_values_compare_by_what_they_are():
    reference = Reference("r", 9)
    assert Value({"a": 1}) == Value.of_bytes(b'{"a":1}')
    assert Value.of_reference(reference) == Value.of_reference(reference)
    assert Value.of_reference(reference) != Value(1)
    assert Value(1) != 1
    assert "r" in repr(Value.of_reference(reference))
    assert repr(Value([1])) == "Value(b'[1]')"


def test_loading_a_value_fills_it_in():
    value = Value.of_reference(Reference("r", 3))
    assert not value.is_loaded
    value.load(b"[1]")
    assert value.json == [1]
