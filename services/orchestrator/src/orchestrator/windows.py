"""How many tasks of each queue may be in Redis: so that it stays small with a million tasks waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

LOOKS_AFTER = 20
"""Rounds in which an emptied backlog is looked at again: who held tasks back may not have stored them yet."""


class QueueWindows:
    """An estimate, corrected against the streams' lengths; a few more or less in a stream do no harm."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.on_filling: Callable[[], None] = lambda: None
        """Called when a stream may be filling up, or holds tasks back: from now on it must be looked after."""

        self._outstanding: dict[str, int] = {}
        self.held_back: set[str] = set()
        """Queues that were full: they have tasks to be taken up when there is room."""

        self._looks: dict[str, int] = {}
        """Queues whose backlog was found empty, and how often it is looked at still."""

    @property
    def queues(self) -> list[str]:
        return list(self._outstanding)

    @property
    def is_busy(self) -> bool:
        """Whether some stream may be filling up: the estimate only ever grows until it is corrected."""
        return any(2 * count > self._size for count in self._outstanding.values())

    @property
    def backlogs(self) -> list[str]:
        """Queues to take up tasks of."""
        return [*self.held_back, *(queue for queue in self._looks if queue not in self.held_back)]

    def emptied(self, queue: str) -> None:
        """All tasks of the backlog are taken up: new ones may go straight into the stream again."""
        looks = LOOKS_AFTER if queue in self.held_back else self._looks.get(queue, 0) - 1
        self.held_back.discard(queue)
        if looks > 0:
            self._looks[queue] = looks
        else:
            self._looks.pop(queue, None)

    def admit(self, queue: str) -> bool:
        """Whether one more task may go into the stream now; counts it if so.

        A queue that holds back stays closed until its backlog is taken up, or new tasks would overtake old ones.
        """
        outstanding = self._outstanding.setdefault(queue, 0)
        if 2 * outstanding >= self._size:
            self.on_filling()
        if outstanding >= self._size or queue in self.held_back:
            self.hold_back([queue])
            return False
        self._outstanding[queue] = outstanding + 1
        return True

    def hold_back(self, queues: Iterable[str]) -> None:
        """These have tasks that are not in the stream yet."""
        self.held_back.update(queues)
        if self.held_back:
            self.on_filling()

    def room(self, queue: str) -> int:
        return max(self._size - self._outstanding.get(queue, 0), 0)

    def correct(self, lengths: Mapping[str, int]) -> None:
        self._outstanding.update(lengths)

    def filled(self, queue: str, count: int) -> None:
        self._outstanding[queue] = self._outstanding.get(queue, 0) + count
