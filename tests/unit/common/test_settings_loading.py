"""A wrong environment is refused once, completely, and without showing a value."""

import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from common.errors import ConfigurationError
from common.settings import (
    SERVICES,
    CommonSettings,
    DatabaseSettings,
    Environment,
    ExecutorSettings,
    GatewaySettings,
    KnowledgeSettings,
    OrchestratorSettings,
    load,
    read,
)

PRODUCTION = {
    "APP_ENV": "production",
    "DATABASE_URL": "postgresql://kwe:pw@db/kwe",
    "REDIS_URL": "redis://redis:6379/0",
    "JWT_SECRET": "s" * 32,
    "LLM_PROVIDER": "extractive",
}


def refusal(settings_class: type[CommonSettings], environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read(settings_class, environ)
    return refused.value.detail


@pytest.mark.parametrize("settings_class", SERVICES.values(), ids=SERVICES)
def test_an_empty_environment_is_enough_for_development(
    settings_class: type[CommonSettings],
) -> None:
    assert read(settings_class, {}).app_env is Environment.DEVELOPMENT


@pytest.mark.parametrize("settings_class", SERVICES.values(), ids=SERVICES)
def test_the_smallest_production_environment_is_accepted(
    settings_class: type[CommonSettings],
) -> None:
    assert read(settings_class, PRODUCTION).is_production


def test_every_problem_is_listed_at_once() -> None:
    detail = refusal(
        GatewaySettings,
        {
            "APP_ENV": "production",
            "PORT": "high",
            "RATE_LIMIT_WINDOW": "soonish",
            "TRUSTED_PROXIES": "10.0.0.0/8,nonsense",
            "DATABASE_POOL_MIN": "20",
            "KWE_FAILPOINT": "after_commit",
            "CORS_ORIGIN": "*",
            "CORS_CREDENTIALS": "true",
        },
    )
    for name in (
        "DATABASE_URL is required in production",
        "REDIS_URL is required in production",
        "JWT_SECRET is required in production",
        "PORT: ",
        "RATE_LIMIT_WINDOW: should be a duration",
        "TRUSTED_PROXIES: ",
        "DATABASE_POOL_MIN must not be above",
        "KWE_FAILPOINT must not be set in production",
        "CORS_CREDENTIALS cannot be true",
    ):
        assert name in detail


def test_no_value_is_ever_shown() -> None:
    values = {
        "APP_ENV": "leak-environment",
        "DATABASE_URL": "mysql://leak-user:leak-password@leak-host/leak",
        "REDIS_URL": "leak-redis",
        "JWT_SECRET": "leak-short",
        "ENCRYPTION_KEY": "leak-key",
        "PORT": "leak-port",
        "RATE_LIMIT_WINDOW": "leak-window",
        "TRUSTED_PROXIES": "leak-proxy",
        "MAX_REQUEST_BYTES": "leak-bytes",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "leak-endpoint",
        "LOG_LEVEL": "leak-level",
    }
    detail = refusal(GatewaySettings, values)
    assert "leak" not in detail
    for name in values:
        assert name in detail


@given(
    name=st.sampled_from(sorted(ExecutorSettings.model_fields)),
    value=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=12, max_size=30),
)
def test_any_text_in_any_variable_is_read_or_refused_without_showing_it(
    name: str, value: str
) -> None:
    shown = ""
    try:
        read(ExecutorSettings, {name.upper(): value})
    except ConfigurationError as error:
        shown = error.detail
    assert value not in shown


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(GatewaySettings, {"PORT": "", "JWT_SECRET": ""}).port == 3000


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "jwt"
    file.write_text("from-a-file-" * 4 + "\n")
    settings = read(GatewaySettings, {"JWT_SECRET_FILE": str(file)})
    assert settings.jwt_secret == SecretStr("from-a-file-" * 4)


