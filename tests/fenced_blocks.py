"""The commands of a Markdown page: its fenced blocks, and what they say of themselves.

A block is run by a test as it stands, unless its first line says what it needs: `# needs a cluster` or
`# needs a container engine`. A PowerShell block says the same as the block of bash before it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
OPERATIONS: Final = ROOT / "docs/operations.md"
NEEDS: Final = "# needs a "
_FENCE: Final = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_POWERSHELL: Final = (
    (re.compile(r"^\$env:(\w+)\s*=\s*(\S+);\s*", re.MULTILINE), r"\1=\2 "),
    (re.compile(r"\$env:(\w+)"), r"$\1"),
    (re.compile(r"\bcurl\.exe\b"), "curl"),
    (re.compile(r"`$", re.MULTILINE), r"\\"),
)


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str
    line: int

    @property
    def needs(self) -> str | None:
        """`cluster`, `container engine`, or nothing but this machine."""
        first = self.text.partition("\n")[0]
        return first.removeprefix(NEEDS) if first.startswith(NEEDS) else None

    @property
    def commands(self) -> list[list[str]]:
        """The words of each, as bash has them."""
        text = _as_bash(self.text) if self.language == "powershell" else self.text
        words = (
            shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()
        )
        return [line for line in words if line]

    def __str__(self) -> str:
        return f"line {self.line}: {' '.join(self.commands[0][:4])}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """What is between the blocks."""
    return _FENCE.sub("", page.read_text())


def program(command: list[str]) -> list[str]:
    """A command without the variables before it, and without `env`."""
    words = command[1:] if command[0] == "env" else list(command)
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0].startswith("--unset=")):
        words.pop(0)
    return words


def _as_bash(text: str) -> str:
    for pattern, replacement in _POWERSHELL:
        text = pattern.sub(replacement, text)
    return text
