"""Dying on purpose at a named place, so that tests can see what a crash there leads to.

`KWE_FAILPOINT` is one of two things:

- a name: the process is killed whenever it comes by that place, so it never gets past it;
- a folder, known by its slash: the process is killed when the folder holds a file of the place's name, and the file
  is gone then. So each file is one crash of one process, whichever comes by first, and a test decides when. What the
  file holds names another signal, such as `SIGSTOP`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

AFTER_CLAIM: Final = "after-claim"
BEFORE_RESULT_PUBLISH: Final = "before-result-publish"
AFTER_RESULT_PUBLISH: Final = "after-result-publish"
FAILPOINTS: Final = (AFTER_CLAIM, BEFORE_RESULT_PUBLISH, AFTER_RESULT_PUBLISH)
"""Of whoever serves tasks."""


def no_failpoint(name: str) -> None:
    del name


def failpoint(armed: str | None, known: Collection[str] = FAILPOINTS) -> Callable[[str], None]:
    """A function that kills this process, as `kill -9` does, when it is called with an armed name.

    Settings refuse `KWE_FAILPOINT` in production. Names of other services' failpoints mean nothing here.
    """
    if armed is not None and os.sep in armed:
        return _from_folder(Path(armed))
    if armed not in known:
        return no_failpoint

    def at(name: str) -> None:
        if name == armed:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def _from_folder(folder: Path) -> Callable[[str], None]:
    def at(name: str) -> None:
        order = folder / name
        if not order.exists():
            return
        try:
            asked = order.read_text().strip()
            order.unlink()  # Only one of several processes succeeds.
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.Signals[asked] if asked else signal.SIGKILL)

    return at
