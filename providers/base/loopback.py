"""These providers play a cloud on this machine: an address anywhere else is refused before anything is sent."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from providers.base.provider import ProviderError


def require_loopback(url: str, what: str) -> str:
    """The URL itself, when its host is an address of this machine's loopback or `localhost`.

    Args:
        what: what the address is for, as the sentence begins.

    Raises:
        ProviderError: it is anything else.
    """
    host = urlsplit(url).hostname or ""
    try:
        inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise ProviderError(
            f"{what} is {url!r}, which is not on this machine: the offline providers speak to loopback alone; "
            "use the Pulumi CLI with its own providers for a real account."
        )
    return url
