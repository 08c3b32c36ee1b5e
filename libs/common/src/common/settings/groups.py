"""Variables by subject. A service's settings are the subjects it needs; nothing is declared twice."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.settings.durations import Duration, parse_duration
from common.settings.values import Environment
from common.settings.variable import variable

Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]


class SettingsGroup(BaseSettings):
    """Base of all. Only `common.settings.load` reads the environment: built by hand, a settings object
    holds what it was given and the defaults, whatever the process's environment says."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        """What is missing or contradictory among several variables, one sentence each.

        Works on the raw values by field name, so that it is heard even while other variables are malformed.
        """
        del given, production
        yield from ()


class ProcessSettings(SettingsGroup):
    app_env: Environment = variable(
        Environment.DEVELOPMENT,
        example="production",
        description="What the process runs for. `production` requires credentials and refuses failpoints. "
        "`NODE_ENV` is read where it is missing.",
    )
    host: str = variable(
        "0.0.0.0",  # noqa: S104  # in a container nothing could reach a loopback address
        example="0.0.0.0",  # noqa: S104
        description="Address that `PORT` and `METRICS_PORT` are opened on.",
    )
    shutdown_grace: Duration = variable(
        timedelta(seconds=25),
        example="25s",
        description="Time for work in flight to finish after SIGTERM. Keep it below the pod's grace period.",
    )
    partitions: int = variable(
        8,
        ge=1,
        le=1024,
        example="8",
        description="Partitions of the commands and results streams. The same for every service, and fixed once "
        "the system is installed.",
    )
    kwe_failpoint: str | None = variable(
        None,
        description="Name of a failpoint at which the process kills itself. For tests; refused in production.",
    )

    @property
    def is_production(self) -> bool:
        return self.app_env is Environment.PRODUCTION

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        yield from super().requirements(given, production=production)
        if production and "kwe_failpoint" in given:
            yield "KWE_FAILPOINT must not be set in production"


class LogSettings(SettingsGroup):
    log_level: Literal["debug", "info", "warning", "error"] = variable(
        "info", example="info", description="The least important level that is logged."
    )
    log_format: Literal["json", "console"] = variable(
        "json", example="json", description="`json` for machines, `console` for a terminal."
    )
    log_contents: bool = variable(
        False,
        example="false",
        description="Whether prompts, answers and document texts may appear in logs, at the level `debug`. Secrets never do.",
    )


class TelemetrySettings(SettingsGroup):
    metrics_enabled: bool = variable(
        True,
        example="true",
        description="`false` takes away `/metrics`; health and readiness stay.",
    )
    metrics_port: int = variable(
        9090,
        ge=0,
        le=65535,
        example="9090",
        description="Port of `/health`, `/ready` and `/metrics`. 0 takes a free one.",
    )
    debug_token: SecretStr | None = variable(
        None,
        secret=True,
        min_length=32,
        description="Opens `/debug` beside `/metrics` to who runs the installation, at least 32 characters. Unset: "
        "there is no `/debug`.",
    )
    metrics_organizations: NonNegativeInt = variable(
        0,
        le=100,
        example="0",
        description="How many of the busiest organisations get series of their own, labelled with their ids.",
    )
    apm_enabled: bool = variable(
        True,
        example="false",
        description="`false` switches tracing off. Without an endpoint it is off anyway.",
    )
    apm_service_name: str | None = variable(
        None,
        default_text="`kwe`",
        description="First part of the service names in traces; the service's own name follows.",
    )
    apm_server_url: str | None = variable(
        None,
        pattern=r"^https?://",
        description="An APM server that takes OTLP over HTTP. `OTEL_EXPORTER_OTLP_ENDPOINT` wins over it.",
    )
    otel_sdk_disabled: bool = variable(
        False, example="false", description="`true` switches tracing off, like `APM_ENABLED=false`."
    )
    otel_service_name: str | None = variable(
        None,
        default_text="`APM_SERVICE_NAME`, then the service's own name",
        description="The whole service name in traces. Wins over `APM_SERVICE_NAME`.",
    )
    otel_exporter_otlp_endpoint: str | None = variable(
        None, pattern=r"^https?://", description="Base address of an OTLP/HTTP collector."
    )
    otel_exporter_otlp_traces_endpoint: str | None = variable(
        None,
        pattern=r"^https?://",
        description="Whole address that traces are sent to, where it is not `/v1/traces` of the collector.",
    )
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = variable(
        "http/protobuf",
        example="http/protobuf",
        description="How traces are sent. A collector takes it on port 4318.",
    )
    otel_exporter_otlp_headers: SecretStr | None = variable(
        None,
        secret=True,
        description="Headers for the collector, such as its token: `name=value`, separated by commas.",
    )
    otel_traces_exporter: Literal["otlp", "none"] = variable(
        "otlp", example="otlp", description="`none` switches tracing off."
    )
    otel_traces_sampler: Sampler = variable(
        "parentbased_traceidratio",
        example="parentbased_traceidratio",
        description="Which traces are recorded. With `parentbased_…` a caller's `traceparent` decides for its own trace.",
    )
    otel_traces_sampler_arg: float = variable(
        0.05,
        ge=0,
        le=1,
        example="0.05",
        description="Share of traces that the `…traceidratio` samplers record.",
    )
    sentry_dsn: SecretStr | None = variable(
        None,
        secret=True,
        description="Unexpected errors are reported to this Sentry project.",
    )
    sentry_environment: str | None = variable(
        None, default_text="`APP_ENV`", description="Environment name shown in Sentry."
    )
    sentry_release: str | None = variable(
        None, default_text="`kwe@` and the version", description="Release name shown in Sentry."
    )
    sentry_sample_rate: float = variable(
        1.0, ge=0, le=1, example="1.0", description="Share of unexpected errors that is reported."
    )
    sentry_traces_sample_rate: float = variable(
        0.0,
        ge=0,
        le=1,
        example="0",
        description="Share of requests and tasks whose duration Sentry is told.",
    )


class LeaseSettings(SettingsGroup):
    task_lease: Duration = variable(
        timedelta(seconds=30),
        example="30s",
        description="A task whose worker has not refreshed it for this long is given to another one.",
    )
    refresh_interval: Duration = variable(
        timedelta(seconds=5),
        example="5s",
        description="How often a worker refreshes its tasks. At most a third of `TASK_LEASE`.",
    )

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        yield from super().requirements(given, production=production)
        try:
            lease = parse_duration(given.get("task_lease", "30s"))
            interval = parse_duration(given.get("refresh_interval", "5s"))
        except ValueError:
            return  # Reported by the field itself.
        if not timedelta() < interval * 3 <= lease:
            yield "REFRESH_INTERVAL must be above 0 and at most a third of TASK_LEASE"


class EventFeedSettings(SettingsGroup):
    events_retention: Duration = variable(
        timedelta(hours=24), example="24h", description="How long public events stay in the stream."
    )
    events_max_length: PositiveInt = variable(
        100_000,
        example="100000",
        description="How many entries the stream of one organisation keeps at most.",
    )
