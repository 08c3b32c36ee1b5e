"""Every route of the API but those that describe it."""

from __future__ import annotations

from gateway.route import Route
from gateway.routes import (
    administration,
    api_keys,
    documents,
    events,
    executions,
    health,
    history,
    knowledge,
    secrets,
    workflows,
)

ALL_ROUTES: tuple[Route, ...] = (
    # First, because aiohttp tries the routes of one prefix in this order, and starts are the hot path.
    *executions.ROUTES,
    *workflows.ROUTES,
    *history.ROUTES,
    *events.ROUTES,
    *knowledge.ROUTES,
    *documents.ROUTES,
    *administration.ROUTES,
    *api_keys.ROUTES,
    *secrets.ROUTES,
    *health.ROUTES,
)
