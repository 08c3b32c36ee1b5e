"""Definitions and knowledge over HTTP."""

from typing import Any

import pytest
from aiohttp import FormData

from common.contracts.administration import RegisterWorkflow
from common.contracts.knowledge import AddDocuments, CreateCollection, DeleteCollection, Search
from common.ids import uuid7

YAML = """\
document:
  dsl: '1.0.3'
  namespace: support
  name: refunds
  version: 1.2.0
do:
  - answer:
      set: {text: yes}
"""


async def test_yaml_and_json_register_the_same_definition(
    gateway: Any, owners: Any, tools: Any
) -> None:
    headers = {"Content-Type": "application/yaml"}
    async with gateway.client.post("/v1/workflows", data=YAML, headers=headers) as answer:
        body = await answer.json()
        assert answer.status == 201, body
        assert answer.headers["Location"] == "/v1/workflows/support/refunds/versions/1.2.0"
    document = tools.definition(version="1.2.0")
    async with gateway.client.post("/v1/workflows", json=document) as answer:
        assert answer.status == 201
    first, second = owners.asked_for(RegisterWorkflow)
    assert first.fingerprint == second.fingerprint == body["fingerprint"]
    assert first.config == second.config
    assert (first.namespace, first.name, first.semver) == ("support", "refunds", "1.2.0")


async def test_a_taken_version_is_409(gateway: Any, owners: Any, tools: Any) -> None:
    async def refuse(message: RegisterWorkflow) -> Any:
        return tools.reply_to(message, 409, code="version_taken", detail="Raise it.")

    owners.answer(RegisterWorkflow, refuse)
    async with gateway.client.post("/v1/workflows", json=tools.definition()) as answer:
        assert answer.status == 409
        assert (await answer.json())["code"] == "version_taken"


async def test_every_problem_of_a_definition_has_its_line_and_advice(
    gateway: Any, owners: Any
) -> None:
    broken = YAML.replace("set: {text: yes}", "sett: {text: yes}").replace("1.2.0", "one")
    headers = {"Content-Type": "application/yaml"}
    async with gateway.client.post("/v1/workflows", data=broken, headers=headers) as answer:
        body = await answer.json()
        assert (answer.status, body["code"]) == (422, "invalid_definition")
    assert {error["line"] for error in body["errors"]} >= {5}
    assert all(error["pointer"] and error["detail"] for error in body["errors"])
    assert owners.asked_for(RegisterWorkflow) == []
    async with gateway.client.post(
        "/v1/workflows/validate", data=broken, headers=headers
    ) as answer:
        found = await answer.json()
        assert (answer.status, found["valid"]) == (200, False)
    assert len(found["diagnostics"]) == len(body["errors"])


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"a: [", "application/yaml", 422),
        (b"\xff", "application/yaml", 422),
        (b"[1", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b"[" * 70 + b"]" * 70, "application/json", 400),
        (b"a: &a [*a]", "application/yaml", 422),
        (b"<a/>", "application/xml", 415),
    ],
)
async def test_what_cannot_be_read_is_refused(
    gateway: Any, data: bytes, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind}
    async with gateway.client.post("/v1/workflows", data=data, headers=headers) as answer:
        assert answer.status == status, await answer.text()


async def test_workflows_are_listed_shown_and_cached_by_etag(gateway: Any, rows: Any) -> None:
    await rows.workflow("support/refunds", "1.0.0", 1)
    await rows.workflow("support/refunds", "1.1.0", 2)
    await rows.workflow("billing/invoices")
    async with gateway.client.get("/v1/workflows") as answer:
        items = (await answer.json())["items"]
    assert [(each["id"], each["version"]) for each in items] == [
        ("billing/invoices", "1.0.0"),
        ("support/refunds", "1.1.0"),
    ]
    async with gateway.client.get("/v1/workflows", params={"limit": "1"}) as answer:
        page = await answer.json()
    async with gateway.client.get("/v1/workflows", params={"cursor": page["nextCursor"]}) as answer:
        assert [each["id"] for each in (await answer.json())["items"]] == ["support/refunds"]
    async with gateway.client.get("/v1/workflows/support/refunds") as answer:
        body, etag = await answer.json(), answer.headers["ETag"]
        assert (body["version"], body["registration"]) == ("1.1.0", 2)
        assert body["definition"]["document"]["version"] == "1.1.0"
    headers = {"If-None-Match": etag}
    async with gateway.client.get("/v1/workflows/support/refunds", headers=headers) as answer:
        assert answer.status == 304
    async with gateway.client.get("/v1/workflows/support/refunds/versions") as answer:
        items = (await answer.json())["items"]
    assert [each["version"] for each in items] == ["1.1.0", "1.0.0"]
    async with gateway.client.get("/v1/workflows/support/refunds/versions/1.0.0") as answer:
        assert (await answer.json())["registration"] == 1
    async with gateway.client.get("/v1/workflows/support/refunds/versions/9.9.9") as answer:
        assert answer.status == 404


