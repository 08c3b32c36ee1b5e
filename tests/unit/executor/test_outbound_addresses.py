"""Which addresses are public, whatever they are dressed up as, and what an operator may allow."""

from ipaddress import ip_address

import pytest

from executor.outbound.addresses import OutboundRules, is_public, literal


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_public_addresses_are_open(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "100::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::1",
        "::127.0.0.1",
        "5f00::1",
    ],
)
def test_everything_else_is_closed(address: str) -> None:
    assert not is_public(ip_address(address))


def test_a_network_can_be_allowed() -> None:
    rules = OutboundRules.of(["10.1.0.0/16", "fd00::/8"])
    assert rules.allows("x", 80, ip_address("10.1.9.9"))
    assert rules.allows("x", 80, ip_address("::ffff:10.1.9.9"))
    assert rules.allows("x", 80, ip_address("fd00::9"))
    assert not rules.allows("x", 80, ip_address("10.2.0.1"))


def test_a_host_can_be_allowed_on_one_port_or_on_all() -> None:
    rules = OutboundRules.of(["crm.internal:8443", "wiki.internal", "127.0.0.1:9000"])
    inside = ip_address("10.0.0.5")
    assert rules.allows("crm.internal", 8443, inside)
    assert not rules.allows("crm.internal", 22, inside)
    assert rules.allows("WIKI.internal.", 22, inside)
    assert rules.allows("127.0.0.1", 9000, ip_address("127.0.0.1"))
    assert not rules.allows("127.0.0.1", 9001, ip_address("127.0.0.1"))
    assert not rules.allows("other.internal", 8443, inside)


def test_an_address_is_told_from_a_name() -> None:
    assert literal("[::1]") == ip_address("::1")
    assert literal("127.0.0.1") == ip_address("127.0.0.1")
    assert literal("fe80::1%eth0") == ip_address("fe80::1")
    assert literal("example.com") is None
