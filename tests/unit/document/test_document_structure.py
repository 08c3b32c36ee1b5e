"""What does not fit the language is told at its place, with advice, all in one go."""

from collections.abc import Callable

import pytest

from workflow.document import Code, Diagnostic, Severity

Find = Callable[..., list[Diagnostic]]
Only = Callable[..., Diagnostic]

SECURED = (
    "do:\n- a: {call: http, with: {method: get, endpoint: {uri: 'http://a.example',"
    " authentication: %s}}}"
)


@pytest.mark.parametrize(
    ("body", "pointer", "place", "message", "advice"),
    [
        (
            "do:\n- a: {sett: {x: 1}}",
            "/do/0/a",
            (3, 3),
            "a task has exactly one of call, do, emit",
            "Did you mean `set`?",
        ),
        (
            "do:\n- a: {set: {x: 1}, wait: PT1S}",
            "/do/0/a",
            (3, 3),
            "this one has both set and wait",
            "Put each into a task of its own.",
        ),
        ("do:\n- a: later", "/do/0/a", (3, 6), "a task is an object", None),
        ("do:\n- later", "/do/0", (3, 3), "an object is expected here, not a text", None),
        (
            "do:\n- a: {set: {x: 1}}\n  b: {set: {x: 1}}",
            "/do/0",
            (3, 3),
            "exactly one key, its name; this one has a, b",
            "put a `-` before each name",
        ),
        (
            "do:\n- a: {call: http, with: {method: get, endpoint: 'http://a.example', hedaers: {}}}",
            "/do/0/a/with/hedaers",
            (3, 69),
            "`hedaers` is not a property that belongs here",
            "Did you mean `headers`?",
        ),
        (
            "do:\n- a:\n    wait: PT1S\n    notes: x",
            "/do/0/a/notes",
            (5, 5),
            "`notes` is not a property that belongs here",
            "Known here: export, if, input, metadata, output, then, timeout, wait.",
        ),
        ("do:\n- a: {set: 5}", "/do/0/a/set", (3, 12), "text or an object is expected", None),
        (
            "do:\n- a: {set: }",
            "/do/0/a/set",
            (3, 11),
            "text or an object is expected",
            None,
        ),
        (
            "do:\n- a: {wait: PT1S, if: }",
            "/do/0/a/if",
            (3, 22),
            "this property must not be null",
            "Leave the property out",
        ),
        (
            "do:\n- a: {wait: {second: 5}}",
            "/do/0/a/wait/second",
            (3, 14),
            "`second` is not a property",
            "Did you mean `seconds`?",
        ),
        (
            "do:\n- a: {wait: {seconds: '5'}}",
            "/do/0/a/wait/seconds",
            (3, 23),
            "a whole number is expected here",
            "without quotes",
        ),
        (
            "do:\n- a: {wait: {seconds: -5}}",
            "/do/0/a/wait",
            (3, 7),
            "must not be negative",
            None,
        ),
        ("do:\n- a: {wait: 5s}", "/do/0/a/wait", (3, 13), "'5s' is not an ISO 8601", "PT5M"),
        (
            "do:\n- a: {fork: {branches: [], compete: 'yes'}}",
            "/do/0/a/fork/compete",
            (3, 37),
            "true or false is expected here, not a text",
            None,
        ),
        (
            "do:\n- a: {for: {in: [1, 2]}, do: []}",
            "/do/0/a/for/in",
            (3, 13),
            "an inline list holds objects only",
            "in: '${ [1, 2, 3] }'",
        ),
        ("do:\n- a: {for: {in: .x}}", "/do/0/a/do", (3, 3), "`do` is missing", "as a list"),
        (
            "do:\n- a: {run: {workflow: {namespace: a, name: b, version: 1.0}}}",
            "/do/0/a/run/workflow/version",
            (3, 56),
            "a text is expected here, not a number",
            "Put it in quotes: '1.0'.",
        ),
        (
            "do:\n- a: {run: {}}",
            "/do/0/a/run",
            (3, 7),
            "exactly one of container, script, shell, workflow is expected here",
            None,
        ),
        (
            "do:\n- a: {run: {shell: {command: x}, return: stdot}}",
            "/do/0/a/run/return",
            (3, 42),
            "`stdot` is not one of the values allowed here",
            "Did you mean `stdout`?",
        ),
        (
            "do:\n- a: {try: [], catch: {errors: {with: {}}}}",
            "/do/0/a/catch/errors/with",
            (3, 33),
            "name at least one of type, status",
            None,
        ),
        ("do:\n- a: {try: []}", "/do/0/a/catch", (3, 3), "`catch` is missing", "catch: {}"),
        (
            "do:\n- a: {switch: [{x: {when: .y}}]}",
            "/do/0/a/switch/0/x/then",
            (3, 17),
            "`then` is missing",
            None,
        ),
        ("do:\n- a: {switch: []}", "/do/0/a/switch", (3, 7), "at least one entry", None),
        (
            "do:\n- a: {call: http, with: {method: get, endpoint: 'http://a b'}}",
            "/do/0/a/with/endpoint",
            (3, 49),
            "not a URI or URI template",
            "https://example.com/pets/{id}",
        ),
        (
            SECURED % "{basic: {username: x}}",
            "/do/0/a/with/endpoint/authentication/basic/password",
            (3, 92),
            "`password` is missing",
            None,
        ),
        (
            SECURED % "{basic: {username: x, password: y}, bearer: {token: z}}",
            "/do/0/a/with/endpoint/authentication",
            (3, 75),
            "found basic and bearer",
            None,
        ),
        (
            "do:\n- a: {call: http, with: {method: get, endpoint: 'http://a.example', headers: x}}",
            "/do/0/a/with/headers",
            (3, 78),
            "an expression is expected here",
            "Put it in ${ }.",
        ),
        (
            "do:\n- a: {listen: {to: {one: {with: {}}}}}",
            "/do/0/a/listen/to/one/with",
            (3, 27),
            "at least one property of the event",
            None,
        ),
        (
            "do:\n- a: {listen: {to: {all: [], until: .x}}}",
            "/do/0/a/listen/to",
            (3, 16),
            "`until` belongs to `any` only",
            None,
        ),
        (
            "do:\n- a: {emit: {event: {with: {source: 'http://a.example'}}}}",
            "/do/0/a/emit/event/with/type",
            (3, 22),
            "`type` is missing",
            None,
        ),
        (
            "do: []\nschedule: {read: data}",
            "/schedule",
            (3, 1),
            "`read` needs `on`",
            None,
        ),
        (
            "do: []\nouput: {as: .x}",
            "/ouput",
            (3, 1),
            "`ouput` is not a property that belongs here",
            "Did you mean `output`?",
        ),
        ("do: {a: {wait: PT1S}}", "/do", (2, 1), "a list is expected here, not an object", None),
    ],
)
def test_a_problem_is_told_at_its_place(
    only: Only, *, body: str, pointer: str, place: tuple[int, int], message: str, advice: str | None
) -> None:
    found = only(body)
    assert found.code in {Code.STRUCTURE, Code.DURATION, Code.URI}
    assert found.severity is Severity.ERROR
    assert message in found.message
    assert found.pointer == pointer
    assert (found.line, found.column) == place
    if advice is None:
        assert found.advice is None or "Write" in found.advice
    else:
        assert advice in (found.advice or "")


