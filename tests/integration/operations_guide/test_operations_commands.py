"""Every command of docs/operations.md that needs no cluster and no container engine does what the guide says."""

from __future__ import annotations

import re
from subprocess import CompletedProcess
from typing import Any

import asyncpg
import pytest
from redis import Redis

from common.streams.names import GENERATION_KEY, RESTORED
from fenced_blocks import OPERATIONS, Block, blocks

IN_BASH = [block for block in blocks(OPERATIONS) if block.language == "bash" and not block.needs]
"""Lines for PowerShell are compared with these, by tests/architecture."""

Typed = dict[Block, CompletedProcess[str]]


@pytest.fixture(scope="module")
def typed(reader: Any) -> Typed:
    """The whole guide, from top to bottom."""
    return {block: reader.types(block.text) for block in IN_BASH}


def said(typed: Typed, command: str) -> str:
    """What the block with this command printed."""
    (block,) = (block for block in typed if command in block.text)
    return typed[block].stdout


@pytest.mark.parametrize("block", IN_BASH, ids=str)
def test_the_commands_of_the_guide_work_as_they_stand(typed: Typed, block: Block) -> None:
    done = typed[block]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_secrets_are_files_that_only_their_owner_reads(typed: Typed, reader: Any) -> None:
    for name in ("jwt_secret", "database_password", "redis_password", "encryption_key"):
        assert (reader.folder / "secrets" / name).stat().st_mode & 0o777 == 0o600


def test_the_engine_says_that_it_is_well_and_what_is_waiting(typed: Typed) -> None:
    well = said(typed, "/v1/health/invariants")
    assert re.findall(r'^kwe_ready{check="\w+"} (.*)$', well, re.MULTILINE) == ["1.0", "1.0"]
    why = said(typed, "kwe executions why")
    assert "pause" in why


async def test_a_rehearsal_brings_everything_back_and_leaves_the_real_redis_alone(
    typed: Typed, reader: Any
) -> None:
    rehearsal = await asyncpg.connect(reader.variables["REHEARSAL_DATABASE_URL"])
    try:
        row = await rehearsal.fetchrow(
            "SELECT (SELECT count(*) FROM workflow.execution_state WHERE id = $1), redis_generation "
            "FROM workflow.installation",
            reader.variables["ID"],
        )
    finally:
        await rehearsal.close()
    assert row is not None
    found, generation = row
    assert found == 1
    with Redis.from_url(reader.variables["REDIS_URL"], decode_responses=True) as redis:
        assert generation.startswith(RESTORED)
        assert redis.get(GENERATION_KEY) not in generation
