"""Which addresses a webhook may go to: public ones. The address that was checked is the one that is connected to."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from payments.errors import InvalidInput

MAXIMUM_URL_LENGTH = 2048
# What Python takes for public and is not: addresses translated within a network (RFC 8215), "IPv4-translated" ones (RFC
# 2765) and "IPv4-compatible" ones (RFC 4291), which all lead to IPv4 addresses; segment identifiers (RFC 9602);
# documentation (RFC 9637); and the relays of 6to4, which are no more (RFC 7526).
_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96", "5f00::/16", "3fff::/20", "192.88.99.0/24")
)


class ForbiddenAddressError(OSError):
    """The host is, or resolves to, an address that is not public."""


def is_public(address: str) -> bool:
    """Whether `address` is a global unicast address; embedded IPv4 addresses are looked at, too."""
    parsed = ipaddress.ip_address(address.split("%")[0])
    if any(parsed.version == network.version and parsed in network for network in _NEVER_PUBLIC):
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        embedded = parsed.ipv4_mapped or parsed.sixtofour
        if parsed.teredo is not None:
            return False
        if embedded is not None:
            return is_public(str(embedded))
        # NAT64 (RFC 6052) hides an IPv4 address in its last 32 bits.
        if parsed in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    return parsed.is_global and not parsed.is_multicast


def check_url(url: str, *, allow_private: bool) -> None:
    """Check an endpoint's URL when it is registered; its addresses are checked again at every delivery.

    Raises:
        InvalidInput: not https, with credentials or a fragment, or a literal address that is not public.
    """
    schemes = ("https", "http") if allow_private else ("https",)
    try:
        parts, host = urlsplit(url), _host_of(url)
    except ValueError:
        raise InvalidInput("url must be an https URL.", details={"field": "url"}) from None
    if parts.scheme not in schemes or not host or not url.isprintable() or " " in url:
        raise InvalidInput("url must be an https URL.", details={"field": "url"})
    if parts.username or parts.password or parts.fragment:
        raise InvalidInput("url must have neither credentials nor a fragment.", details={"field": "url"})
    try:
        port_is_odd = parts.port is not None and not allow_private and parts.port not in (443, 8443)
    except ValueError:
        port_is_odd = True
    if port_is_odd:
        raise InvalidInput("url must use port 443 or 8443.", details={"field": "url"})
    if not allow_private and not _literal_is_public(host):
        raise InvalidInput("url must lead to a public address.", details={"field": "url"})


def _host_of(url: str) -> str:
    """The host as the client sees it, which takes full-width digits for digits and asks no resolver for an address."""
    return (URL(url).raw_host or "").rstrip(".")


def _literal_is_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        # A name. Shorthand like 127.1 or 0x7f000001 is no name either: the C library would take it for an address.
        try:
            return is_public(socket.inet_ntoa(socket.inet_aton(host)))
        except OSError:
            return host.lower() != "localhost" and not host.lower().endswith((".localhost", ".local", ".internal"))


class PublicResolver(AbstractResolver):
    """Resolves names and lets only public addresses through, to the connection itself: no second look-up."""

    def __init__(self, *, allow_private: bool) -> None:
        self._resolver = ThreadedResolver()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Public addresses of `host`.

        Raises:
            ForbiddenAddressError: one of its addresses is not public.
        """
        found = await self._resolver.resolve(host, port, family)
        if not self._allow_private and not all(is_public(result["host"]) for result in found):
            raise ForbiddenAddressError(f"{host} does not lead to public addresses only")
        return found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._resolver.close()