def test_an_empty_document_says_how_to_begin(diagnose: Find) -> None:
    found = diagnose("{}", header="")
    assert {diagnostic.pointer for diagnostic in found} == {"/document", "/do"}
    assert "Begin with" in (found[0].advice or "")


@pytest.mark.parametrize("text", ["[]", "5", "text", "null"])
def test_a_document_that_is_no_object_is_refused(only: Only, text: str) -> None:
    found = only(text, header="")
    assert (found.code, found.pointer) == (Code.STRUCTURE, "")
    assert "an object is expected here" in found.message


def test_a_number_for_a_version_gets_advice_to_quote_it(only: Only) -> None:
    header = "document: {dsl: '1.0.3', namespace: a, name: b, version: 1.0}\n"
    found = only("do: []", header=header)
    assert (found.pointer, found.line, found.column) == ("/document/version", 1, 58)
    assert found.advice == "Put it in quotes: '1.0'."


def test_all_problems_come_in_one_go_in_the_order_of_the_text(diagnose: Find) -> None:
    found = diagnose(
        "do:\n"
        "- a: {wait: 5s}\n"
        "- b: {set: {x: 1}, then: nowhere}\n"
        "- c: {call: http, with: {method: get}}\n"
        "- a: {set: {x: '${ .x + }'}}\n"
        "- d: {set: {x: 1}, them: exit}\n",
        header="document: {dsl: '2.0.0', namespace: a_b, name: c, version: '1.0.0'}\n",
    )
    assert [(diagnostic.line, diagnostic.code) for diagnostic in found] == [
        (1, Code.DSL_VERSION),
        (1, Code.IDENTITY),
        (3, Code.DURATION),
        (4, Code.FLOW),
        (5, Code.STRUCTURE),
        (6, Code.DUPLICATE_TASK),
        (6, Code.EXPRESSION),
        (7, Code.STRUCTURE),
    ]


def test_a_broken_declaration_does_not_make_its_name_unknown(only: Only) -> None:
    found = only(
        "use: {retries: {often: {delay: soon}}}\ndo:\n- a: {try: [], catch: {retry: often}}"
    )
    assert (found.code, found.pointer) == (Code.DURATION, "/use/retries/often/delay")


def test_a_property_named_like_an_internal_tag_is_harmless(diagnose: Find) -> None:
    found = diagnose('do:\n- a: {"SetTask": {}, "/~": 1}')
    assert [diagnostic.pointer for diagnostic in found] == ["/do/0/a"]


def test_pointers_escape_slashes_and_tildes(only: Only) -> None:
    assert only('do:\n- "a/b~c": {wait: 5s}').pointer == "/do/0/a~1b~0c/wait"


def test_a_document_with_many_problems_gets_a_bounded_answer(diagnose: Find) -> None:
    assert len(diagnose("do:\n" + "- a: {wait: 5s}\n" * 1000)) == 200


def test_diagnostics_are_shown_as_json_without_what_is_not_known(only: Only) -> None:
    shown = only("do:\n- a: {fork: {branches: 5}}").to_json()
    assert shown == {
        "code": "structure",
        "severity": "error",
        "pointer": "/do/0/a/fork/branches",
        "line": 3,
        "column": 24,
        "message": "a list is expected here, not a number",
    }
