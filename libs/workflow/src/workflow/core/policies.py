"""Retry policies and raised errors, resolved from `use` or written in place."""

from __future__ import annotations

from collections.abc import Mapping

from workflow.core.formulas import Reads, bare, duration_of, template
from workflow.core.nodes import Backoff, Duration, Formula, RetrySpec
from workflow.core.values import Json


def retry_of(policy: Json, use: Mapping[str, Json], reads: Reads) -> RetrySpec | None:
    if policy is None:
        return None
    if isinstance(policy, str):
        policy = use["retries"][policy]
    limit = policy.get("limit") or {}
    attempt = limit.get("attempt") or {}
    jitter = policy.get("jitter") or {}
    when, unless = policy.get("when"), policy.get("exceptWhen")
    return RetrySpec(
        condition=None if when is None else bare(when, reads),
        exception=None if unless is None else bare(unless, reads),
        delay=_optional(policy.get("delay"), reads),
        backoff=_backoff(policy.get("backoff") or {}),
        retries_max=attempt.get("count"),
        attempt_duration=_optional(attempt.get("duration"), reads),
        duration=_optional(limit.get("duration"), reads),
        jitter_from=_optional(jitter.get("from"), reads),
        jitter_to=_optional(jitter.get("to"), reads),
    )


def error_formula(error: Json, use: Mapping[str, Json], reads: Reads) -> Formula:
    return template(use["errors"][error] if isinstance(error, str) else error, reads)


def _optional(value: Json, reads: Reads) -> Duration | None:
    return None if value is None else duration_of(value, reads)


def _backoff(backoff: Mapping[str, Json]) -> Backoff:
    if "exponential" in backoff:
        return Backoff.EXPONENTIAL
    return Backoff.LINEAR if "linear" in backoff else Backoff.CONSTANT
