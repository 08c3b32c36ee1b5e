"""What is part of the language but not executed is refused by name; nothing is ignored."""

from collections.abc import Callable

import pytest

from workflow.document import (
    EXECUTABLE,
    Code,
    Construct,
    Diagnostic,
    examine,
    load_document,
    parse_definition,
)

Find = Callable[..., list[Diagnostic]]

HTTP = "call: http, with: {method: get, endpoint: {uri: 'http://a.example', authentication: %s}}"
EVENT = "{one: {with: {type: t}}}"
RESOURCE = "{endpoint: 'https://a.example/x'}"

UNSUPPORTED = [
    (Construct.SCHEDULE, "do: []\nschedule: {every: PT1H}", "/schedule"),
    (
        Construct.CALL_OPENAPI,
        f"do:\n- a: {{call: openapi, with: {{document: {RESOURCE}, operationId: x}}}}",
        "/do/0/a/call",
    ),
    (
        Construct.CALL_GRPC,
        (
            f"do:\n- a: {{call: grpc, with: {{proto: {RESOURCE}, service: {{name: s, host: h}},"
            " method: m}}"
        ),
        "/do/0/a/call",
    ),
    (
        Construct.CALL_ASYNCAPI,
        f"do:\n- a: {{call: asyncapi, with: {{document: {RESOURCE}, channel: c, message: {{}}}}}}",
        "/do/0/a/call",
    ),
    (Construct.CALL_A2A, "do:\n- a: {call: a2a, with: {method: tasks/get}}", "/do/0/a/call"),
    (
        Construct.CALL_MCP,
        (
            "do:\n- a: {call: mcp, with: {method: tools/list,"
            " transport: {http: {endpoint: 'http://a.example'}}}}"
        ),
        "/do/0/a/call",
    ),
    (
        Construct.CALL_FUNCTION_URL,
        "do:\n- a: {call: 'https://a.example/function.yaml'}",
        "/do/0/a/call",
    ),
    (Construct.RUN_CONTAINER, "do:\n- a: {run: {container: {image: x}}}", "/do/0/a/run/container"),
    (
        Construct.RUN_SCRIPT,
        "do:\n- a: {run: {script: {language: js, code: x}}}",
        "/do/0/a/run/script",
    ),
    (Construct.RUN_SHELL, "do:\n- a: {run: {shell: {command: x}}}", "/do/0/a/run/shell"),
    (
        Construct.EXTENSIONS,
        "use: {extensions: [{x: {extend: all, before: [{a: {set: '${ $anything }'}}]}}]}\ndo: []",
        "/use/extensions",
    ),
    (Construct.CATALOGS, "use: {catalogs: {c: {endpoint: 'http://a.example'}}}\ndo: []", None),
    (
        Construct.SCHEMA_RESOURCE,
        f"do: []\ninput: {{schema: {{resource: {RESOURCE}}}}}",
        "/input/schema/resource",
    ),
    (
        Construct.SCHEMA_FORMAT,
        "do: []\noutput: {schema: {format: 'avro:1.9', document: anything}}",
        "/output/schema/format",
    ),
    (Construct.LOOSE_MODE, "do: []\nevaluate: {mode: loose}", "/evaluate/mode"),
    (Construct.OTHER_LANGUAGE, "do: []\nevaluate: {language: js}", "/evaluate/language"),
]


@pytest.mark.parametrize(("construct", "body", "pointer"), UNSUPPORTED)
def test_a_construct_that_is_not_executed_is_refused_by_name(
    diagnose: Find, construct: Construct, body: str, pointer: str | None
) -> None:
    (found,) = diagnose(body, everything=False)
    assert found.code is Code.UNSUPPORTED
    assert f"`{construct}`" in found.message
    assert pointer is None or found.pointer == pointer
    assert found.line is not None
    assert found.line >= 2
    assert found.advice


