"""Entries of an organisation's feed."""

import orjson
import pytest

from common.ids import uuid7
from common.streams import names
from orchestrator.ports import Facts
from orchestrator.publications import EVENTS_PER_ENTRY, events_entries


@pytest.mark.parametrize("count", [1, EVENTS_PER_ENTRY, 3 * EVENTS_PER_ENTRY + 1])
def test_a_turn_is_one_entry_unless_it_has_very_many_events(count: int) -> None:
    facts = Facts(uuid7(), uuid7(), "a/b", 1, "1.0.0", "")
    events = [{"type": "workflow.suspended", "at": 0, "reason": str(n)} for n in range(count)]

    entries = events_entries(facts, 7, events, maxlen=10)

    batches = [orjson.loads(entry.raw) for entry in entries]
    assert len(entries) == -(-count // EVENTS_PER_ENTRY)
    assert {(entry.stream, entry.maxlen) for entry in entries} == {
        (names.events(facts.organization_id), 10)
    }
    ids = [event["id"] for batch in batches for event in batch]
    assert ids == [f"{facts.execution_id}/{number}" for number in range(7, 7 + count)]
