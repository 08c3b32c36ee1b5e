"""Passages cut into sentences, each with its place and the headings it stands under."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_HEADING: Final = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_BULLET: Final = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)])\s+")
_TABLE_RULE: Final = re.compile(r"^\s*\|?[\s:|-]+\|?\s*$")
_END: Final = re.compile(r"[.!?]+[\"”')\]]*(?=\s+[\"“'(\[]?[A-Z0-9]|\s*$)")
_ABBREVIATION_TEXT: Final = (
    "e.g. i.e. etc. mr. mrs. ms. dr. vs. approx. inc. ltd. st. p.m. a.m. u.s. u.k."
)
_ABBREVIATIONS: Final = frozenset(_ABBREVIATION_TEXT.split())


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    """Readable: one line, without Markdown's marks."""

    start: int
    end: int
    """Where it stands in its passage, in characters."""

    context: str
    """The headings above it and, for items of a list, the line that introduces the list."""

    introduction: str = ""
    """What an item of a list needs ahead of it to be understood."""

    @property
    def is_item(self) -> bool:
        """A fragment that only makes sense after its introduction."""
        return bool(self.introduction)


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together: a paragraph, an item of a list, a row of a table."""

    start: int
    text: str
    context: str
    introduction: str


def sentences_of(text: str, *, section: str = "") -> list[Sentence]:
    """`section` names the headings above the whole text, as a search reports them."""
    return [sentence for block in _blocks(text, section) for sentence in _sentences_in(block)]


def _blocks(text: str, section: str) -> Iterator[_Block]:
    headings: list[tuple[int, str]] = [(0, section.rsplit(">", 1)[-1].strip())] if section else []
    introduction = ""
    paragraph: list[str] = []
    paragraph_at = position = 0

    def context() -> str:
        return " ".join([title for _, title in headings] + [introduction]).strip()

    for line in [*text.splitlines(keepends=True), "\n"]:
        heading, is_bullet = _HEADING.match(line), _BULLET.match(line) is not None
        is_table = line.lstrip().startswith("|")
        starts_new = bool(heading) or is_bullet or is_table or not line.strip()
        if starts_new and paragraph:
            block = "".join(paragraph)
            above = introduction or (headings[-1][1] if headings else "")
            yield _Block(paragraph_at, block, context(), above)
            if block.rstrip().endswith(":"):
                introduction = block.strip()
            elif not _BULLET.match(block):
                introduction = ""
            paragraph = []
        if heading:
            level = len(heading.group(1))
            headings = [one for one in headings if one[0] < level]
            headings.append((level, heading.group(2)))
            introduction = ""
        elif line.strip() and not (is_table and _TABLE_RULE.match(line)):
            if not paragraph:
                paragraph_at = position
            paragraph.append(line)
        position += len(line)


def _sentences_in(block: _Block) -> Iterator[Sentence]:
    if block.text.lstrip().startswith("|"):
        cells = [cell.strip() for cell in block.text.strip().strip("|").split("|")]
        yield _sentence(block, 0, len(block.text), ": ".join(cell for cell in cells if cell))
        return
    begin = 0
    for match in _END.finditer(block.text):
        last_word = block.text[begin : match.end()].rsplit(None, 1)[-1].lower()
        if last_word in _ABBREVIATIONS:
            continue
        yield _sentence(block, begin, match.end())
        begin = match.end()
    if block.text[begin:].strip():
        yield _sentence(block, begin, len(block.text))


def _sentence(block: _Block, begin: int, end: int, shown: str | None = None) -> Sentence:
    raw = block.text[begin:end]
    begin += len(raw) - len(raw.lstrip())
    end -= len(raw) - len(raw.rstrip())
    return Sentence(
        text=readable(shown if shown is not None else raw),
        start=block.start + begin,
        end=block.start + end,
        context=block.context,
        introduction=_introduction(block, raw),
    )


def _introduction(block: _Block, raw: str) -> str:
    """For fragments only: an item that is a sentence of its own speaks for itself."""
    item = _BULLET.sub("", raw.strip())
    is_fragment = _BULLET.match(block.text) is not None and (
        item[:1].islower() or not item.rstrip().endswith((".", "!", ";"))
    )
    return readable(block.introduction).rstrip(":").strip() if is_fragment else ""


def readable(text: str) -> str:
    """One line without Markdown's marks."""
    text = _BULLET.sub("", text.strip())
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(\*\*|__|\*|`)(\S(?:.*?\S)?)\1", r"\2", text)
    return " ".join(text.split())
