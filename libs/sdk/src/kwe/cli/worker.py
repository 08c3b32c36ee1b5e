"""kwe worker"""

from __future__ import annotations

import os
import sys

import click


@click.command()
@click.argument("modules", nargs=-1, required=True)
@click.option("--queue", "queues", multiple=True, help="Serve these queues; default: 'default'.")
@click.option("--slots", type=click.IntRange(1), help="Tasks at a time. Default: EXECUTOR_SLOTS.")
def worker(modules: tuple[str, ...], queues: tuple[str, ...], slots: int | None) -> None:
    """Serve the decorated functions of MODULES (dotted names or files) from queues of their own.

    PostgreSQL and Redis come from DATABASE_URL and REDIS_URL, or from the running `kwe up` of this folder. Runs
    until Ctrl-C, then finishes what it has begun.

    \b
      kwe worker ./functions.py --queue payments
    """
    import executor
    from kwe.local.settings import worker_environment

    environ = worker_environment(os.environ)
    environ["EXECUTOR_MODULES"] = ",".join(modules)
    environ["EXECUTOR_QUEUES"] = ",".join(queues or ("default",))
    if slots is not None:
        environ["EXECUTOR_SLOTS"] = str(slots)
    # The process becomes the executor: its signals, its exit code and its memory are then its own.
    os.execve(sys.executable, [sys.executable, "-m", executor.__name__], environ)  # noqa: S606 - no shell
