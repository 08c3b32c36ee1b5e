"""`emit` and `listen`: what is consumed, in which order, how it is read, and when listening ends."""

import pytest

from workflow.core.messages import Cancel, EventArrived, Resume, Suspend
from workflow.core.rehearsal import ROOT_ID

ECHO = "echo:1.0.0@default"
HOT = {"with": {"type": "temperature", "data": "${ .value > 38 }"}}
FAST = {"with": {"type": "pulse", "data": "${ .value > 100 }"}}


def event(type, data=None, **more):
    return {"type": type, **({} if data is None else {"data": data}), **more}


def temperature(value, **more):
    return event("temperature", {"value": value}, **more)


def pulse(value, **more):
    return event("pulse", {"value": value}, **more)


def listen(to, **more):
    listening = {"to": to, **({"read": more.pop("read")} if "read" in more else {})}
    return [{"l": {"listen": listening, **more}}]


# --- strategies, ruling 12 ----------------------------------------------------------------------------


def test_one_takes_the_first_event_that_passes(rehearse):
    run = rehearse(
        listen({"one": HOT}),
        events=[pulse(200), temperature(37), temperature(39), temperature(40)],
    )
    assert run.output == [{"value": 39}]


def test_it_waits_until_an_event_comes(rehearse):
    run = rehearse(listen({"one": HOT}))
    assert run.execution.phase == "waiting"
    (wait,) = run.execution.open.values()
    assert (wait.kind, wait.reference) == ("event", "/do/0/l")
    assert [interest.type for interest in wait.listening.interests] == ["temperature"]


def test_any_takes_the_first_event_that_one_of_its_filters_passes(rehearse):
    run = rehearse(listen({"any": [HOT, FAST]}), events=[pulse(80), pulse(120), temperature(40)])
    assert run.output == [{"value": 120}]


def test_any_of_nothing_takes_the_first_event_of_all(rehearse):
    run = rehearse(listen({"any": []}), events=[event("whatever", 1), event("other", 2)])
    assert run.output == [1]


def test_all_takes_one_event_for_each_filter_in_order_of_arrival(rehearse):
    run = rehearse(
        listen({"all": [HOT, FAST]}),
        events=[pulse(120), pulse(130), temperature(30), temperature(41)],
    )
    assert run.output == [{"value": 120}, {"value": 41}]


def test_an_event_counts_for_one_filter_of_all_only(rehearse):
    same = {"with": {"type": "t"}}
    run = rehearse(listen({"all": [same, same]}), events=[event("t", 1), event("t", 2)])
    assert run.output == [1, 2]


def test_all_of_nothing_has_nothing_to_wait_for(rehearse):
    assert rehearse(listen({"all": []})).output == []


def test_until_a_condition_holds_over_everything_consumed(rehearse):
    run = rehearse(
        listen({"any": [], "until": "length >= 3"}),
        events=[event("t", n) for n in range(5)],
    )
    assert run.output == [0, 1, 2]


def test_the_condition_is_asked_after_an_event_not_before(rehearse):
    run = rehearse(listen({"any": [], "until": "true"}), events=[event("t", "only")])
    assert run.output == ["only"]


def test_until_an_event_comes_which_is_not_part_of_the_output(rehearse):
    until = {"one": {"with": {"type": "checked-out"}}}
    run = rehearse(
        listen({"any": [HOT, FAST], "until": until}),
        events=[temperature(40), pulse(60), pulse(140), event("checked-out"), temperature(41)],
    )
    assert run.output == [{"value": 40}, {"value": 140}]


def test_what_ends_the_listening_is_asked_first(rehearse):
    run = rehearse(
        listen({"any": [], "until": {"one": {"with": {"type": "stop"}}}}),
        events=[event("t", 1), event("stop", 2), event("t", 3)],
    )
    assert run.output == [1]


