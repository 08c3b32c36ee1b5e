"""Secrets from the command line: set, used, listed by name, sealed with another key, deleted."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from kwe import Client
from kwe.errors import ApiError, NotFound
from kwe.local.stack import LocalStack

KEY = base64.b64encode(bytes(range(32))).decode()
WORKFLOW = """\
document: {dsl: '1.0.3', namespace: tests, name: login, version: '1.0.0'}
use: {secrets: [cli-login]}
do:
- length: {set: {length: '${ $secrets["cli-login"].password | length }'}}
- plain: {set: {done: true}}
"""

Kwe = Callable[..., Any]


def test_a_secret_is_set_listed_and_deleted(
    kwe: Kwe, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO('{"username": "ada", "password": "swordfish"}\n'))
    ended = kwe("secrets", "set", "--json", "cli-login")
    assert (ended.code, "version 1" in ended.err) == (0, True), ended
    (project / "login.yaml").write_text(WORKFLOW)
    assert kwe("workflows", "apply", "login.yaml").code == 0
    run = kwe("run", "tests/login")
    assert json.loads(run.out) == {"done": True}
    listed = kwe("secrets", "list", "-o", "json")
    (shown,) = [one for one in json.loads(listed.out) if one["name"] == "cli-login"]
    assert set(shown) == {"name", "version", "updatedAt"}
    assert "swordfish" not in run.out + run.err + listed.out
    assert kwe("secrets", "delete", "cli-login").code == 0
    assert kwe("secrets", "delete", "cli-login").code == 3
    missing = kwe("run", "tests/login")
    assert missing.code == 1
    assert "kwe secrets set cli-login" in missing.out + missing.err


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (["--json", "x"], "{", "not JSON"),
        (["x"], "\n", "empty"),
        (["--from-file", "nowhere.txt", "x"], "", "nowhere.txt"),
    ],
)
def test_what_cannot_be_a_secret_is_said(
    kwe: Kwe, monkeypatch: pytest.MonkeyPatch, arguments: list[str], given: str, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(given))
    ended = kwe("secrets", "set", *arguments)
    assert (ended.code, said in ended.err) == (2, True), ended


async def test_names_and_sizes_are_bounded(client: Client) -> None:
    with pytest.raises(ApiError) as name:
        await client.set_secret("no spaces", 1)
    with pytest.raises(ApiError) as size:
        await client.set_secret("large", "x" * 40_000)
    with pytest.raises(NotFound):
        await client.delete_secret("never-set")
    assert (name.value.status, size.value.status) == (400, 413)


async def test_a_secret_that_is_set_again_has_another_version(client: Client) -> None:
    versions = [(await client.set_secret("counted", n))["version"] for n in range(3)]
    assert versions == [1, 2, 3]


async def test_secrets_are_sealed_with_a_new_key(
    client: Client, kwe: Kwe, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.set_secret("turning", "the same as before")
    variables = stack.environment.variables
    monkeypatch.setenv("DATABASE_URL", stack.environment.database_url)
    monkeypatch.setenv("REDIS_URL", stack.environment.redis_url)
    before = await envelope(stack, "turning")

    def reseal(new: str, previous: str) -> Any:
        monkeypatch.setenv("ENCRYPTION_KEY", new)
        monkeypatch.setenv("ENCRYPTION_KEY_PREVIOUS", previous)
        return kwe("admin", "reseal-secrets")

    ours = variables["ENCRYPTION_KEY"]
    wrong = await in_thread(reseal, KEY, "")
    assert (wrong.code, "ENCRYPTION_KEY_PREVIOUS" in wrong.err) == (2, True), wrong
    there = await in_thread(reseal, KEY, ours)
    assert there.code == 0, there
    assert (await envelope(stack, "turning")).split(".")[1] != before.split(".")[1]
    back = await in_thread(reseal, ours, KEY)
    assert back.code == 0, back
    assert (await envelope(stack, "turning")).split(".")[1] == before.split(".")[1]
    again = await in_thread(reseal, ours, KEY)
    assert again.err.startswith("0 ")


async def envelope(stack: LocalStack, name: str) -> str:
    connection = await asyncpg.connect(stack.environment.database_url)
    try:
        found = await connection.fetchval(
            "SELECT envelope FROM workflow.secrets WHERE name = $1", name
        )
    finally:
        await connection.close()
    return str(found)


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """The command line has an event loop of its own."""
    return await asyncio.to_thread(work, *arguments)
