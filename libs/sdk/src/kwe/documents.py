"""Files as documents of a collection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kwe.errors import Unusable

if TYPE_CHECKING:
    from kwe.client import Client, Document

MEDIA_TYPES: Final = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
}
REQUEST_BYTES_MAX: Final = 900_000
"""Of the texts of one request, below the server's limit of a body (1 MiB)."""

Finished = Callable[["Document"], None]


def read_documents(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Every text and Markdown file at `paths` and below. Raises `Unusable` naming what cannot be used."""
    documents = [_document(file, root) for path in paths for file, root in _files(path)]
    if not documents:
        raise Unusable(f"no files to ingest: {', '.join(MEDIA_TYPES)} are understood")
    return documents


async def ingest_documents(
    client: Client,
    collection: str,
    documents: Sequence[dict[str, Any]],
    *,
    timeout: float = 60.0,
    on_finished: Finished = lambda _: None,
) -> list[Document]:
    """Hand in documents in requests of a fitting size, and return when each is ready or has failed."""
    for batch in _batches(documents):
        await client.add_documents(collection, batch)

    async def finished(document: dict[str, Any]) -> Document:
        status = await client.wait_for_document(collection, document["id"], timeout=timeout)
        on_finished(status)
        return status

    return list(await asyncio.gather(*(finished(document) for document in documents)))


def _files(path: Path) -> Iterator[tuple[Path, Path]]:
    """Files with the folder that their ids are relative to."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if file.is_file() and file.suffix.lower() in MEDIA_TYPES and not hidden:
                yield file, path
    elif path.is_file():
        if path.suffix.lower() not in MEDIA_TYPES:
            raise Unusable(f"{path}: only {', '.join(MEDIA_TYPES)} files are understood")
        yield path, path.parent
    else:
        raise Unusable(f"{path}: there is no such file or folder")


def _document(file: Path, root: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"{file}: not text in UTF-8 (byte {error.start})") from None
    if not text.strip():
        raise Unusable(f"{file} is empty")
    return {
        "id": file.relative_to(root).as_posix(),
        "title": _title(text) or file.stem,
        "text": text,
        "mediaType": MEDIA_TYPES[file.suffix.lower()],
    }


def _title(text: str) -> str | None:
    """The first heading."""
    for line in text.splitlines():
        if line.startswith("# "):
            return line.removeprefix("# ").strip()
        if line.strip():
            return None
    return None


def _batches(documents: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for document in documents:
        length = len(document["text"].encode())
        if batch and size + length > REQUEST_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += length
    if batch:
        yield batch
