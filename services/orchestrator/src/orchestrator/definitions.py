"""Definitions and the plans compiled from them, kept in memory: a registered version never changes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from workflow.core.plan import Plan

PLANS_MAX = 1000
"""Plans kept in memory; a plan is some tens of kilobytes."""

SIZE_MAX = 4 * 2**20
"""Bytes of their documents; a plan takes some thirty times as many."""

NUMBERS_MAX = 10_000

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Definition:
    """One registered version of a workflow, ready to run."""

    workflow_id: str
    version: int
    semver: str
    plan: Plan
    size: int = 0
    """Bytes of the document."""

    @property
    def namespace(self) -> str:
        return self.workflow_id.partition("/")[0]

    @property
    def name(self) -> str:
        return self.workflow_id.partition("/")[2]


class DefinitionSource(Protocol):
    """Where definitions come from. May raise `StoreAway`."""

    async def by_number(
        self, organization_id: UUID, workflow_id: str, version: int
    ) -> Definition | None: ...

    async def number_of(self, organization_id: UUID, workflow_id: str, semver: str) -> int | None:
        """Registration number of the version named, or of the highest one for `latest`."""
        ...


class Definitions:
    """A cache in front of the source. What `latest` means is asked again after `forget_latest`."""

    def __init__(self, source: DefinitionSource) -> None:
        self._source = source
        self._plans: OrderedDict[tuple[UUID, str, int], Definition] = OrderedDict()
        self._size = 0
        self._numbers: OrderedDict[tuple[UUID, str, str], int] = OrderedDict()

    async def of_execution(
        self, organization_id: UUID, workflow_id: str, version: int
    ) -> Definition | None:
        key = (organization_id, workflow_id, version)
        found = self._plans.get(key)
        if found is not None:
            self._plans.move_to_end(key)
            return found
        found = await self._source.by_number(organization_id, workflow_id, version)
        if found is not None:
            self._keep(key, found)
        return found

    async def to_start(
        self, organization_id: UUID, workflow_id: str, semver: str | None
    ) -> Definition | None:
        key = (organization_id, workflow_id, semver or LATEST)
        number = self._numbers.get(key)
        if number is None:
            number = await self._source.number_of(*key)
            if number is None:
                return None
            self._numbers[key] = number
            if len(self._numbers) > NUMBERS_MAX:
                self._numbers.popitem(last=False)
        return await self.of_execution(organization_id, workflow_id, number)

    def forget_latest(self) -> None:
        """Another replica may have registered a version; called every second or so."""
        for key in [key for key in self._numbers if key[2] == LATEST]:
            del self._numbers[key]

    def _keep(self, key: tuple[UUID, str, int], definition: Definition) -> None:
        known = self._plans.pop(key, None)  # Two batches may have asked at once.
        self._plans[key] = definition
        self._size += definition.size - (known.size if known is not None else 0)
        while len(self._plans) > PLANS_MAX or (self._size > SIZE_MAX and len(self._plans) > 1):
            _, oldest = self._plans.popitem(last=False)
            self._size -= oldest.size


def semver_key(semver: str) -> tuple[object, ...]:
    """Sorts versions as semver.org says: a pre-release comes before its release, numbers compare as numbers."""
    core, _, prerelease = semver.partition("+")[0].partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    parts = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in prerelease.split(".")
        if part
    )
    return (*numbers, not prerelease, parts)
