"""python -m executor: runs tasks."""

from common.lifecycle import run_service, start_process
from common.settings import ExecutorSettings
from executor.app import SERVICE, run


def main() -> None:
    settings = start_process(SERVICE, ExecutorSettings)
    run_service(SERVICE, run(settings))


if __name__ == "__main__":
    main()
