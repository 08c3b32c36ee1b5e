"""What becomes of accepted documents: replaced, unchanged, failing, tried again, taken over."""

import asyncio
import uuid

import pytest

from common.errors import NotFound, Unavailable, Unprocessable

from .conftest import WatchedEmbedder, eventually


def essay(topic: str, paragraphs: int = 3) -> str:
    """Long enough for several chunks, each with words of its own."""
    return "\n\n".join(
        f"## Part {number}\n\n" + f"The {topic} of part{number} is described here at length. " * 12
        for number in range(paragraphs)
    )


async def test_the_same_content_again_changes_nothing(engine, organization, finish) -> None:
    await engine.create_collection(organization, "c")
    document = {"id": "a", "text": essay("harbour"), "metadata": {"x": 1, "y": 2}}
    await engine.add_documents(organization, "c", [document])
    await finish(engine, "c")
    again = {**document, "metadata": {"y": 2, "x": 1}}
    (overview,) = await engine.add_documents(organization, "c", [again])
    assert (overview.version, overview.status) == (1, "ready")


async def test_only_changed_chunks_are_embedded_again(engines, organization, finish) -> None:
    embedder = WatchedEmbedder()
    async with engines.running(embedder) as engine:
        await engine.create_collection(organization, "c")
        text = essay("harbour")
        await engine.add_documents(organization, "c", [{"id": "a", "text": text}])
        (before,) = await finish(engine, "c")
        assert len(embedder.embedded) == before.chunks == 3
        embedder.embedded.clear()
        await engine.add_documents(
            organization, "c", [{"id": "a", "text": text.replace("part1", "chapter1")}]
        )
        (after,) = await finish(engine, "c")
    assert (after.version, after.status) == (2, "ready")
    assert len(embedder.embedded) == 1
    assert "chapter1" in embedder.embedded[0]


async def test_a_search_sees_the_old_document_or_the_new_one_and_never_both(
    engine, organization, finish
) -> None:
    await engine.create_collection(organization, "c")
    await engine.add_documents(organization, "c", [{"id": "a", "text": essay("harbour v1")}])
    await finish(engine, "c")
    seen: set[int] = set()
    last = 6

    async def look() -> None:
        while last not in seen:
            hits = await engine.search(organization, "c", {"query": "harbour part1", "topK": 50})
            versions = {hit.passage.version for hit in hits}
            assert len(versions) == 1
            assert len(hits) == 3
            version = versions.pop()
            assert all(f"harbour v{version}" in hit.passage.text for hit in hits)
            seen.add(version)

    async def replace() -> None:
        for version in range(2, last + 1):
            await engine.add_documents(
                organization, "c", [{"id": "a", "text": essay(f"harbour v{version}")}]
            )
            await finish(engine, "c")

    await asyncio.gather(look(), look(), replace())


async def test_a_document_that_fails_says_why_and_its_neighbours_become_ready(
    engines, organization, finish
) -> None:
    async def refuse(texts: list[str]) -> None:
        if any("poison" in text for text in texts):
            raise Unprocessable("The model refuses this text.")

    async with engines.running(WatchedEmbedder(refuse)) as engine:
        await engine.create_collection(organization, "c")
        await engine.add_documents(
            organization,
            "c",
            [
                {"id": "good", "text": "A fine harbour."},
                {"id": "bad", "text": "A poison."},
                {"id": "other", "text": "Another harbour."},
            ],
        )
        found = {document.id: document for document in await finish(engine, "c")}
        hits = await engine.search(organization, "c", {"query": "harbour", "mode": "keyword"})
    assert found["good"].status == found["other"].status == "ready"
    assert found["bad"].status == "failed"
    assert found["bad"].error == "The model refuses this text."
    assert {hit.passage.document_id for hit in hits} == {"good", "other"}


