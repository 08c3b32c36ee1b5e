"""What people type or keep in files: JSON or YAML, with the place of every mistake."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kwe.cli.failures import UsageProblem

EXCERPT_CHARACTERS_MAX = 60


def parse_input(text: str) -> Any:
    """`--input`: JSON or YAML, `@FILE`, or `-` for standard input."""
    if text == "-":
        return parse_text(sys.stdin.read(), "standard input")
    if text.startswith("@"):
        return parse_text(read_text(Path(text[1:])), text[1:])
    return parse_text(text, "--input")


def read_text(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        raise UsageProblem(f"{file}: there is no such file") from None
    except IsADirectoryError:
        raise UsageProblem(f"{file} is a folder; name a file") from None
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{file}: not text in UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror}") from None


def parse_text(text: str, name: str) -> Any:
    stripped = text.lstrip()
    if stripped[:1] in {"{", "[", '"'}:
        return _parse_json(text, name)
    return _parse_yaml(text, name)


def _parse_json(text: str, name: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UsageProblem(
            f"{name} is not JSON: line {error.lineno}, column {error.colno}: "
            f"{error.msg[:1].lower()}{error.msg[1:]}{_excerpt(text, error.lineno)}"
        ) from None
    except ValueError as error:
        raise UsageProblem(f"{name} is not JSON: {error}") from None
    except RecursionError:
        raise UsageProblem(f"{name} is nested too deeply") from None


def _parse_yaml(text: str, name: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        excerpt = _excerpt(text, mark.line + 1) if mark else ""
        raise UsageProblem(f"{name} is not YAML: {where}{error.problem}{excerpt}") from None
    except (YAMLError, ValueError) as error:
        raise UsageProblem(f"{name} is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise UsageProblem(f"{name} is nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _excerpt(text: str, line: int) -> str:
    lines = text.splitlines()
    if not 0 < line <= len(lines):
        return ""
    return f"\n  {lines[line - 1].strip()[:EXCERPT_CHARACTERS_MAX]}"
