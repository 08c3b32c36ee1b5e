"""Dying on purpose at a named place, so that tests can see what a crash there leads to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection

from common.serving.steps import FAILPOINTS, no_failpoint


def failpoint(armed: str | None, known: Collection[str] = FAILPOINTS) -> Callable[[str], None]:
    """A function that kills this process, as `kill -9` does, when it is called with the armed name.

    Settings refuse `KWE_FAILPOINT` in production. Names of other services' failpoints mean nothing here.
    """
    if armed not in known:
        return no_failpoint

    def at(name: str) -> None:
        if name == armed:
            os.kill(os.getpid(), signal.SIGKILL)

    return at
