"""Expressions are checked at registration: syntax, functions, and the variables of the place."""

from collections.abc import Callable

import pytest

from workflow.document import Code, Construct, Diagnostic, load_document, validate

Find = Callable[..., list[Diagnostic]]
Only = Callable[..., Diagnostic]


@pytest.mark.parametrize(
    ("body", "pointer", "column"),
    [
        ("do:\n- a: {set: {x: 1}, if: '.a ='}", "/do/0/a/if", 24),
        ("do:\n- a: {set: {x: 1}, if: '${ .a = }'}", "/do/0/a/if", 24),
        ("do:\n- a: {set: {x: 1}, input: {from: '.a |'}}", "/do/0/a/input/from", 34),
        ("do:\n- a: {set: {x: 1}, output: {as: '.a |'}}", "/do/0/a/output/as", 33),
        ("do:\n- a: {set: {x: 1}, export: {as: '.a |'}}", "/do/0/a/export/as", 33),
        ("do:\n- a: {set: {x: 1}, output: {as: {y: '${ ) }'}}}", "/do/0/a/output/as/y", 37),
        ("do:\n- a: {for: {in: '.x ['}, do: []}", "/do/0/a/for/in", 17),
        ("do:\n- a: {for: {in: .x}, while: '.x [', do: []}", "/do/0/a/while", 29),
        ("do:\n- a: {switch: [{b: {when: '.x +', then: end}}]}", "/do/0/a/switch/0/b/when", 27),
        ("do:\n- a: {try: [], catch: {when: '.x +'}}", "/do/0/a/catch/when", 30),
        ("do:\n- a: {try: [], catch: {exceptWhen: '.x +'}}", "/do/0/a/catch/exceptWhen", 36),
        (
            "do:\n- a: {try: [], catch: {retry: {exceptWhen: '.x +'}}}",
            "/do/0/a/catch/retry/exceptWhen",
            44,
        ),
        ("do:\n- a: {set: '${ . + }'}", "/do/0/a/set", 12),
        ("do:\n- a: {set: {x: [1, 'Hello ${ .name + }']}}", "/do/0/a/set/x/1", 20),
        ("do:\n- a: {wait: '${ .x + }'}", "/do/0/a/wait", 13),
        ("do: []\ntimeout: {after: '${ .x + }'}", "/timeout/after", 18),
        (
            "do:\n- a: {call: http, with: {method: get, endpoint: '${ .x + }'}}",
            "/do/0/a/with/endpoint",
            49,
        ),
        ("do:\n- a: {listen: {to: {any: [], until: '.x +'}}}", "/do/0/a/listen/to/until", 37),
    ],
)
def test_a_broken_expression_is_refused_at_its_place(
    only: Only, body: str, pointer: str, column: int
) -> None:
    found = only(body)
    assert (found.code, found.pointer) == (Code.EXPRESSION, pointer)
    assert (found.line, found.column) == (3, column)
    assert "(character " in found.message


def test_functions_that_see_the_outside_are_refused(only: Only) -> None:
    found = only("do:\n- a: {set: '${ env.PATH }'}")
    assert found.code is Code.EXPRESSION
    assert "`env` is not available" in found.message


def test_plain_texts_are_not_expressions(diagnose: Find) -> None:
    assert (
        diagnose(
            "input: {schema: {document: {const: '${ not one'}}}\n"
            "do:\n"
            "- a: {set: {x: '. + +', y: '$x ('}, metadata: {note: '${ not one'}}\n",
            header="document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0',"
            " summary: 'Write ${ like this'}\n",
        )
        == []
    )


def test_the_code_of_a_script_is_not_ours_to_read(diagnose: Find) -> None:
    body = "do:\n- a: {run: {script: {language: js, code: 'console.log(`${a +}`)'}}}"
    assert diagnose(body) == []


def test_properties_inside_a_transformation_are_templates(diagnose: Find) -> None:
    assert diagnose("do:\n- a: {set: {x: 1}, input: {from: {from: 'a b', as: '${ .c }'}}}") == []


