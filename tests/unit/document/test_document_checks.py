"""What must hold beyond the structure: identity, flow, references, schemas, arguments, policies."""

from collections.abc import Callable

import pytest

from workflow.document import Code, Diagnostic, FunctionSpec, Severity, has_errors
from workflow.document.checks.schedules import InvalidCron, parse_cron

Find = Callable[..., list[Diagnostic]]
Only = Callable[..., Diagnostic]

SET = "set: {x: 1}"
SECURED = (
    "do:\n- a: {call: http, with: {method: get, endpoint: {uri: 'http://a.example',"
    " authentication: %s}}}"
)


def check(found: Diagnostic, code: Code, pointer: str, place: tuple[int, int]) -> None:
    assert (found.code, found.pointer) == (code, pointer), str(found)
    assert (found.line, found.column) == place, str(found)


# Identity


@pytest.mark.parametrize("dsl", ["1.0.0", "1.0.3", "1.0.99", "1.0.0-alpha5"])
def test_every_1_0_version_of_the_language_is_accepted(diagnose: Find, dsl: str) -> None:
    header = f"document: {{dsl: '{dsl}', namespace: a, name: b, version: '1.0.0'}}\n"
    assert diagnose("do: []", header=header) == []


@pytest.mark.parametrize("dsl", ["0.8", "0.9.0", "1.1.0", "2.0.0", "1.0", "v1.0.0", ""])
def test_other_versions_of_the_language_are_refused(only: Only, dsl: str) -> None:
    header = f"document: {{dsl: '{dsl}', namespace: a, name: b, version: '1.0.0'}}\n"
    found = only("do: []", header=header)
    check(found, Code.DSL_VERSION, "/document/dsl", (1, 17))
    assert "dsl: '1.0.3'" in (found.advice or "")
    assert ("states" in (found.advice or "")) == dsl.startswith("0.")


def test_a_document_of_version_0_8_is_told_how_to_become_one_of_1_0(only: Only) -> None:
    found = only(
        "id: hello\nspecVersion: '0.8'\nstart: greet\nstates:\n- {name: greet, type: inject}\n",
        header="",
    )
    check(found, Code.DSL_VERSION, "", (1, 1))
    assert "inject → set" in (found.advice or "")


@pytest.mark.parametrize("name", ["a_b", "a.b", "-a", "a-", "", "a" * 64, "${ .x }"])
def test_a_name_is_a_label(diagnose: Find, name: str) -> None:
    header = f"document: {{dsl: '1.0.3', namespace: '{name}', name: '{name}', version: '1.0.0'}}\n"
    found = diagnose("do: []", header=header)
    assert [(d.code, d.pointer) for d in found] == [
        (Code.IDENTITY, "/document/namespace"),
        (Code.IDENTITY, "/document/name"),
    ]


@pytest.mark.parametrize("version", ["1", "1.0", "01.0.0", "latest", "1.0.0-", "1.0.0 "])
def test_a_version_is_semantic(only: Only, version: str) -> None:
    header = f"document: {{dsl: '1.0.3', namespace: a, name: b, version: '{version}'}}\n"
    check(only("do: []", header=header), Code.IDENTITY, "/document/version", (1, 58))


def test_a_subflow_is_named_as_workflows_are(diagnose: Find) -> None:
    found = diagnose("do:\n- a: {run: {workflow: {namespace: a_b, name: c.d, version: next}}}")
    assert [(d.code, d.pointer) for d in found] == [
        (Code.IDENTITY, "/do/0/a/run/workflow/namespace"),
        (Code.IDENTITY, "/do/0/a/run/workflow/name"),
        (Code.IDENTITY, "/do/0/a/run/workflow/version"),
    ]
    fine = "do:\n- a: {run: {workflow: {namespace: '${ .a }', name: b, version: latest}}}"
    assert diagnose(fine) == []


# Flow


