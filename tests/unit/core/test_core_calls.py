"""Calls of functions and HTTP, functions of the document, sub-workflows."""

import pytest

from workflow.core.rehearsal import NEVER, Reply

ECHO = "echo:1.0.0@default"


def http(**arguments):
    return [{"get": {"call": "http", "with": {"method": "get", **arguments}}}]


def test_a_call_asks_for_the_function_with_evaluated_arguments(rehearse):
    run = rehearse([{"c": {"call": ECHO, "with": {"n": "${ .n + 1 }"}}}], {"n": 1})
    call = run.calls("c")[0]
    assert (call.function, call.input, call.attempt) == ("echo:1.0.0", {"n": 2}, 1)
    assert run.output == {"n": 2}


def test_a_call_of_http_is_resolved_before_it_leaves(rehearse):
    use = {"authentications": {"door": {"bearer": {"token": "${ .token }"}}}}
    arguments = {
        "endpoint": {
            "uri": "https://example.com/pets/{id}",
            "authentication": {"use": "door"},
        },
        "headers": {"X-Id": "${ .id | tostring }"},
        "query": "${ .q }",
        "body": {"was": "${ . }"},
        "output": "response",
        "redirect": True,
    }
    given = {"id": 7, "token": "t", "q": {"a": "b"}}
    run = rehearse(http(**arguments), given, use=use)
    assert run.calls("get")[0].function == "http"
    assert run.calls("get")[0].input == {
        "endpoint": "https://example.com/pets/7",
        "method": "get",
        "output": "response",
        "redirect": True,
        "headers": {"X-Id": "7"},
        "query": {"a": "b"},
        "body": {"was": given},
        "authentication": {"bearer": {"token": "t"}},
    }


def test_http_arguments_have_defaults(rehearse):
    run = rehearse(http(endpoint="https://example.com"))
    assert run.calls("get")[0].input == {
        "endpoint": "https://example.com",
        "method": "get",
        "output": "content",
        "redirect": False,
    }


def test_an_expression_may_give_the_endpoint(rehearse):
    run = rehearse(http(endpoint="${ .url }"), {"url": "https://example.com/x"})
    assert run.calls("get")[0].input["endpoint"] == "https://example.com/x"
    run = rehearse(http(endpoint="${ .url }"), {"url": 5})
    assert run.error["type"].endswith("/expression")


def test_basic_authentication_in_place(rehearse):
    policy = {"basic": {"username": "u", "password": "${ .p }"}}
    run = rehearse(http(endpoint={"uri": "https://e.x", "authentication": policy}), {"p": "s"})
    assert run.calls("get")[0].input["authentication"] == {
        "basic": {"username": "u", "password": "s"}
    }


def test_input_and_output_of_a_function_are_checked(rehearse):
    tasks = [{"c": {"call": "typed:1.0.0@default", "with": {"n": "${ .n }"}}}]
    assert rehearse(tasks, {"n": 1}, answers={"c": [{"ok": 1}]}).output == {"ok": 1}
    wrong = rehearse(tasks, {"n": 1}, answers={"c": [{"bad": 1}]})
    assert wrong.error["type"].endswith("/validation")
    assert "output of typed:1.0.0" in wrong.error["detail"]
    unasked = rehearse([{"c": {"call": "typed:1.0.0@default"}}])
    assert unasked.error["type"].endswith("/validation")
    assert unasked.world.calls == []


def test_what_the_catalog_says_travels_with_the_call(rehearse):
    run = rehearse(
        [{"c": {"call": "typed:1.0.0@default", "with": {"n": 1}}}], answers={"c": [NEVER]}
    )
    task = next(iter(run.execution.open.values())).task
    assert (task.queue, task.at_most_once) == ("echo", True)


