"""Which failures are worth repeating, and how they are repeated."""

import asyncio
import errno
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigurationError
from common.postgres import create_pool, is_data_error, is_retryable, load_queries, retrying
from common.settings import DatabaseSettings, read


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("x"),
        asyncpg.ConnectionFailureError("x"),
        asyncpg.AdminShutdownError("x"),
        asyncpg.CrashShutdownError("x"),
        asyncpg.CannotConnectNowError("x"),
        asyncpg.TooManyConnectionsError("x"),
        asyncpg.DiskFullError("x"),
        asyncpg.SerializationError("x"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.ReadOnlySQLTransactionError("x"),
        asyncpg.InterfaceError("cannot call Connection.fetch(): connection is closed"),
        ConnectionResetError("x"),
        ConnectionRefusedError("x"),
        TimeoutError(),
        OSError(errno.EHOSTUNREACH, "x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_failures_of_the_world_are_worth_repeating(error: Exception) -> None:
    assert is_retryable(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("x"),
        asyncpg.UndefinedTableError("x"),
        asyncpg.QueryCanceledError("x"),
        asyncpg.UntranslatableCharacterError("x"),
        asyncpg.InsufficientPrivilegeError("x"),
        asyncpg.ClientConfigurationError("x"),
        asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        ValueError("x"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_mistakes_and_refusals_are_not(error: BaseException) -> None:
    assert not is_retryable(error)


def test_values_that_postgresql_refuses_are_data_errors() -> None:
    assert is_data_error(asyncpg.UntranslatableCharacterError("x"))
    assert is_data_error(asyncpg.InvalidTextRepresentationError("x"))
    assert not is_data_error(asyncpg.UniqueViolationError("x"))
    assert not is_data_error(ValueError("x"))


class Flaky:
    """Fails with the given errors, one per call, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_a_passing_failure_is_repeated_until_it_has_passed() -> None:
    flaky = Flaky(asyncpg.SerializationError("x"), ConnectionResetError("x"))
    seen: list[str] = []
    result = await retrying(
        flaky, delay_initial=0, on_retry=lambda error: seen.append(type(error).__name__)
    )
    assert (result, flaky.calls) == ("done", 3)
    assert seen == ["SerializationError", "ConnectionResetError"]


async def test_a_mistake_is_not_repeated() -> None:
    flaky = Flaky(asyncpg.UniqueViolationError("x"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await retrying(flaky, delay_initial=0)
    assert flaky.calls == 1


@given(attempts=st.integers(min_value=1, max_value=8))
def test_repeating_ends(attempts: int) -> None:
    flaky = Flaky(*(ConnectionResetError("x") for _ in range(20)))
    with pytest.raises(ConnectionResetError):
        asyncio.run(retrying(flaky, attempts_max=attempts, delay_initial=0))
    assert flaky.calls == attempts


async def test_an_unreachable_server_is_one_clear_sentence_without_the_password() -> None:
    settings = DatabaseSettings.model_validate(
        {"database_url": "postgresql://kwe:hunter2@127.0.0.1:1/kwe"}
    )
    with pytest.raises(ConfigurationError) as refused:
        await create_pool(settings, application_name="test")
    assert "PostgreSQL at 127.0.0.1:1 cannot be used: nothing listens there" in refused.value.detail
    assert "hunter2" not in refused.value.detail


def test_an_address_of_another_database_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user"):
        read(DatabaseSettings, {"DATABASE_URL": "mysql://localhost/x"})


@pytest.fixture
def query_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "queries_for_this_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "leases.sql").write_text(
        "-- Leases.\n\n-- name: acquire\n-- Take it.\nSELECT 1;\n\n-- name: release\nSELECT 2;\n"
    )
    (package / "twice.sql").write_text("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n")
    (package / "none.sql").write_text("SELECT 1;\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package.name


def test_queries_are_found_by_name_and_keep_their_comment(query_package: str) -> None:
    queries = load_queries(query_package, "leases.sql")
    assert queries == {
        "acquire": "-- name: acquire\n-- Take it.\nSELECT 1;",
        "release": "-- name: release\nSELECT 2;",
    }


@pytest.mark.parametrize("filename", ["twice.sql", "none.sql"])
def test_a_file_whose_names_are_unclear_is_a_bug(query_package: str, filename: str) -> None:
    with pytest.raises(AssertionError, match=filename):
        load_queries(query_package, filename)
