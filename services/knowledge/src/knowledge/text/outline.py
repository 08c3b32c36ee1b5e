"""Headings of a Markdown document, with the exact place where each begins."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt

MARKDOWN = "text/markdown"
PLAIN_TEXT = "text/plain"
MEDIA_TYPES = (MARKDOWN, PLAIN_TEXT)

# The parser counts lines by the same rule, lone carriage returns included.
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Heading:
    start: int
    """Offset of the line's first character, in code points."""

    level: int
    title: str


def outline(source: str, *, media_type: str) -> tuple[Heading, ...]:
    """Every heading, in order. Plain text has none."""
    if media_type != MARKDOWN:
        return ()
    parser = MarkdownIt("commonmark")
    # Only block structure matters here; parsing emphasis and links would be most of the work.
    parser.core.ruler.disable("inline")
    starts = [0, *(match.end() for match in _LINE_END.finditer(source))]
    tokens = parser.parse(source)
    return tuple(
        Heading(start=starts[opening.map[0]], level=int(opening.tag[1:]), title=content.content)
        for opening, content in itertools.pairwise(tokens)
        if opening.type == "heading_open" and opening.level == 0 and opening.map is not None
    )


def title_of(headings: Sequence[Heading]) -> str | None:
    """The first top-level heading: what a document is called when nobody says."""
    return next((heading.title for heading in headings if heading.level == 1), None)


def breadcrumb(headings: Sequence[Heading], start: int) -> tuple[str, ...]:
    """The headings above `start`, outermost first. One that begins at `start` is not above it."""
    path: list[Heading] = []
    for heading in headings:
        if heading.start >= start:
            break
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
    starting = next((heading for heading in headings if heading.start == start), None)
    if starting is not None:
        path = [heading for heading in path if heading.level < starting.level]
    return tuple(heading.title for heading in path)
