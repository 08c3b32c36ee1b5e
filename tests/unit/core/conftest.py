"""Running documents through the core in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from workflow.core.messages import Message
from workflow.core.rehearsal import Rehearsal, Rehearsed, evaluate_here
from workflow.core.state import State, new_state
from workflow.core.turn import Limits, TurnResult
from workflow.document.catalog import Functions, FunctionSpec

ECHO = FunctionSpec(name="echo", version="1.0.0", queue="echo")
TYPED = FunctionSpec(
    name="typed",
    version="1.0.0",
    queue="echo",
    input_schema={"type": "object", "required": ["n"]},
    output_schema={"type": "object", "required": ["ok"]},
    at_most_once=True,
)


class Twins(Rehearsal):
    """Decides every turn twice, on the state as stored and on one that stays in memory, and compares."""

    def __init__(self, *documents: Any, evaluate: Any = None, **options: Any) -> None:
        self._outcomes: list[Any] = []
        self._kept: dict[str, State] = {}
        self._ask = evaluate or evaluate_here
        super().__init__(*documents, evaluate=self._evaluate_once, **options)

    def decide(self, id: str, state: State, message: Message) -> TurnResult:
        if id not in self._kept:
            facts = state.facts
            names = {"namespace": facts.namespace, "name": facts.name, "version": facts.version}
            self._kept[id] = new_state(id, **names)
        self._replaying = False
        stored = super().decide(id, state, message)
        self._replaying = True
        kept = super().decide(id, self._kept[id], message)
        assert kept.snapshot == stored.snapshot
        assert kept.effects == stored.effects
        return stored

    def _evaluate_once(self, need: Any) -> Any:
        if self._replaying:
            return self._outcomes.pop(0)
        outcome = self._ask(need)
        self._outcomes.append(outcome)
        return outcome


@dataclass
class Run:
    """An execution that came to rest, and the world it lived in."""

    world: Rehearsal
    execution: Rehearsed

    @property
    def output(self) -> Any:
        assert self.execution.phase == "completed", self.execution.error
        return self.execution.output

    @property
    def error(self) -> Any:
        assert self.execution.phase == "faulted", self.execution.output
        return self.execution.error

    @property
    def history(self) -> list[dict[str, Any]]:
        return self.execution.history

    def names(self, type: str) -> list[str]:
        return self.execution.events(type)

    def calls(self, name: str) -> list[Any]:
        return [call for call in self.world.calls if call.name == name]


def document(tasks: Any, *, name: str = "example", **parts: Any) -> dict[str, Any]:
    header = {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": "1.0.0"}
    return {"document": header, "do": tasks, **parts}


Rehearse = Callable[..., Run]


@pytest.fixture
def rehearse() -> Rehearse:
    """`rehearse(tasks, input, answers={...}, **parts of the document)` → Run."""

    def run(
        tasks: Any,
        given: Any = None,
        /,
        *,
        answers: Any = None,
        others: Any = (),
        limits: Limits | None = None,
        until_ms: int | None = None,
        evaluate: Any = None,
        events: Any = (),
        secrets: Any = None,
        **parts: Any,
    ) -> Run:
        world = Twins(
            document(tasks, **parts),
            *others,
            answers=answers,
            functions=Functions([ECHO, TYPED]),
            limits=limits,
            evaluate=evaluate,
            secrets=secrets,
        )
        for position, event in enumerate(events):
            world.post(
                {"specversion": "1.0", "id": str(position), "source": "/outside", **event},
                1000 + position,
            )
        until = None if until_ms is None else world.now_ms + until_ms
        execution = world.run(given, until_ms=until)
        return Run(world, execution)

    return run


@pytest.fixture
def make_document() -> Callable[..., dict[str, Any]]:
    return document


@pytest.fixture
def twins() -> type[Rehearsal]:
    """A rehearsal that decides every turn twice."""
    return Twins
