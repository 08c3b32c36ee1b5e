"""The example for CloudNativePG gives the owner of the database what migrations and the gateway need, and no more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ruamel.yaml import YAML

from common.migrations import migrate
from embedded import EmbeddedPostgres

EXAMPLE = Path(__file__).resolve().parents[3] / "deploy/k8s/examples/cloudnative-pg.yaml"


@pytest.fixture
def initdb() -> dict[str, Any]:
    objects = YAML(typ="safe", pure=True).load_all(EXAMPLE)
    [cluster] = [each for each in objects if each["kind"] == "Cluster"]
    return dict(cluster["spec"]["bootstrap"]["initdb"])


@pytest.fixture
async def server(server_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """One of its own: roles are shared by all databases of a server."""
    own = EmbeddedPostgres(server_folder / "cloudnative")
    await own.start()
    yield own
    await own.stop()


async def test_the_owner_migrates_and_the_gateway_becomes_its_role(
    server: EmbeddedPostgres, initdb: dict[str, Any]
) -> None:
    assert (initdb["owner"], initdb["database"]) == ("kwe", "kwe")
    # The embedded server's own superuser has that name already.
    admin = await asyncpg.connect(server.dsn_of("postgres"))
    await admin.execute("CREATE ROLE plain LOGIN PASSWORD 'secret'")
    await admin.execute("CREATE DATABASE owned OWNER plain")
    await admin.close()

    inside = await asyncpg.connect(server.dsn_of("owned"))
    for statement in initdb["postInitApplicationSQL"]:
        await inside.execute(re.sub(r"\bkwe\b", "plain", statement))
    await inside.close()

    dsn = f"postgresql://plain:secret@127.0.0.1:{server.port}/owned"
    assert await migrate(dsn)
    gateway = await asyncpg.connect(dsn)
    await gateway.execute("SET ROLE kwe_gateway")
    assert await gateway.fetchval("SELECT count(*) FROM workflow.installation") is not None
    await gateway.close()