@pytest.mark.parametrize(
    "body",
    [
        "do:\n- a: {set: {x: '${ [$context, $input, $task.name, $workflow.id, $runtime.name] }'}}",
        "do:\n- a: {set: {x: 1}, output: {as: '$output'}}",
        "do:\n- a: {for: {in: .x}, while: '$item < $index', do: [{b: {set: '${ $item }'}}]}",
        "do:\n- a: {for: {each: p, in: .x, at: i}, do: [{b: {if: '$p.ok', wait: '${ $i }'}}]}",
        (
            "do:\n- a: {for: {in: .x}, do: [{b: {for: {in: $item, each: c}, do:"
            " [{d: {set: {x: '${ [$item, $c] }'}}}]}}]}"
        ),
        (
            "do:\n- a: {try: [], catch: {when: $error.status, exceptWhen: '$error == 1',"
            " retry: {when: '$error'}, do: [{b: {set: '${ $error }'}}]}}"
        ),
        "do:\n- a: {try: [], catch: {as: e, do: [{b: {set: '${ $e }'}}]}}",
        "do:\n- a: {listen: {to: {any: []}}, foreach: {do: [{b: {set: '${ [$item, $index] }'}}]}}",
        "do:\n- a: {set: '${ .x as $y | $y }'}",
        "use: {retries: {r: {when: $error}}}\ndo:\n- a: {try: [], catch: {retry: r}}",
    ],
)
def test_variables_of_the_place_may_be_used(diagnose: Find, body: str) -> None:
    assert diagnose(body) == []


@pytest.mark.parametrize(
    ("body", "name", "pointer"),
    [
        ("do:\n- a: {set: '${ $item }'}", "item", "/do/0/a/set"),
        (
            "do:\n- a: {for: {in: .x}, do: []}\n- b: {set: '${ $item }'}",
            "item",
            "/do/1/b/set",
        ),
        ("do:\n- a: {for: {in: $item}, do: []}", "item", "/do/0/a/for/in"),
        (
            "do:\n- a: {for: {in: .x}, do: [], output: {as: $index}}",
            "index",
            "/do/0/a/output/as",
        ),
        (
            "do:\n- a: {for: {in: .x, each: p}, do: [{b: {set: '${ $item }'}}]}",
            "item",
            "/do/0/a/do/0/b/set",
        ),
        ("do:\n- a: {try: [{b: {set: '${ $error }'}}], catch: {}}", "error", "/do/0/a/try/0/b/set"),
        (
            "do:\n- a: {try: [], catch: {as: e, when: $error}}",
            "error",
            "/do/0/a/catch/when",
        ),
        (
            (
                "use: {functions: {f: {set: '${ $item }'}}}\n"
                "do:\n- a: {for: {in: .x}, do: [{b: {call: f}}]}"
            ),
            "item",
            "/use/functions/f/set",
        ),
    ],
)
def test_variables_of_other_places_are_unknown(
    only: Only, body: str, name: str, pointer: str
) -> None:
    found = only(body)
    assert (found.code, found.pointer) == (Code.EXPRESSION, pointer)
    assert found.message == f"there is no variable `${name}` here"


def test_a_near_variable_is_named(only: Only) -> None:
    assert only("do:\n- a: {set: '${ $contxt }'}").advice == "Did you mean `$context`?"


@pytest.mark.parametrize("name", ["input", "my item", "$item", "1st", ""])
def test_a_variable_has_a_usable_name(diagnose: Find, name: str) -> None:
    found = diagnose(f"do:\n- a: {{for: {{in: .x, each: '{name}'}}, do: []}}")
    expected = [] if name == "" else [(Code.EXPRESSION, "/do/0/a/for/each", 3)]
    assert [(d.code, d.pointer, d.line) for d in found] == expected


def test_a_variable_that_is_not_filled_yet_is_refused() -> None:
    variable = "authorization"
    loaded = load_document(
        "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\n"
        f"do:\n- a: {{set: {{x: '${{ ${variable}.x }}'}}}}"
    )
    (found,) = validate(loaded)
    assert (found.code, found.pointer) == (Code.UNSUPPORTED, "/do/0/a/set/x")
    assert variable in found.message
    assert validate(loaded, executable=frozenset(Construct)) == []
