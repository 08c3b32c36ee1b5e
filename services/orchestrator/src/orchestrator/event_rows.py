"""How events are stored: under a fingerprint of what tells them apart, by a type that an index can hold."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import orjson

from orchestrator.ports import NewEvent

TYPE_BYTES_MAX: Final = 200
"""Longer types are known by their hash: keys of an index must not be long."""


def stored_event(
    organization_id: UUID, event: Mapping[str, Any], execution_id: UUID | None = None
) -> NewEvent:
    return NewEvent(
        organization_id,
        fingerprint_of(event["source"], event["id"]),
        type_key(event["type"]),
        orjson.dumps(event),
        execution_id,
    )


def fingerprint_of(source: str, id: str) -> bytes:
    """CloudEvents: source and id together tell an event from all others."""
    return sha256(orjson.dumps([source, id])).digest()


def type_key(type: str) -> str:
    raw = type.encode()
    return type if len(raw) <= TYPE_BYTES_MAX else f"sha256:{sha256(raw).hexdigest()}"
