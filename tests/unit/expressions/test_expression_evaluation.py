"""What evaluation asks of its scope, what it answers, and where it stops."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from workflow.expressions import Expression, ExpressionFailed, compile_expression


class NotLoaded(Exception):
    """The host has not fetched this value yet."""


class RecordingScope:
    """Notes everything that is asked; a missing value raises NotLoaded."""

    def __init__(self, **values: Any) -> None:
        self._values = values
        self.asked: list[str] = []

    def current(self) -> Any:
        return self._value(".")

    def variable(self, name: str) -> Any:
        return self._value(name)

    def slow(self, expression: Expression) -> Any:
        self.asked.append(f"slow: {expression.source}")
        return "from a worker"

    def _value(self, name: str) -> Any:
        self.asked.append(name)
        try:
            return self._values[name]
        except KeyError:
            raise NotLoaded(name) from None


def evaluate(text: str, current: Any = None, **variables: Any) -> Any:
    return compile_expression(text).evaluate(RecordingScope(**{".": current, **variables}))


def test_a_path_of_a_variable_leaves_the_current_data_alone() -> None:
    scope = RecordingScope(context={"user": {"name": "Ada"}})
    assert compile_expression("$context.user.name").evaluate(scope) == "Ada"
    assert scope.asked == ["context"]


def test_only_the_branch_that_is_taken_is_asked_for() -> None:
    scope = RecordingScope(flag=True)
    expression = compile_expression("if $flag then 1 else .big + $other end")
    assert expression.evaluate(scope) == 1
    assert scope.asked == ["flag"]
    assert expression.uses_current
    assert expression.variables == {"flag", "other"}


@pytest.mark.parametrize("text", ["$a and $b", "$a | select(.) | $b", "first($a, $b)"])
def test_short_circuits_do_not_load_the_rest(text: str) -> None:
    scope = RecordingScope(a=False)
    compile_expression(text).evaluate(scope)
    assert scope.asked == ["a"]


@pytest.mark.parametrize(
    "text", [".a", ".a?", "[.]?", ".a // 1", "try . catch 1", "$x", "any(.a; .)"]
)
def test_what_the_scope_raises_gets_out_of_every_construct(text: str) -> None:
    expression = compile_expression(text)
    if expression.is_fast:
        with pytest.raises(NotLoaded):
            expression.evaluate(RecordingScope())


def test_inner_dots_are_not_the_current_data() -> None:
    expression = compile_expression("$items | map({id, n: .name}) | .[0].id")
    assert not expression.uses_current
    assert expression.evaluate(RecordingScope(items=[{"id": 7, "name": "x"}])) == 7


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("$a.b + $c", {"a", "c"}),
        (". as $a | $a + $b", {"b"}),
        ("[.[] as [$x, {y: $z}] | $x + $z + $w]", {"w"}),
        ("reduce .[] as $x ($start; . + $x)", {"start"}),
        ("def f($a; g): $a + g + $out; f(1; $in)", {"out", "in"}),
        ('"\\($a) \\("\\($b)")"', {"a", "b"}),
        ("{$a, b: $c, ($d): 1}", {"a", "c", "d"}),
        ("$__loc__", set()),
        ("(1 as $x | $x), $x", {"x"}),
    ],
)
def test_free_variables_are_known(text: str, names: set[str]) -> None:
    assert compile_expression(text).variables == names


def test_no_output_is_null_and_several_are_a_failure() -> None:
    assert evaluate("empty") is None
    assert evaluate(".a?", 5) is None
    with pytest.raises(ExpressionFailed, match="more than one"):
        evaluate("1, 2")
    with pytest.raises(ExpressionFailed, match="more than one"):
        evaluate(".[]", [1, 2])


def test_failures_name_kinds_and_never_data() -> None:
    secret = "sk-very-secret"
    for text in (".[0]", ".a", "tonumber", ". - 1", "keys", ".[]", "-(.)", "has(1)", "error(null)"):
        with pytest.raises(ExpressionFailed) as failure:
            evaluate(text, secret)
        assert secret not in failure.value.reason


def test_raised_errors_carry_their_own_text() -> None:
    with pytest.raises(ExpressionFailed, match="no such customer"):
        evaluate('error("no such customer")')


@pytest.mark.parametrize(
    "text",
    ["range(3)", "reduce .[] as $x (0; . + $x)", "def f: 1; f", '"a" | test("a")', ".a |= 1", "..",
     "try 1 catch 2", "limit(1; .)", "now", "@csv", "label $x | 1", "paths", "1e3", "1.10", ". + 1.10",
     "1 == 0.10000000000000000001"],
)  # fmt: skip
def test_what_has_no_bounded_cost_goes_to_a_worker(text: str) -> None:
    expression = compile_expression(text)
    assert not expression.is_fast
    assert expression.uses_current
    assert expression.evaluate(RecordingScope()) == "from a worker"


def test_comments_do_not_reach_a_worker() -> None:
    expression = compile_expression("range(3) # counts\n | . + 1 # \\\n env\n | . ")
    assert "#" not in expression.source
    assert "env" not in expression.source
    assert compile_expression('"# no comment"').source == '"# no comment"'


ROWS = [{"id": n, "tags": ["a", "b"]} for n in range(30_000)]


@pytest.mark.parametrize(
    ("text", "current"),
    [
        ("map(.id)", ROWS),
        ("[.[] as $x | .[] as $y | $x]", ROWS[:1000]),
        ("sort_by(.id)", ROWS),
        (" | ".join(["[., .]"] * 40), 1),
        (" | ".join(["[., .]"] * 40) + " | tojson", 1),
        (" | ".join(["{a: ., b: .}"] * 40), 1),
        (" | ".join([". + ."] * 60), "x"),
        (" | ".join([". + ."] * 60), [1]),
        (" | ".join(['"\\(.)\\(.)"'] * 60), "x"),
        ("[.[] | $rows]", list(range(2000))),
        ("[.[] | $text] | tojson", list(range(2000))),
        ("map($text == .)", ["y" * 1_000_000] * 15_000),
        (". - $rows", ROWS[:5000]),
        ('join(",")', ["x" * 10_000] * 5000),
        ("map(ascii_upcase)", ["x" * 100_000] * 1000),
        ("[.[] | contains($text)]", ["y" * 100_000] * 2000),
        ("tojson", [[[[[["x"] * 8] * 8] * 8] * 8] * 8] * 8),
    ],
)
def test_work_that_grows_is_handed_over_soon(text: str, current: Any) -> None:
    scope = RecordingScope(**{".": current, "rows": ROWS, "text": "x" * 1_000_000})
    expression = compile_expression(text)
    assert expression.is_fast
    started = time.process_time()
    assert expression.evaluate(scope) == "from a worker"
    assert time.process_time() - started < 0.5


def test_passing_on_large_data_is_not_growth() -> None:
    assert evaluate(".rows", {"rows": ROWS}) is ROWS
    assert evaluate("{rows: .rows}", {"rows": ROWS}) == {"rows": ROWS}
    assert evaluate(".rows | length", {"rows": ROWS}) == len(ROWS)


def test_deep_data_is_left_to_a_worker() -> None:
    deep: Any = None
    for _ in range(1000):
        deep = [deep]
    assert evaluate(". == $same", deep, same=[deep]) in (False, "from a worker")
    assert evaluate("tojson", deep) == "from a worker"


def test_big_integers_keep_every_digit() -> None:
    assert evaluate(".id", {"id": 9007199254740993}) == 9007199254740993
    assert evaluate('"\\(.id)"', {"id": 9007199254740993}) == "9007199254740993"
    assert evaluate(".id == $id", {"id": 2**60 + 1}, id=2**60) is False


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 == true", False),
        ("[0] == [false]", False),
        ('{"a": 1} == {"a": 1.0}', True),
        ('null < false and false < true and true < 0 and 0 < "" and "" < [] and [] < {}', True),
        ("1 / 4", 0.25),
        ("20 * 1.10 == 2.2e1", True),
        ("1e3 > 999", True),
        ("6 / 3 | tojson", "2"),
        ("0.5 + 0.5 | tojson", "1"),
        ("-5 % 3", -2),
        ("[1, [2, [3]]] | flatten", [1, 2, 3]),
        ('[{"name": "a", "value": 1}] | from_entries', {"a": 1}),
        ('{"a": 1, "b": 2} | with_entries(select(.value > 1))', {"b": 2}),
        ('"a-b" | split("-") | join("+")', "a+b"),
        ("[3, 1, 2] | sort | reverse | first", 3),
        ('"é😀x" | .[1:2]', "😀"),
        ("[1, null, 2] | map(values) | add", 3),
        ("not", True),
        ("10 + 1 as $x | $x * 2", 22),
    ],
)  # fmt: skip
def test_values_follow_jq(text: str, value: Any) -> None:
    assert compile_expression(text).is_fast
    assert evaluate(text) == value


def test_results_never_change_the_data() -> None:
    data = {"a": [3, 1, 2], "b": {"x": 1}}
    evaluate(".a | sort | reverse", data)
    evaluate(".b + {y: 2}", data)
    evaluate(".b * {x: {z: 1}}", data)
    evaluate("map_values(.)", data)
    assert data == {"a": [3, 1, 2], "b": {"x": 1}}


def test_expressions_of_one_text_are_equal_and_cached() -> None:
    assert compile_expression(".a") is compile_expression(".a")
    assert compile_expression(" .a ") == compile_expression(".a")
    assert hash(compile_expression(" .a ")) == hash(compile_expression(".a"))


def test_a_typical_evaluation_takes_microseconds() -> None:
    expression = compile_expression("{id: .order.id, total: $context.total, ok: (.n > 3)}")
    scope = RecordingScope(**{".": {"order": {"id": 7}, "n": 5}, "context": {"total": 9}})
    assert best_of(20, lambda: expression.evaluate(scope)) < 30e-6


def best_of(times: int, work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        for _ in range(50):
            work()
        best = min(best, (time.perf_counter() - started) / 50)
    return best
