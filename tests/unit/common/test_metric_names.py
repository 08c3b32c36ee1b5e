"""The vocabulary of metrics: complete, consistent, and bounded."""

import pytest
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from common import metrics
from common.bounded_labels import WORKFLOWS_MAX, FirstComers

ALL = {name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}


def family(metric: MetricWrapperBase) -> Metric:
    (found,) = metric.describe()
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_metric_is_ours_and_explains_itself(name: str) -> None:
    described = family(ALL[name])
    assert described.name.startswith(("kwe_", "workflow_"))
    assert described.documentation.endswith(".")


@pytest.mark.parametrize("name", ALL)
def test_no_identifier_is_a_label(name: str) -> None:
    labels = set(ALL[name]._labelnames)
    assert not labels & {"organization_id", "execution_id", "task_id", "trace_id", "path"}


def test_the_names_that_dashboards_use_are_kept() -> None:
    assert family(metrics.WORKFLOW_EXECUTIONS).name == "workflow_executions"
    assert metrics.WORKFLOW_EXECUTIONS._labelnames == ("status", "workflow_id")
    assert metrics.WORKFLOW_DURATION._upper_bounds[:-1] == [0.1, 0.5, 1, 2, 5, 10, 30, 60]


def test_labels_that_users_choose_are_bounded() -> None:
    known = FirstComers(WORKFLOWS_MAX)
    labels = {known.of(f"support/{number}") for number in range(1000)}
    assert len(labels) == 201
    assert "other" in labels
    assert known.of("support/0") == "support/0"
