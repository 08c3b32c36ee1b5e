"""The models hold every construct of the language, and give back what they were read from."""

from typing import Any

import pytest
from pydantic import ValidationError

from workflow.document import Definition, Duration, InvalidDuration, NamedTask, parse_duration
from workflow.document import tasks as kinds

HEADER = {"dsl": "1.0.3", "namespace": "tests", "name": "sample", "version": "1.0.0"}

EVENT = {"with": {"type": "order.placed", "priority": 5, "data": {"a": None}}}
OAUTH = {
    "authority": "https://id.example.com",
    "grant": "urn:ietf:params:oauth:grant-type:token-exchange",
    "client": {"id": "a", "secret": "b", "assertion": "c", "authentication": "private_key_jwt"},
    "request": {"encoding": "application/json"},
    "issuers": ["i"],
    "scopes": ["s"],
    "audiences": ["t"],
    "username": "u",
    "password": "p",
    "subject": {"token": "t", "type": "y"},
    "actor": {"token": "t", "type": "y"},
}

TASKS: list[tuple[type[kinds.TaskBase], dict[str, Any]]] = [
    (
        kinds.CallHttpTask,
        {
            "call": "http",
            "with": {
                "method": "post",
                "endpoint": {
                    "uri": "https://example.com/{id}",
                    "authentication": {"basic": {"username": "u", "password": "p"}},
                },
                "headers": {"accept": "text/plain"},
                "query": "${ .query }",
                "body": None,
                "output": "response",
                "redirect": True,
            },
        },
    ),
    (
        kinds.CallOpenApiTask,
        {
            "call": "openapi",
            "with": {
                "document": {"name": "pets", "endpoint": "https://example.com/openapi.json"},
                "operationId": "find",
                "parameters": {"limit": 1},
                "authentication": {"use": "pets"},
                "output": "raw",
                "redirect": False,
            },
        },
    ),
    (
        kinds.CallGrpcTask,
        {
            "call": "grpc",
            "with": {
                "proto": {"endpoint": "file://greet.proto"},
                "service": {
                    "name": "Greeter",
                    "host": "a.example.com",
                    "port": 5011,
                    "authentication": {"digest": {"use": "secret"}},
                },
                "method": "Hello",
                "arguments": {"name": "x"},
            },
        },
    ),
    (
        kinds.CallAsyncApiTask,
        {
            "call": "asyncapi",
            "with": {
                "document": {"endpoint": "https://example.com/asyncapi.json"},
                "channel": "/orders",
                "server": {"name": "main", "variables": {"region": "eu"}},
                "protocol": "kafka",
                "subscription": {
                    "filter": "${ .ok }",
                    "consume": {"while": "${ true }", "for": {"minutes": 1}},
                    "foreach": {
                        "item": "message",
                        "at": "i",
                        "do": [{"a": {"set": {"x": 1}}}],
                        "output": {"as": ".x"},
                        "export": {"as": {"y": 1}},
                    },
                },
                "authentication": {"oidc": OAUTH},
            },
        },
    ),
    (
        kinds.CallAsyncApiTask,
        {
            "call": "asyncapi",
            "with": {
                "document": {"endpoint": "https://example.com/asyncapi.json"},
                "operation": "send",
                "message": {"payload": {"a": 1}, "headers": {"b": 2}},
            },
        },
    ),
    (
        kinds.CallA2aTask,
        {
            "call": "a2a",
            "with": {
                "agentCard": {"endpoint": "https://example.com/agent.json"},
                "server": "https://example.com",
                "method": "message/send",
                "parameters": {"a": 1},
            },
        },
    ),
    (
        kinds.CallMcpTask,
        {
            "call": "mcp",
            "with": {
                "protocolVersion": "2025-06-18",
                "method": "tools/call",
                "parameters": "${ .parameters }",
                "timeout": "PT10S",
                "transport": {
                    "stdio": {"command": "x", "arguments": ["y"], "environment": {"A": "b"}},
                    "options": {"c": "d"},
                },
                "client": {"name": "me", "version": "1"},
            },
        },
    ),
    (kinds.CallFunctionTask, {"call": "llm:1.0.0@default", "with": {"prompt": "hello"}}),
    (kinds.DoTask, {"do": [{"a": {"set": "${ . }"}}, {"b": {"wait": "PT1S"}}]}),
    (kinds.EmitTask, {"emit": {"event": EVENT}}),
    (
        kinds.ForTask,
        {
            "for": {"each": "pet", "in": ".pets", "at": "position"},
            "while": ".more",
            "do": [{"a": {"set": {"x": 1}}}],
        },
    ),
    (kinds.ForTask, {"for": {"in": [{"a": 1}, {}]}, "do": []}),
    (kinds.ForkTask, {"fork": {"branches": [{"a": {"set": {"x": 1}}}], "compete": True}}),
    (
        kinds.ListenTask,
        {
            "listen": {
                "to": {
                    "any": [{**EVENT, "correlate": {"id": {"from": ".id", "expect": "5"}}}],
                    "until": {"one": EVENT},
                },
                "read": "envelope",
            },
            "foreach": {"do": []},
        },
    ),
    (kinds.ListenTask, {"listen": {"to": {"all": [EVENT]}}}),
    (kinds.ListenTask, {"listen": {"to": {"any": [], "until": "length > 3"}}}),
    (kinds.RaiseTask, {"raise": {"error": "notFound"}}),
    (
        kinds.RaiseTask,
        {
            "raise": {
                "error": {
                    "type": "https://example.com/errors/x",
                    "status": 404,
                    "instance": "${ .place }",
                    "title": "t",
                    "detail": "${ .detail }",
                }
            }
        },
    ),
    (
        kinds.RunTask,
        {
            "run": {
                "container": {
                    "image": "alpine",
                    "name": "${ .name }",
                    "command": "ls",
                    "ports": {"80": 8080},
                    "volumes": {"a": "/b"},
                    "environment": {"A": 1},
                    "stdin": "${ . }",
                    "arguments": ["-l"],
                    "lifetime": {"cleanup": "eventually", "after": {"minutes": 5}},
                    "pullPolicy": "always",
                },
                "return": "all",
            }
        },
    ),
    (
        kinds.RunTask,
        {
            "run": {
                "script": {
                    "language": "python",
                    "code": "print(1)",
                    "stdin": "x",
                    "arguments": ["a"],
                    "environment": {"A": "b"},
                },
                "await": False,
            }
        },
    ),
    (
        kinds.RunTask,
        {"run": {"script": {"language": "js", "source": {"endpoint": "https://a.example/x.js"}}}},
    ),
    (
        kinds.RunTask,
        {
            "run": {
                "shell": {
                    "command": "ls",
                    "stdin": "",
                    "arguments": ["a"],
                    "environment": {"A": "b"},
                },
                "return": "code",
            }
        },
    ),
    (
        kinds.RunTask,
        {
            "run": {
                "workflow": {
                    "namespace": "a",
                    "name": "b",
                    "version": "latest",
                    "input": {"x": None},
                }
            }
        },
    ),
    (kinds.SetTask, {"set": {"x": [1, {"y": None}], "z": 1.5}}),
    (kinds.SwitchTask, {"switch": [{"a": {"when": ".x", "then": "exit"}}, {"b": {"then": "end"}}]}),
    (
        kinds.TryTask,
        {
            "try": [{"a": {"set": {"x": 1}}}],
            "catch": {
                "errors": {"with": {"type": "t", "status": 1, "instance": "i", "title": "x"}},
                "as": "problem",
                "when": ".a",
                "exceptWhen": ".b",
                "retry": {
                    "when": ".c",
                    "exceptWhen": ".d",
                    "delay": {"seconds": 1},
                    "backoff": {"exponential": {}},
                    "limit": {"attempt": {"count": 3, "duration": "PT1M"}, "duration": "${ .d }"},
                    "jitter": {"from": {"milliseconds": 1}, "to": {"seconds": 1}},
                },
                "do": [{"b": {"set": {"y": 1}}}],
                "then": "continue",
            },
        },
    ),
    (kinds.TryTask, {"try": [], "catch": {"retry": "often"}}),
    (kinds.WaitTask, {"wait": {"days": 1, "hours": 2, "minutes": 3, "seconds": 4}}),
]

