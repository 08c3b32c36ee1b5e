"""kwe migrate"""

from __future__ import annotations

import os

import click

from kwe.cli.failures import complete
from kwe.cli.output import console, output_option, print_json


@click.command()
@output_option
def migrate(output: str) -> None:
    """Bring the database at DATABASE_URL to this version. Safe to run twice, also at once.

    \b
      DATABASE_URL=postgresql://kwe@db/kwe kwe migrate
    """
    from common.migrations import migrate as apply
    from common.settings import DatabaseSettings, read

    applied = complete(apply(read(DatabaseSettings, os.environ)))
    if output == "json":
        print_json({"applied": applied})
        return
    for label in applied:
        console().print(f"applied {label}", markup=False)
    if not applied:
        console().print("nothing to apply")
