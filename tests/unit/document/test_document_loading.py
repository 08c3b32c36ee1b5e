"""Texts become JSON values with places, or are refused with the place of the problem."""

import json

import pytest

from workflow.document import Code, Diagnostic, DocumentRefused, format_of, load_document
from workflow.document.source import NODES_MAX, Place


def refusal(text: str | bytes, media_type: str = "application/yaml") -> Diagnostic:
    with pytest.raises(DocumentRefused) as caught:
        load_document(text, media_type)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def test_yaml_is_read_as_version_1_2_says() -> None:
    text = (
        "on: yes\nversion: 1.0.3\nday: 2026-01-31\nbig: 1e3\nmask: 0x1F\nmode: 0o17\n"
        "half: .5\nnone: ~\nempty:\ntruth: True\nquoted: '5'\nthousand: 1_000\nzero: 012\n"
        "clock: 12:30:45\n404: status\n"
    )
    assert load_document(text).value == {
        "on": "yes",
        "version": "1.0.3",
        "day": "2026-01-31",
        "big": 1000.0,
        "mask": 31,
        "mode": 15,
        "half": 0.5,
        "none": None,
        "empty": None,
        "truth": True,
        "quoted": "5",
        "thousand": "1_000",
        "zero": 12,
        "clock": "12:30:45",
        "404": "status",
    }


def test_a_yaml_directive_does_not_bring_back_version_1_1() -> None:
    assert load_document("%YAML 1.1\n---\non: yes").value == {"on": "yes"}


def test_explicit_core_tags_are_understood() -> None:
    assert load_document("a: !!str 5\nb: !!int '5'\nc: !!float 5").value == {
        "a": "5",
        "b": 5,
        "c": 5,
    }


def test_json_and_yaml_with_the_same_content_have_the_same_fingerprint() -> None:
    as_yaml = load_document("b: [1, 2.0, text]\na: {x: null}")
    as_json = load_document('{"a": {"x": null}, "b": [1.0, 2, "text"]}', "application/json")
    assert as_yaml.fingerprint == as_json.fingerprint
    assert as_yaml.fingerprint != load_document("b: [1, 2.5, text]\na: {x: null}").fingerprint


def test_a_byte_order_mark_is_not_content() -> None:
    assert load_document(b"\xef\xbb\xbfa: 1").value == {"a": 1}
    assert load_document(b'\xef\xbb\xbf{"a": 1}', "application/json").value == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words", "line", "column"),
    [
        ("a: &x 1\nb: *x", "alias *x", 2, 4),
        ("a: !custom 1", "tag !custom", 1, 4),
        ("a: !!python/object/apply:os.system [x]", "tag tag:yaml.org,2002:python", 1, 4),
        ("a: 1\nb: 2\na: 3", "'a' appears twice", 3, 1),
        ("a:\n  - x: 1\n    x: 2", "'x' appears twice", 3, 5),
        ("a: 1\n---\nb: 2", "several YAML documents", 2, 1),
        ("", "empty", 1, 1),
        ("a: .inf", "not a number that JSON knows", 1, 4),
        ("a: .nan", "not a number that JSON knows", 1, 4),
        ('a: "\\0"', "NUL", 1, 4),
        ('a: "x\\ud800"', "surrogate", 1, 4),
        ("a:\n\t- 1", "'\\t'", 2, 1),
        ("a: [1, 2\nb: 3", "not YAML", 2, 2),
        ("? [1]\n: 2", "key must be a text", 1, 3),
        ("a: 99999999999999999999", "64 bits", 1, 4),
        ("a: 1e999", "too large", 1, 4),
        ("ok: 1\na: \x07", "U+0007", 2, 4),
        ("a: !!int x", "not a tag:yaml.org,2002:int", 1, 4),
    ],
)
def test_yaml_is_refused_at_its_place(text: str, words: str, line: int, column: int) -> None:
    diagnostic = refusal(text)
    assert words in diagnostic.message
    assert (diagnostic.code, diagnostic.line, diagnostic.column) == (Code.SYNTAX, line, column)