def test_until_all_of_several_events_have_come(rehearse):
    until = {"all": [{"with": {"type": "a"}}, {"with": {"type": "b"}}]}
    run = rehearse(
        listen({"any": [{"with": {"type": "t"}}], "until": until}),
        events=[event("a"), event("t", 1), event("b"), event("t", 2)],
    )
    assert run.output == [1]


def test_many_events_are_consumed_and_all_of_them_seen(rehearse):
    run = rehearse(
        listen({"any": [], "until": "length == 40"}),
        events=[event("t", {"n": n, "pad": "x" * (300 if n % 7 == 0 else 1)}) for n in range(40)],
    )
    assert [each["n"] for each in run.output] == list(range(40))


# --- filters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({"type": "t", "source": "/outside"}, True),
        ({"type": "t", "source": "/inside"}, False),
        ({"type": "t", "subject": "s-1"}, True),
        ({"type": "t", "region": "eu"}, True),
        ({"type": "t", "region": "us"}, False),
        ({"type": "t", "absent": "x"}, False),
        ({"type": "t", "data": {"order": {"paid": True}}}, True),
        ({"type": "t", "data": {"order": {"paid": 1}}}, False),
        ({"type": "t", "data": {"order": {"total": 12.0}}}, True),
        ({"type": "t", "data": {"order": {"total": "${ . > 10 }"}}}, True),
        ({"type": "t", "data": {"order": {"id": "${ $context.order }"}}}, True),
        ({"type": "t", "data": {"order": {"id": "${ $input.other }"}}}, False),
        ({"type": "t", "subject": "s-${ $input.n }"}, True),
        ({"type": "t", "subject": '${ startswith("s") }'}, True),
        ({"type": "t", "data": "${ .order.items | length == 2 }"}, True),
        ({"type": "t", "data": "${ .order.total.x }"}, False),  # fails: no fault of the workflow
        ({"type": '${ test("^t$") }'}, True),  # decided in another process
    ],
)
def test_a_filter_compares_attributes_and_data(rehearse, wanted, passes):
    tasks = [
        {"s": {"set": {"n": 1, "other": "o-2"}, "export": {"as": {"order": "o-1"}}}},
        *listen({"one": {"with": wanted}}),
    ]
    order = {"id": "o-1", "paid": True, "total": 12, "items": [1, 2]}
    run = rehearse(
        tasks, events=[event("t", {"order": order}, subject="s-1", region="eu")], until_ms=60_000
    )
    assert (run.execution.phase == "completed") is passes
    assert run.execution.phase in {"completed", "waiting"}


# --- correlation --------------------------------------------------------------------------------------


def test_the_first_event_fixes_what_the_others_are_correlated_by(rehearse):
    room = {"correlate": {"room": {"from": ".roomid"}}}
    to = {"all": [{"with": {"type": "warm"}, **room}, {"with": {"type": "wet"}, **room}]}
    run = rehearse(
        listen(to, read="envelope", output={"as": "map(.roomid)"}),
        events=[event("warm", roomid="a"), event("wet", roomid="b"), event("wet", roomid="a")],
    )
    assert run.output == ["a", "a"]


def test_an_expectation_may_be_given_by_an_expression(rehearse):
    to = {
        "one": {
            "with": {"type": "paid"},
            "correlate": {"order": {"from": ".data.order", "expect": "${ .order }"}},
        }
    }
    run = rehearse(
        listen(to),
        {"order": 7},
        events=[event("paid", {"order": 6}), event("paid", {"order": 7, "ok": True})],
    )
    assert run.output == [{"order": 7, "ok": True}]


def test_a_constant_expectation_stands_for_the_number_it_spells(rehearse):
    to = {"one": {"with": {"type": "t"}, "correlate": {"n": {"from": ".data", "expect": "7"}}}}
    assert rehearse(listen(to), events=[event("t", 8), event("t", 7)]).output == [7]


def test_an_event_without_the_value_is_not_correlated(rehearse):
    to = {"one": {"with": {"type": "t"}, "correlate": {"n": {"from": ".data.n"}}}}
    run = rehearse(listen(to), events=[event("t", {}), event("t"), event("t", {"n": 0})])
    assert run.output == [{"n": 0}]


