"""python -m orchestrator"""

from common.lifecycle import run_service, start_process
from common.settings import OrchestratorSettings
from orchestrator.app import run


def main() -> None:
    settings = start_process("orchestrator", OrchestratorSettings)
    run_service("orchestrator", run(settings))


if __name__ == "__main__":
    main()
