"""However many organisations, workflows and queues there are, Prometheus gets a bounded number of series."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from common.bounded_labels import (
    ORGANIZATIONS_KEPT,
    TopOrganizations,
    largest,
    show_organizations,
)


@pytest.fixture
def requests() -> Iterator[TopOrganizations]:
    counter = TopOrganizations("test_requests_total", "Requests in this test.")
    yield counter
    REGISTRY.unregister(counter)
    show_organizations(0)


def shown(counter: TopOrganizations) -> dict[str, float]:
    (family,) = counter.collect()
    return {sample.labels["organization"]: sample.value for sample in family.samples}


def test_organisations_have_no_series_unless_asked_for(requests: TopOrganizations) -> None:
    requests.inc("a")
    assert shown(requests) == {}


def test_the_busiest_organisations_are_shown_with_all_they_did(requests: TopOrganizations) -> None:
    show_organizations(2)
    for organization, count in (("small", 1), ("large", 30), ("middle", 20)):
        for _ in range(count):
            requests.inc(organization)
    assert shown(requests) == {"large": 30, "middle": 20}


def test_one_that_becomes_busy_late_is_shown_with_its_true_count(
    requests: TopOrganizations,
) -> None:
    show_organizations(1)
    requests.inc("early", 5)
    requests.inc("late", 4)
    assert shown(requests) == {"early": 5}
    requests.inc("late", 4)
    assert shown(requests) == {"late": 8}


def test_what_is_remembered_is_bounded_and_forgets_the_small_ones(
    requests: TopOrganizations,
) -> None:
    show_organizations(1)
    requests.inc("large", 1000)
    for number in range(3 * ORGANIZATIONS_KEPT):
        requests.inc(number)
    assert len(requests._counts) <= ORGANIZATIONS_KEPT
    assert shown(requests) == {"large": 1000}


def test_of_many_queues_the_largest_are_shown() -> None:
    lengths = {f"queue-{number}": float(number) for number in range(300)}
    assert min(largest(lengths, 10).values()) == 290
    assert largest({"one": 1.0}, 10) == {"one": 1.0}
