"""The events of a rehearsal: kept from the start, offered to listeners as a host would offer them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from workflow.core.effects import Effects, Listening
from workflow.core.event_filters import concerns
from workflow.core.messages import EventArrived
from workflow.core.values import Json


class RehearsedEvents:
    def __init__(self) -> None:
        self.kept: list[dict[str, Json]] = []
        """In the order of their arrival."""
        self._known: set[tuple[str, str]] = set()
        self._since: dict[str, int] = {}
        self._listening: dict[str, dict[str, Listening]] = defaultdict(dict)
        self._consumed: set[tuple[str, str, int]] = set()
        self._refused: set[tuple[str, str, int]] = set()
        self._under_way: set[tuple[str, str, int]] = set()

    def keep(self, event: Mapping[str, Json]) -> None:
        """An event arrived; `source` and `id` tell a repeated one."""
        name = (event["source"], event["id"])
        if name not in self._known:
            self._known.add(name)
            self.kept.append(dict(event))

    def begin(self, execution: str) -> None:
        """From now on events are kept for an execution."""
        self._since[execution] = len(self.kept)

    def settle(self, execution: str, effects: Effects) -> None:
        """Note what a turn did with the events that it was offered."""
        listening = self._listening[execution]
        for wait in effects.opened:
            if wait.listening is not None:
                listening[wait.key] = wait.listening
        for key, number in effects.consumed:
            self._consumed.add((execution, listening[key].listener, number))
        self._refused.update((execution, key, number) for key, number in effects.refused)
        for key in effects.unlistened:
            listening.pop(key, None)

    def delivered(self, execution: str, message: EventArrived) -> None:
        self._under_way.discard((execution, message.key, message.number))

    def offers(self) -> Iterator[tuple[str, EventArrived]]:
        """Every event that some listener has not decided about, each on its way once."""
        for execution, listening in self._listening.items():
            for key, each in listening.items():
                for number in self._open(execution, key, each):
                    self._under_way.add((execution, key, number))
                    yield execution, EventArrived(key, number, self.kept[number])

    def _open(self, execution: str, key: str, listening: Listening) -> list[int]:
        return [
            number
            for number in range(self._since[execution], len(self.kept))
            if (execution, key, number) not in self._under_way
            and (execution, key, number) not in self._refused
            and (execution, listening.listener, number) not in self._consumed
            and any(concerns(each, self.kept[number]) for each in listening.interests)
        ]
