"""A ledger of everything that happens: one row per event, in SQLite.

    python examples/event-consumer/ledger.py ledger.db

Reads the stream of the organisation of the running `kwe up`, or of REDIS_URL, KWE_URL, KWE_API_KEY and
KWE_ORGANIZATION_ID. Stop it, flush Redis, start it again: the ledger has every sequence of every execution.
"""

import argparse
import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from kwe.events import CursorFile, Event, EventConsumer

CREATE = """
CREATE TABLE IF NOT EXISTS ledger (
    execution TEXT NOT NULL,
    sequence  INTEGER NOT NULL,
    type      TEXT NOT NULL,
    time      TEXT NOT NULL,
    PRIMARY KEY (execution, sequence)
)"""
# Events come at least once. The key makes the second time harmless.
INSERT = "INSERT INTO ledger VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
GAPS = """
SELECT execution, max(sequence) - count(*) FROM ledger
GROUP BY execution HAVING max(sequence) <> count(*)"""


class Ledger:
    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file)
        self._database.execute(CREATE)

    async def on_event(self, event: Event) -> None:
        row = (event.execution_id, event.sequence, event.kind, str(event.time))
        with self._database:
            self._database.execute(INSERT, row)

    def gaps(self) -> dict[str, int]:
        """How many events are missing, by execution."""
        return dict(self._database.execute(GAPS).fetchall())

    def sequences(self) -> dict[str, list[int]]:
        """What is there, by execution, in order."""
        found: dict[str, list[int]] = {}
        rows = self._database.execute("SELECT execution, sequence FROM ledger ORDER BY 1, 2")
        for execution, sequence in rows:
            found.setdefault(execution, []).append(sequence)
        return found

    def close(self) -> None:
        self._database.close()


async def consume(file: Path, since: datetime | None) -> None:
    ledger = Ledger(file)
    consumer = EventConsumer.connect(
        ledger.on_event, cursor=CursorFile(file.with_suffix(".cursor")), since=since
    )
    await consumer.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the ledger, an SQLite database")
    parser.add_argument(
        "--since", type=datetime.fromisoformat, help="begin here, not with what is new"
    )
    given = parser.parse_args()
    since = given.since.replace(tzinfo=given.since.tzinfo or UTC) if given.since else None
    try:
        asyncio.run(consume(given.file, since))
    except KeyboardInterrupt:
        print(f"stopped; {given.file} has the events so far")


if __name__ == "__main__":
    main()
