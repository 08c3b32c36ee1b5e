"""Tasks as they are derived from history and waits."""

from typing import Any

import orjson

from gateway.sse.entries import FeedEntry, is_stream_id, position
from gateway.sse.organization_stream import Cursor, parse_cursor
from gateway.timeline import instant, tasks_of
from gateway.waiting import parse_waits, waiting_for

AT = 1_700_000_000_000


def event(type: str, offset: int = 0, task: str = "/do/0/a", **more: Any) -> dict[str, Any]:
    return {"type": type, "at": AT + offset, "task": task, "name": "a", "taskId": "t", **more}


def wait(kind: str, **more: Any) -> dict[str, Any]:
    facts = {"reference": "/do/0/a", "openedAt": "o", "dueAt": None, "queue": None}
    return {**facts, "published": None, "lost": 0, "childId": None, "kind": kind, **more}


def test_a_tried_task_counts_its_tries_and_keeps_the_last_error() -> None:
    (task,) = tasks_of(
        [
            event("task.created", kind="call"),
            event("task.started", 1, attempt=1),
            event("task.retried", 2, attempt=2, delayMs=5, error={"type": "x"}),
            event("task.started", 3, attempt=2),
            event("task.faulted", 4, attempt=2, error={"type": "y"}),
        ],
        [],
    )
    assert (task["status"], task["tries"], task["error"]) == ("faulted", 2, {"type": "y"})
    assert task["finishedAt"] == instant(AT + 4)


def test_a_clock_that_is_wrong_cannot_turn_the_timeline_around() -> None:
    for began in (AT - 60_000, AT + 60_000):
        (task,) = tasks_of(
            [event("task.started", 0, attempt=1), event("task.completed", 10, startedAt=began)], []
        )
        assert task["queuedAt"] <= task["startedAt"] <= task["finishedAt"]


def test_a_task_with_a_wait_is_queued_or_waiting_and_says_why() -> None:
    started = [event("task.created"), event("task.started", 1, attempt=1)]
    (queued,) = tasks_of(started, [wait("task", queue="llm", published=True)])
    (waiting,) = tasks_of(started, [wait("timer", dueAt="2030-01-01T00:00:00Z")])
    assert (queued["status"], queued["startedAt"]) == ("queued", None)
    assert (waiting["status"], waiting["waitingFor"]["until"]) == (
        "waiting",
        "2030-01-01T00:00:00Z",
    )


def test_a_finished_task_waits_for_nothing() -> None:
    (task,) = tasks_of([event("task.completed")], [wait("timer")])
    assert task["waitingFor"] is None


def test_every_kind_of_wait_has_words() -> None:
    kinds = ["task", "timer", "deadline", "event", "child", "admission", "continue", "suspended"]
    reasons = waiting_for([wait(kind) for kind in kinds])
    assert len({each["reason"] for each in reasons}) == len(kinds)
    assert "2 executor" in waiting_for([wait("task", published=True, lost=2)])[0]["reason"]


def test_time_limits_are_told_from_timers_and_come_last() -> None:
    named = [("7t", "timer"), ("7a0", "timer"), ("7r1", "timer"), ("9", "timer"), ("11", "task")]
    waits = parse_waits(orjson.dumps([wait(kind, key=key) for key, kind in named]).decode())
    assert [(each["key"], each["kind"]) for each in waits] == [
        ("7r1", "timer"),
        ("9", "timer"),
        ("11", "task"),
        ("7t", "deadline"),
        ("7a0", "deadline"),
    ]


def test_a_task_with_a_time_limit_is_running_while_it_works() -> None:
    started = [event("task.created"), event("task.started", 1, attempt=1)]
    (task,) = tasks_of(started, [wait("deadline", dueAt="2030-01-01T00:00:00Z")])
    assert (task["status"], task["waitingFor"]) == ("running", None)


def test_entries_tell_whose_they_are_without_being_parsed() -> None:
    id = "0192f0c1-2345-7abc-8def-0123456789ab"
    entry = FeedEntry("1-0", f'[{{"specversion":"1.0","id":"{id}/7"}}]'.encode())
    assert entry.execution_id() == id
    assert not entry.may_be_an_end()
    assert FeedEntry("1-0", b'"type":"io.x.workflow.faulted.v1"').may_be_an_end()
    assert FeedEntry("1-0", b"[]").execution_id() is None


def test_cursors_of_the_feed_are_read_strictly() -> None:
    assert parse_cursor("g:1:1700000000000-3") == Cursor("g:1", "1700000000000-3")
    for text in ("", "1-0", ":1-0", "g:", "g:x-1", "g:1", "g:1-0-1", "g:-1-0"):
        assert parse_cursor(text) is None
    assert Cursor("g", "1700000000000-0").fill_from == "2023-11-14T22:12:20+00:00"
    assert Cursor("g", "0-0").fill_from == "1970-01-01T00:00:00+00:00"
    assert Cursor("g", "9" * 19 + "-0").fill_from.startswith("2099-12-31")
    assert position("10-2") > position("9-11")
    assert not is_stream_id("1" * 20 + "-0")
