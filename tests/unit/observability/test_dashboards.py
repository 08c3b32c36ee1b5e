"""Dashboards are what Grafana loads, and every panel reads metrics and labels that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from known_metrics import DASHBOARDS, ROOT, ours, read_by, unknown, unknown_labels

LOADED: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}
EXPRESSIONS = {
    f"{name}: {panel['title']} {target['refId']}": target["expr"]
    for name, board in LOADED.items()
    for panel in board["panels"]
    for target in panel.get("targets", ())
}


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_a_panel_reads_metrics_and_labels_that_exist(where: str) -> None:
    assert read_by(EXPRESSIONS[where]), "reads nothing"
    assert unknown(EXPRESSIONS[where]) == set()
    assert unknown_labels(EXPRESSIONS[where]) == []


@pytest.mark.parametrize("name", LOADED)
def test_a_dashboard_can_be_loaded_beside_the_others(name: str) -> None:
    board = LOADED[name]
    assert board["uid"] == f"kwe-{name}"
    assert {"title", "schemaVersion", "templating", "panels", "time"} <= board.keys()
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("name", LOADED)
def test_panels_do_not_cover_one_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in LOADED[name]["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_variables_and_annotations_read_metrics_that_exist() -> None:
    for board in LOADED.values():
        for each in board["annotations"]["list"]:
            assert unknown(each["expr"]) == set()
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
                assert asked
                (metric,) = [each for each in ours() if each.name == asked[1]]
                assert asked[2] in metric.labels


def test_every_metric_is_on_some_dashboard() -> None:
    shown = {name for expression in EXPRESSIONS.values() for name in read_by(expression)}
    hidden = [each.name for each in ours() if not each.series & shown]
    assert hidden == []


def test_prometheus_can_parse_every_expression(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian and Ubuntu: apt install prometheus)")
    rules = [
        {
            "record": f"panel:{number}",
            "expr": text.replace("$__rate_interval", "5m").replace("$queue", ".*"),
        }
        for number, text in enumerate(EXPRESSIONS.values())
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    checked = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