async def test_a_failed_update_leaves_the_old_text_findable_and_may_be_repeated(
    engines, organization, finish
) -> None:
    refusing = True

    async def refuse(texts: list[str]) -> None:
        if refusing and any("poison" in text for text in texts):
            raise Unprocessable("The model refuses this text.")

    async with engines.running(WatchedEmbedder(refuse)) as engine:
        await engine.create_collection(organization, "c")
        await engine.add_documents(organization, "c", [{"id": "a", "text": "A fine harbour."}])
        await finish(engine, "c")
        await engine.add_documents(organization, "c", [{"id": "a", "text": "A poison harbour."}])
        (failed,) = await finish(engine, "c")
        assert (failed.status, failed.version) == ("failed", 2)
        (hit,) = await engine.search(organization, "c", {"query": "harbour"})
        assert hit.passage.text == "A fine harbour."
        refusing = False
        await engine.add_documents(organization, "c", [{"id": "a", "text": "A poison harbour."}])
        (ready,) = await finish(engine, "c")
        assert (ready.status, ready.version) == ("ready", 2)


async def test_a_provider_that_is_away_is_tried_again(engines, organization, finish) -> None:
    failures = 2

    async def sometimes(_texts: list[str]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("The provider is away.", retry_after=0.01)

    async with engines.running(WatchedEmbedder(sometimes)) as engine:
        await engine.create_collection(organization, "c")
        await engine.add_documents(organization, "c", [{"id": "a", "text": "A fine harbour."}])
        (ready,) = await finish(engine, "c")
    assert (ready.status, ready.error) == ("ready", None)
    assert failures == 0


async def test_a_provider_that_stays_away_fails_the_document_in_the_end(
    engines, organization, finish
) -> None:
    async def never(_texts: list[str]) -> None:
        raise Unavailable("The provider is away.", retry_after=0.01)

    async with engines.running(WatchedEmbedder(never)) as engine:
        await engine.create_collection(organization, "c")
        await engine.add_documents(organization, "c", [{"id": "a", "text": "A fine harbour."}])
        (failed,) = await finish(engine, "c")
    assert (failed.status, failed.error) == ("failed", "The provider is away.")


async def test_a_worker_that_wakes_after_its_lease_changes_nothing(
    engines, organization, finish, pool
) -> None:
    asleep, wake = asyncio.Event(), asyncio.Event()

    async def sleep(_texts: list[str]) -> None:
        asleep.set()
        await wake.wait()

    paused = engines.make(WatchedEmbedder(sleep))
    await paused.create_collection(organization, "c")
    await paused.add_documents(organization, "c", [{"id": "a", "text": essay("harbour")}])
    sleeper = asyncio.create_task(paused.pipeline.run_once())
    await asyncio.wait_for(asleep.wait(), 10)
    async with engines.running() as engine:
        (ready,) = await finish(engine, "c")
        assert ready.status == "ready"
        wake.set()
        await sleeper
        assert await finish(engine, "c") == [ready]
        overview = await engine.collection(organization, "c")
    await paused.close()
    assert overview.chunks == ready.chunks == 3
    assert await pool.fetchval("SELECT count(*) FROM knowledge.chunks") == 3


async def test_a_document_that_is_replaced_while_it_is_worked_on_ends_with_the_newest_text(
    engines, organization, finish, pool
) -> None:
    asleep, wake = asyncio.Event(), asyncio.Event()

    async def sleep_once(_texts: list[str]) -> None:
        if not asleep.is_set():
            asleep.set()
            await wake.wait()

    async with engines.running(WatchedEmbedder(sleep_once)) as engine:
        await engine.create_collection(organization, "c")
        await engine.add_documents(organization, "c", [{"id": "a", "text": essay("old")}])
        await asyncio.wait_for(asleep.wait(), 10)
        await engine.add_documents(organization, "c", [{"id": "a", "text": essay("new")}])
        wake.set()
        (ready,) = await finish(engine, "c")
        hits = await engine.search(organization, "c", {"query": "part1", "topK": 20})
    assert (ready.version, ready.status) == (2, "ready")
    assert len(hits) == 3
    assert all("The new of" in hit.passage.text for hit in hits)
    assert await pool.fetchval("SELECT count(*) FROM knowledge.revisions") == 1


async def test_two_replicas_share_the_work_without_doing_it_twice(
    engines, organization, finish, pool
) -> None:
    first, second = WatchedEmbedder(), WatchedEmbedder()
    async with engines.running(first) as one, engines.running(second) as two:
        await one.create_collection(organization, "c")
        documents = [{"id": f"d{n}", "text": f"Harbour number {n} is fine."} for n in range(150)]
        await asyncio.gather(
            one.add_documents(organization, "c", documents[:75]),
            two.add_documents(organization, "c", documents[75:]),
        )
        found = await finish(one, "c")
    assert {document.status for document in found} == {"ready"}
    assert len(first.embedded) + len(second.embedded) == 150
    assert await pool.fetchval("SELECT live_chunks FROM knowledge.index_versions") == 150


async def test_a_deleted_document_is_gone_from_search_and_from_the_tables(
    engine, organization, finish, pool
) -> None:
    await engine.create_collection(organization, "c")
    await engine.add_documents(
        organization, "c", [{"id": "a", "text": essay("harbour")}, {"id": "b", "text": "Harbour."}]
    )
    await finish(engine, "c")
    await engine.delete_document(organization, "c", "a")
    hits = await engine.search(organization, "c", {"query": "harbour", "topK": 20})
    assert {hit.passage.document_id for hit in hits} == {"b"}
    for table in ("documents", "revisions", "chunks", "embeddings"):
        assert await pool.fetchval(f"SELECT count(*) FROM knowledge.{table}") == 1, table
    with pytest.raises(NotFound):
        await engine.delete_document(organization, "c", "a")


async def test_a_deleted_collection_leaves_nothing_behind(
    engine, organization, finish, pool
) -> None:
    await engine.create_collection(organization, "c")
    await engine.add_documents(organization, "c", [{"id": "a", "text": essay("harbour")}])
    await finish(engine, "c")
    await engine.add_documents(organization, "c", [{"id": "a", "text": essay("sea")}])
    await finish(engine, "c")
    await engine.delete_collection(organization, "c")
    tables = await pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'knowledge' ORDER BY 1"
    )
    counts = {
        row["tablename"]: await pool.fetchval(f"SELECT count(*) FROM knowledge.{row['tablename']}")
        for row in tables
    }
    assert counts == dict.fromkeys(counts, 0)


