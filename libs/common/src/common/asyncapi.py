"""python -m common.asyncapi: the AsyncAPI 3.0 document of every stream, generated from the message models.

FastStream makes the document from publishers that are declared here and never started. The hot path does not run on
FastStream; its messages are the same models, so the document cannot say anything else than the wire. The feed of an
organisation is what outside consumers read; the other streams are described for those who work on the engine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any, Union

import orjson
from pydantic import Field

from common.contracts.base import Message
from common.contracts.events import EmittedEvent, LifecycleEvent
from common.contracts.wire import COMMANDS, REPLIES, RESULTS, TASKS

TITLE = "Knowledge & Workflow Engine: streams"
DESCRIPTION = (
    "Redis streams. Every entry has one field, `m`, with the message as JSON. Consumers ignore fields they do not know. "
    "Public events come at least once: `id` tells repeated ones, `sequence` orders those of one execution and has no "
    "gap; `GET /v1/events?after=` has what a consumer missed."
)


@dataclass(frozen=True, slots=True)
class Channel:
    title: str
    address: str
    parameter: str
    """What stands in braces in the address, described."""

    description: str
    schema: Any


def _one_of(types: Sequence[type[Message]]) -> Any:
    if len(types) == 1:
        return types[0]
    return Annotated[Union[tuple(types)], Field(discriminator="type")]  # noqa: UP007


_TAG = "With its braces on the wire: they are the cluster's hash tag."

CHANNELS = (
    Channel(
        "events",
        "kwe:events:{organization}",
        "Id of the organisation.",
        "Public events of one organisation. An entry carries the events of one turn of one execution, in order.",
        list[LifecycleEvent | EmittedEvent],
    ),
    Channel(
        "commands",
        "kwe:commands:{partition}",
        f"Such as `{{p7}}`. {_TAG}",
        "To the orchestrator: accept, register, create.",
        _one_of(COMMANDS),
    ),
    Channel(
        "results",
        "kwe:results:{partition}",
        f"Such as `{{p7}}`. {_TAG}",
        "To the orchestrator, read before commands: what became of tasks, and controls.",
        _one_of(RESULTS),
    ),
    Channel(
        "tasks",
        "kwe:tasks:{queue}",
        f"Such as `{{q:llm}}`. {_TAG}",
        "To the executors of a queue, and to the knowledge service.",
        _one_of(TASKS),
    ),
    Channel(
        "replies",
        "kwe:replies:{instance}",
        f"Such as `{{r:gateway-1}}`. {_TAG}",
        "Answers to one caller; expires after it is gone.",
        _one_of(REPLIES),
    ),
)


def asyncapi_document() -> dict[str, Any]:
    """Imports FastStream, tens of megabytes that no service needs: call it in a process of its own."""
    from faststream.redis import RedisBroker, StreamSub
    from faststream.specification import AsyncAPI

    broker = RedisBroker(specification_url="redis://redis:6379")
    for channel in CHANNELS:
        broker.publisher(
            stream=StreamSub(channel.address),
            title=channel.title,
            description=channel.description,
            schema=channel.schema,
        )
    specification = AsyncAPI(
        broker,
        title=TITLE,
        version=version("kwe-common"),
        description=DESCRIPTION,
        license={"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    )
    return _completed(orjson.loads(specification.to_specification().to_json()))


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """What FastStream does not know about our streams, and a stable order."""
    for channel in CHANNELS:
        name = channel.address.partition("{")[2].rstrip("}")
        document["channels"][channel.title]["parameters"] = {
            name: {"description": channel.parameter}
        }
    for message in document["components"]["messages"].values():
        # Entries have no headers: a message carries its own ids.
        message.pop("correlationId", None)
    titles = [channel.title for channel in CHANNELS]
    for part in ("channels", "operations"):
        document[part] = {title: document[part][title] for title in titles}
    for part in ("messages", "schemas"):
        document["components"][part] = dict(sorted(document["components"][part].items()))
    return document


def main() -> None:
    sys.stdout.buffer.write(orjson.dumps(asyncapi_document(), option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
