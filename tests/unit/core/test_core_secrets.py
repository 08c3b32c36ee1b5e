"""What is made from secrets works like anything else, and is recorded nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

SECRET = "swordfish-1234"
USE = {"use": {"secrets": ["word"]}, "secrets": {"word": SECRET}}
READ = "${ $secrets.word }"
HIDDEN = "[redacted]"

Rehearse = Callable[..., Any]


def recorded(run: Any) -> str:
    """History, errors, and every snapshot-worthy thing of the last turn."""
    open_waits = [
        repr(wait._replace(task=None, child=None)) for wait in run.execution.open.values()
    ]
    return json.dumps([run.history, run.execution.error, open_waits]) + repr(run.execution.snapshot)


def test_a_secret_has_its_value_in_expressions(rehearse: Rehearse) -> None:
    run = rehearse([{"a": {"set": {"x": "Bearer ${ $secrets.word }"}}}], **USE)
    assert run.output == {"x": f"Bearer {SECRET}"}
    assert run.execution.secrets == {SECRET}
    assert SECRET not in recorded(run)


def test_a_shown_output_says_that_it_is_hidden(rehearse: Rehearse) -> None:
    run = rehearse([{"a": {"set": {"x": READ}}}], **USE)
    assert [e["output"] for e in run.history if "output" in e] == [HIDDEN, HIDDEN]


def test_what_reads_no_secret_is_recorded_as_ever(rehearse: Rehearse) -> None:
    tasks = [{"a": {"set": {"x": READ}}}, {"b": {"set": {"y": 1}}}]
    run = rehearse(tasks, **USE)
    assert run.output == {"y": 1}
    assert [e["output"] for e in run.history if "output" in e] == [HIDDEN, {"y": 1}, {"y": 1}]


def test_a_secret_may_be_any_json(rehearse: Rehearse) -> None:
    given = {"use": {"secrets": ["word"]}, "secrets": {"word": {"n": [4711, "abcde"]}}}
    run = rehearse([{"a": {"set": {"x": "${ $secrets.word.n[0] }"}}}], **given)
    assert run.output == {"x": 4711}
    assert run.execution.secrets == {"4711", "abcde"}


def test_without_declared_secrets_there_are_none(rehearse: Rehearse) -> None:
    run = rehearse([{"a": {"set": {"x": "${ $secrets }"}}}], secrets={"word": SECRET})
    assert run.output == {"x": {}}
    assert run.execution.secrets is None


def test_a_secret_that_is_not_there_faults_the_task_that_reads_it(rehearse: Rehearse) -> None:
    run = rehearse([{"a": {"set": 1}}, {"b": {"set": {"x": READ}}}], use={"secrets": ["word"]})
    assert run.error["type"].endswith("/configuration")
    assert "'word'" in run.error["detail"]
    assert run.error["instance"] == "/do/1/b"


CARRIERS = {
    "from one task to the next": [
        {"a": {"set": {"x": READ}}},
        {"b": {"set": {"y": "${ .x }"}}},
    ],
    "through the context": [
        {"a": {"set": {"x": READ}, "export": {"as": "."}}},
        {"n": {"set": 1}},
        {"b": {"set": {"y": "${ $context.x }"}}},
    ],
    "as the input of a task": [
        {"b": {"set": {"y": "${ $input.x }"}, "input": {"from": {"x": READ}}}},
    ],
    "as the output of a task": [
        {"b": {"set": {"y": 1}, "output": {"as": {"y": READ}}}},
    ],
    "through an expression that another process evaluates": [
        {"b": {"set": {"y": "${ def f: $secrets.word; f }"}}},
    ],
    "as the item of a loop": [
        {"b": {"for": {"in": "${ [$secrets.word] }"}, "do": [{"t": {"set": {"y": "${ $item }"}}}]}},
    ],
    "over a wait": [
        {"a": {"set": {"y": READ}}},
        {"w": {"wait": {"seconds": 1}}},
    ],
    "over a wait in a loop of many items": [
        {
            "b": {
                "for": {"in": "${ [range(40)] | map($secrets.word) }"},
                "do": [{"w": {"wait": {"seconds": 1}}}, {"t": {"set": {"y": "${ $item }"}}}],
            }
        },
    ],
    "as the current data of a slow expression": [
        {"a": {"set": {"y": READ}}},
        {"b": {"set": "${ def f: .; f }"}},
    ],
}


@pytest.mark.parametrize("tasks", CARRIERS.values(), ids=CARRIERS.keys())
def test_what_was_made_from_a_secret_stays_marked(rehearse: Rehearse, tasks: Any) -> None:
    run = rehearse(tasks, **USE)
    assert run.output == {"y": SECRET}
    assert run.execution.secrets == {SECRET}
    assert SECRET not in recorded(run)


def test_nothing_of_it_is_in_a_snapshot(rehearse: Rehearse) -> None:
    tasks = [
        {"a": {"set": {"x": READ}, "export": {"as": "."}}},
        {"w": {"wait": {"seconds": 9}}},
    ]
    run = rehearse(tasks, until_ms=1000, **USE)
    assert run.execution.phase == "waiting"
    assert run.execution.snapshot
    assert SECRET not in recorded(run)
    assert [each for each in run.world._sealed.values() if each is not None]


def test_the_branches_of_a_fork_are_marked_together(rehearse: Rehearse) -> None:
    branches = [
        {"a": {"set": {"x": READ}, "export": {"as": {"from": READ}}}},
        {"b": {"wait": {"seconds": 1}}},
    ]
    run = rehearse(
        [{"f": {"fork": {"branches": branches}}}, {"c": {"set": "${ $context }"}}], **USE
    )
    assert run.output == {"from": SECRET}
    assert run.execution.secrets == {SECRET}
    assert SECRET not in recorded(run)


def test_a_call_is_given_the_value_and_says_what_it_is_made_from(rehearse: Rehearse) -> None:
    task = {"a": {"call": "echo:1.0.0@default", "with": {"x": READ}}}
    run = rehearse([task], answers={"a": [{"fine": True}]}, **USE)
    (call,) = run.calls("a")
    assert call.input == {"x": SECRET}
    assert run.output == {"fine": True}
    assert run.execution.secrets is None


def test_a_child_is_given_the_value_and_gives_it_back(
    rehearse: Rehearse, make_document: Callable[..., Any]
) -> None:
    child = make_document([{"a": {"set": {"y": "${ .x }"}}}], name="child")
    run_child = {"namespace": "tests", "name": "child", "version": "1.0.0", "input": {"x": READ}}
    run = rehearse([{"a": {"run": {"workflow": run_child}}}], others=[child], **USE)
    assert run.output == {"y": SECRET}
    assert run.execution.secrets == {SECRET}
    for execution in run.world.executions.values():
        assert SECRET not in json.dumps(execution.history)


FAILURES = {
    "the program's own error": {"set": "${ $secrets.word | error }"},
    "an impossible operation": {"set": "${ $secrets.word + 1 }"},
    "a raised error": {
        "raise": {"error": {"type": READ, "status": 400, "title": READ, "detail": "no ${ $secrets.word }"}}
    },
    "a schema": {
        "set": {"x": READ},
        "output": {"schema": {"document": {"type": "object", "properties": {"x": {"type": "integer"}}}}},
    },
    "an input that does not fit": {
        "call": "typed:1.0.0@default",
        "with": {"m": READ},
    },
    "a duration": {"wait": READ},
    "the name of a workflow": {
        "run": {"workflow": {"namespace": "tests", "name": READ, "version": "1.0.0"}}
    },
    "a loop over a text": {"for": {"in": "${ $secrets.word }"}, "do": [{"x": {"set": 1}}]},
}  # fmt: skip


@pytest.mark.parametrize("task", FAILURES.values(), ids=FAILURES.keys())
def test_an_error_does_not_quote_a_secret(rehearse: Rehearse, task: Any) -> None:
    run = rehearse([{"a": task}], **USE)
    assert run.error["status"] == 400
    assert SECRET not in recorded(run)


def test_a_secret_decides_like_any_value(rehearse: Rehearse) -> None:
    when = f'$secrets.word == "{SECRET}"'
    switch = {"switch": [{"yes": {"when": when, "then": "b"}}, {"no": {"then": "end"}}]}
    run = rehearse([{"a": switch}, {"b": {"set": {"right": True}}}], **USE)
    assert run.output == {"right": True}


def test_credentials_may_be_a_whole_secret(rehearse: Rehearse) -> None:
    endpoint = {"uri": "http://a.example", "authentication": {"basic": {"use": "login"}}}
    login = {"username": "ada", "password": SECRET}
    task = {"a": {"call": "http", "with": {"method": "get", "endpoint": endpoint}}}
    run = rehearse([task], answers={"a": [1]}, use={"secrets": ["login"]}, secrets={"login": login})
    assert run.calls("a")[0].input["authentication"] == {"basic": login}
    assert SECRET not in recorded(run)


def test_a_named_policy_may_read_secrets(rehearse: Rehearse) -> None:
    use = {"secrets": ["word"], "authentications": {"site": {"bearer": {"token": READ}}}}
    endpoint = {"uri": "http://a.example", "authentication": {"use": "site"}}
    task = {"a": {"call": "http", "with": {"method": "get", "endpoint": endpoint}}}
    run = rehearse([task], answers={"a": [1]}, use=use, secrets={"word": SECRET})
    assert run.calls("a")[0].input["authentication"] == {"bearer": {"token": SECRET}}
