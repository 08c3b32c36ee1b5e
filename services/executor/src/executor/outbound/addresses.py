"""Which addresses tasks may reach. The lists are our own: Python 3.11's `ipaddress` misjudges some ranges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_FORBIDDEN_V4: Final = tuple(
    IPv4Network(one)
    for one in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; some clouds keep metadata here
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "168.63.129.16/32",  # Azure's platform address
    )
)

_GLOBAL_V6: Final = IPv6Network("2000::/3")
_FORBIDDEN_V6: Final = tuple(
    IPv6Network(one)
    for one in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_6TO4: Final = IPv6Network("2002::/16")


def is_public(address: Address) -> bool:
    """Whether it is a unicast address of the public internet, whatever it is wrapped in."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    if (inner := _embedded(address)) is not None:
        return is_public(inner)
    return address in _GLOBAL_V6 and not any(address in network for network in _FORBIDDEN_V6)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a packet to `address` ends up at."""
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _6TO4:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return None


def literal(host: str) -> Address | None:
    """The address that `host` spells out; `None` for a name."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class OutboundRules:
    """What the operator allows beyond the public internet: `OUTBOUND_ALLOW`."""

    hosts: frozenset[str] = frozenset()
    endpoints: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[Network, ...] = field(default=())

    @classmethod
    def of(cls, rules: Iterable[str]) -> OutboundRules:
        hosts: set[str] = set()
        endpoints: set[tuple[str, int]] = set()
        networks: list[Network] = []
        for rule in rules:
            host, _, port = rule.rpartition(":")
            if "/" in rule:
                networks.append(ip_network(rule, strict=False))
            elif host and port.isdecimal() and literal(rule) is None:
                endpoints.add((host.strip("[]"), int(port)))
            else:
                hosts.add(rule.strip("[]"))
        return cls(frozenset(hosts), frozenset(endpoints), tuple(networks))

    def allows(self, host: str, port: int, address: Address) -> bool:
        """Whether a task may connect to `address`, which `host` resolved to."""
        if is_public(address) or self.names(host, port):
            return True
        text = str(address)
        if text in self.hosts or (text, port) in self.endpoints:
            return True
        inner = _embedded(address) if isinstance(address, IPv6Address) else None
        return any(
            candidate in network
            for candidate in (address, inner)
            if candidate is not None
            for network in self.networks
            if network.version == candidate.version
        )

    def names(self, host: str, port: int) -> bool:
        """Whether the operator allows the host itself, wherever it is."""
        name = host.lower().rstrip(".")
        return name in self.hosts or (name, port) in self.endpoints
