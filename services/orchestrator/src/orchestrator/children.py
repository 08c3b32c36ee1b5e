"""Sub-workflows that turns ask for: what each will run, how deep it stands, and whether it may begin at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, Protocol
from uuid import UUID

from orchestrator.accepting import AdmissionLimits
from orchestrator.assemble import NewChild, child_id_of
from orchestrator.definitions import Definitions
from orchestrator.ports import Facts
from workflow.core.effects import ChildStart, OpenWait
from workflow.core.errors import ErrorKind, error_of

LEVELS_MAX: Final = 64
"""Executions that wait for one another, one inside the other. A workflow that runs itself for ever ends here: without
a bound it would grow as fast as it is cancelled. Children that nobody waits for begin at the top again."""

_REMEMBERED_MAX: Final = 10_000

_ABSENT = "There is no workflow {0.namespace}/{0.name} {0.version}; register it first."
_TOO_DEEP = (
    f"Executions that wait for one another are nested deeper than {LEVELS_MAX} levels. "
    "Does the workflow run itself without an end? `await: false` starts one that nobody waits for."
)


class Ancestry(Protocol):
    async def levels_above(self, execution_id: UUID, limit: int) -> int:
        """How many executions wait for this one, one for the other; counted up to `limit`."""
        ...


class Children:
    def __init__(
        self, *, ancestry: Ancestry, definitions: Definitions, limits: AdmissionLimits
    ) -> None:
        self._ancestry = ancestry
        self._definitions = definitions
        self._limits = limits
        self._levels: OrderedDict[UUID, int] = OrderedDict()
        """Of executions that were begun here: most children are begun where their parent was."""

    async def prepare(self, wait: OpenWait, parent: Facts, now_ms: int) -> NewChild:
        """The child behind a wait; without facts if it cannot be created."""
        start = wait.child
        assert start is not None
        id = child_id_of(parent.execution_id, wait.key, now_ms)
        definition = await self._definitions.to_start(
            parent.organization_id, f"{start.namespace}/{start.name}", start.version
        )
        if definition is None:
            return NewChild(wait, id, None, obstacle=_absent(start))
        if start.awaited and not await self._descend(id, parent):
            return NewChild(wait, id, None, obstacle=error_of(ErrorKind.RUNTIME, _TOO_DEEP))
        facts = Facts(
            id,
            parent.organization_id,
            definition.workflow_id,
            definition.version,
            definition.semver,
            parent.traceparent,
            parent.execution_id,
            wait.key if start.awaited else None,
        )
        return NewChild(wait, id, facts, admitted=await self._is_admitted(start, facts))

    async def _is_admitted(self, start: ChildStart, facts: Facts) -> bool:
        """A child that is waited for needs no slot, its parent has one. Any other is an execution like those of clients."""
        return start.awaited or await self._limits.limit_of(facts.organization_id) == 0

    async def _descend(self, child_id: UUID, parent: Facts) -> bool:
        """Whether there may be one more level below `parent`."""
        level = await self._level(parent) + 1
        if level > LEVELS_MAX:
            return False
        self._remember(child_id, level)
        return True

    async def _level(self, facts: Facts) -> int:
        if facts.parent_id is None or facts.parent_key is None:
            return 0
        level = self._levels.get(facts.execution_id)
        if level is None:
            level = await self._ancestry.levels_above(facts.execution_id, LEVELS_MAX)
            self._remember(facts.execution_id, level)
        return level

    def _remember(self, execution_id: UUID, level: int) -> None:
        self._levels[execution_id] = level
        if len(self._levels) > _REMEMBERED_MAX:
            self._levels.popitem(last=False)


def _absent(start: ChildStart) -> Mapping[str, object]:
    return {
        **error_of(ErrorKind.CONFIGURATION, _ABSENT.format(start)),
        "title": "Unknown workflow",
    }
