"""`try`: which errors are caught, when it is tried again, what happens then."""

import pytest

from workflow.core.rehearsal import NEVER, Reply
from workflow.core.turn import Limits

ECHO = "echo:1.0.0@default"
NEW = "https://open-workflow-specification.org/spec/1.0.0/errors/communication"
OLD = "https://serverlessworkflow.io/dsl/errors/types/communication"
BROKEN = Reply(error={"type": NEW, "status": 503, "title": "Away", "detail": "no answer"})


def attempt(catch, *tasks):
    body = list(tasks) or [{"c": {"call": ECHO}}]
    return [{"t": {"try": body, "catch": catch}}]


def retry(**policy):
    return {"retry": {"delay": {"seconds": 1}, **policy}}


def pauses(run):
    return [event["delayMs"] for event in run.history if event["type"] == "task.retried"]


def test_a_try_without_failure_gives_the_output_of_its_tasks(rehearse):
    assert rehearse(attempt({}), answers={"c": [5]}).output == 5


def test_a_caught_error_is_handled_with_the_input_of_the_try(rehearse):
    handler = [{"h": {"set": {"error": "${ $error }", "given": "${ . }"}}}]
    run = rehearse(attempt({"do": handler}), {"n": 1}, answers={"c": [BROKEN]})
    assert run.output["given"] == {"n": 1}
    assert run.output["error"] == {
        "type": NEW, "status": 503, "title": "Away", "detail": "no answer",
        "instance": "/do/0/t/try/0/c",
    }  # fmt: skip
    assert run.names("faulted") == ["c"]
    assert run.names("completed") == ["h", "t"]


def test_without_a_handler_the_input_goes_on(rehearse):
    assert rehearse(attempt({}), {"n": 1}, answers={"c": [BROKEN]}).output == {"n": 1}


def test_the_variable_of_the_error_may_have_another_name(rehearse):
    catch = {"as": "oops", "do": [{"h": {"set": {"s": "${ $oops.status }"}}}]}
    assert rehearse(attempt(catch), answers={"c": [BROKEN]}).output == {"s": 503}


@pytest.mark.parametrize(
    ("wanted", "caught"),
    [
        ({"type": NEW}, True),
        ({"type": OLD}, True),
        ({"type": NEW, "status": 503}, True),
        ({"status": 404}, False),
        ({"type": "https://example.com/x"}, False),
        ({"instance": "/do/0/t/try/0/c"}, True),
        ({"title": "Away", "detail": "no answer"}, True),
        ({"title": "Here"}, False),
    ],
)
def test_the_filter_compares_what_it_names(rehearse, wanted, caught):
    run = rehearse(attempt({"errors": {"with": wanted}}), answers={"c": [BROKEN]})
    assert (run.execution.phase == "completed") is caught


@pytest.mark.parametrize(
    ("condition", "caught"),
    [
        ({"when": "$error.status == 503"}, True),
        ({"when": "$error.status == 404"}, False),
        ({"exceptWhen": "$error.status == 503"}, False),
        ({"exceptWhen": ".n == 2"}, True),
    ],
)
def test_conditions_decide_whether_it_is_caught(rehearse, condition, caught):
    run = rehearse(attempt(condition), {"n": 1}, answers={"c": [BROKEN]})
    assert (run.execution.phase == "completed") is caught


def test_a_condition_that_fails_faults_the_try(rehearse):
    run = rehearse(attempt({"when": ".n.m"}), {"n": 1}, answers={"c": [BROKEN]})
    assert run.error["type"].endswith("/expression")
    assert run.error["instance"] == "/do/0/t"


def test_a_fault_in_the_handler_goes_on(rehearse):
    handler = [{"h": {"raise": {"error": {"type": "https://e.x/y", "status": 500}}}}]
    run = rehearse(attempt({"do": handler}), answers={"c": [BROKEN]})
    assert run.error["instance"] == "/do/0/t/catch/do/0/h"
    assert run.names("faulted") == ["c", "h", "t"]


