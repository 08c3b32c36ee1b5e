"""Passages: cutting a document into retrievable parts without losing a character's place.

Offsets are the product. A passage is a pair of offsets into the source, in code points, and its text is
`source[start:end]`, nothing added and nothing normalised. Passages are in order and never overlap; what lies
between two of them is white space.

The cut is recursive: at section headings first, then blank lines, line ends, sentences, clauses, words, and
in the middle of a word only where one is longer than a whole passage. Neighbouring pieces are joined
again while they fit, so that a passage is as long as it may be without crossing a section, except that a
very short section is kept with the next one.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SIZE_DEFAULT = 1_200
"""Characters. Larger passages find more and cite less precisely."""

SIZE_MIN, SIZE_MAX = 100, 8_000

_SHORT_SECTION_RATIO = 4
"""A section below a quarter of the size does not stand alone."""

_SEPARATORS = (
    re.compile(r"\n[ \t\r]*\n\s*"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])"),
    re.compile(r"(?<=[;:,])\s+"),
    re.compile(r"\s+"),
)


class Span(NamedTuple):
    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def passages(source: str, *, size: int = SIZE_DEFAULT, sections: Iterable[int] = ()) -> list[Span]:
    """Cut `source` into spans of at most `size` characters. `sections` are offsets where headings begin."""
    assert SIZE_MIN <= size <= SIZE_MAX
    borders = sorted({0, *sections, len(source)})
    joined: list[Span] = []
    for start, end in itertools.pairwise(borders):
        pieces = _pieces(source, Span(start, end), size, depth=0)
        if joined and pieces and _belongs_with_next(joined[-1], pieces[0], size):
            pieces[0] = Span(joined.pop().start, pieces[0].end)
        joined.extend(pieces)
    return joined


def _belongs_with_next(last: Span, following: Span, size: int) -> bool:
    short = last.length < size // _SHORT_SECTION_RATIO
    return short and following.end - last.start <= size


def _pieces(source: str, span: Span, size: int, *, depth: int) -> list[Span]:
    span = _trimmed(source, span)
    if span.length == 0:
        return []
    if span.length <= size:
        return [span]
    if depth == len(_SEPARATORS):
        cuts = range(span.start, span.end, size)
        return [Span(cut, min(cut + size, span.end)) for cut in cuts]
    pieces = [
        smaller
        for part in _split(source, span, _SEPARATORS[depth])
        for smaller in _pieces(source, part, size, depth=depth + 1)
    ]
    return _packed(pieces, size)


def _split(source: str, span: Span, separator: re.Pattern[str]) -> list[Span]:
    cuts = [match.end() for match in separator.finditer(source, span.start, span.end)]
    borders = [span.start, *cuts, span.end]
    return [Span(a, b) for a, b in itertools.pairwise(borders) if a < b]


def _packed(pieces: Sequence[Span], size: int) -> list[Span]:
    packed: list[Span] = []
    for piece in pieces:
        if packed and piece.end - packed[-1].start <= size:
            packed[-1] = Span(packed[-1].start, piece.end)
        else:
            packed.append(piece)
    return packed


def _trimmed(source: str, span: Span) -> Span:
    start, end = span
    while start < end and source[start].isspace():
        start += 1
    while end > start and source[end - 1].isspace():
        end -= 1
    return Span(start, end)
