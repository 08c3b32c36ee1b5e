"""The part of ingestion that only computes: from a document's text to its chunks and their terms.

It runs in one thread beside the event loop. Cutting and counting are Python and hold the interpreter's lock, so
they share the processor with requests in slices of a few milliseconds; they do not hold the loop for the length
of a document.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from common.errors import Unprocessable
from knowledge.storage.chunks import NewChunk, searchable
from knowledge.storage.work import Source
from knowledge.text.outline import Heading, breadcrumb, outline, title_of
from knowledge.text.passages import Span, passages
from knowledge.text.terms import term_counts

T = TypeVar("T")

CHUNKS_MAX = 20_000
"""Of one document."""


class Preparation:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preparation")

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def headings(self, source: Source) -> tuple[Heading, ...]:
        return await self._beside(lambda: outline(source.body, media_type=source.media_type))

    async def chunks(
        self, source: Source, headings: tuple[Heading, ...], *, passage_size: int
    ) -> list[NewChunk]:
        """Raise `Unprocessable` for a document that has nothing to index, or too much."""
        return await self._beside(lambda: cut(source, headings, passage_size=passage_size))

    async def count_terms(self, contents: Mapping[int, str]) -> dict[int, Mapping[str, int]]:
        return await self._beside(
            lambda: {ordinal: term_counts(text) for ordinal, text in contents.items()}
        )

    async def _beside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def cut(source: Source, headings: tuple[Heading, ...], *, passage_size: int) -> list[NewChunk]:
    spans = passages(
        source.body, size=passage_size, sections=[heading.start for heading in headings]
    )
    if not spans:
        raise Unprocessable("The document has no text to index.", code="empty_document")
    if len(spans) > CHUNKS_MAX:
        raise Unprocessable(
            f"The document makes {len(spans)} chunks, more than {CHUNKS_MAX}; split it.",
            code="document_too_large",
        )
    title = source.title or title_of(headings)
    return [
        _chunk(source, (title, *breadcrumb(headings, span.start)), position, span)
        for position, span in enumerate(spans)
    ]


def _chunk(source: Source, above: Sequence[str | None], position: int, span: Span) -> NewChunk:
    text = source.body[span.start : span.end]
    # A first passage that begins with the title's own heading has it already.
    parts = [part for part in dict.fromkeys(above) if part and part not in text[: len(part) + 8]]
    context = " > ".join(parts)
    return NewChunk(
        revision_id=source.revision_id,
        position=position,
        start=span.start,
        end=span.end,
        context=context,
        text=text,
        text_hash=hashlib.sha256(searchable(context, text).encode()).digest(),
    )