@pytest.mark.parametrize(
    ("text", "words", "line", "column"),
    [
        ("", "ends too early", 1, 1),
        ('{"a": 1,\n "a": 2}', "'a' appears twice", 2, 2),
        ('{"a": NaN}', "JSON value", 1, 7),
        ("[-Infinity]", "JSON value", 1, 2),
        ("[1,]", "JSON value", 1, 4),
        ('{"a": 01}', "comma or }", 1, 8),
        ('{"a" 1}', "colon", 1, 6),
        ("{a: 1}", "property name in double quotes", 1, 2),
        ('["\\ud800"]', "surrogate", 1, 2),
        ('["\\u0000"]', "NUL", 1, 2),
        ("[1e999]", "too large", 1, 2),
        ("[18446744073709551616]", "64 bits", 1, 2),
        ('{"a": 1}\n}', "after the end", 2, 1),
        ('["a\nb"]', "invalid control character", 1, 4),
        ('["\\x"]', "escape", 1, 3),
        ('{"a": "b', "unterminated", 1, 7),
        ("[tru]", "JSON value", 1, 2),
    ],
)
def test_json_is_refused_at_its_place(text: str, words: str, line: int, column: int) -> None:
    diagnostic = refusal(text, "application/json")
    assert words in diagnostic.message
    assert (diagnostic.code, diagnostic.line, diagnostic.column) == (Code.SYNTAX, line, column)


def test_json_agrees_with_the_standard_library_on_what_both_accept() -> None:
    value = {"a": [1, -2, 1.5e3, "é😀\n", True, False, None, {}, []], "": {"/~": "\u2028"}}
    for text in (json.dumps(value), json.dumps(value, indent=3, ensure_ascii=False)):
        assert load_document(text, "application/json").value == value


@pytest.mark.parametrize("media_type", ["application/yaml", "application/json"])
def test_depth_is_bounded(media_type: str) -> None:
    assert load_document("[" * 64 + "]" * 64, media_type)
    diagnostic = refusal("[" * 65 + "]" * 65, media_type)
    assert (diagnostic.code, diagnostic.column) == (Code.LIMIT, 65)
    assert refusal("[" * 100_000, media_type).code is Code.LIMIT


@pytest.mark.parametrize("media_type", ["application/yaml", "application/json"])
def test_size_is_bounded(media_type: str) -> None:
    assert refusal(b'"' + b"x" * 1_048_576 + b'"', media_type).code is Code.LIMIT
    assert "values" in refusal("[" + "1," * NODES_MAX + "1]", media_type).message


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert "alias *a0" in refusal("\n".join(lines)).message


def test_bytes_must_be_utf_8() -> None:
    diagnostic = refusal(b"a: 1\nb: \xff")
    assert (diagnostic.message, diagnostic.line, diagnostic.column) == (
        "the document is not UTF-8",
        2,
        4,
    )
    assert refusal("a: 1".encode("utf-16")).code is Code.SYNTAX
    assert refusal("a: \ud800").code is Code.SYNTAX
    assert "NUL" in refusal(b"a: 1\nb: \x00").message


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/json", "json"),
        ("application/json; charset=utf-8", "json"),
        ("application/vnd.workflow+json", "json"),
        ("application/yaml", "yaml"),
        ("text/x-yaml", "yaml"),
        ("Application/YAML", "yaml"),
        ("application/vnd.workflow+yaml", "yaml"),
        ("text/plain", None),
        ("", None),
    ],
)
def test_media_types_name_the_format(media_type: str, expected: str | None) -> None:
    assert format_of(media_type) == expected


def test_an_unknown_media_type_is_refused() -> None:
    assert "text/plain" in refusal("a: 1", "text/plain").message


def test_a_scalar_is_placed_where_it_is_written_and_an_object_at_its_key() -> None:
    source = load_document("a:\n  b: text\n  c:\n  - {d: 1}\n").source
    assert source.place("/a") == Place(1, 1)
    assert source.place("/a/b") == Place(2, 6)
    assert source.place("/a/b", of_key=True) == Place(2, 3)
    assert source.place("/a/c/0") == Place(4, 5)
    assert source.place("/a/c/0/d") == Place(4, 9)


def test_json_has_the_same_kind_of_places() -> None:
    source = load_document('{\n  "a": {\n    "b": "text",\n    "c/d": [1]}}', "text/json").source
    assert source.place("/a") == Place(2, 3)
    assert source.place("/a/b") == Place(3, 10)
    assert source.place("/a/b", of_key=True) == Place(3, 5)
    assert source.place("/a/c~1d/0") == Place(4, 13)


def test_what_is_not_in_the_text_is_placed_at_the_nearest_value_around_it() -> None:
    source = load_document("a:\n  b: 1").source
    assert source.place("/a/x/y") == Place(1, 1)
    assert source.place("/z") == Place(1, 1)
