"""What a search refuses, and who may read what it reads."""

import time
import uuid

import asyncpg
import pytest

from common.errors import InvalidRequest, NotFound, Unavailable


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"query": "  "}, "/query"),
        ({"query": 5}, "/query"),
        ({"query": "x" * 5_000}, "/query"),
        ({"query": "x", "topK": 0}, "/topK"),
        ({"query": "x", "topK": 1.5}, "/topK"),
        ({"query": "x", "topK": True}, "/topK"),
        ({"query": "x", "topK": 5_000}, "/topK"),
        ({"query": "x", "mode": "magic"}, "/mode"),
        ({"query": "x", "minScore": "high"}, "/minScore"),
        ({"query": "x", "rerank": True}, "/rerank"),
    ],
)
async def test_a_search_that_cannot_be_made_is_refused_with_its_place(
    engine, organization, body, pointer
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await engine.search(organization, "c", body)
    assert refused.value.errors[0].pointer == pointer


async def test_a_search_after_its_deadline_is_not_made(engine, organization) -> None:
    await engine.create_collection(organization, "c")
    past = int(time.time() * 1000) - 1
    with pytest.raises(Unavailable) as refused:
        await engine.search(organization, "c", {"query": "x"}, deadline_ms=past)
    assert refused.value.code == "deadline_passed"


async def test_an_unknown_collection_is_not_found_whatever_its_name(engine, organization) -> None:
    for name in ("none", "\0", "'; --", ""):
        with pytest.raises(NotFound):
            await engine.search(organization, name, {"query": "x"})


async def test_min_score_and_top_k_bound_the_answer(engine, organization, finish) -> None:
    await engine.create_collection(organization, "c")
    documents = [{"id": f"d{n}", "text": f"Harbour {'fine ' * n}."} for n in range(12)]
    await engine.add_documents(organization, "c", documents)
    await finish(engine, "c")
    all_of_them = await engine.search(organization, "c", {"query": "harbour", "topK": 12.0})
    assert len(all_of_them) == 12
    bound = all_of_them[4].score
    few = await engine.search(
        organization, "c", {"query": "harbour", "topK": 12, "minScore": bound}
    )
    assert few == [hit for hit in all_of_them if hit.score >= bound]
    assert len(await engine.search(organization, "c", {"query": "harbour"})) == 5


async def test_the_gateways_role_reads_its_own_organization_only(
    engine, organization, finish, database
) -> None:
    stranger = uuid.uuid4()
    for owner in (organization, stranger):
        await engine.create_collection(owner, "c")
        await engine.add_documents(owner, "c", [{"id": "a", "text": "Harbour."}])
    await finish(engine, "c")
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("SET ROLE kwe_gateway")
        for view in ("documents", "document_overview", "collection_overview", "chunks"):
            assert await connection.fetchval(f"SELECT count(*) FROM knowledge.{view}") == 0, view
        await connection.execute("SELECT set_config('app.org', $1, false)", str(organization))
        for view in ("collections", "document_overview", "collection_overview"):
            rows = await connection.fetch(f"SELECT organization_id FROM knowledge.{view}")
            assert {row["organization_id"] for row in rows} == {organization}, view
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM knowledge.documents")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM knowledge.postings")
    finally:
        await connection.close()


async def test_a_chunk_cannot_be_written_into_another_organization(
    engine, organization, pool
) -> None:
    await engine.create_collection(organization, "c")
    index = await pool.fetchval("SELECT id FROM knowledge.index_versions")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await pool.execute(
            "INSERT INTO knowledge.segments (organization_id, index_version_id, level, ordinals) "
            "VALUES ($1, $2, 0, '{}')",
            uuid.uuid4(),
            index,
        )
