"""python -m knowledge: collections, ingestion and search."""

from common.lifecycle import run_service, run_until_signalled, start_process
from common.settings import KnowledgeSettings
from knowledge.app import SERVICE, knowledge_service


async def run(settings: KnowledgeSettings) -> None:
    await run_until_signalled(
        knowledge_service(settings), grace_seconds=settings.shutdown_grace.total_seconds()
    )


def main() -> None:
    settings = start_process(SERVICE, KnowledgeSettings)
    run_service(SERVICE, run(settings))


if __name__ == "__main__":
    main()