def test_an_inner_try_that_does_not_catch_leaves_it_to_the_outer(rehearse):
    inner = {
        "inner": {"try": [{"c": {"call": ECHO}}], "catch": {"errors": {"with": {"status": 404}}}}
    }
    run = rehearse(
        attempt({"do": [{"h": {"set": {"at": "outer"}}}]}, inner), answers={"c": [BROKEN]}
    )
    assert run.output == {"at": "outer"}


def test_catch_then_counts_only_when_something_was_caught(rehearse):
    tasks = [
        {"t": {"try": [{"c": {"call": ECHO}}], "catch": {"then": "bad"}, "then": "good"}},
        {"bad": {"set": {"at": "bad"}, "then": "exit"}},
        {"good": {"set": {"at": "good"}}},
    ]
    assert rehearse(tasks, answers={"c": [BROKEN]}).output == {"at": "bad"}
    assert rehearse(tasks).output == {"at": "good"}


def test_it_is_tried_again_after_a_pause_with_the_same_task_id(rehearse):
    run = rehearse(attempt(retry()), answers={"c": [BROKEN, BROKEN, Reply("fine")]})
    assert run.output == "fine"
    calls = run.calls("c")
    assert [call.attempt for call in calls] == [1, 2, 3]
    assert len({call.task_id for call in calls}) == 1
    assert [call.at_ms - calls[0].at_ms for call in calls] == [0, 1000, 2000]
    retried = [event for event in run.history if event["type"] == "task.retried"]
    assert [(e["name"], e["attempt"]) for e in retried] == [("t", 2), ("t", 3)]


def test_the_count_limits_retries_after_the_first_try(rehearse):
    catch = {**retry(limit={"attempt": {"count": 2}}), "do": [{"h": {"set": {"gave": "up"}}}]}
    run = rehearse(attempt(catch), answers={"c": [BROKEN]})
    assert len(run.calls("c")) == 3
    assert run.output == {"gave": "up"}


def test_a_count_of_zero_is_no_retry(rehearse):
    run = rehearse(attempt(retry(limit={"attempt": {"count": 0}})), answers={"c": [BROKEN]})
    assert len(run.calls("c")) == 1


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ({"constant": {}}, [1000, 1000, 1000, 1000]),
        ({"linear": {}}, [1000, 2000, 3000, 4000]),
        ({"exponential": {}}, [1000, 2000, 4000, 8000]),
    ],
)
def test_the_pause_grows_as_the_backoff_says(rehearse, backoff, expected):
    catch = retry(backoff=backoff, limit={"attempt": {"count": 4}})
    assert pauses(rehearse(attempt(catch), answers={"c": [BROKEN]})) == expected


def test_jitter_lies_in_its_range_differs_by_try_and_is_the_same_every_time(rehearse):
    catch = retry(jitter={"from": "PT1S", "to": "PT9S"}, limit={"attempt": {"count": 6}})
    first = pauses(rehearse(attempt(catch), answers={"c": [BROKEN]}))
    assert all(2000 <= pause <= 10_000 for pause in first)
    assert len(set(first)) > 3
    assert pauses(rehearse(attempt(catch), answers={"c": [BROKEN]})) == first


def test_the_limit_of_the_whole_duration_ends_it(rehearse):
    run = rehearse(
        attempt(retry(limit={"duration": {"milliseconds": 3500}})), answers={"c": [BROKEN]}
    )
    assert len(run.calls("c")) == 4


def test_the_limit_of_one_try_interrupts_it(rehearse):
    catch = retry(limit={"attempt": {"duration": {"seconds": 5}}})
    run = rehearse(attempt(catch), answers={"c": [NEVER, Reply("late", after_ms=4000)]})
    assert run.output == "late"
    assert run.names("cancelled") == ["c"]
    retried = next(event for event in run.history if event["type"] == "task.retried")
    assert retried["error"]["status"] == 408
    assert run.execution.open == {}


@pytest.mark.parametrize(
    ("condition", "tries"),
    [
        ({"when": "$error.status == 503"}, 3),
        ({"when": "$error.status == 500"}, 1),
        ({"exceptWhen": "$error.status == 503"}, 1),
    ],
)
def test_the_policy_has_conditions_of_its_own(rehearse, condition, tries):
    catch = retry(**condition, limit={"attempt": {"count": 2}})
    assert len(rehearse(attempt(catch), answers={"c": [BROKEN]}).calls("c")) == tries