def test_what_events_are_correlated_by_is_small(rehearse):
    to = {"one": {"with": {"type": "t"}, "correlate": {"n": {"from": ".data"}}}}
    assert rehearse(listen(to), events=[event("t", "x" * 2000), event("t", "y")]).output == ["y"]
    to["one"]["correlate"]["n"]["expect"] = "${ [range(900)] }"
    assert rehearse(listen(to)).error["type"].endswith("/expression")


def test_correlation_is_told_in_the_history(rehearse):
    to = {"one": {"with": {"type": "t"}, "correlate": {"n": {"from": ".data.n"}}}}
    run = rehearse(listen(to), events=[event("t", {"n": 5})])
    told = [each for each in run.history if "correlation" in each["type"]]
    assert [each["type"] for each in told] == [
        "workflow.correlation-started",
        "workflow.correlation-completed",
    ]
    assert told[1]["keys"] == {"n": "5"}


# --- reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "data", "raw"),
    [
        ({"data": {"a": 1}}, {"a": 1}, '{"a":1}'),
        ({"data": "plain", "datacontenttype": "text/plain"}, "plain", "plain"),
        ({"data": "json text"}, "json text", '"json text"'),
        ({"data_base64": "AAE="}, "AAE=", "AAE="),
        ({}, None, None),
    ],
)
def test_events_are_read_as_data_envelope_or_raw(rehearse, given, data, raw):
    sent = event("t", **given) if "data" not in given else {"type": "t", **given}
    outputs = {
        read: rehearse(listen({"any": []}, read=read), events=[sent]).output
        for read in ("data", "envelope", "raw")
    }
    whole = {"specversion": "1.0", "id": "0", "source": "/outside", **sent}
    assert outputs == {"data": [data], "envelope": [whole], "raw": [raw]}


# --- foreach ------------------------------------------------------------------------------------------


def test_foreach_runs_its_tasks_on_each_event_and_collects_what_they_come_to(rehearse):
    foreach = {
        "item": "reading",
        "at": "n",
        "do": [
            {"c": {"call": ECHO, "with": {"v": "${ $reading.value }", "n": "${ $n }"}}},
            {"s": {"set": {"doubled": "${ .v * 2 }", "n": "${ .n }"}}},
        ],
    }
    to = {"any": [HOT], "until": "length == 3"}
    run = rehearse(listen(to, foreach=foreach), events=[temperature(40 + n) for n in range(5)])
    assert run.output == [{"doubled": 80, "n": 0}, {"doubled": 82, "n": 1}, {"doubled": 84, "n": 2}]
    assert [call.reference for call in run.calls("c")] == [
        f"/do/0/l/foreach/{n}/do/0/c" for n in range(3)
    ]


def test_foreach_has_an_output_and_an_export_that_until_sees(rehearse):
    foreach = {
        "do": [{"s": {"set": {"sum": "${ ($context.sum // 0) + $item.value }"}}}],
        "output": {"as": ".sum"},
        "export": {"as": {"sum": "${ . }"}},
    }
    to = {"any": [], "until": "$context.sum >= 6"}
    run = rehearse(
        [*listen(to, foreach=foreach), {"after": {"set": {"l": "${ . }", "c": "${ $context }"}}}],
        events=[event("t", {"value": n}) for n in range(1, 6)],
    )
    assert run.output == {"l": [1, 3, 6], "c": {"sum": 6}}


def test_foreach_without_tasks_only_transforms(rehearse):
    to = {"any": [], "until": "length == 2"}
    run = rehearse(
        listen(to, foreach={"output": {"as": "$item + 1"}}), events=[event("t", 1), event("t", 2)]
    )
    assert run.output == [2, 3]


def test_events_that_come_while_an_iteration_runs_are_taken_one_after_another(rehearse):
    foreach = {"do": [{"w": {"wait": {"minutes": 5}}}]}
    to = {"any": [], "until": {"one": {"with": {"type": "stop"}}}}
    run = rehearse(
        listen(to, foreach=foreach), events=[event("t", n) for n in range(4)] + [event("stop")]
    )
    assert run.output == [0, 1, 2, 3]
    assert run.names("started") == ["l", "w", "w", "w", "w"]


