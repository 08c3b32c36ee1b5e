"""Documents as they are sent: JSON, a list, or files; all become one list of the contract's documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from aiohttp import BodyPartReader
from aiohttp.http_exceptions import HttpProcessingError

from common.errors import InvalidRequest, Unprocessable, Violation
from gateway.bounds.json_text import parse_json
from gateway.bounds.validation import validated
from gateway.models.knowledge import DOCUMENTS_MAX, DocumentBody, DocumentsBody
from gateway.problems import UnsupportedMediaType
from gateway.route import Call, too_large

_MARKDOWN: Final = frozenset({".md", ".markdown"})
_READ_BYTES: Final = 64 * 1024
_METADATA_BYTES_MAX: Final = 64 * 1024


async def read_documents(call: Call) -> list[dict[str, Any]]:
    """The documents of a request, checked, in the contract's form."""
    kind = call.request.content_type
    if kind == "multipart/form-data":
        return await _files(call)
    if kind not in {"application/json", "application/octet-stream"} and not kind.endswith("+json"):
        raise UnsupportedMediaType(
            "Documents come as application/json, or as files in multipart/form-data.",
            extensions={"accepted": ["application/json", "multipart/form-data"]},
        )
    value = await call.json()
    if isinstance(value, dict) and "documents" in value:
        return _contract(validated(DocumentsBody, value).documents)
    if isinstance(value, list):
        return _contract(validated(DocumentsBody, {"documents": value}).documents)
    return _contract([validated(DocumentBody, value)])


def _contract(documents: Sequence[DocumentBody]) -> list[dict[str, Any]]:
    return [each.model_dump(by_alias=True, exclude_none=True) for each in documents]


async def _files(call: Call) -> list[dict[str, Any]]:
    """One document per file part, named by its file; a part `metadata` before them goes with all of them."""
    limit = call.gateway.settings.max_request_bytes
    declared = call.request.content_length
    if declared is not None and declared > limit:
        raise too_large(limit)
    documents: list[dict[str, Any]] = []
    metadata: Any = None
    room: int = limit
    try:
        async for part in await call.request.multipart():
            if not isinstance(part, BodyPartReader):
                raise InvalidRequest("Nested multipart bodies are not accepted.")
            content = await _read(part, room, limit)
            room -= len(content)
            if part.filename:
                documents.append(_document(part, part.filename, content, metadata))
            elif part.name == "metadata" and len(content) <= _METADATA_BYTES_MAX:
                metadata = parse_json(content, depth_max=call.gateway.settings.max_json_depth)
            else:
                raise InvalidRequest(
                    f"The part {part.name!r} is neither a file nor `metadata` (JSON, before the files)."
                )
    except HttpProcessingError as error:  # the headers of a part
        raise InvalidRequest(f"The multipart body cannot be read: {error.message}.") from None
    except (ValueError, RuntimeError, AssertionError) as error:
        raise InvalidRequest(f"The multipart body cannot be read: {error}.") from None
    if not 1 <= len(documents) <= DOCUMENTS_MAX:
        raise Unprocessable(f"Send 1 to {DOCUMENTS_MAX} files.", code="invalid_body")
    return documents


async def _read(part: BodyPartReader, room: int, limit: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(_READ_BYTES):
        content += chunk
        if len(content) > room:
            raise too_large(limit)
    return bytes(content)


def _document(part: BodyPartReader, filename: str, content: bytes, metadata: Any) -> dict[str, Any]:
    name = PurePosixPath(filename.replace("\\", "/")).name
    pointer = f"/{name}"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unusable(
            pointer, "is not UTF-8 text; text and Markdown files are accepted"
        ) from None
    if "\x00" in text:
        raise _unusable(pointer, "contains NUL; text and Markdown files are accepted")
    given = part.headers.get("Content-Type", "")
    is_markdown = given.startswith("text/markdown") or PurePosixPath(name).suffix in _MARKDOWN
    document = {
        "id": name,
        "title": PurePosixPath(name).stem,
        "text": text,
        "mediaType": "text/markdown" if is_markdown else "text/plain",
        **({"metadata": metadata} if metadata is not None else {}),
    }
    return _contract([validated(DocumentBody, document)])[0]


def _unusable(pointer: str, detail: str) -> Unprocessable:
    return Unprocessable(
        "A file cannot be read.", code="invalid_body", errors=[Violation(pointer, detail)]
    )
