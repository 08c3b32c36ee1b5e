"""Commands that manifests and their README give: they exist, and take what they are given."""

from __future__ import annotations

import re
import shlex
import subprocess

import click
import pytest
from kustomized import K8S, ROOT, container_of, overlay, secret_variables
from ruamel.yaml import YAML

from common.settings import DatabaseSettings, read
from kwe.cli.main import kwe

README = (K8S / "README.md").read_text()
DATABASE = {"DATABASE_URL": "postgresql://kwe@postgres:5432/kwe"}
COMMANDS = re.findall(r"^kubectl .* -- (kwe .*)$", README, re.MULTILINE)


def assert_parsed(words: list[str]) -> None:
    """Raises what click would tell somebody who typed this."""
    command: click.Command = kwe
    context = click.Context(command, info_name=words.pop(0))
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.make_context(context.info_name, words, parent=context.parent)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_readme_are_understood(line: str) -> None:
    assert_parsed(shlex.split(line))


def test_the_readme_gives_the_first_key() -> None:
    assert any("create-key" in line for line in COMMANDS)


def test_the_nightly_backup_is_a_command_that_finds_its_database() -> None:
    manifests = overlay("production")
    job = manifests.one("CronJob", "backup")
    container = container_of(job)
    assert_parsed(list(container["command"]))
    assert "DATABASE_URL" in secret_variables(container)
    read(DatabaseSettings, manifests.settings() | DATABASE)


def test_the_migration_job_finds_its_database() -> None:
    for name in ("development", "production"):
        manifests = overlay(name)
        container = container_of(manifests.one("Job", "migrate"))
        assert "command" not in container, "the image applies migrations by itself"
        assert "DATABASE_URL" in secret_variables(container)
        read(DatabaseSettings, manifests.settings() | DATABASE)


def test_the_alerting_rules_become_objects_of_the_prometheus_operator() -> None:
    printed = subprocess.run([K8S / "rules.sh"], capture_output=True, text=True, check=True).stdout
    yaml = YAML(typ="safe", pure=True)
    made = {each["metadata"]["name"]: each["spec"] for each in yaml.load_all(printed)}
    files = sorted((ROOT / "deploy/observability/rules").glob("*.yaml"))
    assert made == {f"kwe-{path.stem}": yaml.load(path) for path in files}
    assert all(spec["groups"] for spec in made.values())