def test_a_name_is_taken_once_in_a_list(only: Only) -> None:
    found = only(f"do:\n- a: {{{SET}}}\n- b: {{{SET}}}\n- a: {{{SET}}}")
    check(found, Code.DUPLICATE_TASK, "/do/2/a", (5, 3))
    assert "on line 3" in found.message


def test_other_lists_may_use_the_same_name(diagnose: Find) -> None:
    assert diagnose(f"do:\n- a: {{do: [{{a: {{{SET}}}}}]}}\n- b: {{do: [{{a: {{{SET}}}}}]}}") == []


@pytest.mark.parametrize("name", ["continue", "exit", "end"])
def test_directives_are_no_names(only: Only, name: str) -> None:
    check(only(f"do:\n- {name}: {{{SET}}}"), Code.FLOW, f"/do/0/{name}", (3, 3))


def test_then_leads_to_a_task_of_the_same_list(diagnose: Find) -> None:
    assert diagnose(f"do:\n- a: {{{SET}, then: c}}\n- b: {{{SET}}}\n- c: {{{SET}, then: b}}") == []


@pytest.mark.parametrize("target", ["inner", "outer2", "nowhere", "Continue"])
def test_then_does_not_lead_out_of_its_list(only: Only, target: str) -> None:
    found = only(
        f"do:\n- outer: {{do: [{{inner: {{{SET}}}}}], then: {target}}}"
        if target != "outer2"
        else f"do:\n- outer: {{do: [{{inner: {{{SET}, then: outer2}}}}]}}\n- outer2: {{{SET}}}"
    )
    assert found.code is Code.FLOW
    assert found.pointer.endswith("/then")
    assert f"there is no task `{target}` in this list" in found.message


def test_cases_and_catches_lead_somewhere_too(diagnose: Find) -> None:
    found = diagnose(
        "do:\n"
        "- a: {switch: [{x: {when: .x, then: nowhere}}, {y: {then: b}}]}\n"
        "- b: {try: [], catch: {then: elsewhere}}\n"
    )
    assert [(d.pointer, d.line, d.column) for d in found] == [
        ("/do/0/a/switch/0/x/then", 3, 37),
        ("/do/1/b/catch/then", 4, 30),
    ]


def test_a_near_miss_is_named(only: Only) -> None:
    found = only(f"do:\n- first: {{{SET}, then: secnd}}\n- second: {{{SET}}}")
    assert found.advice == "Did you mean `second`?"


def test_branches_do_not_lead_to_each_other(only: Only) -> None:
    found = only(f"do:\n- f: {{fork: {{branches: [{{a: {{{SET}, then: b}}}}, {{b: {{{SET}}}}}]}}}}")
    check(found, Code.FLOW, "/do/0/f/fork/branches/0/a/then", (3, 49))
    assert "side by side" in found.message


def test_a_function_leads_nowhere(only: Only) -> None:
    found = only(f"use: {{functions: {{f: {{{SET}, then: a}}}}}}\ndo:\n- a: {{call: f}}")
    check(found, Code.FLOW, "/use/functions/f/then", (2, 42))


def test_the_default_case_may_stand_anywhere(diagnose: Find) -> None:
    assert diagnose("do:\n- a: {switch: [{x: {then: end}}, {y: {when: .y, then: exit}}]}") == []


def test_a_switch_has_one_default_at_most(only: Only) -> None:
    found = only(
        "do:\n- a: {switch: [{x: {then: end}}, {y: {when: .y, then: exit}}, {z: {then: end}}]}"
    )
    check(found, Code.STRUCTURE, "/do/0/a/switch/2", (3, 63))
    assert "`x` has none either" in found.message


# References