COMMON: dict[str, Any] = {
    "if": ".ready",
    "input": {"schema": {"format": "json", "document": None}, "from": {"a": "${ .b }"}},
    "output": {"schema": {"resource": {"endpoint": "https://a.example/s"}}, "as": ".x"},
    "export": {"schema": {"document": {"type": "object"}}, "as": "$context + ."},
    "timeout": {"after": "PT5M"},
    "then": "continue",
    "metadata": {"anything": [None, 1]},
}

WHOLE: dict[str, Any] = {
    "document": {
        **HEADER,
        "title": "T",
        "summary": "S",
        "tags": {"a": 1},
        "metadata": {"b": [1, None]},
    },
    "input": {"schema": {"document": True}, "from": "."},
    "use": {
        "authentications": {"a": {"bearer": {"token": "t"}}, "b": {"oauth2": {"use": "s"}}},
        "errors": {"e": {"type": "https://example.com/e", "status": 400}},
        "extensions": [{"x": {"extend": "all", "when": ".a", "before": [], "after": []}}],
        "functions": {"f": {"set": {"a": 1}}},
        "retries": {"r": {"backoff": {"linear": {}}}},
        "secrets": ["s"],
        "timeouts": {"t": {"after": "${ .t }"}},
        "catalogs": {"c": {"endpoint": "https://example.com"}},
    },
    "do": [],
    "timeout": "t",
    "output": {"as": {"x": "${ .y }"}},
    "schedule": {
        "every": {"hours": 1},
        "cron": "0 0 * * *",
        "after": "PT1H",
        "on": {"one": EVENT},
        "read": "raw",
    },
    "evaluate": {"language": "jq", "mode": "strict"},
}


