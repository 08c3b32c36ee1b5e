"""Telemetry that nobody asked for is not even imported: it would cost every start time and memory."""

import os
import subprocess
import sys

EXPENSIVE = ("sentry_sdk", "opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf")
SCRIPT = f"""
import sys
from common.lifecycle import start_process
from common.settings import GatewaySettings
start_process("gateway", GatewaySettings)
print([name for name in {EXPENSIVE} if name in sys.modules])
"""


def imported(**variables: str) -> str:
    ours = {"PATH": os.environ["PATH"], **variables}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=ours
    )
    return ended.stdout.strip()


def test_a_process_without_a_collector_and_a_dsn_imports_neither_sdk() -> None:
    assert imported() == "[]"


def test_a_process_imports_what_it_was_asked_for() -> None:
    found = imported(SENTRY_DSN="http://public@127.0.0.1:1/1")
    assert found == "['sentry_sdk']"