def test_a_policy_may_be_named(rehearse):
    use = {"retries": {"twice": {"delay": "PT2S", "limit": {"attempt": {"count": 1}}}}}
    run = rehearse(attempt({"retry": "twice"}), answers={"c": [BROKEN]}, use=use)
    assert pauses(run) == [2000]


def test_the_other_side_may_ask_for_a_longer_pause(rehearse):
    busy = Reply(error=BROKEN.error, retry_after_ms=30_000)
    run = rehearse(attempt(retry()), answers={"c": [busy, BROKEN, Reply(1)]})
    assert pauses(run) == [30_000, 1000]


def test_what_must_not_be_repeated_is_not_and_may_still_be_handled(rehearse):
    unknown = Reply(error=BROKEN.error, retryable=False)
    catch = {**retry(), "do": [{"h": {"set": {"s": "${ $error.status }"}}}]}
    run = rehearse(attempt(catch), answers={"c": [unknown]})
    assert len(run.calls("c")) == 1
    assert run.output == {"s": 503}


def test_the_operator_may_allow_fewer_retries(rehearse):
    run = rehearse(attempt(retry()), answers={"c": [BROKEN]}, limits=Limits(retry_attempts_max=2))
    assert len(run.calls("c")) == 3


def test_a_retry_runs_the_whole_body_again(rehearse):
    body = [{"a": {"call": ECHO}}, {"c": {"call": ECHO}}]
    run = rehearse(attempt(retry(), *body), answers={"c": [BROKEN, Reply(2)]})
    assert [call.attempt for call in run.calls("a")] == [1, 2]


def test_tries_of_nested_tasks_never_repeat_a_number(rehearse):
    inner = {
        "inner": {
            "try": [{"c": {"call": ECHO}}],
            "catch": {"errors": {"with": {"status": 503}}, **retry(limit={"attempt": {"count": 1}}),
                      "do": [{"r": {"raise": {"error": {"type": "https://x.y/z", "status": 500}}}}]},
        }
    }  # fmt: skip
    run = rehearse(attempt(retry(limit={"attempt": {"count": 2}}), inner), answers={"c": [BROKEN]})
    assert [call.attempt for call in run.calls("c")] == [1, 2, 3, 4, 5, 6]


def test_the_error_is_no_variable_of_the_next_try(rehearse):
    body = [{"c": {"call": ECHO}}, {"see": {"set": {"e": "${ $error }"}}}]
    run = rehearse(
        attempt(retry(limit={"attempt": {"count": 1}}), *body), answers={"c": [BROKEN, 1]}
    )
    faulted = [event for event in run.history if event["type"] == "task.faulted"]
    assert "$error" in faulted[-1]["error"]["detail"]


def test_retrying_in_a_fork_leaves_the_other_branches_alone(rehearse):
    branch = {"try": [{"c": {"call": ECHO}}], "catch": retry()}
    tasks = [{"f": {"fork": {"branches": [{"t": branch}, {"other": {"call": ECHO}}]}}}]
    run = rehearse(tasks, answers={"c": [BROKEN, Reply(1)], "other": [Reply(2, after_ms=500)]})
    assert run.output == [1, 2]


def test_conditions_may_read_what_the_task_was_given(rehearse):
    catch = {"when": "$input == 5 and $task.input.n == 5"}
    tasks = attempt(catch)
    tasks[0]["t"]["input"] = {"from": ".n"}
    assert rehearse(tasks, {"n": 5}, answers={"c": [BROKEN]}).output == 5


def test_the_executor_learns_the_limit_of_one_try(rehearse):
    catch = retry(limit={"attempt": {"duration": {"seconds": 5}}})
    run = rehearse(attempt(catch), answers={"c": [NEVER]}, until_ms=0)
    assert [wait.task.timeout_ms for wait in run.execution.open.values() if wait.task] == [5000]
