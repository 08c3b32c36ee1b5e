"""Functions that a workflow may call by `name:version@catalog`, and those that are always there.

A function is data here: its queue says who performs it, its schemas what it takes and gives. The
catalog `default` holds the built-in functions and those that an organisation's own workers offer.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

DEFAULT_CATALOG = "default"
HTTP_QUEUE = "http"
"""Where `call: http` goes; it is a kind of call, not a function of the catalog."""

_REFERENCE = re.compile(r"(?P<name>[^:@/\s]+):(?P<version>[^:@/\s]+)@(?P<catalog>[^:@/\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """What a function promises."""

    name: str
    version: str
    queue: str
    """The queue whose executors perform it."""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] = field(default_factory=dict)
    at_most_once: bool = False
    """Asks for permission before it runs, and ends as `unknown outcome` rather than run twice."""
    idempotent: bool = False
    """Running it again with the same input changes nothing and costs nothing of note."""
    description: str = ""


class FunctionCatalog(Protocol):
    """What the catalog `default` holds for one organisation."""

    def find(self, name: str, version: str) -> FunctionSpec | None: ...

    def names(self) -> Iterable[str]:
        """`name:version` of every function, for advice."""
        ...


class FunctionReference(NamedTuple):
    name: str
    version: str
    catalog: str


def parse_reference(call: str) -> FunctionReference | None:
    """The parts of `name:version@catalog`; `None` for a plain name or a URL."""
    match = _REFERENCE.fullmatch(call)
    return FunctionReference(*match.groups()) if match else None


class Functions:
    """A catalog held in memory: the built-in functions, and any others given."""

    def __init__(self, others: Iterable[FunctionSpec] = ()) -> None:
        self._specs = {(spec.name, spec.version): spec for spec in (*BUILT_IN, *others)}

    def find(self, name: str, version: str) -> FunctionSpec | None:
        return self._specs.get((name, version))

    def names(self) -> list[str]:
        return sorted(f"{name}:{version}" for name, version in self._specs)


def _object(
    required: Iterable[str] = (), *, closed: bool = True, **properties: Any
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    if closed:
        schema["additionalProperties"] = False
    return schema


def _list_of(items: dict[str, Any], **bounds: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **bounds}


_TEXT: dict[str, Any] = {"type": "string"}
_NAME: dict[str, Any] = {"type": "string", "minLength": 1}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NUMBER: dict[str, Any] = {"type": "number"}
_ANY_OBJECT: dict[str, Any] = {"type": "object"}
_USAGE = _object(closed=False, inputTokens=_COUNT, outputTokens=_COUNT)

_MESSAGE = _object(
    ["role", "content"],
    closed=False,
    role={"enum": ["system", "user", "assistant", "tool"]},
    content={"type": ["string", "array", "null"]},
)

_LLM = FunctionSpec(
    name="llm",
    version="1.0.0",
    queue="llm",
    description="Asks a language model.",
    input_schema={
        **_object(
            provider=_NAME,
            model=_NAME,
            system=_TEXT,
            prompt=_TEXT,
            messages=_list_of(_MESSAGE, minItems=1),
            temperature={"type": "number", "minimum": 0, "maximum": 2},
            maxTokens={"type": "integer", "minimum": 1},
            responseSchema={"type": ["object", "boolean"]},
            tools=_list_of(_ANY_OBJECT),
        ),
        "oneOf": [{"required": ["prompt"]}, {"required": ["messages"]}],
    },
    output_schema=_object(
        ["text", "finishReason", "model", "provider", "usage"],
        closed=False,
        text=_TEXT,
        toolCalls=_list_of(_ANY_OBJECT),
        finishReason=_TEXT,
        model=_TEXT,
        provider=_TEXT,
        usage=_USAGE,
    ),
)

_EMBED = FunctionSpec(
    name="embed",
    version="1.0.0",
    queue="knowledge.search",
    description="Turns texts into vectors.",
    idempotent=True,
    input_schema=_object(["texts"], texts=_list_of(_TEXT, minItems=1), model=_NAME),
    output_schema=_object(
        ["vectors", "model", "dimensions"],
        closed=False,
        vectors=_list_of(_list_of(_NUMBER)),
        model=_TEXT,
        dimensions=_COUNT,
        usage=_USAGE,
    ),
)

_HIT = _object(
    ["id", "document", "chunk", "text", "score"],
    closed=False,
    text=_TEXT,
    score=_NUMBER,
    metadata=_ANY_OBJECT,
    start=_COUNT,
    end=_COUNT,
)

_SEARCH = FunctionSpec(
    name="search",
    version="1.0.0",
    queue="knowledge.search",
    description="Finds the passages of a collection that answer a question best.",
    idempotent=True,
    input_schema=_object(
        ["collection", "query"],
        collection=_NAME,
        query=_TEXT,
        topK={"type": "integer", "minimum": 1, "maximum": 1000},
        filter=_ANY_OBJECT,
        mode={"enum": ["hybrid", "vector", "keyword"]},
        minScore=_NUMBER,
        rerank={"type": ["boolean", "object"]},
    ),
    output_schema=_object(["hits"], closed=False, hits=_list_of(_HIT)),
)


def _never(advice: str) -> dict[str, Any]:
    """A property that is refused whatever it is, with a word on what to do instead."""
    return {"not": {"description": advice}}


_NEW_DOCUMENT = _object(
    ["text"],
    id=_NAME,
    title=_TEXT,
    text=_TEXT,
    mediaType={"enum": ["text/markdown", "text/plain"]},
    metadata=_ANY_OBJECT,
    url=_never(
        "Documents are not fetched here: get it by `call: http`, and give its content as `text`."
    ),
)

_INGEST = FunctionSpec(
    name="ingest",
    version="1.0.0",
    queue="knowledge.ingest",
    description="Puts documents into a collection.",
    input_schema=_object(
        ["collection", "documents"],
        collection=_NAME,
        documents=_list_of(_NEW_DOCUMENT, minItems=1),
    ),
    output_schema=_object(
        ["documents"],
        closed=False,
        documents=_list_of(_object(["id", "status"], closed=False, chunks=_COUNT, status=_TEXT)),
    ),
)

BUILT_IN: tuple[FunctionSpec, ...] = (_LLM, _EMBED, _SEARCH, _INGEST)
