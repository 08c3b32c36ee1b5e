"""Real PostgreSQL and Valkey for every suite that asks for them.

Fixtures:

`postgres`      (session) the server: `.dsn`, `.dsn_of(database)`. Started once per test session.
`valkey`        (session) the server: `.url`. Started once per test session.
`database`      (test)    DSN of a fresh database with all migrations applied, cloned from a
                          template in some 60 ms, dropped afterwards with whoever still uses it.
`bare_database` (test)    DSN of a fresh database with nothing in it, for tests of migrations.
`redis_url`     (test)    URL of Valkey, flushed before and after the test.
`ports`         (session) ports that nobody else's tests use: `.take()`, `.keep_for(folder of a server)`.

They work for `async def` tests, for plain ones, and under Playwright's own loop: servers live on
a loop of their own in a thread that lasts as long as the session. Do not stop or kill the shared
servers: a test that does such things starts its own with `EmbeddedPostgres(ports.keep_for(folder))`
or `EmbeddedValkey(ports.keep_for(folder))`, below a new folder in `server_folder` (session), in about
a second. Their ports are their own, so nobody takes them while they are stopped. Roles are shared by all databases of a server.

The servers come from wheels. `KWE_TEST_BACKEND=containers` takes `pgvector/pgvector:pg16` and
`valkey/valkey:8` in containers instead, `KWE_TEST_POSTGRES_IMAGE` and `KWE_TEST_VALKEY_IMAGE` others.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from redis import Redis

from common import telemetry
from embedded import EmbeddedPostgres, EmbeddedValkey
from embedded.folder import FolderLock

sys.path.insert(0, str(Path(__file__).parent))

from port_slot import PortSlot

T = TypeVar("T")
TEMPLATE = "kwe_template"
PATIENCE_SECONDS = 100
FOLDER_PREFIX = "kwe-tests-"
MEMORY_BYTES_MIN = 2 * 1024**3


class PostgresServer(Protocol):
    @property
    def dsn(self) -> str: ...
    def dsn_of(self, database: str) -> str: ...


class ValkeyServer(Protocol):
    @property
    def url(self) -> str: ...


@dataclass(frozen=True)
class PostgresContainerServer:
    dsn: str

    def dsn_of(self, database: str) -> str:
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{database}"))


@dataclass(frozen=True)
class ValkeyContainerServer:
    url: str


class Loop:
    """An event loop in a thread of its own.

    Children die with the thread that started them, so one thread must outlast the session's
    servers; and a test's own loop may be running, or not, when a fixture needs one.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fixtures")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def fixture_loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """For the data of servers. In memory where there is room, so that syncing costs nothing and
    every setting can stay as it is in earnest. Not pytest's own temporary folder, which is closed
    to others: PostgreSQL may have to run as `nobody`."""
    parent = _roomy_memory() or Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=parent))
    folder.chmod(0o711)
    lock = FolderLock(folder)
    lock.acquire()
    yield folder
    lock.release()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ports() -> Iterator[PortSlot]:
    slot = PortSlot()
    yield slot
    slot.close()


@pytest.fixture(scope="session")
def postgres(fixture_loop: Loop, server_folder: Path, ports: PortSlot) -> Iterator[PostgresServer]:
    if _backend() == "containers":
        with _postgres_container() as container:
            yield container
        return
    # Many short-lived databases: sweeping them would only take processor time from the tests.
    settings = {"autovacuum": "off", "max_connections": "300", "max_wal_size": "256MB"}
    server = EmbeddedPostgres(ports.keep_for(server_folder / "postgres"), settings=settings)
    fixture_loop.run(server.start())
    yield server
    fixture_loop.run(server.stop())


@pytest.fixture(scope="session")
def valkey(fixture_loop: Loop, server_folder: Path, ports: PortSlot) -> Iterator[ValkeyServer]:
    if _backend() == "containers":
        with _valkey_container() as container:
            yield container
        return
    server = EmbeddedValkey(ports.keep_for(server_folder / "valkey"))
    fixture_loop.run(server.start())
    yield server
    fixture_loop.run(server.stop())


@pytest.fixture(scope="session")
def template(fixture_loop: Loop, postgres: PostgresServer) -> str:
    """The name of a database in which every migration has been applied."""
    fixture_loop.run(_create(postgres, TEMPLATE))
    fixture_loop.run(_migrate(postgres.dsn_of(TEMPLATE)))
    return TEMPLATE


@pytest.fixture
def database(fixture_loop: Loop, postgres: PostgresServer, template: str) -> Iterator[str]:
    yield from _lent(fixture_loop, postgres, template)


@pytest.fixture
def bare_database(fixture_loop: Loop, postgres: PostgresServer) -> Iterator[str]:
    yield from _lent(fixture_loop, postgres, "template0")


@pytest.fixture
def redis_url(valkey: ValkeyServer) -> Iterator[str]:
    _flush(valkey.url)
    yield valkey.url
    _flush(valkey.url)


def _roomy_memory() -> Path | None:
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < MEMORY_BYTES_MIN:
        return None
    return folder


def _sweep(parent: Path) -> None:
    """Remove what sessions left that were killed. Young ones may not hold their lock yet."""
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > 60 and not FolderLock(folder).is_taken():
                shutil.rmtree(folder)


def _backend() -> str:
    backend = os.environ.get("KWE_TEST_BACKEND", "wheels")
    if backend not in {"wheels", "containers"}:
        pytest.exit(f"KWE_TEST_BACKEND is {backend!r}, but must be 'wheels' or 'containers'", 2)
    return backend


def _lent(loop: Loop, server: PostgresServer, template: str) -> Generator[str]:
    name = f"test_{uuid.uuid4().hex}"
    loop.run(_create(server, name, template))
    yield server.dsn_of(name)
    loop.run(_drop(server, name))


async def _create(server: PostgresServer, name: str, template: str = "template0") -> None:
    await _administer(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


async def _drop(server: PostgresServer, name: str) -> None:
    await _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _administer(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn_of("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(dsn: str) -> None:
    # Imported here, so that tests of the embedded servers need nothing else of ours.
    from common.migrations import migrate

    await migrate(dsn)


def _flush(url: str) -> None:
    with Redis.from_url(url) as client:
        client.flushall()


@contextmanager
def _postgres_container() -> Iterator[PostgresServer]:
    with warnings.catch_warnings():
        # Of the library itself; nothing we could mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from testcontainers.postgres import PostgresContainer
    image = os.environ.get("KWE_TEST_POSTGRES_IMAGE", "pgvector/pgvector:pg16")
    container = PostgresContainer(image, driver=None, dbname="kwe")
    container.with_command("postgres -c max_connections=300")
    with container:
        yield PostgresContainerServer(container.get_connection_url())


@contextmanager
def _valkey_container() -> Iterator[ValkeyServer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy
    image = os.environ.get("KWE_TEST_VALKEY_IMAGE", "valkey/valkey:8")
    container = DockerContainer(image).with_exposed_ports(6379)
    container.waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
    with container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(6379)
        yield ValkeyContainerServer(f"redis://{host}:{port}/0")


@pytest.fixture(autouse=True)
def outside_any_trace() -> None:
    """Each test begins outside any trace, whatever an earlier one left in the context of this thread."""
    telemetry._current.set("")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what one worker must run when several share the tests: a package, which shares a stack, else a file."""
    for item in items:
        is_package = (item.path.parent / "__init__.py").exists()
        place = item.path.parent if is_package else item.path
        name = place.relative_to(item.config.rootpath).as_posix()
        item.add_marker(pytest.mark.xdist_group(name=name))
