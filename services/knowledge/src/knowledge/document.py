"""A document as it is handed in: what is checked before anything is stored."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from common.errors import InvalidRequest, TooLarge, Violation
from knowledge.text.outline import MARKDOWN, MEDIA_TYPES

DOCUMENTS_MAX = 1_000
"""Documents of one request."""

BODY_CHARACTERS_MAX = 4_000_000
ID_CHARACTERS_MAX = 200
TITLE_CHARACTERS_MAX = 1_024
METADATA_BYTES_MAX = 16_384

_FIELDS = frozenset({"id", "title", "text", "mediaType", "metadata"})
_ADVICE = {"url": "is not fetched by this service; send the text itself"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    id: str
    title: str | None
    media_type: str
    metadata: Mapping[str, Any]
    body: str

    @property
    def content_hash(self) -> bytes:
        """The same for the same document, in whatever order its metadata is written."""
        parts = [self.title, self.media_type, self.metadata, self.body]
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


def read_documents(documents: Any, *, collection_id: UUID) -> list[NewDocument]:
    """Raise `InvalidRequest` or `TooLarge`, naming every place that is wrong."""
    if not isinstance(documents, Sequence) or isinstance(documents, str | bytes) or not documents:
        raise InvalidRequest("`documents` should be a list of at least one document.")
    if len(documents) > DOCUMENTS_MAX:
        raise TooLarge(f"At most {DOCUMENTS_MAX} documents at a time; send them in pieces.")
    problems: list[Violation] = []
    read = [
        _read(document, f"/documents/{place}", collection_id, problems)
        for place, document in enumerate(documents)
    ]
    seen: set[str] = set()
    for place, document in enumerate(read):
        if document is not None and document.id in seen:
            problems.append(Violation(f"/documents/{place}/id", "occurs twice in this request"))
        elif document is not None:
            seen.add(document.id)
    if problems:
        raise InvalidRequest(
            f"The documents cannot be accepted: {problems[0].pointer} {problems[0].detail}.",
            code="invalid_document",
            errors=problems,
        )
    return [document for document in read if document is not None]


def _read(
    document: Any, pointer: str, collection_id: UUID, problems: list[Violation]
) -> NewDocument | None:
    if not isinstance(document, Mapping):
        problems.append(Violation(pointer, 'should be an object such as {"title": …, "text": …}'))
        return None
    found = list(_violations(document, pointer))
    if found:
        problems.extend(found)
        return None
    title = document.get("title") or None
    media_type = document.get("mediaType") or MARKDOWN
    body: str = document["text"]
    return NewDocument(
        id=document.get("id") or _derived_id(collection_id, title, body),
        title=title,
        media_type=media_type,
        metadata=document.get("metadata") or {},
        body=body,
    )


def _derived_id(collection_id: UUID, title: str | None, body: str) -> str:
    # From the content, so that a request that is repeated does not make a second document.
    digest = hashlib.sha256(f"{title or ''}\0{body}".encode()).hexdigest()
    return str(uuid.uuid5(collection_id, digest))


def _violations(document: Mapping[str, Any], pointer: str) -> list[Violation]:
    checks = [
        (
            "text",
            isinstance(document.get("text"), str) and bool(document["text"].strip()),
            "should be the document's text; it must not be empty",
        ),
        (
            "id",
            _is_text(document.get("id"), ID_CHARACTERS_MAX),
            f"should be 1 to {ID_CHARACTERS_MAX} characters",
        ),
        (
            "title",
            _is_text(document.get("title"), TITLE_CHARACTERS_MAX),
            f"should be at most {TITLE_CHARACTERS_MAX} characters",
        ),
        (
            "mediaType",
            document.get("mediaType") in (None, *MEDIA_TYPES),
            f"should be one of {', '.join(MEDIA_TYPES)}",
        ),
        (
            "metadata",
            _is_metadata(document.get("metadata")),
            f"should be a JSON object of at most {METADATA_BYTES_MAX} bytes",
        ),
    ]
    found = [Violation(f"{pointer}/{name}", advice) for name, right, advice in checks if not right]
    found += [
        Violation(
            f"{pointer}/{name}",
            _ADVICE.get(name, f"is not known; a document has {', '.join(sorted(_FIELDS))}"),
        )
        for name in sorted(set(document) - _FIELDS)
    ]
    text = document.get("text")
    if isinstance(text, str) and len(text) > BODY_CHARACTERS_MAX:
        found.append(
            Violation(
                f"{pointer}/text", f"is longer than {BODY_CHARACTERS_MAX} characters; split it"
            )
        )
    if not found and not _is_storable(document):
        found.append(Violation(pointer, "contains NUL characters or broken Unicode"))
    return found


def _is_text(value: Any, longest: int) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= longest)


def _is_metadata(value: Any) -> bool:
    if value is None:
        return True
    try:
        return isinstance(value, dict) and len(orjson.dumps(value)) <= METADATA_BYTES_MAX
    except TypeError:
        return False


def _is_storable(document: Mapping[str, Any]) -> bool:
    """PostgreSQL keeps neither NUL nor lone surrogates; better said here than by a failed transaction."""
    try:
        encoded = orjson.dumps(document)
    except TypeError:
        return False
    # A NUL can only be written as an escape here; an escaped backslash before `u0000` is not one.
    return b"\\u0000" not in encoded.replace(b"\\\\", b"")
