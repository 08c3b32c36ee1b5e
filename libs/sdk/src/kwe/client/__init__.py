"""The asynchronous client of the HTTP API."""

from kwe.client.client import Client
from kwe.client.models import (
    Accepted,
    Document,
    Event,
    Execution,
    ExecutionSummary,
    Hit,
    Task,
    WaitingFor,
)

__all__ = [
    "Accepted",
    "Client",
    "Document",
    "Event",
    "Execution",
    "ExecutionSummary",
    "Hit",
    "Task",
    "WaitingFor",
]
