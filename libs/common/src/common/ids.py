"""Identifiers: UUIDv7 for what is stored, UUIDv5 for what must be the same when it is made again."""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from typing import Final

TASK_NAMESPACE: Final = uuid.UUID("6d9a2f0e-3c1b-5e47-9b0a-4f6c2d8e1a73")

MAX_CLOCK_SKEW_MS: Final = 5 * 60 * 1000
"""Ids further than this from PostgreSQL's clock are refused: partitions and read routing trust their time."""


# Ids are unique, not secret: seeded by the system once, without a system call for each.
_RANDOM: Final = random.Random()  # noqa: S311

_new: Final = object.__new__
_set: Final = object.__setattr__


def uuid7(*, at_ms: int | None = None) -> uuid.UUID:
    """A time-ordered id (RFC 9562): 48 bits of milliseconds, then 74 random bits."""
    ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    return _assemble(ms, _RANDOM.getrandbits(74))


def derived_uuid7(at_ms: int, *parts: str) -> uuid.UUID:
    """A time-ordered id that is the same for the same parts, so that making it again makes no second thing."""
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return _assemble(at_ms, int.from_bytes(digest[:10]) & ((1 << 74) - 1))


def uuid7_ms(value: uuid.UUID) -> int:
    """Milliseconds since the epoch that a UUIDv7 carries."""
    return value.int >> 80


def task_uuid(execution_id: uuid.UUID, reference: str) -> uuid.UUID:
    """The identity of a task in an execution, the same over tries, redeliveries and reruns."""
    return uuid.uuid5(TASK_NAMESPACE, f"{execution_id}{reference}")


def partition_of(value: uuid.UUID, partitions: int) -> int:
    """Which partition speaks for an execution or an organisation."""
    # The low bits of a UUIDv7 are random (or a hash); the high ones are time and would cluster.
    return (value.int & 0xFFFFFFFF) % partitions


def _assemble(ms: int, random_bits: int) -> uuid.UUID:
    rand_a = random_bits >> 62
    rand_b = random_bits & ((1 << 62) - 1)
    number = (ms << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b
    # What UUID(int=number) does, without looking through its other five parameters first.
    made = _new(uuid.UUID)
    _set(made, "int", number)
    _set(made, "is_safe", uuid.SafeUUID.unknown)
    return made
