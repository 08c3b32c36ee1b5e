"""The kit for consumers of an organisation's public events.

    async def on_event(event: Event) -> None:
        ...                                   # may see an event again: `event.id` tells

    await EventConsumer.connect(on_event, cursor=CursorFile(Path("cursor.json"))).run()

Events of an execution come in order of their `sequence`, from 1, none missing; an event comes at least once. That
holds over restarts of the consumer, over a lost or flushed Redis, and over an outage of it.

The transport is a plain XREAD of the organisation's stream. FastStream's stream subscriber was tried for it and left:
it keeps its position in memory, pauses for five seconds after any error, and cannot tell that entries were trimmed or
flushed, which is exactly what has to be known here.
"""

from kwe.client.models import Event
from kwe.events.consumer import EventConsumer
from kwe.events.cursor import Cursor, CursorFile, CursorStore, MemoryCursor
from kwe.events.sequencer import Sequencer

__all__ = [
    "Cursor",
    "CursorFile",
    "CursorStore",
    "Event",
    "EventConsumer",
    "MemoryCursor",
    "Sequencer",
]
