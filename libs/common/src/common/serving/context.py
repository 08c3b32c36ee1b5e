"""What a function may know about the try it performs, and tell about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from common.security.hiding import Hiding


class DeltaSink(Protocol):
    """Shows text to whoever watches an execution right now."""

    def add(self, context: TaskContext, text: str) -> None:
        """Never blocks and never raises; the text may be lost."""
        ...


@dataclass(slots=True, kw_only=True)
class TaskContext:
    """One try of a task. `task_id` is the idempotency key of its side effects: the same over all tries."""

    organization_id: UUID
    execution_id: UUID
    task_id: UUID
    attempt: int
    """The try, from 1."""

    workflow_id: str
    """namespace/name"""

    name: str
    """The task's name in the definition."""

    reference: str
    """JSON pointer of the task in the definition, iterations included."""

    traceparent: str = ""
    is_cancelled: bool = False
    """Nobody wants the result any more. Async functions are cancelled; functions in threads look here."""

    usage: Any = None
    """Set it to what the try cost: tokens, model. It is recorded even if the try fails afterwards."""

    deltas: DeltaSink | None = None
    hiding: Hiding = field(default_factory=Hiding)
    """Keeps the secrets in the input out of the result, errors and logs. Add what else you learn that must not be seen."""

    @property
    def idempotency_key(self) -> str:
        return str(self.task_id)

    def emit_delta(self, text: str) -> None:
        """Show a piece of the answer before it is whole. Never stored, never blocks, may be lost."""
        # A secret may come in several pieces, where nobody recognises it: then nothing is shown before the end.
        if self.deltas is not None and text and not self.hiding.secrets:
            self.deltas.add(self, text)
