"""The cache of definitions: what a version means never changes, what `latest` means is asked again, and memory is bounded."""

from typing import Any
from uuid import UUID

import pytest

from common.ids import uuid7
from orchestrator.definitions import SIZE_MAX, Definition, Definitions

ORGANIZATION = uuid7()


class Source:
    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self.highest = 1
        self.compiled: list[int] = []

    async def number_of(self, _organization: UUID, _workflow_id: str, semver: str) -> int | None:
        number = self.highest if semver == "latest" else int(semver.split(".", maxsplit=1)[0])
        return number if number <= self.highest else None

    async def by_number(
        self, _organization: UUID, workflow_id: str, version: int
    ) -> Definition | None:
        self.compiled.append(version)
        plan: Any = object()
        return Definition(workflow_id, version, f"{version}.0.0", plan, self.size)


async def test_asking_what_latest_means_compiles_nothing_again() -> None:
    source = Source()
    definitions = Definitions(source)
    for _ in range(3):
        found = await definitions.to_start(ORGANIZATION, "a/b", None)
        assert found is not None
        assert await definitions.to_start(ORGANIZATION, "a/b", "1.0.0") is found
        assert await definitions.of_execution(ORGANIZATION, "a/b", 1) is found
        definitions.forget_latest()
    assert source.compiled == [1]

    source.highest = 2
    newer = await definitions.to_start(ORGANIZATION, "a/b", None)
    assert newer is not None
    assert newer.version == 2
    assert await definitions.to_start(ORGANIZATION, "a/b", "3.0.0") is None


@pytest.mark.parametrize(("size", "kept"), [(SIZE_MAX // 4, 4), (2 * SIZE_MAX, 1)])
async def test_large_definitions_are_few_in_memory(size: int, kept: int) -> None:
    source = Source(size)
    definitions = Definitions(source)
    for number in range(10):
        await definitions.of_execution(ORGANIZATION, f"a/{number}", 1)
    source.compiled.clear()
    for number in reversed(range(10 - kept, 10)):
        await definitions.of_execution(ORGANIZATION, f"a/{number}", 1)
    assert source.compiled == []
    await definitions.of_execution(ORGANIZATION, "a/0", 1)
    assert source.compiled == [1]
