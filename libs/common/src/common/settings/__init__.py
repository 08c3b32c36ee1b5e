"""Settings of the services: declared once, read from the environment once, at start-up."""

from common.settings.connections import DatabaseSettings, RedisSettings
from common.settings.durations import Duration, format_duration, parse_duration
from common.settings.groups import (
    LogSettings,
    ProcessSettings,
    SettingsGroup,
    TelemetrySettings,
)
from common.settings.loading import load, read
from common.settings.services import (
    SERVICES,
    CommonSettings,
    ExecutorSettings,
    GatewaySettings,
    KnowledgeSettings,
    OrchestratorSettings,
)
from common.settings.values import Environment

__all__ = [
    "SERVICES",
    "CommonSettings",
    "DatabaseSettings",
    "Duration",
    "Environment",
    "ExecutorSettings",
    "GatewaySettings",
    "KnowledgeSettings",
    "LogSettings",
    "OrchestratorSettings",
    "ProcessSettings",
    "RedisSettings",
    "SettingsGroup",
    "TelemetrySettings",
    "format_duration",
    "load",
    "parse_duration",
    "read",
]
