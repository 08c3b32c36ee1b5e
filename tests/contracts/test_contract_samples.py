"""Today's code reads yesterday's messages: one recorded sample for each type, never edited, only added to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.contracts.base import Message, encode
from common.contracts.wire import (
    ALL,
    COMMANDS,
    RESULTS,
    TASKS,
    Unreadable,
    decode_for_orchestrator,
    decode_reply,
    decode_task,
)

SAMPLES = Path(__file__).parent / "samples"


def type_of(model: type[Message]) -> str:
    return str(model.model_fields["type"].default)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def decode(raw: bytes, model: type[Message]) -> Message:
    if model in COMMANDS or model in RESULTS:
        message = decode_for_orchestrator(raw)
    elif model in TASKS:
        message = decode_task(raw)
    else:
        message = decode_reply(raw)
    assert isinstance(message, model)
    return message


def test_every_message_has_a_sample_and_every_sample_a_message() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == {type_of(model) for model in ALL}


@pytest.mark.parametrize("model", ALL, ids=type_of)
def test_a_recorded_message_is_read_and_written_as_it_was(model: type[Message]) -> None:
    recorded = json.loads(sample(type_of(model)))
    again = json.loads(encode(decode(sample(type_of(model)), model)))
    assert {name: again[name] for name in recorded} == recorded


@pytest.mark.parametrize("model", ALL, ids=type_of)
def test_a_field_that_nobody_knows_is_ignored(model: type[Message]) -> None:
    extended = json.loads(sample(type_of(model))) | {"added_by_a_newer_version": {"x": 1}}
    decode(json.dumps(extended).encode(), model)


@pytest.mark.parametrize("model", ALL, ids=type_of)
def test_a_message_without_its_organisation_is_refused(model: type[Message]) -> None:
    broken = json.loads(sample(type_of(model)))
    del broken["organization_id"]
    with pytest.raises((Unreadable, ValidationError)):
        decode(json.dumps(broken).encode(), model)


def test_an_unknown_version_is_told_apart_from_noise_for_setting_aside() -> None:
    newer = json.loads(sample("execution.start.v1")) | {"type": "execution.start.v2"}
    for raw in (json.dumps(newer).encode(), b"\xff\x00", b"{}", b"[]"):
        with pytest.raises(Unreadable):
            decode_for_orchestrator(raw)
