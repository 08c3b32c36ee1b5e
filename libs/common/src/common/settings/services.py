"""What each service reads from its environment."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, NonNegativeInt, PositiveInt, SecretStr

from common.settings.addresses import database_address
from common.settings.connections import DatabaseSettings, RedisSettings
from common.settings.durations import Duration
from common.settings.groups import (
    EventFeedSettings,
    LeaseSettings,
    LogSettings,
    ProcessSettings,
    TelemetrySettings,
)
from common.settings.providers import (
    EncryptionSettings,
    LlmSettings,
    OpenAISettings,
    OutboundSettings,
    openai_key_is_missing,
)
from common.settings.secret_sources import SecretSourceSettings
from common.settings.values import pinecone_place, with_cloud
from common.settings.variable import SPLIT, Words, variable


class CommonSettings(
    TelemetrySettings,
    SecretSourceSettings,
    RedisSettings,
    DatabaseSettings,
    LogSettings,
    ProcessSettings,
):
    """What every service needs."""


class IdentitySettings(ProcessSettings):
    """Who may call the API, and how that is proved."""

    jwt_secret: SecretStr | None = variable(
        None,
        secret=True,
        required_in_production=True,
        min_length=32,
        example="CHANGE_ME_TO_AT_LEAST_32_CHARACTERS",
        description="Signs and verifies tokens (HS256), at least 32 characters. Without it only API keys are accepted.",
    )
    jwt_expiry: Duration = variable(
        timedelta(hours=24), example="24h", description="How long a token that we issue is valid."
    )
    jwt_issuer: str = variable("kwe", example="kwe", description="The `iss` claim of tokens.")
    jwt_audience: str = variable("kwe", example="kwe", description="The `aud` claim of tokens.")


class EdgeSettings(ProcessSettings):
    """How the HTTP edge protects itself and its callers."""

    port: int = variable(3000, ge=0, le=65535, example="3000", description="Port of the HTTP API.")
    access_log: bool = variable(
        False,
        example="true",
        description="Log a line for every request that is answered: who, what, how long, under which request id.",
    )
    cors_origin: Words = variable(
        (),
        example="https://app.example.com",
        description="Origins whose pages may call the API, separated by commas; `*` for any.",
    )
    cors_credentials: bool = variable(
        False, example="false", description="Whether those pages may send credentials."
    )
    watched_certificates: Words = variable(
        (),
        description="Addresses (`host` or `host:port`), separated by commas, whose certificates' expiry becomes a metric.",
    )
    rate_limit_window: Duration = variable(
        timedelta(minutes=15),
        gt=timedelta(),
        example="15m",
        description="Window of `RATE_LIMIT_MAX_REQUESTS`.",
    )
    rate_limit_max_requests: NonNegativeInt = variable(
        0,
        example="100",
        description="Requests per window of one organisation, or of one address without identity. 0 is no limit.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], SPLIT] = variable(
        (),
        description="Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
    )
    max_request_bytes: ByteSize = variable(
        ByteSize(1024 * 1024),
        ge=1024,
        example="1MiB",
        description="Largest request body; document uploads included.",
    )
    max_json_depth: int = variable(
        64, ge=4, le=512, example="64", description="Deepest nesting of JSON that is accepted."
    )
    reply_timeout: Duration = variable(
        timedelta(seconds=5),
        gt=timedelta(),
        example="5s",
        description="How long a request waits for the owner of its data to answer.",
    )

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        yield from super().requirements(given, production=production)
        credentials = given.get("cors_credentials", "false").lower() in {"true", "1", "yes", "on"}
        if credentials and given.get("cors_origin", "").strip() == "*":
            yield "CORS_CREDENTIALS cannot be true while CORS_ORIGIN is *: name the origins"


class GatewaySettings(EdgeSettings, IdentitySettings, EncryptionSettings, CommonSettings):
    database_read_url: Annotated[SecretStr, AfterValidator(database_address)] | None = variable(
        None,
        secret=True,
        description="A read replica. Young and missing objects are read from the primary.",
    )


class OrchestratorSettings(LeaseSettings, EventFeedSettings, EncryptionSettings, CommonSettings):
    queue_window: PositiveInt = variable(
        4096, example="4096", description="Tasks of one queue that are in Redis at a time."
    )
    max_workflow_duration_ms: NonNegativeInt = variable(
        0,
        example="300000",
        description="Longest duration of an execution, waits included, in milliseconds; a definition may only "
        "lower it. 0 is no limit.",
    )
    max_concurrent_executions: NonNegativeInt = variable(
        0, example="50", description="Running executions of one organisation. 0 is no limit."
    )
    max_retry_attempts: NonNegativeInt = variable(
        0,
        example="3",
        description="Most retries of one task, whatever the definition says. 0 leaves it to the definition.",
    )
    retention_days: NonNegativeInt = variable(
        0,
        example="90",
        description="Days that finished executions and their history are kept. 0 keeps them for ever.",
    )


class ExecutorSettings(
    LlmSettings, OutboundSettings, LeaseSettings, EncryptionSettings, CommonSettings
):
    executor_queues: Words = variable(
        ("default", "http", "llm"),
        min_length=1,
        example="default,http,llm",
        description="Queues that this executor serves, separated by commas.",
    )
    executor_slots: PositiveInt = variable(
        64, example="64", description="Tasks of one queue that this executor runs at a time."
    )
    executor_modules: Words = variable(
        (), description="Python modules with your own functions, separated by commas."
    )
    max_memory_mb: PositiveInt = variable(
        512, example="512", description="Memory that one script or shell task may use, in MiB."
    )
    max_cpu_percent: int = variable(
        80,
        ge=1,
        le=100,
        example="80",
        description="Share of the machine's processors that script and shell tasks may use together.",
    )


class KnowledgeSettings(
    OpenAISettings,
    OutboundSettings,
    LeaseSettings,
    EventFeedSettings,
    EncryptionSettings,
    CommonSettings,
):
    embedding_provider: Literal["local", "openai"] = variable(
        "local",
        example="local",
        description="Who computes embeddings. `local` needs no key and no network.",
    )
    embedding_model: str | None = variable(
        None, default_text="the provider's", description="Embedding model of new collections."
    )
    embedding_dimensions: PositiveInt | None = variable(
        None,
        default_text="the model's",
        description="Dimensions of the vectors of new collections, where the model offers several.",
    )
    vector_db_provider: Literal["pgvector", "pinecone"] = variable(
        "pgvector", example="pgvector", description="Where vectors are kept."
    )
    pinecone_api_key: SecretStr | None = variable(
        None, secret=True, description="Key for Pinecone."
    )
    pinecone_environment: Annotated[str, AfterValidator(with_cloud)] | None = variable(
        None,
        description="Region and cloud of the Pinecone index, such as `us-east-1-aws`.",
    )
    pinecone_index: str | None = variable(None, description="Name of the Pinecone index.")

    @property
    def pinecone_place(self) -> tuple[str, str] | None:
        """Cloud and region, as Pinecone's API wants them."""
        given = self.pinecone_environment
        return None if given is None else pinecone_place(given)

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        yield from super().requirements(given, production=production)
        by_openai = given.get("embedding_provider") == "openai"
        if by_openai and openai_key_is_missing(given, production=production):
            yield "OPENAI_API_KEY is required when EMBEDDING_PROVIDER is openai"
        if given.get("vector_db_provider") == "pinecone":
            for name in ("pinecone_api_key", "pinecone_index"):
                if name not in given:
                    yield f"{name.upper()} is required when VECTOR_DB_PROVIDER is pinecone"


SERVICES: Mapping[str, type[CommonSettings]] = {
    "gateway": GatewaySettings,
    "orchestrator": OrchestratorSettings,
    "executor": ExecutorSettings,
    "knowledge": KnowledgeSettings,
}