@pytest.mark.parametrize(
    ("body", "pointer", "section"),
    [
        (f"do:\n- a: {{{SET}, timeout: soon}}", "/do/0/a/timeout", "timeouts"),
        ("do: []\ntimeout: soon", "/timeout", "timeouts"),
        ("do:\n- a: {try: [], catch: {retry: soon}}", "/do/0/a/catch/retry", "retries"),
        ("do:\n- a: {raise: {error: soon}}", "/do/0/a/raise/error", "errors"),
        (
            SECURED % "{use: soon}",
            "/do/0/a/with/endpoint/authentication/use",
            "authentications",
        ),
    ],
)
def test_unknown_names_are_refused(only: Only, body: str, pointer: str, section: str) -> None:
    found = only(body)
    assert (found.code, found.pointer) == (Code.REFERENCE, pointer)
    assert f"`soon` in `use.{section}`" in found.message
    assert f"Declare it there, in `use.{section}`." == found.advice


def test_an_unknown_secret_is_refused(only: Only) -> None:
    found = only("use: {secrets: [password]}\n" + SECURED % "{basic: {use: pasword}}")
    check(found, Code.REFERENCE, "/do/0/a/with/endpoint/authentication/basic/use", (4, 105))
    assert found.advice == "Did you mean `password`?"


@pytest.mark.parametrize(
    ("call", "message", "advice"),
    [
        ("lookup", "there is no function `lookup`", "Did you mean `lookUp`?"),
        ("htttp", "there is no function `htttp`", "Did you mean `http`?"),
        ("llm", "there is no function `llm`", "Write `llm:1.0.0@default`."),
        ("llm:1.0.0", "there is no function `llm:1.0.0`", "Write `llm:1.0.0@default`."),
        ("llm@default", "there is no function `llm@default`", "Write `llm:1.0.0@default`."),
        ("llm:9.9.9@default", "has no function `llm:9.9.9`", "It has `llm:1.0.0`."),
        ("searhc:1.0.0@default", "has no function `searhc:1.0.0`", "Did you mean `search`?"),
        ("review:1.0.0@default", "has no function `review:1.0.0`", "Start the workers"),
        ("llm:1.0.0@defalt", "there is no catalog `defalt`", "Did you mean `default`?"),
        ("something else", "there is no function", "Declare it in `use.functions`"),
    ],
)
def test_an_unknown_function_is_refused(
    diagnose: Find, call: str, message: str, advice: str
) -> None:
    body = f"use: {{functions: {{lookUp: {{{SET}}}}}}}\ndo:\n- a: {{call: '{call}'}}"
    (found,) = (d for d in diagnose(body) if d.severity is Severity.ERROR)
    check(found, Code.REFERENCE, "/do/0/a/call", (4, 13))
    assert message in found.message
    assert advice in (found.advice or "")


def test_a_function_is_not_named_like_a_kind_of_call(diagnose: Find) -> None:
    found = diagnose(f"use: {{functions: {{http: {{{SET}}}}}}}\ndo: []")
    assert found[0].pointer == "/use/functions/http"
    assert "a function cannot be named `http`" in found[0].message


def test_an_own_function_is_known_to_the_catalog(diagnose: Find) -> None:
    own = FunctionSpec(name="shout", version="2.0.0", queue="own")
    body = "do:\n- a: {call: 'shout:2.0.0@default', with: {text: x}}"
    assert diagnose(body, own=(own,)) == []


@pytest.mark.parametrize(
    ("functions", "circle"),
    [
        ("f: {call: f}", "`f` calls itself, without"),
        ("f: {do: [{x: {set: {a: 1}}}, {y: {call: f}}]}", "`f` calls itself, without"),
        ("f: {do: [{x: {do: [{y: {call: g}}]}}]}, g: {call: f}", "by way of `g` → `f`, without"),
    ],
)
def test_functions_that_call_themselves_without_an_end_are_refused(
    only: Only, functions: str, circle: str
) -> None:
    found = only(f"use: {{functions: {{{functions}}}}}\ndo:\n- a: {{call: f}}")
    check(found, Code.RECURSION, "/use/functions/f", (2, 19))
    assert circle in found.message
    assert "`if`" in (found.advice or "")


