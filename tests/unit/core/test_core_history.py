"""History events and the public events that they become."""

import re
import uuid

import pytest

from workflow.core import history
from workflow.core.history import EMITTED, EVENT_TYPES, ExecutionFacts, to_cloud_event
from workflow.core.messages import TaskCompleted
from workflow.core.rehearsal import NEVER, ROOT_ID, Reply
from workflow.core.values import Reference, Value

ECHO = "echo:1.0.0@default"
FACTS = ExecutionFacts(ROOT_ID, str(uuid.UUID(int=9)), "tests", "example", "1.0.0")
TASK = {"task": "/do/0/c", "name": "c", "taskId": "id-1", "attempt": 2, "delayMs": 5}
ERROR = {"type": "https://e.x/y", "status": 500}


def public(type, **more):
    event = {
        "type": type,
        "at": 1_700_000_000_123,
        "error": ERROR,
        "reason": "why",
        "status": "running",
        "keys": {"room": "a"},
        **more,
    }
    return to_cloud_event(event, FACTS, 7)


@pytest.mark.parametrize("type", [type for type in EVENT_TYPES if type != EMITTED])
def test_every_history_event_has_one_public_event(type):
    event = public(type, **TASK)
    assert event["specversion"] == "1.0"
    assert event["id"] == f"{ROOT_ID}/7"
    assert event["source"] == "/tests/example/1.0.0"
    assert event["type"] == f"io.serverlessworkflow.{type}.v1"
    assert event["subject"] == ROOT_ID
    assert event["time"] == "2023-11-14T22:13:20.123Z"
    assert event["sequence"] == 7
    assert "traceparent" not in event
    name = event["data"].get("workflow") or event["data"]["name"]
    assert name == f"example-{ROOT_ID}.tests"
    moment = next(value for key, value in event["data"].items() if key.endswith("At"))
    assert moment == event["time"]
    if type.startswith("task."):
        assert event["data"]["task"] == "/do/0/c"


def test_an_emitted_event_is_public_as_it_is_with_its_place_in_the_execution():
    sent = {"specversion": "1.0", "id": "7", "source": "/s", "type": "t", "subject": "x", "data": 1}
    event = public(EMITTED, **TASK, event=sent)
    assert event == {**sent, "executionid": ROOT_ID, "sequence": 7}


def test_completed_events_say_where_the_output_is_and_not_what():
    task = public("task.completed", **TASK, output={"secret": 1})
    assert task["data"]["outputUri"] == f"/v1/executions/{ROOT_ID}/tasks#id-1"
    workflow = public("workflow.completed", output={"secret": 1})
    assert workflow["data"]["outputUri"] == f"/v1/executions/{ROOT_ID}"
    assert "secret" not in str(task) + str(workflow)


def test_faults_carry_their_error():
    assert public("task.faulted", **TASK)["data"]["error"] == ERROR
    assert public("workflow.faulted")["data"]["error"] == ERROR


def test_the_trace_goes_along():
    facts = ExecutionFacts("e", "o", "n", "w", "1.0.0", traceparent="00-ab-cd-01")
    event = to_cloud_event({"type": "workflow.resumed", "at": 0}, facts, 1)
    assert event["traceparent"] == "00-ab-cd-01"


def test_the_documentation_lists_the_closed_set():
    listed = set(re.findall(r"^\| ([a-z., -]+?) \|", history.__doc__, re.MULTILINE))
    named = {name.strip() for row in listed for name in row.split(",")} - {"type"}
    assert named == set(EVENT_TYPES)


def test_the_story_of_a_call(rehearse):
    run = rehearse([{"c": {"call": ECHO}}], answers={"c": [{"n": 1}]})
    task_id = str(uuid.uuid5(uuid.UUID(ROOT_ID), "/do/0/c"))
    at = run.history[0]["at"]
    common = {"at": at, "task": "/do/0/c", "name": "c", "taskId": task_id}
    assert run.history == [
        {"type": "workflow.started", "at": at},
        {"type": "task.created", **common, "kind": "call", "function": "echo:1.0.0"},
        {"type": "task.started", **common, "attempt": 1},
        {"type": "task.completed", **common, "output": {"n": 1}},
        {"type": "workflow.completed", "at": at, "output": {"n": 1}},
    ]
    assert run.calls("c")[0].task_id == task_id


def test_what_the_executor_reports_is_kept_with_the_end_of_the_task(rehearse):
    run = rehearse([{"c": {"call": ECHO}}], answers={"c": [NEVER]})
    key = next(iter(run.execution.open))
    usage = {"inputTokens": 3}
    message = TaskCompleted(key, Value(1), worker="w-1", started_at=123, usage=usage)
    run.world.deliver(ROOT_ID, message)
    completed = next(event for event in run.history if event["type"] == "task.completed")
    assert (completed["worker"], completed["startedAt"], completed["usage"]) == ("w-1", 123, usage)


def test_an_output_that_comes_by_reference_is_named_without_being_read(rehearse):
    run = rehearse([{"c": {"call": ECHO}}, {"w": {"wait": "PT1S"}}], answers={"c": [NEVER]})
    key = next(iter(run.execution.open))
    id = str(uuid.UUID(int=5))
    run.world.deliver(ROOT_ID, TaskCompleted(key, Value.of_reference(Reference(id, 70_000))))
    completed = next(event for event in run.history if event["type"] == "task.completed")
    assert (completed["outputRef"], completed["outputSize"]) == (id, 70_000)
    assert run.world._values == {}


@pytest.mark.parametrize(("size", "inline"), [(900, True), (2000, False)])
def test_only_small_outputs_are_part_of_the_history(rehearse, size, inline):
    run = rehearse([{"c": {"call": ECHO}}], answers={"c": [Reply("x" * size)]})
    completed = next(event for event in run.history if event["type"] == "task.completed")
    assert ("output" in completed) is inline
    assert ("outputRef" in completed) is not inline
    assert run.output == "x" * size
