"""Cutting documents: every character keeps its place."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.text.outline import MARKDOWN, outline
from knowledge.text.passages import SIZE_MIN, Span, passages

TEXTS = st.text(
    alphabet=st.sampled_from("ab. \n\t#é漢😀;,!?\r") | st.characters(codec="utf-8"), max_size=3_000
)
SIZES = st.integers(SIZE_MIN, 400)


@given(TEXTS, SIZES, st.lists(st.integers(0, 3_000), max_size=5))
def test_passages_are_ordered_disjoint_bounded_and_leave_out_only_white_space(
    source: str, size: int, sections: list[int]
) -> None:
    inside = [place for place in sections if place <= len(source)]
    spans = passages(source, size=size, sections=inside)
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(source)
        assert end - start <= size
        assert not source[position:start].strip()
        text = source[start:end]
        assert text == text.strip()
        position = end
    assert not source[position:].strip()


@given(TEXTS, SIZES)
def test_the_same_text_is_always_cut_the_same_way(source: str, size: int) -> None:
    assert passages(source, size=size) == passages(source, size=size)


def test_text_is_cut_between_paragraphs_before_sentences_before_words() -> None:
    sentence = "The quick brown fox jumps over the lazy dog."
    paragraph = " ".join([sentence] * 4)
    source = "\n\n".join([paragraph] * 3)
    by_paragraph = [source[span.start : span.end] for span in passages(source, size=200)]
    assert by_paragraph == [paragraph] * 3
    by_sentence = [source[span.start : span.end] for span in passages(source, size=100)]
    assert set(by_sentence) == {f"{sentence} {sentence}"}
    long_word = "x" * 250
    assert passages(long_word, size=100) == [Span(0, 100), Span(100, 200), Span(200, 250)]


def test_a_section_stands_alone_unless_it_is_very_short() -> None:
    body = "Something that is worth a section of its own. " * 4
    source = f"# Title\n\n## One\n\n{body}\n\n## Two\n\n{body}"
    sections = [heading.start for heading in outline(source, media_type=MARKDOWN)]
    texts = [source[start:end] for start, end in passages(source, size=500, sections=sections)]
    assert [re.findall(r"^#+ .*", text, re.MULTILINE) for text in texts] == [
        ["# Title", "## One"],
        ["## Two"],
    ]


@pytest.mark.parametrize("source", ["", " \n\t ", "\u2028"])
def test_white_space_makes_no_passage(source: str) -> None:
    assert passages(source, size=200) == []


def test_a_megabyte_without_any_separator_is_cut_in_linear_time() -> None:
    spans = passages("x" * 1_000_000, size=1_000)
    assert len(spans) == 1_000
    assert len(passages("\n \t" * 300_000 + "x", size=1_000)) == 1
