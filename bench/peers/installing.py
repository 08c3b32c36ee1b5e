"""Installs the other engines below `.kwe/peers`, each in an environment of its own, with the ordinary clients of PyPI and npm."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from bench.running import ROOT

HOME: Final = ROOT / ".kwe" / "peers"


class NotAvailable(Exception):
    """This engine cannot be measured here. Says why."""


async def python_environment(name: str, *requirements: str) -> Path:
    """The `bin` folder of a virtual environment with these packages; made if it is not there."""
    folder = HOME / name / "venv"
    stamp = folder / "installed.txt"
    wanted = "\n".join(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = _program(str(ROOT / ".tools" / "bin" / "uv"), "uv")
        folder.parent.mkdir(parents=True, exist_ok=True)
        await run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        python = str(folder / "bin" / "python")
        await run(uv, "pip", "install", "--quiet", "--python", python, *requirements)
        stamp.write_text(wanted)
    return folder / "bin"


async def npm_package(name: str, package: str, version: str) -> Path:
    """The `node_modules` folder with this package in it; scripts of packages are not run."""
    folder = HOME / name / "npm"
    stamp = folder / f"{version}.txt"
    if not stamp.exists():
        npm = _program("npm")
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--silent", "--no-fund", "--no-audit", "--ignore-scripts")
        await run(npm, "install", *options, "--prefix", str(folder), f"{package}@{version}")
        stamp.touch()
    return folder / "node_modules"


async def run(*argv: str) -> None:
    """Run a command to its end. Raises `NotAvailable` with the end of what it said."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        last = output.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise NotAvailable(f"`{Path(argv[0]).name} {argv[1]}` failed: {last[0]}")


def _program(*candidates: str) -> str:
    for candidate in candidates:
        found = shutil.which(candidate)
        if found and os.access(found, os.X_OK):
            return found
    raise NotAvailable(f"{Path(candidates[-1]).name} is not installed")
