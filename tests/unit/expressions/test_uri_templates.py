"""RFC 6570 level 1 over the current data, with expressions where that is not enough."""

from typing import Any

import pytest

from workflow.expressions import (
    Expression,
    ExpressionFailed,
    ExpressionSyntaxError,
    compile_uri_template,
)


class Current:
    def __init__(self, value: Any) -> None:
        self._value = value

    def current(self) -> Any:
        return self._value

    def variable(self, name: str) -> Any:
        return {"base": "https://api.example.com"}[name]

    def slow(self, expression: Expression) -> Any:
        raise AssertionError(expression.source)


DATA = {
    "id": 7,
    "name": "a b/ü?",
    "flag": True,
    "none": None,
    "list": [1],
    "a.b": "dotted",
    "x": 0.5,
}


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("https://example.com/pets", "https://example.com/pets"),
        ("https://example.com/{id}", "https://example.com/7"),
        ("/{name}", "/a%20b%2F%C3%BC%3F"),
        ("/{missing}/{none}/end", "///end"),
        ("/{flag}/{x}", "/true/0.5"),
        ("/{a.b}", "/dotted"),
        ("/{id}{id}", "/77"),
        ("${ $base }/{id}", "https://api.example.com/7"),
        ('${ $base + "/v1" }', "https://api.example.com/v1"),
        ("  https://example.com/{id}\n", "https://example.com/7"),
        ("/${ .list[0] }?q={name}", "/1?q=a%20b%2F%C3%BC%3F"),
    ],
)  # fmt: skip
def test_templates_expand(template: str, uri: str) -> None:
    assert compile_uri_template(template).render(Current(DATA)) == uri


def test_what_an_expression_yields_is_not_expanded_again() -> None:
    assert compile_uri_template("${ . }").render(Current("/{id}")) == "/{id}"


@pytest.mark.parametrize("current", [None, "text", [1], 5])
def test_data_without_properties_leave_placeholders_empty(current: Any) -> None:
    assert compile_uri_template("/{id}").render(Current(current)) == "/"


@pytest.mark.parametrize("template", ["/{list}", "/${ .list }", "/${ . }"])
def test_objects_and_arrays_are_expression_errors(template: str) -> None:
    with pytest.raises(ExpressionFailed):
        compile_uri_template(template).render(Current(DATA))


@pytest.mark.parametrize(
    ("template", "offset"),
    [("/{+path}", 1), ("/{a,b}", 1), ("/{a:3}", 1), ("/{}", 1), ("/{a", 1), ("/a}", 2),
     ("/{{a}}", 1), ("${ .id }/{?q}", 9), ("/{id}/${ env }", 9)],
)  # fmt: skip
def test_higher_levels_and_mistakes_are_refused(template: str, offset: int) -> None:
    with pytest.raises(ExpressionSyntaxError) as error:
        compile_uri_template(template)
    assert error.value.offset == offset


def test_what_a_template_needs_is_known() -> None:
    assert compile_uri_template("https://example.com").is_constant
    assert not compile_uri_template("https://example.com").uses_current
    assert compile_uri_template("/{id}").uses_current
    template = compile_uri_template("${ $base }/x")
    assert template.variables == {"base"}
    assert not template.uses_current
