"""`${ … }` inside JSON, and fields that take an expression without it."""

from typing import Any

import pytest

from workflow.expressions import (
    Expression,
    ExpressionSyntaxError,
    compile_bare,
    compile_template,
    compile_transform,
    is_expression,
)


class Data:
    def __init__(self, current: Any, **variables: Any) -> None:
        self._current = current
        self._variables = variables

    def current(self) -> Any:
        return self._current

    def variable(self, name: str) -> Any:
        return self._variables[name]

    def slow(self, expression: Expression) -> Any:
        return f"<{expression.source}>"


DATA = Data({"name": "Ada", "n": 3, "list": [1, "x"], "none": None}, context={"k": True})


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("${ .n }", 3),
        ("${.list}", [1, "x"]),
        ("  ${ .n }\n", 3),
        ("${ .none }", None),
        ("Hello ${ .name }", "Hello Ada"),
        ("${ .name } has ${ .n }", "Ada has 3"),
        ("${ .name }${ .n }", "Ada3"),
        ("list ${ .list }, ${ .none }, ${ $context.k }", 'list [1,"x"], null, true'),
        ("${ {a: {b: .n}} }", {"a": {"b": 3}}),
        ('${ "}" } ${ "a\\("}" + .name)" }', "} a}Ada"),
        ('a ${ "\\({a: 1}.a)" } b', "a 1 b"),
        ("${ .n # a comment with }\n }", 3),
        ("costs 5$ {really}", "costs 5$ {really}"),
        ('${ "${" }HOME}', "${HOME}"),
        ("${ range(3) }", "<range(3)>"),
        (5, 5),
        (None, None),
        ({"a": ["${ .n }", {"b": "n=${ .n }"}], "c": "x"}, {"a": [3, {"b": "n=3"}], "c": "x"}),
        ({"${ .n }": 1}, {"${ .n }": 1}),
    ],
)
def test_templates_render(template: Any, value: Any) -> None:
    assert compile_template(template).render(DATA) == value


def test_what_a_template_needs_is_known() -> None:
    template = compile_template({"a": "${ $context.k }", "b": ["${ $x } ${ .n }"], "c": 1})
    assert template.variables == {"context", "x"}
    assert template.uses_current
    assert not template.is_constant
    assert [expression.source for expression in template.expressions] == ["$context.k", "$x", ".n"]
    assert compile_template({"a": [1, "b"]}).is_constant
    assert not compile_template("${ $context }").uses_current


def test_evaluated_data_are_not_evaluated_again() -> None:
    assert compile_template("${ . }").render(Data("${ env }")) == "${ env }"
    assert compile_template("a ${ . }").render(Data("${ env }")) == "a ${ env }"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("${ .a }", True),
        ("${.a}\n", True),
        ("${ .a } ", True),
        ("a ${ .a }", False),
        ("${ .a }${ .b }", False),
        ("${ {a: {}} }", True),
        (".a", False),
        ("", False),
    ],
)
def test_whole_string_expressions_are_told_apart(text: str, answer: bool) -> None:
    assert is_expression(text) is answer


@pytest.mark.parametrize("text", [".n > 2", "${ .n > 2 }", " ${.n > 2} ", "\n.n > 2"])
def test_expression_fields_take_both_forms(text: str) -> None:
    assert compile_bare(text).evaluate(DATA) is True
    assert compile_transform(text).render(DATA) is True


def test_an_expression_field_takes_one_expression() -> None:
    for text in ("${ .a } and ${ .b }", "${ .a } x"):
        with pytest.raises(ExpressionSyntaxError, match="one expression"):
            compile_bare(text)


def test_a_transform_may_be_an_object_of_templates() -> None:
    assert compile_transform({"a": "${ .n }", "b": ".n"}).render(DATA) == {"a": 3, "b": ".n"}


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("Hi ${ .a + }", 11, "a value is missing"),
        ("Hi ${ env }", 6, "not available"),
        ("Hi ${ .a", 3, "closing `}`"),
        ("${ .a } ${ nope }", 11, "no function"),
        ("${}", 2, "empty"),
        ("cp ${HOME}/x", 5, "no function `HOME/0`"),
    ],
)
def test_offsets_count_from_the_start_of_the_string(text: str, offset: int, message: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match=message) as error:
        compile_template({"a": [text]})
    assert error.value.offset == offset
