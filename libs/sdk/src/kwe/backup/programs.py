"""PostgreSQL's own `pg_dump` and `pg_restore`: which of those installed fits the server, and how they are run.

A `pg_dump` must not be older than the server it reads: it would not know what it misses. A newer one may write what an
older server does not understand when it is restored, so the oldest that is new enough is taken.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from common.errors import ConfigurationError
from common.settings import DatabaseSettings

DEBIAN: Final = Path("/usr/lib/postgresql")
_VERSION: Final = re.compile(r"\(PostgreSQL\)[^\d]*(\d+)")
_ERROR_LINES_MAX: Final = 3

UNKNOWN_BEFORE_17: Final = b"SET transaction_timeout = 0;\n"
HEAD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with `pg_dump` and `pg_restore`, and their major version."""

    folder: Path
    major: int

    @property
    def dump(self) -> str:
        return str(self.folder / "pg_dump")

    @property
    def restore(self) -> str:
        return str(self.folder / "pg_restore")

    @property
    def psql(self) -> str:
        return str(self.folder / "psql")


async def fitting(server_major: int, *, given: Path | None = None) -> Programs:
    """Programs for a server of this major version; raises `ConfigurationError` where there are none."""
    found = [await _examined(folder) for folder in ([given] if given else _folders())]
    usable = sorted(
        (one for one in found if one is not None and one.major >= server_major),
        key=lambda one: one.major,
    )
    if usable:
        return usable[0]
    newest = max((one.major for one in found if one is not None), default=None)
    there = f"pg_dump {newest} is older than the server, which is" if newest else "no pg_dump for"
    where = f" in {given}" if given else ""
    raise ConfigurationError(
        f"{there} PostgreSQL {server_major}{where}: install postgresql-client-{server_major}, "
        "or name its folder with --programs"
    )


def _folders() -> Iterator[Path]:
    # Those of the system first: they speak TLS, which those of the wheel do not.
    yield from sorted(DEBIAN.glob("*/bin"))
    on_path = shutil.which("pg_dump")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    if importlib.util.find_spec("embedded") is not None:
        from embedded.binaries import postgres_programs
        from embedded.errors import BinaryMissing

        try:
            yield postgres_programs()
        except BinaryMissing:
            return


async def _examined(folder: Path) -> Programs | None:
    if not os.access(folder / "pg_dump", os.X_OK) or not os.access(folder / "pg_restore", os.X_OK):
        return None
    process = await asyncio.create_subprocess_exec(
        str(folder / "pg_dump"), "--version", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    match = _VERSION.search(output.decode(errors="replace"))
    return None if match is None else Programs(folder, int(match[1]))


def _environment(settings: DatabaseSettings | None) -> dict[str, str]:
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}
    return environment if settings is None else {**environment, **connection_variables(settings)}


async def run(arguments: Sequence[str], settings: DatabaseSettings | None = None) -> bytes:
    """Run a program, connected by `settings`; its output. What it complains of becomes the error's sentence."""
    environment = _environment(settings)
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, complaints = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise ConfigurationError(
            _sentence(Path(arguments[0]).name, complaints.decode(errors="replace"))
        )
    return output


async def pipe_into_psql(
    tools: Programs, script: Sequence[str], settings: DatabaseSettings
) -> None:
    """Run the script that `script` prints, in one transaction, without what servers before PostgreSQL 17 do not know."""
    source = await asyncio.create_subprocess_exec(
        *script,
        env=_environment(None),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    sink = await asyncio.create_subprocess_exec(
        *(tools.psql, "--no-psqlrc", "--quiet", "--single-transaction"),
        *("--set=ON_ERROR_STOP=1", "--file=-", f"--dbname={address(settings)}"),
        env=_environment(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert source.stdout is not None
    assert sink.stdin is not None
    assert sink.stderr is not None
    complaints = asyncio.create_task(sink.stderr.read())
    try:
        await _pour(source.stdout, sink.stdin)
        if await source.wait() == 0:
            sink.stdin.close()
        else:
            # The end of the script would commit what there is of it.
            sink.kill()
        await sink.wait()
    except BaseException:
        for process in (source, sink):
            if process.returncode is None:
                process.kill()
        raise
    said = (await complaints).decode(errors="replace")
    if source.returncode != 0 or sink.returncode != 0:
        raise ConfigurationError(_sentence("psql", said))


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy all; leave out the setting that came with PostgreSQL 17, which stands before the first statement."""
    head = await source.read(HEAD_BYTES)
    while len(head) < HEAD_BYTES and (more := await source.read(HEAD_BYTES)):
        head += more
    data = head.replace(UNKNOWN_BEFORE_17, b"", 1)
    try:
        while data:
            sink.write(data)
            await sink.drain()
            data = await source.read(2**16)
    except ConnectionError:
        # It stopped at an error, which it tells itself.
        while await source.read(2**16):
            pass


def _sentence(program: str, complaints: str) -> str:
    lines = [line.removeprefix(f"{program}: ").strip() for line in complaints.splitlines()]
    said = "; ".join(
        [line for line in lines if "error" in line.lower()][:_ERROR_LINES_MAX] or lines[-1:]
    )
    if "SSL support is not compiled in" in said:
        said += "; install PostgreSQL's own client programs (postgresql-client), which speak TLS"
    return f"{program} failed: {said or 'it said nothing'}"


def connection_variables(settings: DatabaseSettings) -> Mapping[str, str]:
    """For libpq. In variables rather than arguments, which everybody on the machine can read."""
    variables = {"PGAPPNAME": "kwe-backup", "PGCONNECT_TIMEOUT": "10"}
    parts = urlsplit(settings.database_dsn)
    if parts.password is not None:
        variables["PGPASSWORD"] = unquote(parts.password)
    mode = {"true": "require"}.get(settings.database_ssl, settings.database_ssl)
    if mode != "false":
        variables["PGSSLMODE"] = mode
        authorities = settings.database_ssl_root_cert
        if authorities is not None:
            variables["PGSSLROOTCERT"] = str(authorities)
        elif mode == "verify-full":
            variables["PGSSLROOTCERT"] = "system"
    return variables


def address(settings: DatabaseSettings) -> str:
    """The URL without its password, for `--dbname`."""
    parts = urlsplit(settings.database_dsn)
    user = f"{quote(unquote(parts.username), safe='')}@" if parts.username else ""
    host = parts.netloc.rpartition("@")[2]
    # What the settings say about TLS stands in variables; a parameter of the URL would win over them.
    query = dict(parse_qsl(parts.query))
    if settings.database_ssl != "false":
        query.pop("sslmode", None)
    query.pop("password", None)
    return urlunsplit((parts.scheme, f"{user}{host}", parts.path, urlencode(query), ""))
