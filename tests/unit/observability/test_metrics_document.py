"""docs/metrics.md has every metric, says of each what the code says, and every metric is measured somewhere."""

import re
import shutil
import subprocess

import pytest
from known_metrics import DOCUMENT, ROOT, Known, ours, unknown, unknown_labels
from prometheus_client import generate_latest

SERVICES = ("gateway", "orchestrator", "executor", "knowledge")
SOURCES = {
    path: path.read_text()
    for folder in ("libs/common/src", *(f"services/{name}/src" for name in SERVICES))
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "metrics.py"
}
METRICS = {each.name: each for each in ours()}
ROWS = {
    row[0]: row
    for row in re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
}


def test_the_document_lists_exactly_the_metrics_that_exist() -> None:
    assert set(ROWS) == set(METRICS)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
def test_a_row_says_what_the_code_says(metric: Known) -> None:
    _, kind, labels, _, meaning = ROWS[metric.name]
    wanted = ", ".join(f"`{label}`" for label in metric.labels)
    assert (kind, labels.strip(), meaning.strip()) == (metric.type, wanted, metric.documentation)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
def test_a_metric_is_measured_where_the_document_says(metric: Known) -> None:
    used = [path for path, text in SOURCES.items() if re.search(rf"\b{metric.constant}\b", text)]
    assert used, "declared, and never measured"
    services = {path.relative_to(ROOT).parts[1] for path in used} - {"common"}
    said = ROWS[metric.name][3].strip()
    assert services <= set(SERVICES if said == "all" else said.split(", "))


def test_every_expression_of_the_document_reads_metrics_that_exist() -> None:
    blocks = re.findall(r"```promql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    expressions = [line.partition(" #")[0] for block in blocks for line in block.splitlines()]
    assert len(expressions) > 15
    for expression in expressions:
        assert not unknown(expression), expression
        assert not unknown_labels(expression), expression


def test_prometheus_has_nothing_to_say_against_the_metrics() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian and Ubuntu: apt install prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
