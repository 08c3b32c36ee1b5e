"""Files of variables as Docker and shells read them: `NAME=value`, comments, quotes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kwe.errors import NotConfigured

_LINE: Final = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")


def read_env_file(file: Path) -> dict[str, str]:
    """Raise `NotConfigured` where it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotConfigured(f"{file} cannot be read: {error}") from None
    matches = (_LINE.fullmatch(line) for line in lines if not line.lstrip().startswith("#"))
    return {match["name"]: _value(match["value"]) for match in matches if match is not None}


def _value(text: str) -> str:
    text = text.strip()
    if text[:1] in {'"', "'"} and (end := text.find(text[0], 1)) > 0:
        return text[1:end]
    return text.split(" #", 1)[0].rstrip()  # a `#` inside a word belongs to it, as in passwords
