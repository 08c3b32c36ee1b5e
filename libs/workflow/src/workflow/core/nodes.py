"""The compiled form of a definition: flat, immutable nodes that a turn walks.

A node is a task of the document with everything resolved that can be before an execution exists:
expressions are compiled, names are indexes, policies are numbers. Nodes are shared by all
executions of a definition and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from workflow.core.schemas import Schema
from workflow.core.values import Json
from workflow.expressions import Scope

Formula = Callable[[Scope], Json]
"""A compiled expression or template."""


class Kind(IntEnum):
    WORKFLOW = 0
    """The root: the document's own `do`, with the workflow's input, output and timeout."""
    CALL = 1
    """A task that an executor runs: `call: http` or a function of a catalog."""
    INLINE = 2
    """A call of a function in `use.functions`: that task runs as its child."""
    DO = 3
    FOR = 4
    FORK = 5
    RAISE = 6
    RUN = 7
    SET = 8
    SWITCH = 9
    TRY = 10
    WAIT = 11
    EMIT = 12
    LISTEN = 13


class Then(IntEnum):
    """Flow directives. Values from 0 up are positions in the task's own list."""

    CONTINUE = -1
    EXIT = -2
    END = -3


@dataclass(frozen=True, slots=True)
class Duration:
    """Milliseconds, or the formula that gives a duration when it is needed."""

    milliseconds: int | None
    formula: Formula | None = None


@dataclass(slots=True, eq=False)
class Node:
    """One task of the document. Nothing writes to it once the plan is compiled."""

    index: int
    pointer: str
    """JSON pointer in the document; `instance` of the errors that arise here."""
    name: str
    kind: Kind
    spec: Spec
    prefix: str = ""
    """The list it stands in, relative to the task that has the list, such as `/catch/do`."""
    position: int = 0
    segment: str = ""
    """Its last reference token: the escaped name."""
    tail: str = ""
    """`prefix/position/segment`, which is what it adds to the reference of its parent."""
    condition: Formula | None = None
    input_schema: Schema | None = None
    input_from: Formula | None = None
    output_as: Formula | None = None
    output_schema: Schema | None = None
    export_as: Formula | None = None
    export_schema: Schema | None = None
    timeout: Duration | None = None
    then: int = Then.CONTINUE
    needs_raw: bool = False
    """What follows the task's work reads `$task`, so its raw input must be kept meanwhile."""
    needs_input: bool = False
    """The same for `$input`, the transformed input."""
    definition: Json = None
    """The task as the document has it, for `$task.definition`."""
    word: str = ""
    """What the document calls this kind of task, such as `call`."""
    plain_output: bool = True
    """The output of the work is the output of the task: nothing transforms, checks or exports it."""


@dataclass(slots=True, eq=False)
class ListSpec:
    """`do` and the workflow itself."""

    tasks: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class CallSpec:
    queue: str
    function: str
    input: Formula
    input_schema: Schema | None = None
    output_schema: Schema | None = None
    at_most_once: bool = False


@dataclass(slots=True, eq=False)
class UnknownFunction:
    """A call that was refused at registration, or whose function is gone since: it faults."""

    detail: str


@dataclass(slots=True, eq=False)
class InlineSpec:
    input: Formula
    target: Node | None = None
    """Set once all functions are compiled, as functions may call each other."""


@dataclass(slots=True, eq=False)
class ForSpec:
    each: str
    at: str
    items: Formula
    condition: Formula | None
    tasks: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class ForkSpec:
    branches: tuple[Node, ...]
    compete: bool


@dataclass(slots=True, eq=False)
class RaiseSpec:
    error: Formula


@dataclass(slots=True, eq=False)
class RunSpec:
    namespace: Formula
    name: Formula
    version: Formula
    input: Formula
    awaited: bool


@dataclass(slots=True, eq=False)
class SetSpec:
    value: Formula


@dataclass(slots=True, eq=False)
class SwitchSpec:
    cases: tuple[tuple[Formula | None, int], ...]
    """Condition (none: always) and the directive that it leads to."""


@dataclass(slots=True, eq=False)
class WaitSpec:
    duration: Duration


class Backoff(IntEnum):
    CONSTANT = 0
    LINEAR = 1
    EXPONENTIAL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySpec:
    condition: Formula | None = None
    exception: Formula | None = None
    delay: Duration | None = None
    backoff: Backoff = Backoff.CONSTANT
    retries_max: int | None = None
    """Retries after the first try."""
    attempt_duration: Duration | None = None
    duration: Duration | None = None
    jitter_from: Duration | None = None
    jitter_to: Duration | None = None


@dataclass(slots=True, eq=False)
class TrySpec:
    tasks: tuple[Node, ...]
    error_name: str = "error"
    filter: Mapping[str, Json] = field(default_factory=dict)
    condition: Formula | None = None
    exception: Formula | None = None
    retry: RetrySpec | None = None
    handler: tuple[Node, ...] = ()
    handler_then: int | None = None


@dataclass(slots=True, eq=False)
class EmitSpec:
    event: Formula


class Strategy(IntEnum):
    """How many of its filters a listener wants to have an event."""

    ONE = 0
    ANY = 1
    ALL = 2


class Reading(IntEnum):
    """What of an event a listener takes."""

    DATA = 0
    ENVELOPE = 1
    RAW = 2


Match = Callable[[Json, Callable[[Formula, Json], Json]], bool]
"""Whether a value of the event is as wanted; evaluates expressions by the function it is given."""


@dataclass(frozen=True, slots=True)
class Correlation:
    name: str
    source: Formula
    """Reads the value from the event's envelope."""
    text: str
    """Its program, if the host may evaluate it by itself; otherwise empty."""
    expected: Formula | None
    """None: the first value becomes the expectation."""
    is_constant: bool


@dataclass(frozen=True, slots=True)
class EventFilter:
    attributes: tuple[tuple[str, Match], ...]
    type: str
    """Empty if it does not follow from the document."""
    correlations: tuple[Correlation, ...]


@dataclass(slots=True, eq=False)
class ForeachSpec:
    each: str
    at: str
    tasks: tuple[Node, ...]
    output_as: Formula | None
    output_schema: Schema | None
    export_as: Formula | None
    export_schema: Schema | None


@dataclass(slots=True, eq=False)
class ListenSpec:
    strategy: Strategy
    filters: tuple[EventFilter, ...]
    """Those of the strategy, then those of `until`."""
    until_from: int
    """Where the filters of `until` begin."""
    until: Strategy | None
    condition: Formula | None
    """`until` as an expression."""
    reading: Reading
    foreach: ForeachSpec | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether the events themselves end it."""
        return self.until is None and self.condition is None

    @property
    def keeps_consumed(self) -> bool:
        return self.foreach is None or self.condition is not None

    @property
    def is_correlated(self) -> bool:
        return any(filter.correlations for filter in self.filters)


Spec = (
    ListSpec
    | EmitSpec
    | ListenSpec
    | CallSpec
    | UnknownFunction
    | InlineSpec
    | ForSpec
    | ForkSpec
    | RaiseSpec
    | RunSpec
    | SetSpec
    | SwitchSpec
    | WaitSpec
    | TrySpec
)
