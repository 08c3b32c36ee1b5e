"""Unexpected errors go to Sentry, where `SENTRY_DSN` says so. Without it the SDK is not even imported.

Only what is logged with a traceback at level `error` or above is reported: that is what "someone should look
now" means here. Local variables, request bodies and personal data stay at home: they hold prompts and documents.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from common.logs import set_error_reporter
from common.settings import CommonSettings

FLUSH_SECONDS: Final = 2.0
_TAGS: Final = ("service", "workflow_id", "organization_id", "execution_id", "task_id", "trace_id")


def configure_error_reports(settings: CommonSettings) -> bool:
    """Start reporting, where a DSN is set. Says whether it did."""
    if settings.sentry_dsn is None:
        return False
    import sentry_sdk

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.sentry_environment or settings.app_env.value,
        traces_sample_rate=settings.sentry_traces_sample_rate,
        include_local_variables=False,
        max_request_body_size="never",
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    set_error_reporter(_report)
    return True


def flush_error_reports() -> None:
    """Send what is buffered, for a bounded time. Does nothing where reporting is off."""
    if (sdk := sys.modules.get("sentry_sdk")) is not None:
        sdk.flush(timeout=FLUSH_SECONDS)


def _report(error: BaseException, line: Mapping[str, Any]) -> None:
    import sentry_sdk

    with sentry_sdk.new_scope() as scope:
        scope.set_transaction_name(str(line.get("event", "")))
        for name in _TAGS:
            if name in line:
                scope.set_tag(name, str(line[name]))
        scope.capture_exception(error)
