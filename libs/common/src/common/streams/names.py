"""Names of streams and keys. Nothing is published to a name that is not made here.

The part in braces is the cluster's hash tag: what is read or changed together lives in one slot.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from uuid import UUID

GENERATION_KEY: Final = "kwe:generation"
"""Changes whenever the contents of Redis were lost; absent means lost just now."""

RESTORED: Final = "restored:"
"""Stands before a generation in PostgreSQL when a backup was put back: what Redis holds is of a time that is undone, until
an orchestrator has begun that generation."""

DATABASE_DOWN_KEY: Final = "kwe:health:database"
"""`ok` while an orchestrator reaches PostgreSQL; expires after a second or so."""

ORCHESTRATOR_GROUP: Final = "orchestrator"
EXECUTOR_GROUP: Final = "executor"

FIELD: Final = b"m"
"""Every entry has one field: the encoded message."""

REPLIES: Final = "kwe:replies:"
"""What the names of all reply streams begin with."""


def commands(partition: int) -> str:
    return f"kwe:commands:{{p{partition}}}"


def results(partition: int) -> str:
    return f"kwe:results:{{p{partition}}}"


def tasks(queue: str) -> str:
    return f"kwe:tasks:{{q:{queue}}}"


ALL_TASKS: Final = "kwe:tasks:*"
ALL_EVENTS: Final = "kwe:events:*"
"""Patterns of every such stream."""


def queue_of(stream: str) -> str:
    """Which queue a stream of tasks is of."""
    return stream.removeprefix("kwe:tasks:{q:").removesuffix("}")


def claim(queue: str, task_id: UUID | str, attempt: int) -> str:
    return f"kwe:claim:{{q:{queue}}}:{task_id}:{attempt}"


def claims(queue: str) -> str:
    """Pattern of every claim of a queue."""
    return f"kwe:claim:{{q:{queue}}}:*"


def cancel_channel(queue: str) -> str:
    """Pub/sub nudge: a running task of this queue was cancelled."""
    return f"kwe:cancelled:{{q:{queue}}}"


def replies(instance: str) -> str:
    return f"{REPLIES}{{r:{instance}}}"


@lru_cache(maxsize=4096)
def events(organization_id: UUID | str) -> str:
    return f"kwe:events:{organization_id}"


def deltas(execution_id: UUID | str) -> str:
    """Pub/sub channel of what is never durable: token deltas of one execution."""
    return f"kwe:deltas:{execution_id}"
