"""Order and completeness of events, decided from their sequence numbers alone. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from kwe.client.models import Event

FINISHED_MAX: Final = 2_000
"""Finished executions that are remembered, so that their events are told when they are published again."""


class Verdict(Enum):
    NEXT = "next"
    """Exactly what follows: hand it on."""

    KNOWN = "known"
    """Handed on before."""

    EARLY = "early"
    """Events before it are missing: fetch them first."""


class Sequencer:
    def __init__(
        self, sequences: Mapping[str, int] | None = None, *, finished_max: int = FINISHED_MAX
    ) -> None:
        self._last: dict[str, int] = dict(sequences or {})
        # Of an earlier process nobody knows which have finished; at worst they stay a little longer.
        self._finished: dict[str, None] = dict.fromkeys(self._last)
        self._finished_max = finished_max

    @property
    def sequences(self) -> dict[str, int]:
        """What a cursor keeps."""
        return dict(self._last)

    def last(self, execution_id: str) -> int:
        """The last sequence that was handed on; 0 before the first."""
        return self._last.get(execution_id, 0)

    def judge(self, event: Event) -> Verdict:
        """What to do with an event. One without a sequence stands for itself."""
        if event.sequence is None:
            return Verdict.NEXT
        last = self.last(event.execution_id)
        if event.sequence <= last:
            return Verdict.KNOWN
        return Verdict.NEXT if event.sequence == last + 1 else Verdict.EARLY

    def handed_on(self, event: Event) -> None:
        """Record it, after its handler has returned."""
        if event.sequence is None:
            return
        execution_id = event.execution_id
        self._last[execution_id] = max(event.sequence, self.last(execution_id))
        self._finished.pop(execution_id, None)
        if event.ends_execution:
            self._finished[execution_id] = None
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._finished) > self._finished_max:
            oldest = next(iter(self._finished))
            del self._finished[oldest]
            self._last.pop(oldest, None)
