"""Commands on every page of ours exist: those of `kwe` with their options, and the targets of make."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from fenced_blocks import ROOT
from kwe.cli.main import kwe

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            page
            for top in ("docs", "deploy", "services", "examples")
            for page in (ROOT / top).rglob("*.md")
        ),
    ]
)
FENCED = re.compile(r"^ *```\S*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def typed_lines() -> list[Any]:
    """Of blocks, fenced or indented, with the page; without comments and with continued lines joined."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        lines = "\n".join(FENCED.findall(text)).splitlines()
        lines += [line.strip() for line in text.splitlines() if line.startswith("    ")]
        found += [(page, re.sub(r"\s+#\s.*", "", line)) for line in lines]
    return found


def words_after(line: str, *starts: str) -> list[str] | None:
    for start in starts:
        found = re.match(rf"{start}((?: .*)?)$", line)
        if found:
            return re.findall(r"'[^']*'|\"[^\"]*\"|\S+", found[1])
    return None


def name(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else ""


KWE = [
    pytest.param(words, id=f"{name(page)}: kwe {' '.join(words)}")
    for page, line in typed_lines()
    if (
        words := words_after(
            line,
            "kwe",
            "docker compose .*run --rm kwe",
            r"kubectl .* -- kwe",
            r"(?:docker compose .*)?exec \S+ kwe",
        )
    )
]
MAKE = {
    (name(page), word)
    for page, line in typed_lines()
    for word in (words_after(line, "make") or [])[:1]
    if "=" not in word
}


def parse(words: list[str]) -> None:
    """Raises what click would tell somebody who typed this, but for values: those of a page are examples."""
    command: click.Command = kwe
    context, rest = click.Context(command, info_name="kwe"), list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        label, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, info_name=label, parent=context)
    command.make_parser(context).parse_args(rest)


@pytest.mark.parametrize("words", KWE)
def test_a_command_of_ours_takes_what_a_page_gives_it(words: list[str]) -> None:
    parse(words)


def test_commands_within_sentences_exist_as_well() -> None:
    unknown = []
    for page in PAGES:
        for span in re.findall(r"`kwe ([^`\n]+)`", page.read_text()):
            try:
                parse(span.split())
            except click.UsageError as error:
                unknown.append((name(page), span, error.message))
    assert not unknown


def test_there_are_commands_to_be_tested() -> None:
    assert len(KWE) > 30


def test_pages_name_only_targets_that_make_has() -> None:
    assert MAKE
    assert not [(page, target) for page, target in MAKE if target not in TARGETS]
