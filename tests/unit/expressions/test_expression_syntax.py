"""What is refused at registration, where, and with which advice."""

import pytest

from workflow.expressions import ExpressionSyntaxError, compile_expression


def refusal(text: str) -> ExpressionSyntaxError:
    with pytest.raises(ExpressionSyntaxError) as error:
        compile_expression(text)
    return error.value


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("env", 0),
        ("env.PATH", 0),
        ("$ENV", 0),
        ("$ENV.PATH", 0),
        ("1 + env", 4),
        (". | input", 4),
        ("[inputs]", 1),
        ("input_filename", 0),
        ("halt", 0),
        ('"x" | halt_error', 6),
        ("halt_error(1)", 0),
        ("debug", 0),
        ('debug("x")', 0),
        ("stderr", 0),
        ("modulemeta", 0),
        ("get_search_list", 0),
        ("$__prog_args", 0),
        ('import "a" as a; 1', 0),
        ('include "a"; 1', 0),
        ('"\\(env)"', 3),
        ("{a: env}", 4),
        ("{(env | tostring): 1}", 2),
        ("try env catch 1", 4),
        ("def f: env; f", 7),
        ("def f: env; def env: 1; f", 7),
        (". as [$x] | reduce env as $y (0; 1)", 19),
        (". as {(env): $x} | 1", 7),
        ("getpath([env])", 9),
        ("input_line_number", 0),
        ("if 1 then env else 2 end", 10),
        ("..[env]?", 3),
    ],
)
def test_ways_out_are_refused_at_their_place(text: str, offset: int) -> None:
    error = refusal(text)
    assert "not available" in error.message
    assert error.offset == offset
    assert error.advice


@pytest.mark.parametrize(
    "text",
    [".env", ".input.inputs", "$input", "$env", "{env: 1}", "{input}", '"env"', '."import"',
     ".halt // 1", "def env: 1; env", "1 # env", '"\\("env")"', "{import: 1, include: 2}",
     'ltrimstr("x")', "$input.env | .debug"],
)  # fmt: skip
def test_words_are_judged_as_tokens_not_as_text(text: str) -> None:
    compile_expression(text)


@pytest.mark.parametrize(
    ("text", "message", "offset", "advice"),
    [
        ("", "empty", 0, "`.`"),
        ("  # nothing", "empty", 11, "`.`"),
        (".a +", "a value is missing", 4, ""),
        ("1 2", "should end", 2, "Found `2`"),
        ("'a'", "does not belong", 0, "double quotes"),
        (".größe", "does not belong", 3, '."name"'),
        ('"a', "not closed", 0, ""),
        ('"\\x"', "escape", 1, ""),
        ("[1", "`]` is missing", 2, ""),
        ("(1]", "closes nothing", 2, ""),
        ("1)", "closes nothing", 1, ""),
        ("lenght", "no function `lenght/0`", 0, "`length`"),
        ("map", "no function `map/0`", 0, "map/1"),
        (". == foo", "no function `foo/0`", 5, "`.foo`"),
        (".a?//1", "should end", 2, "? //"),
        ("1 == 2 == 3", "do not chain", 7, "Found"),
        ("@base63", "no format", 0, "@base64"),
        ("break $x", "no label", 0, ""),
        ("if . then 1", "`end` is missing", 11, ""),
        (". as x | 1", "after `as`", 5, ""),
        ("{1: 2}", "property name", 1, ""),
        ("$a::b", "module", 0, ""),
    ],
)
def test_mistakes_are_explained(text: str, message: str, offset: int, advice: str) -> None:
    error = refusal(text)
    assert message in error.message
    assert error.offset == offset
    assert advice in error.advice


@pytest.mark.parametrize(
    "text",
    ["(" * 500 + "1" + ")" * 500, "[" * 5000, '"\\(' * 200, "1" + "+1" * 3000, "-" * 9000 + ".a",
     "." + ".a" * 2000, "1" + "|." * 5000, "not" + " | not" * 3000, "{a:" * 300,
     "if 1 then " * 300, "1" + " // 1" * 1000, "def f: " * 1000, "reduce " * 1000, "try " * 3000,
     "1 as $x | " * 1000 + "1", "a" * 20_000],
)  # fmt: skip
def test_size_and_depth_are_limited(text: str) -> None:
    assert refusal(text).message


def test_the_error_reads_as_one_sentence_with_a_place() -> None:
    assert str(refusal("1 + env")) == (
        "`env` is not available (at character 5). Expressions cannot see the environment."
    )
