"""Order of tasks: lists, conditions, switch, then."""


def test_tasks_of_a_list_run_in_order_and_pass_their_output_on(rehearse):
    run = rehearse(
        [
            {"red": {"set": {"colors": '${ .colors + ["red"] }'}}},
            {"green": {"set": {"colors": '${ .colors + ["green"] }'}}},
        ]
    )
    assert run.output == {"colors": ["red", "green"]}
    assert run.names("completed") == ["red", "green"]


def test_then_names_the_task_that_follows(rehearse):
    run = rehearse(
        [
            {"red": {"set": {"colors": '${ .colors + ["red"] }'}, "then": "green"}},
            {"blue": {"set": {"colors": '${ .colors + ["blue"] }'}, "then": "end"}},
            {"green": {"set": {"colors": '${ .colors + ["green"] }'}, "then": "blue"}},
        ]
    )
    assert run.output == {"colors": ["red", "green", "blue"]}


def test_a_jump_backwards_runs_tasks_again_under_other_references(rehearse):
    run = rehearse(
        [
            {"up": {"set": {"n": "${ .n + 1 }"}}},
            {"again": {"switch": [{"more": {"when": ".n < 3", "then": "up"}}]}},
        ],
        {"n": 0},
    )
    assert run.output == {"n": 3}
    references = [e["task"] for e in run.history if e["type"] == "task.completed"]
    assert references[::2] == ["/do/0/up", "/do/0@2/up", "/do/0@3/up"]
    assert len({e["taskId"] for e in run.history if "taskId" in e}) == 6


def test_a_skipped_task_passes_its_input_on_and_its_then_does_not_count(rehearse):
    run = rehearse(
        [
            {"skipped": {"if": ".n > 1", "set": {"x": 1}, "then": "end"}},
            {"after": {"set": {"seen": "${ . }"}}},
        ],
        {"n": 1},
    )
    assert run.output == {"seen": {"n": 1}}
    assert run.names("created") == ["after"]


def test_a_switch_without_a_match_continues(rehearse):
    run = rehearse(
        [
            {"choose": {"switch": [{"one": {"when": ".n == 1", "then": "end"}}]}},
            {"next": {"set": {"reached": True}}},
        ],
        {"n": 2},
    )
    assert run.output == {"reached": True}


def test_a_case_without_a_condition_always_matches(rehearse):
    run = rehearse(
        [
            {"choose": {"switch": [{"a": {"when": "false", "then": "a"}}, {"b": {"then": "b"}}]}},
            {"a": {"set": {"at": "a"}, "then": "exit"}},
            {"b": {"set": {"at": "b"}, "then": "exit"}},
            {"c": {"set": {"at": "c"}}},
        ]
    )
    assert run.output == {"at": "b"}


def test_exit_leaves_the_scope_and_end_the_workflow(rehearse):
    inner = [{"a": {"set": {"at": "a"}, "then": "exit"}}, {"b": {"set": {"at": "b"}}}]
    tasks = [
        {"outer": {"do": inner}},
        {"last": {"do": [{"c": {"set": {"from": "${ .at }"}, "then": "end"}}]}},
        {"never": {"set": {}}},
    ]
    run = rehearse(tasks, output={"as": "{final: .}"})
    assert run.output == {"final": {"from": "a"}}
    assert run.names("completed") == ["a", "outer", "c", "last"]


def test_an_empty_list_gives_its_input(rehearse):
    assert rehearse([{"nothing": {"do": []}}], {"n": 1}).output == {"n": 1}
    assert rehearse([], {"n": 1}).output == {"n": 1}


def test_a_missing_input_is_an_empty_object(rehearse):
    assert rehearse([{"see": {"set": "${ . }"}}]).output == {}


def test_a_workflow_of_no_waiting_is_one_turn(rehearse):
    run = rehearse([{"one": {"set": {"x": 1}}}])
    assert [event["type"] for event in run.history] == [
        "workflow.started",
        "task.created",
        "task.started",
        "task.completed",
        "workflow.completed",
    ]


def test_wait_lasts_as_long_as_it_says(rehearse):
    run = rehearse([{"rest": {"wait": {"minutes": 5}}}], {"n": 1})
    assert run.output == {"n": 1}
    assert run.history[-1]["at"] - run.history[0]["at"] == 300_000


def test_the_length_of_a_wait_may_be_computed(rehearse):
    run = rehearse([{"rest": {"wait": '${ "PT\\(.n)S" }'}}], {"n": 3})
    assert run.history[-1]["at"] - run.history[0]["at"] == 3_000


def test_a_wait_that_is_no_duration_faults(rehearse):
    run = rehearse([{"rest": {"wait": "${ .n }"}}], {"n": "soon"})
    assert run.error["type"].endswith("/expression")


def test_raise_faults_with_its_error_and_says_where(rehearse):
    error = {"type": "https://example.com/errors/broken", "status": 503, "title": "T"}
    run = rehearse(
        [{"oops": {"raise": {"error": {**error, "detail": "${ .why }"}}}}], {"why": "because"}
    )
    assert run.error == {**error, "detail": "because", "instance": "/do/0/oops"}
    assert run.names("faulted") == ["oops"]


def test_raise_by_name(rehearse):
    error = {"type": "https://example.com/errors/e", "status": 400}
    run = rehearse([{"oops": {"raise": {"error": "e"}}}], use={"errors": {"e": error}})
    assert run.error["status"] == 400


def test_a_turn_is_bounded_and_goes_on_by_itself(rehearse):
    from workflow.core.turn import Limits

    tasks = [
        {"up": {"set": {"n": "${ .n + 1 }"}}},
        {"again": {"switch": [{"more": {"when": ".n < 30", "then": "up"}}]}},
    ]
    run = rehearse(tasks, {"n": 0}, limits=Limits(transitions_max=7))
    assert run.output == {"n": 30}
    assert len(run.history) == 2 + 30 * 6


def test_an_endless_execution_faults_at_its_limit(rehearse):
    from workflow.core.turn import Limits

    run = rehearse(
        [{"again": {"set": {"n": 1}, "then": "again"}}], limits=Limits(history_events_max=1000)
    )
    assert run.error["type"].endswith("/runtime")


def test_the_default_case_of_a_switch_waits_for_the_others_wherever_it_stands(rehearse):
    cases = [{"other": {"then": "two"}}, {"one": {"when": ".n == 1", "then": "one"}}]
    tasks = [
        {"choose": {"switch": cases}},
        {"one": {"set": {"is": "one"}, "then": "end"}},
        {"two": {"set": {"is": "two"}}},
    ]
    assert rehearse(tasks, {"n": 1}).output == {"is": "one"}
    assert rehearse(tasks, {"n": 2}).output == {"is": "two"}


def test_a_turn_of_nothing_but_skipped_tasks_is_bounded_too_and_leaves_a_trace(rehearse):
    from workflow.core.turn import Limits

    tasks = [
        {"loop": {"for": {"in": "[range(100)]"}, "do": [{"no": {"if": "false", "set": {"x": 1}}}]}}
    ]
    run = rehearse(tasks, {"n": 0}, limits=Limits(transitions_max=50))
    assert run.output == {"n": 0}
    traces = [event for event in run.history if event["type"] == "workflow.status-changed"]
    assert len(traces) == 100 * 2 // 50 - 1
    assert {event["status"] for event in traces} == {"running"}
