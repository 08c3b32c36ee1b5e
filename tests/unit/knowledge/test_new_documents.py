"""What is checked before a document or a collection is stored."""

import uuid

import pytest

from common.errors import InvalidRequest, TooLarge
from knowledge.document import BODY_CHARACTERS_MAX, DOCUMENTS_MAX, read_documents

COLLECTION = uuid.UUID(int=7)


def read(*documents):
    return read_documents(list(documents), collection_id=COLLECTION)


def test_an_id_that_is_missing_comes_from_the_content() -> None:
    first, second = read({"text": "a"}, {"text": "b"})
    assert first.id != second.id
    assert read({"text": "a", "metadata": {"x": 1}})[0].id == first.id
    assert read({"text": "a", "title": "t"})[0].id != first.id


def test_the_content_hash_sees_every_part_and_no_order() -> None:
    base = {"id": "a", "text": "t", "metadata": {"x": 1, "y": 2}}
    (one,) = read(base)
    (same,) = read(
        {**base, "metadata": {"y": 2, "x": 1}, "title": None, "mediaType": "text/markdown"}
    )
    assert one.content_hash == same.content_hash
    for other in ({"text": "u"}, {"title": "n"}, {"metadata": {}}, {"mediaType": "text/plain"}):
        assert read({**base, **other})[0].content_hash != one.content_hash, other


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ("text", "/documents/0"),
        ({}, "/documents/0/text"),
        ({"text": 5}, "/documents/0/text"),
        ({"text": " \n"}, "/documents/0/text"),
        ({"text": "x" * (BODY_CHARACTERS_MAX + 1)}, "/documents/0/text"),
        ({"text": "x", "id": 5}, "/documents/0/id"),
        ({"text": "x", "id": "i" * 201}, "/documents/0/id"),
        ({"text": "x", "title": ["t"]}, "/documents/0/title"),
        ({"text": "x", "mediaType": "application/pdf"}, "/documents/0/mediaType"),
        ({"text": "x", "metadata": []}, "/documents/0/metadata"),
        ({"text": "x", "metadata": {"k": "v" * 20_000}}, "/documents/0/metadata"),
        ({"text": "x", "tags": []}, "/documents/0/tags"),
        ({"text": "x", "url": "https://example.org"}, "/documents/0/url"),
        ({"text": "x\0"}, "/documents/0"),
        ({"text": "x", "metadata": {"k": "a\0"}}, "/documents/0"),
        ({"text": "x\ud800"}, "/documents/0"),
    ],
)
def test_what_is_wrong_is_pointed_at(document, pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(document)
    assert refused.value.errors[0].pointer == pointer
    assert "xxxx" not in refused.value.detail


def test_a_backslash_before_u0000_is_text_like_any_other() -> None:
    (document,) = read({"text": "a\\u0000b"})
    assert document.body == "a\\u0000b"


def test_every_wrong_document_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(
            {"text": "fine", "id": "a"}, {"text": ""}, {"text": "also fine", "id": "a"}, {"text": 1}
        )
    assert [error.pointer for error in refused.value.errors] == [
        "/documents/1/text",
        "/documents/3/text",
        "/documents/2/id",
    ]


def test_too_many_documents_are_refused_at_once() -> None:
    with pytest.raises(TooLarge):
        read(*[{"text": "x"}] * (DOCUMENTS_MAX + 1))
    for nothing in ([], None, "text", {}):
        with pytest.raises(InvalidRequest):
            read_documents(nothing, collection_id=COLLECTION)
