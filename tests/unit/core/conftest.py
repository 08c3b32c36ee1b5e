"""Running documents through the core in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from workflow.core.rehearsal import Rehearsal, Rehearsed
from workflow.core.turn import Limits
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
        **parts: Any,
    ) -> Run:
        world = Rehearsal(
            document(tasks, **parts),
            *others,
            answers=answers,
            functions=Functions([ECHO, TYPED]),
            limits=limits,
            evaluate=evaluate,
        )
        until = None if until_ms is None else world.now_ms + until_ms
        execution = world.run(given, until_ms=until)
        return Run(world, execution)

    return run


@pytest.fixture
def make_document() -> Callable[..., dict[str, Any]]:
    return document