def test_a_file_satisfies_what_production_requires(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://kwe:pw@db/kwe")
    environ = {**PRODUCTION, "DATABASE_URL_FILE": str(file)}
    del environ["DATABASE_URL"]
    assert read(OrchestratorSettings, environ).database_url.get_secret_value().endswith("@db/kwe")


def test_a_file_that_is_missing_empty_or_doubled_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    detail = refusal(
        GatewaySettings,
        {
            "JWT_SECRET_FILE": str(tmp_path / "missing"),
            "REDIS_PASSWORD_FILE": str(empty),
            "DATABASE_URL": "postgresql://db/kwe",
            "DATABASE_URL_FILE": str(empty),
        },
    )
    assert "JWT_SECRET_FILE cannot be read: No such file" in detail
    assert "REDIS_PASSWORD_FILE should name a text file" in detail
    assert "DATABASE_URL and DATABASE_URL_FILE are both set" in detail


def test_only_secrets_may_come_from_files(tmp_path: Path) -> None:
    assert read(GatewaySettings, {"PORT_FILE": str(tmp_path / "missing")}).port == 3000


def test_node_env_stands_in_for_app_env() -> None:
    assert read(GatewaySettings, {"NODE_ENV": "test"}).app_env is Environment.TEST
    both = {"NODE_ENV": "production", "APP_ENV": "test"}
    assert read(GatewaySettings, both).app_env is Environment.TEST


@pytest.mark.parametrize("name", ["APP_ENV", "NODE_ENV"])
def test_a_command_that_reads_one_group_is_as_strict_as_a_service(name: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL is required in production"):
        read(DatabaseSettings, {name: "production"})
    environ = {name: "production", "DATABASE_URL": "postgresql://kwe@db/kwe"}
    assert read(DatabaseSettings, environ).database_dsn == "postgresql://kwe@db/kwe"


def test_reading_node_env_is_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("APP_ENV", raising=False)
    monkeypatch.setenv("NODE_ENV", "test")
    load(OrchestratorSettings)
    assert "NODE_ENV is used instead" in capsys.readouterr().err


def test_a_wrong_environment_ends_the_process_with_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARTITIONS", "none")
    with pytest.raises(SystemExit) as ended:
        load(OrchestratorSettings)
    assert ended.value.code == 2
    assert "PARTITIONS: " in capsys.readouterr().err
    assert sys.exc_info() == (None, None, None)


def test_settings_built_by_hand_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1234")
    assert GatewaySettings().port == 3000


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        GatewaySettings().port = 1


def test_secrets_do_not_show_in_a_representation() -> None:
    settings = read(
        GatewaySettings, {"JWT_SECRET": "s" * 40, "DATABASE_URL": "postgresql://u:hunter2@h/d"}
    )
    assert "s" * 40 not in repr(settings)
    assert "hunter2" not in repr(settings)


def test_lists_durations_and_sizes_are_read_as_operators_write_them() -> None:
    settings = read(
        GatewaySettings,
        {
            "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "CORS_ORIGIN": "https://a.example, https://b.example",
            "RATE_LIMIT_WINDOW": "PT5M",
            "MAX_REQUEST_BYTES": "2MiB",
        },
    )
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert settings.cors_origin == ("https://a.example", "https://b.example")
    assert settings.rate_limit_window == timedelta(minutes=5)
    assert settings.max_request_bytes == 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("environ", "dsn"),
    [
        ({"REDIS_URL": "redis://h:1/2"}, "redis://h:1/2"),
        ({"REDIS_URL": "redis://h:1/2", "REDIS_PASSWORD": "p@s:s"}, "redis://:p%40s%3As@h:1/2"),
        ({"REDIS_URL": "redis://u@h:1", "REDIS_PASSWORD": "p"}, "redis://u:p@h:1"),
        ({"REDIS_URL": "redis://u:own@h:1", "REDIS_PASSWORD": "p"}, "redis://u:own@h:1"),
        ({"REDIS_URL": "redis://h", "REDIS_TLS": "true"}, "rediss://h"),
        ({"REDIS_URL": "rediss://h", "REDIS_TLS": "false"}, "rediss://h"),
    ],
)
def test_password_and_tls_are_merged_into_the_redis_address(
    environ: dict[str, str], dsn: str
) -> None:
    assert read(OrchestratorSettings, environ).redis_dsn == dsn


@pytest.mark.parametrize(
    ("environ", "provider"),
    [
        ({}, "extractive"),
        ({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "openai"),
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic"),
        ({"OPENAI_API_KEY": "k", "LLM_PROVIDER": "extractive"}, "extractive"),
    ],
)
def test_the_language_model_is_chosen_by_name_else_by_key(
    environ: dict[str, str], provider: str
) -> None:
    assert read(ExecutorSettings, environ).llm_provider_selected == provider


def test_production_wants_a_language_model_by_name_or_by_key() -> None:
    environ = {name: value for name, value in PRODUCTION.items() if name != "LLM_PROVIDER"}
    assert "LLM_PROVIDER is required in production" in refusal(ExecutorSettings, environ)
    assert read(ExecutorSettings, {**environ, "ANTHROPIC_API_KEY": "k"}).is_production


def test_the_key_of_every_selected_provider_is_required() -> None:
    detail = refusal(ExecutorSettings, {"LLM_PROVIDER": "anthropic", "LLM_FALLBACK": "openai"})
    assert "ANTHROPIC_API_KEY is required" in detail
    assert "OPENAI_API_KEY is required" in detail
    detail = refusal(
        KnowledgeSettings, {"EMBEDDING_PROVIDER": "openai", "VECTOR_DB_PROVIDER": "pinecone"}
    )
    assert "OPENAI_API_KEY is required" in detail
    assert "PINECONE_API_KEY is required" in detail
    assert "PINECONE_INDEX is required" in detail


def test_a_server_of_ones_own_may_do_without_a_key_in_development_only() -> None:
    environ = {"LLM_PROVIDER": "openai", "OPENAI_BASE_URL": "http://localhost:8000/v1"}
    assert read(ExecutorSettings, environ).openai_api_key is None
    assert "OPENAI_API_KEY is required" in refusal(ExecutorSettings, {**PRODUCTION, **environ})


@pytest.mark.parametrize("interval", ["0", "11s"])
def test_a_lease_must_outlast_three_refreshes(interval: str) -> None:
    assert "REFRESH_INTERVAL must be" in refusal(
        ExecutorSettings, {"TASK_LEASE": "30s", "REFRESH_INTERVAL": interval}
    )


@pytest.mark.parametrize(
    "rule", ["10.0.0.0/8", "fd00::/8", "db.internal", "DB.internal:8080", "127.0.0.1:9"]
)
def test_outbound_rules_are_networks_hosts_and_ports(rule: str) -> None:
    assert read(ExecutorSettings, {"OUTBOUND_ALLOW": rule}).outbound_allow == (rule.lower(),)


def test_a_mistyped_network_is_refused() -> None:
    assert "OUTBOUND_ALLOW: " in refusal(ExecutorSettings, {"OUTBOUND_ALLOW": "10.0.0.0/99"})
