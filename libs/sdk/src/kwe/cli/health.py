"""kwe health: its description. `kwe.cli.entry` runs the usual forms of it without coming here."""

from __future__ import annotations

import click

from kwe.cli.probe import probe


@click.command()
@click.option("--ready", is_flag=True, help="Ask whether it can serve, not only whether it lives.")
def health(ready: bool) -> int:
    """Ask the service of this container whether it is alive, at HOST and METRICS_PORT.

    Made for HEALTHCHECK: takes a few milliseconds, and knows nothing of PostgreSQL or Redis.

    \b
      docker compose exec gateway kwe health --ready
    """
    return probe(ready=ready)
