"""Labels whose values users choose, kept to a number that Prometheus can bear."""

from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import Final, TypeVar

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

K = TypeVar("K")

OTHER: Final = "other"
WORKFLOWS_MAX: Final = 200
QUEUES_MAX: Final = 200
ORGANIZATIONS_KEPT: Final = 10_000
"""How many organisations are counted; only the largest of them are shown."""


class FirstComers:
    """Their own label for the first values that a process meets, `other` for all further ones."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[str] = set()

    def of(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= self._most:
            return OTHER
        self._seen.add(value)
        return value


_workflows = FirstComers(WORKFLOWS_MAX)


def workflow_label(workflow_id: str) -> str:
    return _workflows.of(workflow_id)


def largest(values: Mapping[K, float], most: int = QUEUES_MAX) -> Mapping[K, float]:
    """The largest of the values: the ones that somebody would look for."""
    return values if len(values) <= most else dict(nlargest(most, values.items(), key=_second))


class TopOrganizations(Collector):
    """A counter by organisation that shows only the busiest ones, and none until it is told how many.

    All are counted, so that one which becomes busy late is found. A series may go and come back: its value never
    falls meanwhile, so rates stay right.
    """

    shown = 0
    """How many have series of their own. One number for all counters of a process."""

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._counts: dict[str, float] = {}
        REGISTRY.register(self)

    def inc(self, organization_id: object, amount: float = 1) -> None:
        if TopOrganizations.shown == 0:
            return
        key = str(organization_id)
        if key not in self._counts and len(self._counts) >= ORGANIZATIONS_KEPT:
            # The smaller half starts again at 0, which Prometheus takes for a restart.
            self._counts = dict(
                nlargest(ORGANIZATIONS_KEPT // 2, self._counts.items(), key=_second)
            )
        self._counts[key] = self._counts.get(key, 0) + amount

    def describe(self) -> list[CounterMetricFamily]:
        return [CounterMetricFamily(self._name, self._documentation, labels=["organization"])]

    def collect(self) -> Iterable[CounterMetricFamily]:
        (family,) = self.describe()
        for organization, count in nlargest(
            TopOrganizations.shown, self._counts.items(), key=_second
        ):
            family.add_metric([organization], count)
        return [family]


def show_organizations(most: int) -> None:
    """Give the `most` busiest organisations series of their own."""
    TopOrganizations.shown = most


def _second(item: tuple[object, float]) -> float:
    return item[1]
