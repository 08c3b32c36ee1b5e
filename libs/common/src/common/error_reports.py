"""Unexpected errors go to Sentry, where `SENTRY_DSN` says so. Without it the SDK is not even imported.

Only what is logged with a traceback at level `error` or above is reported: that is what "someone should look
now" means here. Local variables, request bodies and personal data stay at home: they hold prompts and documents.
Secrets are taken out of what is sent, as they are out of log lines.
"""

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from common.logs import set_error_reporter
from common.redaction import Redactor, secrets_of
from common.release import version
from common.settings import CommonSettings

FLUSH_SECONDS: Final = 2.0
_TAGS: Final = ("service", "workflow_id", "organization_id", "execution_id", "task_id")
_CORRELATION: Final = ("correlation_id", "trace_id")
_UNREPORTED: Final[AbstractContextManager[object]] = nullcontext()


class _Durations:
    """Whether Sentry is told of durations. One per process, set at start-up."""

    are_told = False


def configure_error_reports(settings: CommonSettings) -> bool:
    """Start reporting, where a DSN is set. Says whether it did."""
    if settings.sentry_dsn is None:
        return False
    import sentry_sdk

    redactor = Redactor(secrets_of(settings))
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.sentry_environment or settings.app_env.value,
        release=settings.sentry_release or f"kwe@{version()}",
        sample_rate=settings.sentry_sample_rate,
        traces_sample_rate=settings.sentry_traces_sample_rate,
        before_send=lambda event, _hint: _cleaned(event, redactor),
        before_send_transaction=lambda event, _hint: _cleaned(event, redactor),
        include_local_variables=False,
        max_request_body_size="never",
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    set_error_reporter(_report)
    _Durations.are_told = settings.sentry_traces_sample_rate > 0
    return True


def flush_error_reports() -> None:
    """Send what is buffered, for a bounded time. Does nothing where reporting is off."""
    if (sdk := sys.modules.get("sentry_sdk")) is not None:
        sdk.flush(timeout=FLUSH_SECONDS)


def reported_duration(name: str, operation: str) -> AbstractContextManager[object]:
    """Tell Sentry how long the block took, for the share of blocks that `SENTRY_TRACES_SAMPLE_RATE` wants."""
    if not _Durations.are_told:
        return _UNREPORTED
    import sentry_sdk

    return sentry_sdk.start_transaction(name=name, op=operation)


def _report(error: BaseException, line: Mapping[str, Any]) -> None:
    import sentry_sdk

    with sentry_sdk.new_scope() as scope:
        scope.set_transaction_name(str(line.get("event", "")))
        for name in (*_TAGS, *_CORRELATION):
            if name in line:
                scope.set_tag(name, str(line[name]))
        scope.capture_exception(error)


def _cleaned(event: Any, redactor: Redactor) -> Any:
    """The event without secrets, wherever in it a message quotes one."""
    if isinstance(event, dict):
        return {name: _cleaned(value, redactor) for name, value in event.items()}
    if isinstance(event, list):
        return [_cleaned(each, redactor) for each in event]
    return redactor.text(event) if isinstance(event, str) else event
