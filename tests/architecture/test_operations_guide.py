"""docs/operations.md: each command is run by a test or says what it needs; and what it says of ours is so.

Those that need nothing are run by tests/integration/operations_guide. The others are compared with the files here.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from common.diagnosis import database, redis
from common.diagnosis.findings import CLOCK_SKEW_MAX_SECONDS
from common.settings.table import variables
from fenced_blocks import OPERATIONS, ROOT, Block, blocks, program, prose
from gateway.upstream import MEMORY_SHARE_MAX
from kwe.cli.main import kwe

BLOCKS = blocks(OPERATIONS)
PROSE = prose(OPERATIONS)
NEEDS = {"docker": "container engine", "kubectl": "cluster"}
PROGRAMS = {"kwe", "make", "curl", *NEEDS}
COMPOSE = ROOT / "deploy/compose"
SHELL_ONLY = re.compile(r"\$\w|\$\(|\\$|^[A-Z_]+=|\||<|>", re.MULTILINE)
"""What PowerShell reads otherwise."""


def commands_of(*needs: str | None) -> list[list[str]]:
    return [
        program(command)
        for block in BLOCKS
        if block.language == "bash" and block.needs in needs
        for command in block.commands
    ]


def called(words: list[str]) -> tuple[str, click.Command, list[str]]:
    """Which command of `kwe` these words call, and what is left for it."""
    command: click.Command = kwe
    path, rest = words[0], words[1:]
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(click.Context(command), rest)
        assert found is not None
        path, command = f"{path} {name}", found
    return path, command, rest


def inner(command: list[str]) -> list[str] | None:
    """The `kwe …` that this command runs, here or in a container."""
    match command:
        case ["kwe", *_]:
            return command
        case ["docker", "compose", "exec", _, "kwe", *rest]:
            return ["kwe", *rest]
        case ["docker", "compose", "run", "--rm", "kwe", *rest]:
            return ["kwe", *rest]
        case ["kubectl", *_] if "--" in command:
            return command[command.index("--") + 1 :]
    return None


def yaml(path: Any) -> Any:
    return YAML(typ="safe", pure=True).load(
        path.read_text().replace("!reset", "").replace("!override", "")
    )


def test_nothing_that_can_be_typed_escapes_these_tests() -> None:
    assert {block.language for block in BLOCKS} <= {"bash", "powershell"}
    assert not re.findall(r"^(?: {4}|\t)\S.*", PROSE, re.MULTILINE), "code without a fence"
    assert "```" not in PROSE
    assert "~~~" not in PROSE


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_says_what_it_needs_and_needs_what_it_says(block: Block) -> None:
    needed = {NEEDS.get(program(each)[0]) for each in block.commands if each[0] != "cd"}
    assert needed == {block.needs}, "begin the block with `# needs a …`, or split it"
    assert {program(each)[0] for each in block.commands} <= PROGRAMS


def test_powershell_has_the_same_commands_as_bash() -> None:
    for before, block in pairwise(BLOCKS):
        if block.language == "powershell":
            assert before.language == "bash"
            assert (block.needs, block.commands) == (before.needs, before.commands)


def test_where_only_bash_is_given_a_host_without_it_can_take_the_same_lines() -> None:
    for block, after in pairwise([*BLOCKS, BLOCKS[0]]):
        if block.language == "bash" and block.needs and after.language != "powershell":
            assert not SHELL_ONLY.search(block.text.partition("\n")[2]), str(block)


def test_whatever_runs_in_a_container_is_a_command_of_ours() -> None:
    found = [words for each in commands_of(*NEEDS.values()) if (words := inner(each))]
    assert len(found) >= 3
    for words in found:
        path, kind, rest = called(words)
        kind.make_context(path, rest)


def test_commands_within_sentences_and_tables_are_also_among_those_tested() -> None:
    tested = [words for each in commands_of(None, *NEEDS.values()) if (words := inner(each))]
    known = {called(words)[0] for words in tested}
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    marked = [" ".join(each) for each in commands_of(*NEEDS.values())]
    for span in re.findall(r"`((?:kwe|make|docker|kubectl) [^`]*)`", PROSE):
        words = span.split()
        if words[0] == "make":
            assert words[1] in targets, span
        elif words[0] in NEEDS:
            assert any(each.startswith(span) for each in marked), span
        else:
            named = " ".join(word for word in words if not word.startswith("-"))
            assert any(named.startswith(each) for each in known), span


def test_compose_is_asked_for_services_that_it_has() -> None:
    base = yaml(COMPOSE / "compose.yaml")["services"].keys()
    for command in commands_of("container engine"):
        assert command[:2] == ["docker", "compose"]
        action, rest = command[2], command[3:]
        scaled = {after.partition("=")[0] for word, after in pairwise(rest) if word == "--scale"}
        assert scaled <= base, command
        if action in ("exec", "run", "logs"):
            assert base & set(rest), command
        if action == "restart":
            assert set(rest) <= base, command


def test_the_cluster_is_asked_for_what_the_manifests_have() -> None:
    for command in commands_of("cluster"):
        for word in command:
            if word.startswith("deploy/"):
                assert (ROOT / word / "kustomization.yaml").exists(), command
            if word.startswith("deployment/"):
                name = word.removeprefix("deployment/")
                assert list((ROOT / "deploy/k8s/base").rglob(f"{name}.yaml")), command


def test_every_variable_it_names_is_one_of_ours() -> None:
    known = {each.name for each in variables()}
    known |= {f"{name}_FILE" for name in known}
    known |= set(re.findall(r"\$\{([A-Z_]+)", (COMPOSE / "compose.yaml").read_text()))
    known |= set(re.findall(r"\$\{([A-Z_]+)", (COMPOSE / "compose.nginx.yaml").read_text()))
    known |= {"KWE_URL", "KWE_API_KEY", "COMPOSE_FILE"}
    named = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)[`=]", PROSE))
    assert len(named) > 15
    assert named <= known, named - known


def test_every_metric_it_names_exists() -> None:
    known = (ROOT / "docs/metrics.md").read_text()
    named = set(re.findall(r"\bkwe_\w+", PROSE))
    assert len(named) >= 5
    assert not [name for name in named if f"`{name}`" not in known]


def test_its_requirements_are_those_that_services_check() -> None:

    assert f"| PostgreSQL | {database.VERSION_MIN} to 18, with pgvector " in PROSE
    assert f"pgvector {'.'.join(map(str, database.PGVECTOR_MIN))} or newer" in PROSE
    assert f"before {'.'.join(map(str, database.PGVECTOR_ADVISED))}, filtered searches" in PROSE
    assert f"| Redis | {redis.VERSION_MIN} or newer" in PROSE
    for page, version in (("compose", "Compose 2.24"), ("k8s", "1.30")):
        assert version in PROSE
        assert version in (ROOT / f"deploy/{page}/README.md").read_text()


def test_it_says_where_each_file_that_operators_had_went() -> None:
    for name in (
        "docker-compose.production.yml",
        "docker-compose.monitoring.yml",
        "init-db.sql",
        "backup.sh",
        "healthcheck.js",
        "nginx.conf",
    ):
        assert f"| `{name}` |" in PROSE


def test_its_numbers_are_those_of_the_code_and_of_compose() -> None:
    defaults = {each.name: each.default for each in variables()}
    stated = re.findall(r"`([A-Z_]+)`\s\((\d+)\b", PROSE)
    assert len(stated) >= 4
    assert stated == [(name, defaults[name]) for name, _ in stated]
    assert f"From {MEMORY_SHARE_MAX * 100:.0f} % of `maxmemory`" in PROSE
    postgres = yaml(COMPOSE / "compose.yaml")["services"]["postgres"]["command"]
    (most,) = (word for word in postgres if word.startswith("max_connections="))
    assert f"compose.yaml allows {most.partition('=')[2]}" in PROSE
    assert f"within {CLOCK_SKEW_MAX_SECONDS:.0f} seconds of each other" in PROSE
