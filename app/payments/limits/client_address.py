"""Which address a request came from, when proxies stand in between (design section 4, rule 10)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from payments.settings import IpNetwork

_PORT = re.compile(r"^(?:\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+)$")


@lru_cache(maxsize=4096)
def _is_trusted(address: str, proxies: tuple[IpNetwork, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # as a socket for both kinds shows it
    return any(parsed in network for network in proxies)


def client_address(
    peer: str, forwarded_for: Iterable[str], *, trusted_proxies: Sequence[IpNetwork], trusted_hops: int
) -> str:
    """The client's address: the entry `trusted_hops` from the right of X-Forwarded-For, if the peer is a trusted proxy.

    Args:
        peer: address of the other end of the connection.
        forwarded_for: values of the X-Forwarded-For headers in order.

    A peer that is not trusted, a chain that is too short, or an entry that is no address: the peer itself. Some proxies
    write the port, too; it is not looked at.
    """
    if not _is_trusted(peer, tuple(trusted_proxies)):
        return peer
    chain = [entry.strip() for value in forwarded_for for entry in value.split(",")]
    if len(chain) < trusted_hops:
        return peer
    try:
        return str(ipaddress.ip_address(_PORT.sub(r"\1\2", chain[-trusted_hops])))
    except ValueError:
        return peer


@lru_cache(maxsize=4096)
def limited_as(address: str) -> str:
    """Who shares a limit with `address`: itself for IPv4, its /64 for IPv6, of which a single customer has 2^64
    addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"