@pytest.mark.parametrize(
    "function",
    [
        "f: {if: .n > 0, call: f}",
        "f: {do: [{x: {switch: [{d: {when: .n, then: exit}}]}}, {y: {call: f}}]}",
        "f: {do: [{x: {set: {a: 1}, then: exit}}, {y: {call: f}}]}",
        "f: {try: [{y: {call: f}}], catch: {}}",
        "f: {for: {in: .n}, do: [{y: {call: f}}]}",
    ],
)
def test_recursion_that_may_end_is_a_warning(only: Only, function: str) -> None:
    found = only(f"use: {{functions: {{{function}}}}}\ndo:\n- a: {{call: f}}")
    check(found, Code.RECURSION, "/use/functions/f", (2, 19))
    assert found.severity is Severity.WARNING


def test_functions_that_call_one_another_in_a_row_are_no_recursion(diagnose: Find) -> None:
    rows = ", ".join(f"f{n}: {{do: [{{x: {{call: f{n + 1}}}}}]}}" for n in range(3000))
    body = f"use: {{functions: {{{rows}, f3000: {{{SET}}}}}}}\ndo:\n- a: {{call: f0}}"
    assert diagnose(body) == []


def test_what_is_declared_and_never_used_is_a_warning(diagnose: Find) -> None:
    found = diagnose(
        "use:\n"
        f"  functions: {{f: {{{SET}}}}}\n"
        "  retries: {r: {}}\n"
        "  errors: {e: {type: 'https://a.example', status: 1}}\n"
        "  timeouts: {t: {after: PT1S}}\n"
        "  authentications: {a: {bearer: {token: x}}}\n"
        "do: []\n"
    )
    assert not has_errors(found)
    assert [(d.code, d.pointer) for d in found] == [
        (Code.UNUSED, "/use/functions/f"),
        (Code.UNUSED, "/use/retries/r"),
        (Code.UNUSED, "/use/errors/e"),
        (Code.UNUSED, "/use/timeouts/t"),
        (Code.UNUSED, "/use/authentications/a"),
    ]


# Schemas


@pytest.mark.parametrize(
    ("schema", "inside", "words"),
    [
        ("{type: strin}", "/type", "strin"),
        ("{properties: {a: {minimum: x}}}", "/properties/a/minimum", "number"),
        ("{pattern: '('}", "/pattern", "regex"),
        ("{pattern: '(?=a)b'}", "/pattern", "regex"),
        ("{$ref: 'https://a.example/s.json'}", "", "outside the document"),
        ("{$ref: '#/$defs/a'}", "", "does not exist"),
        ("text", "", "an object, or true or false"),
        ("null", "", "an object, or true or false"),
    ],
)
def test_a_schema_that_does_not_compile_is_refused(
    only: Only, schema: str, inside: str, words: str
) -> None:
    found = only(f"input: {{schema: {{document: {schema}}}}}\ndo: []")
    assert (found.code, found.pointer) == (Code.SCHEMA, f"/input/schema/document{inside}")
    assert words in found.message
    assert found.line == 2


@pytest.mark.parametrize(
    "schema", ["true", "{}", "{$ref: '#/$defs/a', $defs: {a: {type: 'null'}}}"]
)
def test_schemas_that_compile_are_accepted(diagnose: Find, schema: str) -> None:
    assert diagnose(f"do:\n- a: {{{SET}, export: {{schema: {{document: {schema}}}}}}}") == []


# HTTP calls


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://a.example/{id}",
        "HTTP://a.example",
        "{base}/x",
        "${ .url }",
        "https://a.example/${ .id }/x",
        "{uri: 'https://a.example/{a.b}'}",
    ],
)
def test_addresses_that_can_be_called(diagnose: Find, endpoint: str) -> None:
    quoted = endpoint if endpoint.startswith("{uri") else f"'{endpoint}'"
    assert diagnose(f"do:\n- a: {{call: http, with: {{method: get, endpoint: {quoted}}}}}") == []


