"""How many tasks of each queue may be in Redis: so that it stays small with a million tasks waiting."""

from __future__ import annotations

from collections.abc import Mapping


class QueueWindows:
    """An estimate, corrected against the streams' lengths; a few more or less in a stream do no harm."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._outstanding: dict[str, int] = {}
        self.held_back: set[str] = set()
        """Queues that were full: they have tasks to be taken up when there is room."""

    @property
    def queues(self) -> list[str]:
        return list(self._outstanding)

    @property
    def is_busy(self) -> bool:
        """Whether some stream may be filling up: the estimate only ever grows until it is corrected."""
        return any(2 * count > self._size for count in self._outstanding.values())

    def admit(self, queue: str) -> bool:
        """Whether one more task may go into the stream now; counts it if so.

        A queue that holds back stays closed until its backlog is taken up, or new tasks would overtake old ones.
        """
        outstanding = self._outstanding.setdefault(queue, 0)
        if outstanding >= self._size or queue in self.held_back:
            self.held_back.add(queue)
            return False
        self._outstanding[queue] = outstanding + 1
        return True

    def room(self, queue: str) -> int:
        return max(self._size - self._outstanding.get(queue, 0), 0)

    def correct(self, lengths: Mapping[str, int]) -> None:
        self._outstanding.update(lengths)

    def filled(self, queue: str, count: int) -> None:
        self._outstanding[queue] = self._outstanding.get(queue, 0) + count
