"""python -m knowledge: collections, ingestion and search."""

from common.lifecycle import run_service, run_until_signalled
from common.logs import configure_logging
from common.settings import KnowledgeSettings, load
from common.telemetry import configure_tracing
from knowledge.app import SERVICE, knowledge_service


async def run(settings: KnowledgeSettings) -> None:
    await run_until_signalled(
        knowledge_service(settings), grace_seconds=settings.shutdown_grace.total_seconds()
    )


def main() -> None:
    settings = load(KnowledgeSettings)
    configure_logging(SERVICE, settings)
    configure_tracing(SERVICE, settings)
    run_service(SERVICE, run(settings))


if __name__ == "__main__":
    main()
