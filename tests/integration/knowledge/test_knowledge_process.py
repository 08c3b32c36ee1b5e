"""The service as a process, killed in the middle of an import."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from .conftest import eventually

DOCUMENTS = 200


@contextmanager
def process(database: str, redis_url: str) -> Iterator[subprocess.Popen]:
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "METRICS_PORT": "0",
        "TASK_LEASE": "1s",
        "REFRESH_INTERVAL": "300ms",
    }
    running = subprocess.Popen([sys.executable, "-m", "knowledge"], env=environment)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


async def test_an_import_goes_on_after_kill_9_and_every_document_is_there_once(  # noqa: PLR0917  # fixtures
    database: str, redis_url: str, engines, organization: uuid.UUID, pool, finish
) -> None:
    client = engines.make()
    await client.create_collection(organization, "c")
    documents = [
        {
            "id": f"d{n:03}",
            "text": f"# Report {n}\n\n" + f"Harbour number{n} lies in the north. " * 40,
        }
        for n in range(DOCUMENTS)
    ]

    async def ready() -> int:
        return await pool.fetchval(
            "SELECT count(*) FROM knowledge.documents WHERE status = 'ready'"
        )

    with process(database, redis_url) as victim:
        await client.add_documents(organization, "c", documents)

        async def some_but_not_all() -> bool:
            return await ready() > 0

        await eventually(some_but_not_all, "some documents are ready")
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert await ready() < DOCUMENTS
    with process(database, redis_url):
        found = await finish(client, "c")
    assert [document.status for document in found] == ["ready"] * DOCUMENTS
    live = await pool.fetchval("SELECT count(*) FROM knowledge.chunks WHERE live")
    overview = await client.collection(organization, "c")
    assert live == sum(document.chunks for document in found) == overview.chunks
    assert live == await pool.fetchval("SELECT count(*) FROM knowledge.embeddings")
    for number in (0, DOCUMENTS // 2, DOCUMENTS - 1):
        hits = await client.search(
            organization, "c", {"query": f"number{number}", "mode": "keyword"}
        )
        assert {hit.passage.document_id for hit in hits} == {f"d{number:03}"}
    await client.close()


def test_a_wrong_setting_is_one_line_and_exit_code_2() -> None:
    environment = {
        **os.environ,
        "VECTOR_DB_PROVIDER": "pinecone",
        "PINECONE_API_KEY": "x",
        "PINECONE_INDEX": "y",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "knowledge"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "VECTOR_DB_PROVIDER" in ended.stderr
