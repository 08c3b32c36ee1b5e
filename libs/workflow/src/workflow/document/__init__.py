"""Workflow documents: reading them, their models, and what is wrong with them."""

from workflow.document.definition import Definition
from workflow.document.durations import Duration, InvalidDuration, parse_duration
from workflow.document.tasks import NamedTask, Task, TaskList

__all__ = [
    "Definition",
    "Duration",
    "InvalidDuration",
    "NamedTask",
    "Task",
    "TaskList",
    "parse_duration",
]