@pytest.mark.parametrize(("construct", "body", "pointer"), UNSUPPORTED)
def test_it_is_accepted_where_it_is_executed(
    diagnose: Find, construct: Construct, body: str, pointer: str | None
) -> None:
    assert diagnose(body) == []


def test_every_construct_is_executed_or_refused_somewhere_here() -> None:
    refused = {construct for construct, _, _ in UNSUPPORTED}
    elsewhere = {Construct.AUTHORIZATION, Construct.CALL_FUNCTION_CATALOG}
    assert refused | elsewhere | EXECUTABLE == set(Construct)


def test_a_function_of_another_catalog_is_refused_twice(diagnose: Find) -> None:
    found = diagnose(
        "use: {catalogs: {c: {endpoint: 'http://a.example'}}}\ndo:\n- a: {call: 'f:1.0.0@c'}",
        everything=False,
    )
    assert [d.pointer for d in found] == ["/use/catalogs", "/do/0/a/call"]


def test_return_has_no_meaning_for_a_workflow(diagnose: Find) -> None:
    (found,) = diagnose(
        "do:\n- a: {run: {workflow: {namespace: a, name: b, version: latest}, return: none}}",
        everything=False,
    )
    assert (found.code, found.pointer) == (Code.UNSUPPORTED, "/do/0/a/run/return")


def test_what_is_executed_is_accepted(diagnose: Find) -> None:
    body = """\
input: {schema: {format: json, document: {type: object}}, from: .}
use:
  authentications: {site: {bearer: {token: '${ .token }'}}}
  errors: {gone: {type: 'https://a.example/gone', status: 410}}
  functions: {shout: {set: {text: '${ .text | ascii_upcase }'}}}
  retries: {often: {delay: PT1S, backoff: {linear: {}}, limit: {attempt: {count: 3}}}}
  timeouts: {short: {after: {seconds: 5}}}
do:
- first: {do: [{inner: {set: {x: 1}, then: exit}}], timeout: short}
- choose: {switch: [{big: {when: .x > 1, then: loop}}, {other: {then: continue}}]}
- loop: {for: {in: '[.x]'}, while: '$index < 3', do: [{one: {wait: {milliseconds: 1}}}]}
- race:
    fork:
      compete: true
      branches:
      - a: {call: http, with: {method: get, endpoint: {uri: 'https://a.example/{id}',
            authentication: {use: site}}}}
      - b: {call: http, with: {method: get, endpoint: {uri: 'https://a.example/',
            authentication: {basic: {username: u, password: p}}}}}
- attempt:
    try: [{r: {raise: {error: gone}}}]
    catch: {errors: {with: {status: 410}}, as: e, retry: often, do: [{c: {set: '${ $e }'}}]}
- shouting: {call: shout, with: {text: hello}, if: .x}
- answer: {call: 'llm:1.0.0@default', with: {prompt: 'Hello ${ .x }'}, export: {as: .text}}
- child: {run: {workflow: {namespace: a, name: b, version: latest, input: {}}, await: false}}
timeout: {after: PT1H}
output: {as: {x: '${ . }'}, schema: {document: true}}
evaluate: {language: jq, mode: strict}
"""
    assert [str(d) for d in diagnose(body, everything=False)] == []


def test_an_examination_accepts_or_tells_why_not() -> None:
    header = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\n"
    fine = examine(load_document(header + "do: []\nuse: {retries: {r: {}}}"))
    assert fine.accepted
    assert len(fine.diagnostics) == 1
    unsupported = examine(load_document(header + "do: []\nschedule: {every: PT1H}"))
    assert not unsupported.accepted
    assert unsupported.definition is not None
    broken = examine(load_document(header))
    assert not broken.accepted
    assert broken.definition is None


def test_a_document_that_was_accepted_is_parsed_again() -> None:
    header = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\n"
    assert parse_definition(load_document(header + "do: []")).document.name == "b"
    with pytest.raises(ValueError, match="`do` is missing"):
        parse_definition(load_document(header))