@pytest.mark.parametrize("endpoint", ["ftp://a.example", "/pets", "pets", "file:///etc/passwd"])
def test_addresses_that_cannot_be_called(only: Only, endpoint: str) -> None:
    found = only(f"do:\n- a: {{call: http, with: {{method: get, endpoint: '{endpoint}'}}}}")
    check(found, Code.URI, "/do/0/a/with/endpoint", (3, 49))
    nested = only(
        f"do:\n- a: {{call: http, with: {{method: get, endpoint: {{uri: '{endpoint}'}}}}}}"
    )
    check(nested, Code.URI, "/do/0/a/with/endpoint/uri", (3, 55))


@pytest.mark.parametrize("template", ["{+path}", "{?q}", "{a,b}", "{", "x}", "{}", "{a:3}", "{a*}"])
def test_uri_templates_are_of_level_1(only: Only, template: str) -> None:
    found = only(
        f"do:\n- a: {{call: http, with: {{method: get, endpoint: 'https://a.example/{template}'}}}}"
    )
    check(found, Code.EXPRESSION, "/do/0/a/with/endpoint", (3, 49))


def test_an_unknown_method_is_refused(only: Only) -> None:
    found = only("do:\n- a: {call: http, with: {method: gett, endpoint: 'http://a.example'}}")
    check(found, Code.ARGUMENTS, "/do/0/a/with/method", (3, 34))
    assert found.advice == "Did you mean `GET`?"


# Arguments


@pytest.mark.parametrize(
    ("arguments", "pointer", "words"),
    [
        ("{collection: c}", "/do/0/a/with", '"query" is a required property'),
        ("{collection: c, query: q, topk: 3}", "/do/0/a/with/topk", "takes no argument `topk`"),
        ("{collection: c, query: q, topK: many}", "/do/0/a/with/topK", "integer"),
        ("{collection: c, query: q, topK: 0}", "/do/0/a/with/topK", "less than the minimum"),
        ("{collection: '', query: '${ .q }'}", "/do/0/a/with/collection", "shorter"),
        ("{collection: c, query: q, mode: fuzzy}", "/do/0/a/with/mode", "not one of"),
        ("{collection: '${ .c }', topK: '${ .k }'}", "/do/0/a/with", "required"),
    ],
)
def test_constant_arguments_fit_the_function(
    only: Only, arguments: str, pointer: str, words: str
) -> None:
    found = only(f"do:\n- a: {{call: 'search:1.0.0@default', with: {arguments}}}")
    assert (found.code, found.pointer, found.line) == (Code.ARGUMENTS, pointer, 3)
    assert words in found.message


def test_a_near_argument_is_named(only: Only) -> None:
    found = only(
        "do:\n- a: {call: 'search:1.0.0@default', with: {collection: c, query: q, topk: 3}}"
    )
    assert found.advice == "Did you mean `topK`?"
    assert found.column == 69


def test_arguments_that_are_expressions_are_left_to_the_execution(diagnose: Find) -> None:
    assert (
        diagnose(
            "do:\n"
            "- a:\n"
            "    call: search:1.0.0@default\n"
            "    with: {collection: '${ .c }', query: 'on ${ .q }', topK: '${ .k }',"
            " filter: '${ .f }', mode: '${ .m }'}\n"
            "- b: {call: 'llm:1.0.0@default', with: {messages: '${ .m }'}}\n"
            "- c: {call: 'llm:1.0.0@default', with: {messages: [{role: user, content: '${ . }'}]}}\n"
        )
        == []
    )


@pytest.mark.parametrize("arguments", ["{}", "{prompt: a, messages: [{role: user, content: b}]}"])
def test_alternatives_are_worded_as_such(only: Only, arguments: str) -> None:
    found = only(f"do:\n- a: {{call: 'llm:1.0.0@default', with: {arguments}}}")
    assert (found.code, found.pointer) == (Code.ARGUMENTS, "/do/0/a/with")


