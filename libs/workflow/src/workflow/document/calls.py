"""The arguments of every kind of call. What they mean is the executor's business."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from workflow.document.data import Export, Output
from workflow.document.durations import Duration
from workflow.document.parts import (
    OBJECT,
    TEXT,
    EnclosedExpression,
    Flag,
    JsonObject,
    Maybe,
    NonEmptyObject,
    Part,
    TextMap,
    TextOr,
    WholeNumber,
    shape_of,
    wrong_shape,
)
from workflow.document.resources import Authentication, Endpoint, ExternalResource, exactly_one

if TYPE_CHECKING:  # tasks.py needs the calls; it resolves the name when both are there
    from workflow.document.tasks import TaskList

ContentForm = Literal["raw", "content", "response"]
MapOrExpression = Annotated[
    Annotated[EnclosedExpression, Tag(TEXT)] | Annotated[TextMap, Tag(OBJECT)],
    Discriminator(shape_of, **wrong_shape("an object of texts, or an expression")),
]


class HttpArguments(Part):
    method: str
    endpoint: Endpoint
    headers: Maybe[MapOrExpression] = None
    body: Any = None
    query: Maybe[MapOrExpression] = None
    output: Maybe[ContentForm] = None
    redirect: Maybe[Flag] = None


class OpenApiArguments(Part):
    document: ExternalResource
    operation_id: str
    parameters: Maybe[JsonObject] = None
    authentication: Maybe[Authentication] = None
    output: Maybe[ContentForm] = None
    redirect: Maybe[Flag] = None


class GrpcService(Part):
    name: str
    host: Annotated[
        str, StringConstraints(pattern=r"^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]{0,61}[a-zA-Z0-9])?$")
    ]
    port: Maybe[Annotated[WholeNumber, Field(ge=0, le=65535)]] = None
    authentication: Maybe[Authentication] = None


class GrpcArguments(Part):
    proto: ExternalResource
    service: GrpcService
    method: str
    arguments: Maybe[JsonObject] = None


class AsyncApiServer(Part):
    name: str
    variables: Maybe[JsonObject] = None


class AsyncApiMessage(Part):
    payload: Maybe[JsonObject] = None
    headers: Maybe[JsonObject] = None


class AsyncApiConsumption(Part):
    """Exactly one of `amount`, `while` and `until`; `for` bounds it in time."""

    amount: Maybe[WholeNumber] = None
    while_: Maybe[EnclosedExpression] = None
    until: Maybe[EnclosedExpression] = None
    for_: Maybe[Duration] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, ("amount", "while_", "until"))
        return self


class SubscriptionIterator(Part):
    """What is done with each consumed event or message."""

    item: Maybe[str] = None
    at: Maybe[str] = None
    do: "Maybe[TaskList]" = None
    output: Maybe[Output] = None
    export: Maybe[Export] = None


class AsyncApiSubscription(Part):
    filter: Maybe[EnclosedExpression] = None
    consume: AsyncApiConsumption
    foreach: Maybe[SubscriptionIterator] = None


class AsyncApiArguments(Part):
    document: ExternalResource
    channel: Maybe[str] = None
    operation: Maybe[str] = None
    server: Maybe[AsyncApiServer] = None
    protocol: Maybe[
        Literal[
            "amqp", "amqp1", "anypointmq", "googlepubsub", "http", "ibmmq", "jms", "kafka",
            "mercure", "mqtt", "mqtt5", "nats", "pulsar", "redis", "sns", "solace", "sqs",
            "stomp", "ws",
        ]
    ] = None  # fmt: skip
    message: Maybe[AsyncApiMessage] = None
    subscription: Maybe[AsyncApiSubscription] = None
    authentication: Maybe[Authentication] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, ("operation", "channel"))
        exactly_one(self, ("message", "subscription"))
        return self


class A2aArguments(Part):
    agent_card: Maybe[ExternalResource] = None
    server: Maybe[Endpoint] = None
    method: Literal[
        "message/send", "message/stream", "tasks/get", "tasks/list", "tasks/cancel",
        "tasks/resubscribe", "tasks/pushNotificationConfig/set",
        "tasks/pushNotificationConfig/get", "tasks/pushNotificationConfig/list",
        "tasks/pushNotificationConfig/delete", "agent/getAuthenticatedExtendedCard",
    ]  # fmt: skip
    parameters: Maybe[TextOr[NonEmptyObject]] = None


class McpHttpTransport(Part):
    endpoint: Endpoint
    headers: Maybe[TextMap] = None


class McpStdioTransport(Part):
    command: str
    arguments: Maybe[tuple[str, ...]] = None
    environment: Maybe[TextMap] = None


class McpTransport(Part):
    """Exactly one of `http` and `stdio`."""

    http: Maybe[McpHttpTransport] = None
    stdio: Maybe[McpStdioTransport] = None
    options: Maybe[TextMap] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, ("http", "stdio"))
        return self


class McpClient(Part):
    name: str
    version: str


class McpArguments(Part):
    protocol_version: Maybe[str] = None
    method: Literal[
        "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list",
        "resources/read", "resources/templates/list",
    ]  # fmt: skip
    parameters: Maybe[TextOr[JsonObject]] = None
    timeout: Maybe[Duration] = None
    transport: McpTransport
    client: Maybe[McpClient] = None