@pytest.mark.parametrize(("kind", "raw"), TASKS)
def test_every_kind_of_task_is_read_and_given_back(
    kind: type[kinds.TaskBase], raw: dict[str, Any]
) -> None:
    document = {"document": HEADER, "do": [{"first": {**raw, **COMMON}}]}
    definition = Definition.model_validate(document)
    assert definition.do[0].name == "first"
    assert type(definition.do[0].task) is kind
    assert definition.content() == document


def test_every_other_part_is_read_and_given_back() -> None:
    definition = Definition.model_validate(WHOLE)
    assert definition.content() == WHOLE
    assert Definition.model_validate(definition.content()) == definition


def test_all_twelve_kinds_of_task_are_covered_here() -> None:
    assert {key for _, raw in TASKS for key in kinds.kinds_in(raw)} == set(kinds.TASK_KINDS)


def test_parts_cannot_be_changed() -> None:
    definition = Definition.model_validate(WHOLE)
    with pytest.raises(ValidationError, match="frozen"):
        definition.timeout = "other"


def test_defaults_are_read_but_never_written() -> None:
    loop = kinds.Loop.model_validate({"in": ".x"})
    assert (loop.item_name, loop.index_name) == ("item", "index")
    assert loop.content() == {"in": ".x"}
    assert kinds.Catch.model_validate({}).error_name == "error"


def test_a_named_task_is_one_entry_of_a_list() -> None:
    entry = NamedTask.model_validate({"a": {"wait": "PT1S"}})
    assert isinstance(entry.task, kinds.WaitTask)
    assert entry.task.wait.milliseconds == 1000


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ({"seconds": 5}, 5_000),
        ({"days": 1, "hours": 1, "minutes": 1, "seconds": 1, "milliseconds": 1}, 90_061_001),
        ({"seconds": 0}, 0),
        ("PT0.5S", 500),
        ("PT15M", 900_000),
        ("P1DT12H", 129_600_000),
        ("P2W", 1_209_600_000),
        ("P1Y2M", 425 * 86_400_000),
        ("PT0.0015S", 1),
    ],
)
def test_durations_count_milliseconds(value: Any, milliseconds: int) -> None:
    duration = Duration.model_validate(value)
    assert (duration.milliseconds, duration.expression) == (milliseconds, None)
    assert duration.content() == value


def test_a_duration_may_be_an_expression() -> None:
    duration = Duration.model_validate("${ .delay }")
    assert (duration.milliseconds, duration.expression) == (None, "${ .delay }")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "empty"),
        ({"seconds": -1}, "negative"),
        ({"seconds": 1.5}, "whole number"),
        ({"seconds": True}, "whole number"),
        ({"weeks": 1}, "no unit"),
        ("P", "ISO 8601"),
        ("PT", "ISO 8601"),
        ("5s", "ISO 8601"),
        ("P1YT", "ISO 8601"),
        ("-PT5S", "ISO 8601"),
        ("PT٣S", "ISO 8601"),
        ({"days": 40_000}, "100 years"),
        ("P999999999999999999999Y", "100 years"),
        (5, "object"),
        (None, "object"),
    ],
)
def test_what_is_no_duration_says_why(value: Any, words: str) -> None:
    with pytest.raises(InvalidDuration, match=words):
        parse_duration(value)
