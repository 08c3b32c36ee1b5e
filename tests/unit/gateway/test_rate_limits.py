"""The limit: a burst of the whole window, then one request per interval, and never more."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.addresses import client_address
from gateway.limits.gcra import LocalFloor, Policy, decide
from gateway.limits.limiter import limit_headers, refusal

POLICY = Policy.of(10, timedelta(seconds=10))


def test_a_whole_window_may_come_at_once_and_then_one_per_interval() -> None:
    floor = LocalFloor()
    verdicts = [floor.take("a", 1_000_000, POLICY) for _ in range(11)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 10 + [False]
    assert [verdict.remaining for verdict in verdicts[:3]] == [9, 8, 7]
    assert verdicts[-1].retry_us == 1_000_000
    assert floor.take("a", 2_000_000, POLICY).allowed
    assert not floor.take("a", 2_000_000, POLICY).allowed


def test_callers_do_not_share_a_limit() -> None:
    floor = LocalFloor()
    for _ in range(10):
        floor.take("a", 0, POLICY)
    assert floor.take("b", 0, POLICY).allowed


def test_a_refused_request_costs_nothing() -> None:
    _, arrival = decide(None, 0, Policy(1, 1_000_000))
    for _ in range(5):
        verdict, arrival = decide(arrival, 0, Policy(1, 1_000_000))
        assert not verdict.allowed
    assert decide(arrival, 1_000_000, Policy(1, 1_000_000))[0].allowed


@given(
    limit=st.integers(1, 50),
    window_ms=st.integers(1, 60_000),
    gaps=st.lists(st.integers(0, 2_000_000), min_size=1, max_size=200),
)
def test_no_span_of_time_lets_more_through_than_two_windows_allow(
    limit: int, window_ms: int, gaps: list[int]
) -> None:
    policy = Policy.of(limit, timedelta(milliseconds=window_ms))
    arrival, now, allowed = None, 0, []
    for gap in gaps:
        now += gap
        verdict, arrival = decide(arrival, now, policy)
        assert 0 <= verdict.remaining < limit or not verdict.allowed
        if verdict.allowed:
            allowed.append(now)
    for i, began in enumerate(allowed):
        for j in range(i, len(allowed)):
            span_us = allowed[j] - began
            assert j - i + 1 <= limit + span_us // policy.interval_us + 1


def test_quiet_callers_are_forgotten_first() -> None:
    floor = LocalFloor()
    for number in range(LocalFloor.KEYS_MAX + 10):
        floor.take(str(number), 0, POLICY)
    assert floor.take("0", 0, POLICY).remaining == 9
    assert floor.take(str(LocalFloor.KEYS_MAX + 9), 0, POLICY).remaining == 8


def test_the_fields_and_the_refusal_say_when_to_come_back() -> None:
    policy = Policy.of(1, timedelta(minutes=15))
    verdict, _ = decide(None, 0, policy)
    assert limit_headers(verdict, policy) == {
        "RateLimit": '"default";r=0;t=900',
        "RateLimit-Policy": '"default";q=1;w=900',
    }
    refused, _ = decide(900_000_000, 0, policy)
    assert refusal(refused, policy).retry_after == 900


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        # Nobody trusted: what the header claims is a claim.
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        # The client's own claim stands before what the proxy added.
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    peer: str, forwarded: str, client: str
) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert client_address("10.0.0.1", "198.51.100.1", ()) == "10.0.0.1"
