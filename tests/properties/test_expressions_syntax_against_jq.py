"""What registration accepts, jq compiles; what it refuses, jq refuses as well."""

import jq
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workflow.expressions import ExpressionSyntaxError, compile_expression

WORDS = """
. .. .a .a? ? [ ] ( ) { } | , ; : + - * / % // == != < <= > >= = |= += //= and or not if then elif
else end as $v $w reduce foreach try catch label break def f 1 0.5 "a" "\\(1)" "\\(.)" @json @base64
null true length map select error ?// . . [ ] ( ) | , { } a : "b" # 1e3 .[ [] .[] .. .5 1. $__loc__
"""
words = st.sampled_from(WORDS.split())
soups = st.lists(words, min_size=1, max_size=9).flatmap(
    lambda parts: st.sampled_from([" ", "", "\n"]).map(lambda gap: gap.join(parts))
)

patterns = st.sampled_from(
    ["$v", "[$v]", "[$v, [$w]]", "{a: $v}", "{$w}", "{$v: [$w]}", '{"a": $v, (.b): $w}',
     "[$v] ?// $v", "{a: [$v]} ?// [{$v}] ?// $w", "[]", "{a}", "{$v, b: $w}"]
)  # fmt: skip
atoms = st.sampled_from(
    [".", "..", ".a", ".[0]", '."b"', "1", "-1", '"a"', "$v", "null", "[]", "{}", "not", "f", "f(1)",
     "break $v", "$__loc__", "@json", '@base64 "x\\(1)"', ".a[1:]", '.["a"]', ".[]?", "empty", "# c"]
)  # fmt: skip


def constructs(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two, three = st.tuples(inner, inner), st.tuples(inner, inner, inner)
    operators = st.sampled_from(
        ["|", ",", "+", "-", "*", "//", "==", "<", "and", "or", "=", "|=", "+=", "//=", "as $v |"]
    )
    return st.one_of(
        st.tuples(inner, operators, inner).map(" ".join),
        inner.map(lambda p: f"({p})"),
        inner.map(lambda p: f"[{p}]"),
        inner.map(lambda p: f"-{p}"),
        inner.map(lambda p: f"{p}?"),
        inner.map(lambda p: f"{p}.a"),
        inner.map(lambda p: f"{p}[0]"),
        inner.map(lambda p: f"{p}[]"),
        inner.map(lambda p: f'"\\({p})"'),
        inner.map(lambda p: f"{{a: {p}}}"),
        inner.map(lambda p: f"{{a: {p}, b}}"),
        two.map(lambda p: f"{{({p[0]}): {p[1]}}}"),
        two.map(lambda p: f".[{p[0]}:{p[1]}]"),
        st.tuples(inner, patterns, inner).map(lambda p: f"{p[0]} as {p[1]} | {p[2]}"),
        st.tuples(inner, patterns, inner).map(lambda p: f"reduce {p[0]} as {p[1]} (0; {p[2]})"),
        st.tuples(inner, patterns, inner).map(lambda p: f"foreach {p[0]} as {p[1]} (0; {p[2]}; .)"),
        three.map(lambda p: f"if {p[0]} then {p[1]} elif {p[2]} then 1 end"),
        three.map(lambda p: f"if {p[0]} then {p[1]} else {p[2]} end"),
        two.map(lambda p: f"try {p[0]} catch {p[1]}"),
        inner.map(lambda p: f"try {p}"),
        two.map(lambda p: f"def f: {p[0]}; {p[1]}"),
        two.map(lambda p: f"def f($v): {p[0]}; {p[1]}"),
        two.map(lambda p: f"def f(g; $v): g + {p[0]}; {p[1]}"),
        inner.map(lambda p: f"label $v | {p}"),
        inner.map(lambda p: f"{p} # a comment"),
    )


programs = st.recursive(atoms, constructs, max_leaves=6)


def jq_accepts(program: str) -> bool:
    try:
        jq.compile(program, args={"v": 1, "w": 2})
    except ValueError as error:
        # jq folds constants while it compiles, and refuses what we leave to fail later.
        assume("as object key at" not in str(error))
        assume("Division by zero" not in str(error))
        return False
    return True


def we_accept(program: str) -> bool:
    try:
        unknown = compile_expression(program).variables - {"v", "w"}
        assume(not unknown or "def" not in program)
        return not unknown
    except ExpressionSyntaxError as error:
        # jq overlooks unknown names in a definition that nobody uses, and notices an unknown
        # format only when it runs.
        assume("there is no" not in error.message or "def" not in program)
        assume("there is no format" not in error.message)
        return False


@settings(max_examples=250, deadline=None)
@given(soups)
def test_soups_of_words_are_judged_alike(program: str) -> None:
    assert we_accept(program) == jq_accepts(program)


@settings(max_examples=250, deadline=None)
@given(programs)
def test_programs_of_all_constructs_are_judged_alike(program: str) -> None:
    assert we_accept(program) == jq_accepts(program)


@settings(max_examples=150, deadline=None)
@given(programs, st.integers(0, 60), words)
def test_programs_with_one_mistake_are_judged_alike(program: str, at: int, word: str) -> None:
    position = at % (len(program) + 1)
    mistaken = program[:position] + word + program[position:]
    assert we_accept(mistaken) == jq_accepts(mistaken)
