"""Which metrics there are, by name, and which of them a PromQL expression reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Info
from prometheus_client.metrics import MetricWrapperBase

from common import metrics
from common.bounded_labels import TopOrganizations

ROOT = Path(__file__).resolve().parents[3]
RULES = sorted((ROOT / "deploy/observability/rules").glob("*.yaml"))
DASHBOARDS = sorted((ROOT / "deploy/observability/dashboards").glob("*.json"))
RUNBOOKS = ROOT / "docs/runbooks"
DOCUMENT = ROOT / "docs/metrics.md"

OF_TARGETS = {"instance", "job", "service", "pod", "namespace"}
"""Labels that Prometheus itself adds."""

_ENDINGS = {"counter": "_total", "info": "_info"}
_PARTS = {"histogram": ("_bucket", "_sum", "_count")}
_BUILD_LABELS = ("service", "version", "python")
_PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
    "python_gc_collections_total",
}
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "ignoring", "by", "on", "without"}
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"


@dataclass(frozen=True)
class Known:
    constant: str
    name: str
    type: str
    labels: tuple[str, ...]
    documentation: str

    @property
    def series(self) -> set[str]:
        parts = _PARTS.get(self.type)
        return {f"{self.name}{part}" for part in parts} if parts else {self.name}


def ours() -> list[Known]:
    """Every metric that `common.metrics` declares."""
    found = []
    for constant, value in vars(metrics).items():
        if not isinstance(value, MetricWrapperBase | TopOrganizations):
            continue
        (family,) = value.describe()
        name = f"{family.name}{_ENDINGS.get(family.type, '')}"
        found.append(
            Known(constant, name, family.type, _labels_of(value), str(family.documentation))
        )
    return found


def _labels_of(metric: MetricWrapperBase | TopOrganizations) -> tuple[str, ...]:
    if isinstance(metric, TopOrganizations):
        return ("organization",)
    return _BUILD_LABELS if isinstance(metric, Info) else tuple(metric._labelnames)


def foreign() -> set[str]:
    """Those of other exporters that the document names, and those of the client library."""
    section = DOCUMENT.read_text().partition("## From others")[2]
    return set(re.findall(rf"^\| `({_NAME})`", section, re.MULTILINE)) | _PROCESS


def read_by(expression: str) -> set[str]:
    """The names of the series that the expression reads."""
    text = re.sub(r"\"[^\"]*\"", "", expression)
    text = re.sub(r"\{[^{}]*\}|\[[^\]]*\]|\$\w+", "", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", text)
    names = {
        found[0]
        for found in re.finditer(rf"(?<![\w.:]){_NAME}(?![\w:])(?!\s*\()", text)
        if found[0].lower() not in _WORDS
    }
    return {name for name in names if not re.fullmatch(r"e\d*", name)}


def labels_asked(expression: str) -> list[tuple[str, str]]:
    """Every pair of a series' name and a label that it is selected by."""
    pairs = []
    for name, selector in re.findall(rf"({_NAME})\{{((?:\"[^\"]*\"|[^{{}}\"])*)\}}", expression):
        labels = re.findall(rf"({_NAME})\s*(?:=~|!~|!=|=)\s*\"", selector)
        pairs += [(name, label) for label in labels]
    return pairs


def unknown_labels(expression: str) -> list[tuple[str, str]]:
    labels = {series: set(each.labels) for each in ours() for series in each.series}
    return [
        (name, label)
        for name, label in labels_asked(expression)
        if name in labels and label not in labels[name] | OF_TARGETS | {"le"}
    ]


def unknown(expression: str) -> set[str]:
    known = {series for each in ours() for series in each.series} | foreign()
    return read_by(expression) - known
