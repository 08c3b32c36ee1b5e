"""Definitions and the plans compiled from them, kept in memory: a registered version never changes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from workflow.core.plan import Plan

PLANS_MAX = 1000
"""Plans kept in memory; a plan is some tens of kilobytes."""

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Definition:
    """One registered version of a workflow, ready to run."""

    workflow_id: str
    version: int
    semver: str
    plan: Plan

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

    async def by_semver(
        self, organization_id: UUID, workflow_id: str, semver: str | None
    ) -> Definition | None:
        """The version named, or the highest semver when None or `latest`."""
        ...


class Definitions:
    """A cache in front of the source. What `latest` means is asked again after `forget_latest`."""

    def __init__(self, source: DefinitionSource) -> None:
        self._source = source
        self._by_number: OrderedDict[tuple[UUID, str, int], Definition] = OrderedDict()
        self._by_semver: OrderedDict[tuple[UUID, str, str], Definition] = OrderedDict()

    async def of_execution(
        self, organization_id: UUID, workflow_id: str, version: int
    ) -> Definition | None:
        key = (organization_id, workflow_id, version)
        found = self._by_number.get(key)
        if found is None:
            found = await self._source.by_number(organization_id, workflow_id, version)
            if found is not None:
                self._keep(organization_id, found)
        return found

    async def to_start(
        self, organization_id: UUID, workflow_id: str, semver: str | None
    ) -> Definition | None:
        wanted = semver or LATEST
        found = self._by_semver.get((organization_id, workflow_id, wanted))
        if found is None:
            found = await self._source.by_semver(organization_id, workflow_id, wanted)
            if found is not None:
                self._keep(organization_id, found)
                self._by_semver[organization_id, workflow_id, wanted] = found
                _shorten(self._by_semver)
        return found

    def forget_latest(self) -> None:
        """Another replica may have registered a version; called every second or so."""
        for key in [key for key in self._by_semver if key[2] == LATEST]:
            del self._by_semver[key]

    def _keep(self, organization_id: UUID, definition: Definition) -> None:
        self._by_number[organization_id, definition.workflow_id, definition.version] = definition
        _shorten(self._by_number)


def _shorten(
    cache: OrderedDict[tuple[UUID, str, int], Definition]
    | OrderedDict[tuple[UUID, str, str], Definition],
) -> None:
    while len(cache) > PLANS_MAX:
        cache.popitem(last=False)


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