def test_a_function_that_is_gone_faults_its_call_only(rehearse):
    tasks = [{"t": {"try": [{"c": {"call": "gone:1.0.0@default"}}], "catch": {"as": "e", "do": [
        {"h": {"set": {"type": "${ $e.type }"}}}]}}}]  # fmt: skip
    assert rehearse(tasks).output["type"].endswith("/configuration")


def test_a_failed_call_faults_with_what_the_executor_said(rehearse):
    run = rehearse(
        [{"c": {"call": ECHO}}],
        answers={"c": [Reply(error={"type": "https://e.x/t", "status": 404, "title": "No"})]},
    )
    assert run.error["status"] == 404
    assert run.error["instance"] == "/do/0/c"


def test_a_function_of_the_document_runs_as_a_task_inside(rehearse):
    use = {
        "functions": {
            "double": {
                "input": {"schema": {"document": {"required": ["n"]}}, "from": ".n"},
                "set": {"n": "${ . * 2 }"},
                "output": {"as": ".n"},
            }
        }
    }
    run = rehearse([{"d": {"call": "double", "with": {"n": "${ .m }"}}}], {"m": 21}, use=use)
    assert run.output == 42
    references = [event["task"] for event in run.history if event["type"] == "task.completed"]
    assert references == ["/do/0/d/double", "/do/0/d"]
    bad = rehearse([{"d": {"call": "double", "with": {"m": 1}}}], use=use)
    assert bad.error["instance"] == "/use/functions/double"


def test_functions_may_call_functions_and_see_nothing_of_their_caller(rehearse):
    use = {
        "functions": {
            "outer": {"do": [{"in": {"call": "inner", "with": {"n": "${ .n }"}}}]},
            "inner": {"set": {"n": "${ .n }", "item": "${ $item }"}},
        }
    }
    tasks = [{"l": {"for": {"in": "[1]"}, "do": [{"o": {"call": "outer", "with": {"n": 1}}}]}}]
    run = rehearse(tasks, use=use)
    assert "$item" in run.error["detail"]


def test_a_function_that_calls_itself_ends_in_a_fault(rehearse):
    use = {"functions": {"again": {"do": [{"more": {"call": "again"}}]}}}
    run = rehearse([{"a": {"call": "again"}}], use=use)
    assert "nested deeper" in run.error["detail"]


@pytest.fixture
def child(make_document):
    return make_document(
        [{"work": {"set": {"child": "${ .n }"}}}],
        name="child",
        input={"schema": {"document": {"required": ["n"]}}},
    )


def sub(**parts):
    given = {"namespace": "tests", "name": "child", "version": "latest", **parts.pop("with_", {})}
    return [{"sub": {"run": {"workflow": given, **parts}}}]


def test_a_sub_workflow_is_waited_for(rehearse, child):
    run = rehearse(sub(with_={"input": {"n": "${ .m }"}}), {"m": 3}, others=[child])
    assert run.output == {"child": 3}


def test_a_fault_of_a_sub_workflow_is_the_fault_of_its_task(rehearse, child):
    run = rehearse(sub(), others=[child])
    assert run.error["type"].endswith("/validation")


def test_a_sub_workflow_that_nobody_waits_for_does_not_hold_its_task_up(rehearse, child):
    run = rehearse(sub(**{"await": False}), {"n": 1}, others=[child])
    assert run.output == {"n": 1}
    assert len(run.world.executions) == 2


def test_a_sub_workflow_that_cannot_start_faults_its_task(rehearse):
    run = rehearse(sub())
    assert run.error["type"].endswith("/configuration")
    assert run.error["instance"] == "/do/0/sub"


def test_a_timeout_cancels_the_sub_workflow(rehearse, make_document):
    slow = make_document([{"rest": {"wait": {"hours": 1}}}], name="child")
    tasks = sub()
    tasks[0]["sub"]["timeout"] = {"after": {"seconds": 5}}
    run = rehearse(tasks, others=[slow])
    assert run.error["status"] == 408
    phases = [execution.phase for execution in run.world.executions.values()]
    assert phases == ["faulted", "cancelled"]
