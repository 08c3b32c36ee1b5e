"""kwe up, kwe demo"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from kwe.cli.failures import complete
from kwe.credentials import FOLDER


def _replica_options(command: Any) -> Any:
    for service in ("knowledge", "gateway", "executor", "orchestrator"):
        command = click.option(
            f"--{service}",
            type=click.IntRange(1, 32),
            default=1,
            help=f"Processes of the {service}.",
        )(command)
    return command


@click.command()
@click.option("--example", is_flag=True, help="Load the example, run it and show what came out.")
@click.option("--question", envvar="QUESTION", help="For the example.  [env: QUESTION]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Keeps data, keys and logs.",
)
@_replica_options
def up(example: bool, question: str | None, folder: Path, **replicas: int) -> int:
    """Start PostgreSQL, Valkey and the services on this machine, and keep serving until Ctrl-C.

    With DATABASE_URL or REDIS_URL set, those servers are used instead. Every setting of the services may be given
    as an environment variable; PORT asks for a port of the API.

    \b
      kwe up --example
      kwe up --orchestrator 2 --executor 3
      PORT=8080 OPENAI_API_KEY=sk-… kwe up
    """
    from kwe.cli.session import Session

    session = Session(folder, os.environ, replicas, question=question)
    return complete(session.serve(example=example))


@click.command()
@click.option("--question", envvar="QUESTION", help="Ask something else.  [env: QUESTION]")
@click.option(
    "--crash", envvar="CRASH", is_flag=True, help="Kill an executor in mid-run.  [env: CRASH=1]"
)
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True)
def demo(question: str | None, crash: bool, folder: Path) -> int:
    """Start everything, answer one question from the example's policies, and stop.

    Ends with 0 only when the execution completed.

    \b
      kwe demo --question "Who pays for returning a broken lamp?"
      CRASH=1 kwe demo
    """
    from kwe.cli.session import Session

    session = Session(folder, os.environ, {"executor": 2 if crash else 1}, question=question)
    return complete(session.demonstrate(crash=crash))
