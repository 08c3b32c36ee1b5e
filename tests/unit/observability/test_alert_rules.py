"""Rules read metrics that exist, lead to a runbook, and fire when they should and only then."""

import re
import shutil
import subprocess
from typing import Any

import pytest
from known_metrics import RULES, RUNBOOKS, unknown, unknown_labels
from ruamel.yaml import YAML

TESTS = sorted((RULES[0].parent / "tests").glob("*.yaml"))


def load(path: object) -> Any:
    return YAML(typ="safe", pure=True).load(path)


ALERTS = {
    rule["alert"]: rule
    for path in RULES
    for group in load(path)["groups"]
    for rule in group["rules"]
}
COVERED = ("Stream", "Orphans", "HttpErrors", "SlotsBusy", "DiskFilling")
COVERED_TOO = ("CertificateExpiring", "BackupOld", "ProviderErrors")


@pytest.mark.parametrize("name", ALERTS)
def test_a_rule_reads_metrics_and_labels_that_exist(name: str) -> None:
    assert unknown(ALERTS[name]["expr"]) == set()
    assert unknown_labels(ALERTS[name]["expr"]) == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert f"Severity: {rule['labels']['severity']}" in text
    for heading in ("## What it means", "## Where to look", "## What to do"):
        assert heading in text


def test_there_is_a_runbook_for_every_alert_and_no_other() -> None:
    written = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert written == set(ALERTS)
    index = (RUNBOOKS / "README.md").read_text()
    assert set(re.findall(r"\[(\w+)\]\(\1\.md\)", index)) == set(ALERTS)


def test_runbooks_speak_of_metrics_that_exist() -> None:
    for path in RUNBOOKS.glob("*.md"):
        named = re.findall(
            r"`(?:[^`]*\W)?((?:kwe_|workflow_executions|workflow_duration)[a-z_]+)\b[^`]*`",
            path.read_text(),
        )
        missing = {name for name in named if unknown(name) and unknown(f"{name}_bucket")}
        assert not missing, f"{path.name}: {missing}"


def test_what_operators_asked_to_be_told_of_has_an_alert() -> None:
    for word in (*COVERED, *COVERED_TOO):
        assert any(word in name for name in ALERTS), word


def test_every_alert_is_shown_to_fire_and_to_stay_quiet() -> None:
    cases = [case for path in TESTS for case in load(path)["tests"]]
    for name in ALERTS:
        counts = [
            len(check["exp_samples"])
            for case in cases
            for check in case["promql_expr_test"]
            if f'alertname="{name}"' in check["expr"]
        ]
        assert 0 in counts, f"{name} is never shown to stay quiet"
        assert max(counts) > 0, f"{name} is never shown to fire"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian and Ubuntu: apt install prometheus)")
    return found


def test_prometheus_takes_the_rules(promtool: str) -> None:
    checked = subprocess.run(
        [promtool, "check", "rules", *RULES], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_fire_when_they_should(promtool: str, path: object) -> None:
    tested = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
