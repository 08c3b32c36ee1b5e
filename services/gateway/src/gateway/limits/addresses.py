"""The address of a client behind proxies, believing only the proxies the operator named."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

HOPS_MAX = 20


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Walk `X-Forwarded-For` from its end, the only part that a trusted proxy wrote itself.

    The first address that is no trusted proxy is the client; what stands before it is the client's own claim.
    """
    current = _parsed(peer)
    if current is None:
        return peer or "unknown"
    if not trusted or not _is_trusted(current, trusted):
        return key_of(current)
    for text in reversed(forwarded_for.split(",")[-HOPS_MAX:]):
        claimed = _parsed(text.strip())
        if claimed is None:
            break
        current = claimed
        if not _is_trusted(current, trusted):
            break
    return key_of(current)


def key_of(address: Address) -> str:
    """An IPv6 customer has a whole /64 to send from, so that is what counts as one client."""
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text.removeprefix("[").partition("]")[0] if "[" in text else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
