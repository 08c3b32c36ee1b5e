"""What a model is asked and answers is in the log only where that was asked for."""

import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog

from common.logs import configure_logging
from common.serving.context import TaskContext
from common.settings import LogSettings
from executor.llm.extractive.provider import ExtractiveProvider
from executor.llm.function import LlmFunction

QUESTION = "Who approves a refund of 2,500 euros?"
PASSAGE = "Refunds above 1,000 euros are approved by the head of finance."


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


async def ask() -> None:
    function = LlmFunction({"extractive": ExtractiveProvider()}, default="extractive", fallback=())
    context = TaskContext(
        organization_id=UUID(int=1),
        execution_id=UUID(int=2),
        task_id=UUID(int=3),
        attempt=1,
        workflow_id="support/refund",
        name="answer",
        reference="/do/0/answer",
        traceparent="",
        deltas=None,
    )
    await function({"prompt": QUESTION, "passages": [{"text": PASSAGE}]}, context)


@pytest.mark.parametrize(
    ("level", "contents", "shown"),
    [("debug", True, True), ("debug", False, False), ("info", True, False)],
)
async def test_questions_and_answers_are_logged_only_on_request(
    level: str, contents: bool, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(
        "executor", LogSettings.model_validate({"log_level": level, "log_contents": contents})
    )
    await ask()
    text = capsys.readouterr().out
    assert (QUESTION in text) is shown
    assert ("head of finance" in text) is shown
