"""What is to be decided next: messages in order of arrival, and executions that go on by themselves.

An execution whose turn reached its bound goes on as soon as it can, and a workflow may do so for ever. If such turns stood in
one row with messages, a few thousand of them would be all that a replica ever does: nobody could even cancel them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from common.contracts.executions import ContinueExecution
from orchestrator.deliveries import Delivery

SHARE: Final = 4
"""While both wait, every fourth place of a batch is for an execution that goes on by itself."""


class Inbox:
    def __init__(self) -> None:
        self._messages: deque[Delivery] = deque()
        self._going_on: deque[Delivery] = deque()
        self._read_going_on = 0
        self._is_closing = False

    def __bool__(self) -> bool:
        return bool(self._messages or self._going_on)

    @property
    def unread(self) -> int:
        """What readers have brought and nobody has taken yet; turns that this process owes itself do not count."""
        return len(self._messages) + self._read_going_on

    def add(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            if type(delivery.message) is not ContinueExecution:
                self._messages.append(delivery)
            elif delivery.entry is not None:
                self._going_on.append(delivery)
                self._read_going_on += 1
            elif not self._is_closing:
                self._going_on.append(delivery)

    def put_back(self, deliveries: Iterable[Delivery]) -> None:
        """To the front, in this order."""
        self._messages.extendleft(reversed(list(deliveries)))

    def take(self, place: int) -> Delivery:
        """The delivery for this place of a batch. There must be one."""
        if self._going_on and (not self._messages or place % SHARE == SHARE - 1):
            delivery = self._going_on.popleft()
            self._read_going_on -= delivery.entry is not None
            return delivery
        return self._messages.popleft()

    def close(self) -> None:
        """From now on nothing goes on by itself here: a wait in PostgreSQL says so, and another replica sees to it."""
        self._is_closing = True