def test_a_missing_alternative_names_the_choices(only: Only) -> None:
    found = only("do:\n- a: {call: 'llm:1.0.0@default', with: {system: '${ .s }'}}")
    assert "give exactly one of `prompt` or `messages`" in found.message


def test_a_missing_with_is_no_arguments(only: Only) -> None:
    found = only("do:\n- a: {call: 'embed:1.0.0@default'}")
    check(found, Code.ARGUMENTS, "/do/0/a", (3, 3))


def test_arguments_fit_the_schema_of_an_inline_function(only: Only) -> None:
    found = only(
        "use: {functions: {f: {input: {schema: {document:"
        " {type: object, required: [id], properties: {id: {type: integer}}}}}, set: {x: 1}}}}\n"
        "do:\n- a: {call: f, with: {id: one}}"
    )
    check(found, Code.ARGUMENTS, "/do/0/a/with/id", (4, 27))


@pytest.mark.parametrize("url", ["'https://a.example/policy.md'", "'${ .url }'"])
def test_documents_by_address_are_refused_before_they_fail(diagnose: Find, url: str) -> None:
    body = (
        "do:\n- a: {call: 'ingest:1.0.0@default', with: {collection: c, documents: [{text: x,"
        f" url: {url}}}]}}}}"
    )
    (found,) = diagnose(body)
    assert (found.code, found.pointer) == (Code.ARGUMENTS, "/do/0/a/with/documents/0/url")
    assert "call: http" in (found.advice or "")


# Policies and schedules


def test_jitter_begins_before_it_ends(only: Only) -> None:
    found = only("do:\n- a: {try: [], catch: {retry: {jitter: {from: PT2S, to: {seconds: 1}}}}}")
    check(found, Code.DURATION, "/do/0/a/catch/retry/jitter", (3, 32))


def test_a_number_of_retries_is_not_negative(only: Only) -> None:
    found = only("do:\n- a: {try: [], catch: {retry: {limit: {attempt: {count: -1}}}}}")
    check(found, Code.STRUCTURE, "/do/0/a/catch/retry/limit/attempt/count", (3, 57))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0 * *", "five fields; this one has 4"),
        ("@daily", "five fields"),
        ("60 * * * *", "'60' is not a minute: 0 to 59"),
        ("* 24 * * *", "not a hour"),
        ("* * 0 * *", "not a day of the month"),
        ("* * * 13 *", "not a month"),
        ("* * * * 8", "not a day of the week"),
        ("* * * foo *", "not a month"),
        ("5-1 * * * *", "not a range"),
        ("*/0 * * * *", "not a range"),
        ("*/99 * * * *", "not a range"),
        ("1,,2 * * * *", "not a value"),
        ("a-b-c * * * *", "not a value"),
        ("0 0 31 feb *", "never fire"),
        ("0 0 30,31 2 *", "never fire"),
        ("٣ * * * *", "not a value"),
    ],
)
def test_a_bad_cron_says_why(only: Only, text: str, words: str) -> None:
    found = only(f"do: []\nschedule: {{cron: '{text}'}}")
    check(found, Code.CRON, "/schedule/cron", (3, 18))
    assert words in found.message
    assert "'30 6 * * mon-fri'" in (found.advice or "")


def test_cron_fields_are_sets_of_values() -> None:
    minutes, hours, days, months, weekdays = parse_cron("*/20 9-17/4 1,15 JAN-mar,12 mon-fri")
    assert minutes == {0, 20, 40}
    assert hours == {9, 13, 17}
    assert days == {1, 15}
    assert months == {1, 2, 3, 12}
    assert weekdays == {1, 2, 3, 4, 5}
    assert parse_cron("5/30 * * * 7")[0] == {5, 35}
    assert parse_cron("* * * * 7")[4] == {0}
    with pytest.raises(InvalidCron):
        parse_cron("")