def test_a_fault_in_foreach_faults_the_listener_and_closes_it(rehearse):
    foreach = {"do": [{"r": {"raise": {"error": {"type": "x", "status": 400, "title": "no"}}}}]}
    run = rehearse(listen({"any": [], "until": "false"}, foreach=foreach), events=[event("t")])
    assert run.error["title"] == "no"
    assert not run.execution.open


def test_exit_ends_an_iteration_and_end_the_workflow(rehearse):
    to = {"any": [], "until": "length == 2"}
    do = [{"a": {"set": {"x": 1}, "then": "exit"}}, {"b": {"set": {"x": 2}}}]
    run = rehearse(listen(to, foreach={"do": do}), events=[event("t"), event("t")])
    assert run.output == [{"x": 1}, {"x": 1}]
    do = [{"a": {"set": {"x": 1}, "then": "end"}}]
    run = rehearse(listen(to, foreach={"do": do}), events=[event("t"), event("t")])
    assert run.output == {"x": 1}
    assert not run.execution.open


# --- which events -------------------------------------------------------------------------------------


def test_events_are_kept_from_the_start_of_the_execution(rehearse):
    tasks = [{"w": {"wait": {"hours": 1}}}, *listen({"any": [], "until": "length == 2"})]
    assert rehearse(tasks, events=[event("t", 1), event("t", 2)]).output == [1, 2]


def test_each_event_goes_to_every_matching_listener(rehearse):
    branches = [{"a": listen({"any": []})[0]["l"]}, {"b": listen({"any": []})[0]["l"]}]
    run = rehearse([{"f": {"fork": {"branches": branches}}}], events=[event("t", 1)])
    assert run.output == [[1], [1]]


def test_an_event_goes_to_a_listener_once_in_a_loop_too(rehearse):
    tasks = [
        {
            "loop": {
                "for": {"in": "[1, 2]"},
                "do": [{"l": {"listen": {"to": {"any": []}}}}, {"s": {"set": "${ .[0] }"}}],
                "output": {"as": "."},
            }
        }
    ]
    run = rehearse(tasks, events=[event("t", "first"), event("t", "second")])
    assert run.output == "second"


def test_what_one_turn_of_a_loop_refused_is_there_for_the_next(rehearse):
    correlate = {"n": {"from": ".data", "expect": "${ $item }"}}
    listener = {"listen": {"to": {"one": {"with": {"type": "t"}, "correlate": correlate}}}}
    tasks = [{"loop": {"for": {"in": "[1, 2, 3]"}, "do": [{"l": listener}]}}]
    run = rehearse(tasks, events=[event("t", 3), event("t", 2), event("t", 1)])
    assert run.output == [3]


def test_a_repeated_event_counts_once(rehearse):
    to = {"any": [], "until": "length == 2"}
    run = rehearse(listen(to), events=[event("t", 1, id="x"), event("t", 1, id="x"), event("t", 2)])
    assert run.output == [1, 2]


def test_late_events_change_nothing(rehearse):
    run = rehearse(
        [*listen({"any": []}), {"w": {"wait": {"hours": 1}}}], events=[event("t", 1)], until_ms=9000
    )
    result = run.world.deliver(ROOT_ID, EventArrived("2", 9, {"type": "t"}))
    assert not result.changed
    assert not result.effects.consumed
    assert not result.effects.refused


# --- control ------------------------------------------------------------------------------------------


def test_a_timeout_ends_the_listening(rehearse):
    run = rehearse(listen({"one": HOT}, timeout={"after": {"minutes": 1}}))
    assert run.error["status"] == 408
    assert not run.execution.open


def test_an_expression_that_fails_in_until_faults_the_listener(rehearse):
    run = rehearse(listen({"any": [], "until": ".x"}), events=[event("t", 1)])
    assert run.error["type"].endswith("/expression")
    assert not run.execution.open


