"""The example of `kwe up --example`: policies in, question answered, all through the API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kwe.documents import ingest_documents, read_documents
from kwe.errors import Conflict
from kwe.examples import POLICIES, REFUND_POLICY

if TYPE_CHECKING:
    from kwe.client import Client, Document, Execution, Task

COLLECTION: Final = "policies"
WORKFLOW: Final = "support/refund-policy"
QUESTION: Final = "How long do I have to return an unused item?"
TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the example came to."""

    execution: Execution
    tasks: Sequence[Task]


async def prepare(client: Client, examples: Path) -> list[Document]:
    """Ingest the policies and register the workflow. Done again, it changes what was edited and nothing else."""
    async with asyncio.TaskGroup() as group:
        ingesting = group.create_task(_ingest(client, examples / POLICIES))
        group.create_task(client.apply((examples / REFUND_POLICY / "workflow.yaml").read_text()))
    return ingesting.result()


async def ask(client: Client, question: str) -> Told:
    execution = await client.run(WORKFLOW, {"question": question}, timeout=TIMEOUT_SECONDS)
    return Told(execution=execution, tasks=await client.tasks(execution.id))


async def _ingest(client: Client, folder: Path) -> list[Document]:
    documents = read_documents(_policies(folder))
    try:
        await client.create_collection(COLLECTION)
    except Conflict:
        pass  # from an earlier run
    return await ingest_documents(client, COLLECTION, documents)


def _policies(folder: Path) -> list[Path]:
    """The README tells people about the policies; it is none."""
    return [file for file in sorted(folder.glob("*.md")) if file.name != "README.md"]


def answer_of(execution: Execution) -> tuple[str, bool, list[dict[str, Any]]]:
    """Text, whether the documents answer the question, and citations, from the workflow's output."""
    output = execution.output if isinstance(execution.output, dict) else {}
    citations = output.get("citations") or []
    return str(output.get("answer", "")), bool(output.get("answered")), citations