async def test_knowledge_is_asked_by_message(gateway: Any, owners: Any, tools: Any) -> None:
    async def created(message: CreateCollection) -> Any:
        return tools.reply_to(message, 201, {"name": message.name})

    owners.answer(CreateCollection, created)
    async with gateway.client.post("/v1/collections", json={"name": "policies"}) as answer:
        assert (answer.status, answer.headers["Location"]) == (201, "/v1/collections/policies")
    body = {"query": "refund?", "topK": 3, "mode": "keyword", "filter": {"lang": "en"}}
    async with gateway.client.post("/v1/collections/policies/search", json=body) as answer:
        assert (await answer.json())["hits"][0]["id"] == "a"
    (sent,) = owners.asked_for(Search)
    assert (sent.top_k, sent.mode, sent.filter) == (3, "keyword", {"lang": "en"})
    assert sent.deadline_ms is not None
    async with gateway.client.delete("/v1/collections/policies") as answer:
        assert answer.status == 204
    assert owners.asked_for(DeleteCollection)[0].name == "policies"
    async with gateway.client.post("/v1/collections/policies/search", json={"query": ""}) as answer:
        assert answer.status == 422


async def test_documents_come_as_one_as_a_list_and_as_files(gateway: Any, owners: Any) -> None:
    path = "/v1/collections/policies/documents"
    one = {"id": "a", "text": "Refunds take 14 days.", "metadata": {"lang": "en"}}
    form = FormData()
    form.add_field("metadata", '{"lang": "de"}')
    form.add_field("file", "# Versand\n", filename="Versand.md", content_type="text/markdown")
    for body in (
        {"json": one},
        {"json": [one, {"text": "x"}]},
        {"json": {"documents": [one]}},
        {"data": form},
    ):
        async with gateway.client.post(path, **body) as answer:
            assert answer.status == 202, await answer.text()
    first, second, third, files = owners.asked_for(AddDocuments)
    assert first.documents == third.documents == [one]
    assert [each.get("id") for each in second.documents] == ["a", None]
    assert files.documents == [
        {
            "id": "Versand.md",
            "title": "Versand",
            "text": "# Versand\n",
            "mediaType": "text/markdown",
            "metadata": {"lang": "de"},
        }
    ]


async def test_large_documents_are_stored_and_named(gateway: Any, owners: Any, rows: Any) -> None:
    path = "/v1/collections/policies/documents"
    async with gateway.client.post(path, json={"text": "word " * 5000}) as answer:
        assert answer.status == 202
    (sent,) = owners.asked_for(AddDocuments)
    assert sent.documents == []
    size = await rows.connection.fetchval(
        "SELECT octet_length(bytes) FROM workflow.payloads WHERE owner_id = $1 AND id = $2",
        sent.documents_ref.owner_id,
        sent.documents_ref.id,
    )
    assert size == sent.documents_ref.size > 25_000


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"text": ""}, "/text"),
        ({"text": 1}, "/text"),
        ({"txt": "x"}, "/txt"),
        ([{"text": "x"}, {"id": "", "text": "x"}], "/documents/1/id"),
        ([], "/documents"),
    ],
)
async def test_wrong_documents_are_refused_with_a_pointer(
    gateway: Any, body: Any, pointer: str
) -> None:
    async with gateway.client.post("/v1/collections/policies/documents", json=body) as answer:
        problem = await answer.json()
        assert answer.status == 422
    assert pointer in [each["pointer"] for each in problem["errors"]]


async def test_files_that_are_no_text_are_refused(gateway: Any) -> None:
    form = FormData()
    form.add_field("file", b"%PDF-1.7 \xff\xfe", filename="a.pdf")
    async with gateway.client.post("/v1/collections/policies/documents", data=form) as answer:
        assert answer.status == 422
        assert (await answer.json())["errors"][0]["pointer"] == "/a.pdf"


async def test_collections_and_documents_are_read_with_their_progress(
    gateway: Any, rows: Any
) -> None:
    collection = uuid7()
    run = rows.connection.execute
    await run(
        "INSERT INTO knowledge.collections (id, organization_id, name) VALUES ($1, $2, 'policies')",
        collection,
        rows.organization_id,
    )
    await run(
        "INSERT INTO knowledge.index_versions (organization_id, collection_id, number, status, passage_size, "
        "embedding_provider, model, dimensions, vector_store) VALUES ($1, $2, 1, 'active', 800, 'local', 'm', 256, 'pgvector')",
        rows.organization_id,
        collection,
    )
    for id in ("a", "b"):
        await run(
            "INSERT INTO knowledge.documents (organization_id, collection_id, id) VALUES ($1, $2, $3)",
            rows.organization_id,
            collection,
            id,
        )
        await run(
            "INSERT INTO knowledge.revisions (organization_id, collection_id, document_id, version, media_type, "
            "content_hash, body) VALUES ($1, $2, $3, 1, 'text/plain', 'x', 'text')",
            rows.organization_id,
            collection,
            id,
        )
    async with gateway.client.get("/v1/collections") as answer:
        (found,) = (await answer.json())["items"]
    assert (found["name"], found["indexVersion"], found["dimensions"]) == ("policies", 1, 256)
    async with gateway.client.get("/v1/collections/policies") as answer:
        assert (await answer.json())["documents"] == {"pending": 2}
    async with gateway.client.get(
        "/v1/collections/policies/documents", params={"limit": "1"}
    ) as answer:
        page = await answer.json()
    assert [each["id"] for each in page["items"]] == ["a"]
    async with gateway.client.get("/v1/collections/policies/documents/b") as answer:
        body = await answer.json()
    assert (body["status"], body["progress"], body["metadata"]) == ("pending", 0, {})
