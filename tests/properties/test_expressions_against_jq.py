"""Every expression we evaluate ourselves gives what jq gives, or fails where jq fails."""

from typing import Any

import jq
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.expressions import (
    Expression,
    ExpressionFailed,
    compile_expression,
)


class Incomparable(Exception):
    """Nothing to compare: the expression asked for a worker, which would run jq itself."""


class JsonScope:
    def __init__(self, current: Any, variables: dict[str, Any]) -> None:
        self._current = current
        self._variables = variables

    def current(self) -> Any:
        return self._current

    def variable(self, name: str) -> Any:
        return self._variables[name]

    def slow(self, expression: Expression) -> Any:
        raise Incomparable(expression.source)


FAILED = object()

names = st.sampled_from(["a", "b", "key", "value", "x y", "A"])
texts = st.one_of(
    st.sampled_from(
        [
            "",
            "a",
            "b",
            "abc",
            "a,b",
            "1",
            "-7",
            "2.5",
            " a ",
            "é",
            "Ω😀",
            "true",
            "{}",
            "[1]",
            "x\ty",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=4),
)
numbers = st.one_of(
    st.integers(-5, 5),
    st.integers(-(2**53), 2**53),
    st.sampled_from([0.5, -1.5, 2.25, 1.0, 3.75, 0.1, -2.0, 100.0]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=10,
)

_FUNCTIONS = """
abs add all any ascii_downcase ascii_upcase ceil empty error fabs first flatten floor from_entries
fromjson keys keys_unsorted last length ltrim max min not reverse round rtrim sort sqrt to_entries
tojson tonumber tostring trim trunc type unique utf8bytelength arrays booleans iterables nulls
numbers objects scalars strings values @text @json @html @uri @base64
"""
_WITH_ARGUMENT = """
contains endswith flatten has index indices join ltrimstr nth rindex rtrimstr split startswith
trimstr group_by map map_values max_by min_by select sort_by unique_by all any with_entries in
inside add error first isempty last IN
"""
FUNCTIONS = _FUNCTIONS.split()
WITH_ARGUMENT = _WITH_ARGUMENT.split()
OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "//", ",", "|"]

literals = st.one_of(
    st.sampled_from(
        ["null", "true", "false", "0", "1", "1.10", "2e1", "0.30", "-1", "2", "0.5", '""', '"a"', '"b"', '"key"', "[]",
         "{}", '","', "[1]", '{"a":1}']
    )
)  # fmt: skip
paths = st.sampled_from(
    [".", ".a", ".b", ".a.b", ".a?", '."x y"', ".[0]", ".[-1]", ".[]", ".[]?", ".a[]?", ".[1:]",
     ".[:-1]", '.["a"]', "$v", "$v.a", "$w", ".[0]?", ".a[0].b?", ".key", ".value", "..?"]
)  # fmt: skip


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        st.tuples(inner, st.sampled_from(FUNCTIONS)).map(lambda p: f"({p[0]} | {p[1]})"),
        st.tuples(st.sampled_from(WITH_ARGUMENT), inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, st.sampled_from(WITH_ARGUMENT), inner).map(
            lambda p: f"({p[0]} | {p[1]}({p[2]}))"
        ),
        st.tuples(st.sampled_from(["any", "all", "IN"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}; {p[2]})"
        ),
        inner.map(lambda p: f"[{p}]"),
        inner.map(lambda p: f"({p})?"),
        inner.map(lambda p: f"-({p})"),
        inner.map(lambda p: f"(try {p})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]?"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]})[{p[1]}:{p[2]}]"),
        inner.map(lambda p: f"({p}).a"),
        inner.map(lambda p: f"({p})[]"),
        inner.map(lambda p: f"({p})[]?"),
        st.tuples(inner, inner, inner).map(lambda p: f"if {p[0]} then {p[1]} else {p[2]} end"),
        st.tuples(inner, inner).map(lambda p: f"{{a: {p[0]}, ({p[1]}): .}}"),
        st.tuples(inner, inner).map(lambda p: f'{{"b": {p[0]}, a, $v, c: {p[1]}}}'),
        st.tuples(inner, inner).map(lambda p: f'"x\\({p[0]})y\\({p[1]})"'),
        inner.map(lambda p: f'@html "<\\({p})>"'),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} as $w | {p[1]})"),
    )


programs = st.recursive(st.one_of(literals, paths), combined, max_leaves=6)


def by_jq(program: str, current: Any, variables: dict[str, Any]) -> Any:
    wrapped = f". as {{v: {{v: $v, w: $w}}, i: $i}} | $i | [(\n{program}\n)] | tojson"
    text = orjson.dumps({"i": current, "v": variables}).decode()
    try:
        outputs = orjson.loads(jq.compile(wrapped).input_text(text).first())
    except ValueError as error:
        if "as object key at" in str(error):
            raise Incomparable from error  # jq folds constants, and then refuses the program.
        return FAILED
    if len(outputs) > 1:
        return FAILED
    return outputs[0] if outputs else None


def by_us(program: str, current: Any, variables: dict[str, Any]) -> Any:
    try:
        return compile_expression(program).evaluate(JsonScope(current, variables))
    except ExpressionFailed:
        return FAILED


def same(left: Any, right: Any) -> bool:
    """Equal as JSON, types included, with doubles at the precision that jq writes them."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right or abs(left - right) <= 1e-15 * max(abs(left), abs(right))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and bool(left == right)


@settings(max_examples=300, deadline=None)
@given(programs, documents, documents, documents)
def test_random_programs_agree_with_jq(program: str, current: Any, first: Any, second: Any) -> None:
    variables = {"v": first, "w": second}
    try:
        ours = by_us(program, current, variables)
        theirs = by_jq(program, current, variables)
    except Incomparable:
        return
    assert (ours is FAILED) == (theirs is FAILED), (ours, theirs)
    assert ours is FAILED or same(ours, theirs), (ours, theirs)


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=30, deadline=None)
@given(documents)
def test_each_function_agrees_with_jq(function: str, current: Any) -> None:
    test_random_programs_agree_with_jq.hypothesis.inner_test(function, current, None, None)


@pytest.mark.parametrize("function", WITH_ARGUMENT)
@settings(max_examples=40, deadline=None)
@given(documents, documents)
def test_each_function_with_an_argument_agrees_with_jq(
    function: str, current: Any, argument: Any
) -> None:
    test_random_programs_agree_with_jq.hypothesis.inner_test(
        f"{function}($v)", current, argument, None
    )
