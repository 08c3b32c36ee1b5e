"""The control state of an execution: which tasks are alive, and where each of them stands.

Frames form a tree. The root is the workflow; a `do`, `for`, `fork`, `try` or inline function has the frames
of the tasks inside it as children. A task that ended leaves no trace here; its facts are in the history.

What survives between turns is small: values beyond a few hundred bytes are references, and each
frame keeps its own encoding until it changes, so that storing the state costs what changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha1
from typing import TYPE_CHECKING

from workflow.core.effects import Phase
from workflow.core.errors import Failure
from workflow.core.values import Reference, Value

if TYPE_CHECKING:
    from workflow.core.extras import Extra
    from workflow.core.nodes import Node


class Step(IntEnum):
    """What a frame needs next. All but OPEN and GONE are work on the agenda."""

    ENTER = 0
    """`value` is the raw input."""
    OPEN = 1
    """Waits for a message, or for its children."""
    LEAVE = 2
    """`value` is the raw output."""
    NEXT = 3
    """A loop between two turns; `value` is the input of the next one."""
    CATCH = 4
    """A `try` whose body failed with `failure`."""
    FAIL = 5
    """Ends with `failure`."""
    CLIMB = 6
    """The same, but the failure came from inside while the execution was suspended: it waits for the resumption."""
    GONE = 7
    """Ended. Only frames that are still named on the agenda are ever seen so."""


class Frame:
    """One activation of a task: one visit, one loop turn, one try."""

    __slots__ = (
        "attempt",
        "children",
        "context",
        "deadline",
        "depth",
        "due_at",
        "encoded",
        "extra",
        "failure",
        "id",
        "input",
        "lap",
        "node",
        "parent",
        "path",
        "raw",
        "started_at",
        "step",
        "task_id",
        "thread_above",
        "value",
    )

    def __init__(self, id: int, node: Node, parent: Frame | None) -> None:
        self.id = id
        """Unique in the execution for ever; the keys of its waits begin with it."""
        self.node = node
        self.parent = parent
        self.children: dict[int, Frame] = {}
        self.step = Step.ENTER
        self.value: Value | None = None
        self.raw: Value | None = None
        """The raw input, kept only while something may still read it."""
        self.input: Value | None = None
        """The transformed input, likewise."""
        self.started_at = 0
        self.due_at: int | None = None
        """When its own timeout strikes; a timer `{id}t` is open exactly then."""
        self.lap = 0
        """How often the list inside was re-entered by a jump backwards."""
        self.extra: Extra | None = None
        self.failure: Failure | None = None
        self.context: Value | None = None
        """`$context` as set on this thread; only roots of threads have one."""
        self.encoded: bytes | None = None
        """Its part of the snapshot; forgotten whenever the frame changes."""

        # What follows is derived from the tree, and not stored.
        self.thread_above: Frame | None = None
        """The frame that holds `$context` for this one; none if it does that itself."""
        self.path = ""
        """The task's reference: JSON pointer with iterations."""
        self.depth = 0
        self.attempt = 1
        """Which try of the task this is."""
        self.deadline: int | None = None
        """The earliest instant at which a timeout on it or around it strikes."""
        self.task_id = ""
        """Computed when first needed."""

    @property
    def thread(self) -> Frame:
        """The frame that holds `$context`: the workflow, or the branch of a fork."""
        return self if self.thread_above is None else self.thread_above

    def __repr__(self) -> str:
        return f"Frame({self.id}, {self.path or '/'}, {self.step.name})"


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes about an execution."""

    id: str
    namespace: str
    name: str
    version: str
    """The semver of the definition it runs."""


class State:
    """One execution between turns. A turn changes it in place; the host may keep it for the next one."""

    __slots__ = (
        "agenda",
        "continue_key",
        "counter",
        "facts",
        "frames",
        "input",
        "loose",
        "phase",
        "root",
        "sequence",
        "started_at",
        "suspended_key",
        "task_waits",
        "weight",
    )

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.phase = Phase.PENDING
        self.sequence = 0
        """Of the last history event."""
        self.counter = 0
        """The last number given to a frame, wait or value; never reused."""
        self.started_at = 0
        self.input: Value | None = None
        """The workflow's raw input, kept if the definition reads `$workflow`."""
        self.root: Frame | None = None
        self.frames: dict[int, Frame] = {}
        """In order of creation, which is the order of ids."""
        self.loose: dict[int, Frame] = {}
        """Those that the snapshot holds one by one: all but the stowed branches of forks, see `stowage`."""
        self.agenda: list[Frame] = []
        """What the next turn begins with; empty unless a turn was cut short or is suspended."""
        self.continue_key: str | None = None
        self.suspended_key: str | None = None
        self.task_waits = 0
        """How many open waits are for executors."""
        self.weight = 0
        """About how many bytes of stored values were in memory so far. Not part of the snapshot: a host that keeps states
        lets go of heavy ones, and a state that is loaded again holds no value but those that it asks for."""

    def next_number(self) -> int:
        self.counter += 1
        return self.counter

    def discard(self) -> None:
        """Free its memory at once. Frames refer to one another in circles, which the collector sees only much later."""
        for frame in self.frames.values():
            frame.children = {}
        self.frames, self.loose, self.agenda = {}, {}, []
        self.root = self.input = None

    def value_id(self) -> str:
        """The id of the next value to be stored: the same whenever the same turn is decided again."""
        return derived_id(self.facts.id, f"value/{self.next_number()}")

    def keep(self, value: Value) -> Reference:
        """Give a value the name under which it is stored."""
        reference = Reference(self.value_id(), len(value.raw))
        value.reference = reference
        return reference


def new_state(execution_id: str, *, namespace: str, name: str, version: str) -> State:
    """An execution that was accepted and has not begun; `Start` begins it."""
    return State(Facts(execution_id, namespace, name, version))


def derived_id(execution_id: str, name: str) -> str:
    """The UUID of something inside an execution: `uuid5(execution, name)`, at half of its cost."""
    namespace = bytes.fromhex(execution_id.replace("-", ""))
    digest = bytearray(sha1(namespace + name.encode(), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"
