"""One declaration per variable; tables and examples follow from it."""

import re

import pytest

from common.settings import SERVICES, read
from common.settings.docs import env_example, main, markdown
from common.settings.table import variables

PROMISED = [
    "APP_ENV",
    "PORT",
    "HOST",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "DATABASE_URL",
    "DATABASE_READ_URL",
    "DATABASE_POOL_MIN",
    "DATABASE_POOL_MAX",
    "DATABASE_SSL",
    "REDIS_URL",
    "REDIS_PASSWORD",
    "REDIS_TLS",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_MODEL",
    "OPENAI_MAX_TOKENS",
    "OPENAI_TEMPERATURE",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_MODEL",
    "VECTOR_DB_PROVIDER",
    "PINECONE_API_KEY",
    "PINECONE_ENVIRONMENT",
    "PINECONE_INDEX",
    "EMBEDDING_PROVIDER",
    "EMBEDDING_MODEL",
    "EMBEDDING_DIMENSIONS",
    "JWT_SECRET",
    "JWT_EXPIRY",
    "CORS_ORIGIN",
    "CORS_CREDENTIALS",
    "RATE_LIMIT_WINDOW",
    "RATE_LIMIT_MAX_REQUESTS",
    "MAX_WORKFLOW_DURATION_MS",
    "MAX_CONCURRENT_EXECUTIONS",
    "MAX_RETRY_ATTEMPTS",
    "MAX_MEMORY_MB",
    "MAX_CPU_PERCENT",
    "APM_ENABLED",
    "APM_SERVICE_NAME",
    "APM_SERVER_URL",
    "SENTRY_DSN",
    "SENTRY_ENVIRONMENT",
    "SENTRY_TRACES_SAMPLE_RATE",
    "METRICS_ENABLED",
    "METRICS_PORT",
]


def assignments(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", PROMISED)
def test_names_that_deployments_already_use_are_kept(name: str) -> None:
    assert name in {variable.name for variable in variables()}


def test_every_variable_is_declared_once_described_and_used() -> None:
    names = [variable.name for variable in variables()]
    assert len(names) == len(set(names))
    for variable in variables():
        assert len(variable.description) > 10, variable.name
        assert variable.services, variable.name
        assert variable.type, variable.name


def test_services_that_share_a_variable_agree_on_its_default() -> None:
    for variable in variables():
        defaults = {
            SERVICES[service].model_fields[variable.name.lower()].default
            for service in variable.services
        }
        assert len(defaults) == 1, variable.name


def test_the_table_lists_every_variable() -> None:
    text = markdown()
    for variable in variables():
        assert f"| `{variable.name}`" in text


def test_the_example_names_every_variable_and_holds_no_usable_secret() -> None:
    text = env_example()
    given = assignments(text)
    for variable in variables():
        assert variable.name in given or f"#{variable.name}=" in text
        if variable.required_in_production:
            assert variable.name in given
        if variable.secret and variable.name in given:
            no_secret = variable.name in {"REDIS_URL", "DATABASE_URL"}  # its password is beside it
            assert "CHANGE_ME" in given[variable.name] or no_secret


@pytest.mark.parametrize("service", SERVICES)
def test_the_example_is_a_production_environment_for_every_service(service: str) -> None:
    environ = {**assignments(env_example()), "LLM_PROVIDER": "extractive"}
    assert read(SERVICES[service], environ).is_production


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_WORKFLOW_DURATION_MS", "300000"),
        ("MAX_CONCURRENT_EXECUTIONS", "50"),
        ("RATE_LIMIT_MAX_REQUESTS", "100"),
        ("RATE_LIMIT_WINDOW", "15m"),
        ("DATABASE_POOL_MIN", "2"),
        ("DATABASE_POOL_MAX", "10"),
        ("MAX_RETRY_ATTEMPTS", "3"),
        ("OPENAI_MAX_TOKENS", "2000"),
        ("OPENAI_TEMPERATURE", "0.7"),
        ("MAX_MEMORY_MB", "512"),
        ("MAX_CPU_PERCENT", "80"),
        ("JWT_EXPIRY", "24h"),
    ],
)
def test_the_example_has_the_values_that_operators_know(name: str, value: str) -> None:
    assert assignments(env_example())[name] == value


def test_defaults_are_written_as_they_are_read() -> None:
    for variable in variables():
        if variable.default:
            read(
                SERVICES[variable.services[0]],
                {variable.name: variable.default, **unlock(variable.name)},
            )


def unlock(name: str) -> dict[str, str]:
    """What must be set beside a variable for its default to be allowed."""
    return {"DATABASE_SSL": "verify-full"} if name == "DATABASE_SSL_ROOT_CERT" else {}


def test_the_command_prints_either_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env"]) == 0
    assert capsys.readouterr().out == env_example()
    assert main(["pdf"]) == 2
    assert "markdown or env" in capsys.readouterr().err
