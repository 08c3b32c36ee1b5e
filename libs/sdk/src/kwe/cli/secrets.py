"""kwe secrets: those of workflows, and the files that a deployment reads its own secrets from."""

from __future__ import annotations

import base64
import os
import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from kwe.cli import stored_secrets
from kwe.cli.failures import UsageProblem
from kwe.cli.output import messages, output_option, print_json, print_table

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700


def _password() -> str:
    """256 bits, of letters that mean nothing in URLs and shells."""
    return randomness.token_urlsafe(32)


def _key() -> str:
    return base64.b64encode(randomness.token_bytes(32)).decode()


SECRETS: Final[Mapping[str, Callable[[], str]]] = {
    "JWT_SECRET": lambda: randomness.token_urlsafe(48),
    "DATABASE_PASSWORD": _password,
    "REDIS_PASSWORD": _password,
    "ENCRYPTION_KEY": _key,
}
"""By variable; the file has its name in small letters."""


@dataclass(frozen=True, slots=True)
class Written:
    variable: str
    file: Path
    created: bool


@click.group()
def secrets() -> None:
    """Keep the secrets of workflows; make those of a deployment."""


for _command in (stored_secrets.set_, stored_secrets.list_, stored_secrets.delete):
    secrets.add_command(_command)


@secrets.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="secrets")
@click.option(
    "--owner",
    type=click.IntRange(min=0),
    metavar="UID",
    help="Give the files to this user: 10001 is who the containers run as. Needs root.",
)
@output_option
def generate(folder: Path, owner: int | None, output: str) -> None:
    """Write JWT_SECRET, DATABASE_PASSWORD, REDIS_PASSWORD and ENCRYPTION_KEY to files in FOLDER.

    Only their owner can read the files. What is there already stays as it is: a new key would make stored secrets
    unreadable, and a new password would lock everybody out. Nothing is printed but names.

    \b
      kwe secrets generate deploy/compose/secrets
      sudo kwe secrets generate --owner 10001 deploy/compose/secrets
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        written = [_ensure(variable, folder, owner) for variable in SECRETS]
    except OSError as error:
        raise UsageProblem(
            f"{error.filename or folder} cannot be written: {error.strerror}; "
            "choose a folder on a volume that is writable for you"
        ) from None
    if output == "json":
        print_json(
            [
                {"variable": one.variable, "file": str(one.file), "created": one.created}
                for one in written
            ]
        )
        return
    rows = [
        (f"{one.variable}_FILE", one.file, "created" if one.created else "kept") for one in written
    ]
    print_table(["VARIABLE", "FILE", ""], rows, empty="")
    if any(one.created for one in written):
        messages().print(
            "Keep a copy of encryption_key: without it stored secrets are lost.", style="dim"
        )


def _ensure(variable: str, folder: Path, owner: int | None) -> Written:
    file = folder / variable.lower()
    try:
        # Exclusively, so that of two runs at once one keeps what the other wrote.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        _examine(file)
        return Written(variable, file, created=False)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask says
        if owner is not None:
            os.fchown(descriptor, owner, -1)
        stream.write(SECRETS[variable]())
    return Written(variable, file, created=True)


def _examine(file: Path) -> None:
    """What is kept should be usable, and no one else's to read."""
    status = file.stat()
    if status.st_size == 0:
        raise UsageProblem(f"{file} is empty: remove it and run this again")
    if status.st_mode & 0o077:
        messages().print(
            f"warning: {file} can be read by others: chmod 600 {file}", style="yellow", markup=False
        )