async def test_deleting_a_collection_while_it_is_ingested_stops_the_work(
    engine, organization, pool
) -> None:
    await engine.create_collection(organization, "c")
    documents = [{"id": f"d{n}", "text": essay(f"harbour{n}")} for n in range(60)]
    await engine.add_documents(organization, "c", documents)
    await engine.delete_collection(organization, "c")
    await engine.create_collection(organization, "c")
    await engine.add_documents(organization, "c", [{"id": "a", "text": "Harbour."}])

    async def only_the_new_one() -> bool:
        found = await engine.list_documents(organization, "c")
        return [document.status for document in found] == ["ready"]

    await eventually(only_the_new_one, "the new collection's document is ready")
    assert await pool.fetchval("SELECT count(*) FROM knowledge.chunks") == 1


async def test_another_organization_sees_nothing(engine, organization, finish) -> None:
    stranger = uuid.uuid4()
    await engine.create_collection(organization, "c")
    await engine.add_documents(organization, "c", [{"id": "a", "text": "Harbour."}])
    await finish(engine, "c")
    with pytest.raises(NotFound):
        await engine.search(stranger, "c", {"query": "harbour"})
    with pytest.raises(NotFound):
        await engine.add_documents(stranger, "c", [{"text": "x"}])
    with pytest.raises(NotFound):
        await engine.delete_collection(stranger, "c")
    await engine.create_collection(stranger, "c")
    assert await engine.search(stranger, "c", {"query": "harbour"}) == []