def test_cancelling_closes_the_listener(rehearse):
    run = rehearse(listen({"any": [], "until": "false"}), events=[event("t", 1)])
    run.world.deliver(ROOT_ID, Cancel("enough"))
    assert run.execution.phase == "cancelled"
    assert not run.execution.open


def test_events_that_come_while_suspended_are_applied_in_order_when_resumed(rehearse):
    run = rehearse(listen({"any": [], "until": "length == 2"}))
    run.world.send(ROOT_ID, Suspend("look"))
    for n in (1, 2):
        run.world.post(
            {"specversion": "1.0", "id": str(n), "source": "/o", "type": "t", "data": n}, n
        )
    run.world.proceed()
    assert run.execution.phase == "suspended"
    run.world.send(ROOT_ID, Resume())
    run.world.proceed()
    assert run.output == [1, 2]


def test_the_loser_of_a_race_stops_listening(rehearse):
    branches = [{"a": listen({"one": HOT})[0]["l"]}, {"b": {"wait": {"minutes": 1}}}]
    run = rehearse([{"f": {"fork": {"compete": True, "branches": branches}}}])
    assert run.execution.phase == "completed"
    assert not run.execution.open


def test_a_listener_in_a_try_may_be_caught_and_begin_again(rehearse):
    listener = listen({"one": HOT}, timeout={"after": {"minutes": 1}})
    retry = {"delay": {"seconds": 1}, "limit": {"attempt": {"count": 1}}}
    tasks = [{"t": {"try": listener, "catch": {"retry": retry, "do": [{"s": {"set": "late"}}]}}}]
    assert rehearse(tasks).output == "late"


# --- emit ---------------------------------------------------------------------------------------------


def emit(**attributes):
    return [{"e": {"emit": {"event": {"with": attributes}}}}]


def test_emit_puts_out_the_event_with_the_defaults_of_the_language(rehearse):
    run = rehearse(emit(type="greeted", data={"hello": "${ .name }"}), {"name": "Ada"})
    (sent,) = run.world.events.kept
    assert sent == run.output
    assert sent["source"] == "/tests/example/1.0.0"
    assert sent["data"] == {"hello": "Ada"}
    assert (sent["specversion"], sent["type"]) == ("1.0", "greeted")
    assert sent["time"].endswith("Z")
    assert len(sent["id"]) == 36


def test_emit_takes_what_the_document_gives(rehearse):
    given = {
        "type": "t",
        "id": "7",
        "source": "https://shop.example",
        "subject": "${ .s }",
        "region": "eu",
    }
    run = rehearse(emit(**given), {"s": "order-1"})
    assert {name: run.output[name] for name in given} == {**given, "subject": "order-1"}
    assert "data" not in run.output


def test_an_emitted_event_is_in_the_history_before_its_task_ends(rehearse):
    run = rehearse(emit(type="t"))
    types = [each["type"] for each in run.history]
    assert types[types.index("event.emitted") + 1] == "task.completed"


@pytest.mark.parametrize(
    "wrong", [{"type": "${ .no }"}, {"type": "t", "time": "noon"}, {"type": "t", "Big": "x"}]
)
def test_an_event_that_is_none_faults_the_task(rehearse, wrong):
    run = rehearse(emit(**wrong))
    assert run.error["type"].endswith("/validation")
    assert not run.world.events.kept


def test_every_turn_of_a_loop_emits_an_event_of_its_own(rehearse):
    tasks = [{"loop": {"for": {"in": "[1, 2, 3]"}, "do": emit(type="t", data="${ $item }")}}]
    run = rehearse(tasks)
    assert [each["data"] for each in run.world.events.kept] == [1, 2, 3]


def test_a_workflow_hears_what_it_emits(rehearse):
    tasks = [*emit(type="t", data=1), *listen({"one": {"with": {"type": "t"}}})]
    assert rehearse(tasks).output == [1]
