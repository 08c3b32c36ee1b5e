"""What executions tell one another: a closed child to its parent, a closing parent to its children.

Nudges only: a sweep finds the same facts in PostgreSQL.
"""

from __future__ import annotations

from common.contracts.executions import CancelExecution, ChildClosed
from common.streams import names
from orchestrator.assemble import Installation
from orchestrator.ports import Facts, Store
from orchestrator.publications import Owed
from workflow.core.effects import Effects


class Notices:
    def __init__(self, store: Store, installation: Installation) -> None:
        self._store = store
        self._installation = installation

    async def add(self, owed: Owed, facts: Facts, effects: Effects) -> None:
        if effects.phase is not None and effects.phase.is_final:
            self._tell_parent(owed, facts)
        if effects.cancelled_children:
            await self._cancel_children(owed, facts, effects.cancelled_children)

    def _tell_parent(self, owed: Owed, facts: Facts) -> None:
        if facts.parent_id is None or facts.parent_key is None:
            return
        owed.add_notice(
            names.results(self._installation.partition(facts.parent_id)),
            ChildClosed(
                organization_id=facts.organization_id,
                traceparent=facts.traceparent,
                execution_id=facts.parent_id,
                key=facts.parent_key,
                child_id=facts.execution_id,
            ),
        )

    async def _cancel_children(self, owed: Owed, facts: Facts, keys: list[str]) -> None:
        # Read before the commit: it deletes the waits that name the children.
        children = await self._store.children([(facts.execution_id, key) for key in keys])
        for child_id in children.values():
            owed.add_notice(
                names.results(self._installation.partition(child_id)),
                CancelExecution(
                    organization_id=facts.organization_id,
                    traceparent=facts.traceparent,
                    execution_id=child_id,
                    reason=f"its parent {facts.execution_id} does not wait for it any more",
                ),
            )
