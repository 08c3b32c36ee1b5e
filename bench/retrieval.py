"""How well search finds: nDCG@10 per leg and fused, on judged collections, through the real service.

    python bench/retrieval.py FOLDER [--passage-size N] [--limit-queries N] [--json]

FOLDER holds `corpus.jsonl` (`_id, title, text`), `queries.jsonl` (`_id, text`) and `qrels.tsv` (query, document, grade; one
header line), as BEIR publishes its collections. Nothing of it is in this repository. Documents are ingested by the
pipeline into a PostgreSQL of their own, so the figures are those of the product: passages, not documents, are ranked,
and a document counts with its best passage.
"""

import argparse
import asyncio
import json
import math
import os
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from common.migrations import migrate
from embedded import EmbeddedPostgres
from knowledge.embedding.local import LocalEmbedder
from knowledge.engine import Knowledge
from knowledge.stores.pgvector import PgVectorStore

DEPTH = 10
COLLECTION = "judged"
MODES = ("keyword", "vector", "hybrid")
BATCH = 500
HITS = 30
"""More than the depth, since a document may fill several places with its passages."""


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def judgements(path: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        grades[query][document] = int(grade)
    return grades


def ndcg(ranking: list[str], grades: dict[str, int]) -> float:
    gains = [grades.get(document, 0) for document in ranking[:DEPTH]]
    ideal = sorted(grades.values(), reverse=True)[:DEPTH]
    return discounted(gains) / discounted(ideal)


def discounted(gains: list[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


async def ingest(engine: Knowledge, organization: uuid.UUID, folder: Path) -> dict[str, float]:
    documents = [
        {"id": entry["_id"], "title": entry.get("title") or None, "text": entry["text"], "mediaType": "text/plain"}
        for entry in lines(folder / "corpus.jsonl")
        if entry["text"].strip()
    ]  # fmt: skip
    started = time.monotonic()
    for start in range(0, len(documents), BATCH):
        await engine.add_documents(organization, COLLECTION, documents[start : start + BATCH])
    accepted = time.monotonic()
    while await engine.pipeline.run_once() or await engine.pipeline.merge_once():
        pass
    overview = await engine.collection(organization, COLLECTION)
    return {
        "documents": len(documents),
        "chunks": overview.chunks,
        "acceptSeconds": round(accepted - started, 2),
        "ingestSeconds": round(time.monotonic() - accepted, 2),
    }


async def ranking(
    engine: Knowledge, organization: uuid.UUID, query: str, mode: str
) -> tuple[list[str], float]:
    started = time.monotonic()
    body = {"query": query, "topK": HITS, "mode": mode}
    hits = await engine.search(organization, COLLECTION, body)
    took = time.monotonic() - started
    return list(dict.fromkeys(hit.passage.document_id for hit in hits)), took


async def evaluate(
    engine: Knowledge, organization: uuid.UUID, folder: Path, limit: int | None
) -> dict[str, Any]:
    grades = judgements(folder / "qrels.tsv")
    queries = [
        entry
        for entry in lines(folder / "queries.jsonl")
        if any(grade > 0 for grade in grades.get(entry["_id"], {}).values())
    ][:limit]
    results: dict[str, Any] = {"queries": len(queries)}
    for mode in MODES:
        scores, times = [], []
        for query in queries:
            found, took = await ranking(engine, organization, query["text"], mode)
            scores.append(ndcg(found, grades[query["_id"]]))
            times.append(took)
        times.sort()
        results[mode] = {
            "nDCG@10": round(sum(scores) / len(scores), 4),
            "p50Ms": round(times[len(times) // 2] * 1000, 1),
            "p95Ms": round(times[int(len(times) * 0.95)] * 1000, 1),
        }
    return results


async def measure(folder: Path, limit: int | None, passage_size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="kwe-retrieval-") as data:
        os.chmod(data, 0o711)  # noqa: PTH101  # PostgreSQL may run as a user of its own
        server = EmbeddedPostgres(Path(data) / "postgres")
        await server.start()
        try:
            await migrate(server.dsn)
            async with asyncpg.create_pool(server.dsn, min_size=1, max_size=4) as pool:
                engine = Knowledge(pool, embedder=LocalEmbedder(), store=PgVectorStore())
                organization = uuid.uuid4()
                await engine.create_collection(
                    organization, COLLECTION, settings={"passageSize": passage_size}
                )
                ingestion = await ingest(engine, organization, folder)
                results = await evaluate(engine, organization, folder, limit)
                await engine.close()
        finally:
            await server.stop()
    return {
        "collection": folder.name,
        "passageSize": passage_size,
        "ingestion": ingestion,
        **results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit-queries", type=int)
    parser.add_argument(
        "--passage-size",
        type=int,
        default=8_000,
        help="characters; the default keeps abstracts whole",
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = asyncio.run(
        measure(arguments.folder, arguments.limit_queries, arguments.passage_size)
    )
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"{results['collection']}: {results['queries']} queries, {results['ingestion']}")
    for mode in MODES:
        figures = results[mode]
        print(
            f"{mode:8} nDCG@10 {figures['nDCG@10']:.4f}  p50 {figures['p50Ms']} ms  p95 {figures['p95Ms']} ms"
        )


if __name__ == "__main__":
    main()
