"""The AsyncAPI document says what the wire carries."""

import json
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from common.contracts.base import encode
from common.contracts.executions import StartExecution
from common.contracts.replies import Reply
from common.contracts.wire import COMMANDS, REPLIES, RESULTS, TASKS
from common.ids import uuid7
from workflow.core.history import EVENT_TYPES, ExecutionFacts, to_cloud_event


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    # In a process of its own, as the gateway does it: FastStream stays out of ours.
    made = subprocess.run(
        [sys.executable, "-m", "common.asyncapi"], capture_output=True, check=True, timeout=60
    )
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def payload_validator(document: dict[str, Any], channel: str) -> Draft202012Validator:
    message = document["components"]["messages"][f"{channel}:Message"]
    registry: Registry[Any] = Registry().with_resource(
        "urn:asyncapi", Resource.from_contents(document, default_specification=DRAFT202012)
    )
    schema = {"$ref": f"urn:asyncapi{message['payload']['$ref']}"}
    return Draft202012Validator(schema, registry=registry)


def test_every_message_of_the_contracts_is_described(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]
    assert document["asyncapi"] == "3.0.0"
    for message in (*COMMANDS, *RESULTS, *TASKS, *REPLIES):
        assert message.__name__ in described


def test_addresses_have_a_described_parameter(document: dict[str, Any]) -> None:
    for channel in document["channels"].values():
        (name,) = channel["parameters"]
        assert f"{{{name}}}" in channel["address"]


@pytest.mark.parametrize("type", EVENT_TYPES)
def test_every_public_event_validates(document: dict[str, Any], type: str) -> None:
    facts = ExecutionFacts(str(uuid7()), str(uuid7()), "support", "refunds", "1.0.0", "00-a-b-01")
    more: dict[str, Any] = {
        "reason": "",
        "status": "running",
        "error": {"type": "x"},
        "attempt": 1,
        "delayMs": 1,
    }
    more["keys"] = {"order": "7"}
    more["event"] = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid"}
    task = {"task": "/do/0/a", "name": "a", "taskId": str(uuid7())}
    event = to_cloud_event({"type": type, "at": 1_700_000_000_000, **more, **task}, facts, 1)
    payload_validator(document, "events").validate([event])


def test_messages_validate_as_they_are_encoded(document: dict[str, Any]) -> None:
    organization, execution = uuid7(), uuid7()
    start = StartExecution(
        organization_id=organization,
        execution_id=execution,
        workflow_id="a/b",
        idempotency_key="k",
        input={"x": [1]},
    )
    payload_validator(document, "commands").validate(json.loads(encode(start)))
    reply = Reply(organization_id=organization, request_id=uuid7(), status=202)
    payload_validator(document, "replies").validate(json.loads(encode(reply)))


def test_a_wrong_event_does_not_validate(document: dict[str, Any]) -> None:
    assert not payload_validator(document, "events").is_valid([{"id": "x"}])
