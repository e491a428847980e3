"""Sessions that ask their upstream's breaker before every request, and tell it how the request went.

A breaker sits in the session, as aiohttp's middleware: whoever calls through it cannot forget it. While it is open a
request fails as one whose connection was refused (`LeftAloneError`), so every client treats it as what it is: nothing
was sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from payments import metrics
from payments.upstreams.breaker import Breaker, BreakerOpenError

MOST_STRANGERS = 1000


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures in a row open a breaker, and for how long (BREAKER_FAILURES, BREAKER_REST_SECONDS)."""

    failures: int = 5
    rest_seconds: float = 10.0

    def breaker(self, upstream: str) -> Breaker:
        """A breaker of an upstream of ours, which the metrics name."""
        return Breaker(upstream, failures=self.failures, rest_seconds=self.rest_seconds)


DEFAULT_PATIENCE = Patience()


class LeftAloneError(aiohttp.ClientConnectorError):
    """The upstream's breaker is open: no connection was made. `retry_after_seconds` says when it is worth asking."""

    def __init__(self, key: ConnectionKey, error: BreakerOpenError) -> None:
        super().__init__(key, OSError(0, str(error)))
        self.retry_after_seconds = error.retry_after_seconds

    def __str__(self) -> str:
        return str(self.strerror)


class Guard:
    """aiohttp's middleware over one breaker or several.

    Args:
        breaker_of: the breaker of an address. An answer of 5xx counts as a failure, any other as an answer.
    """

    def __init__(self, breaker_of: Callable[[URL], Breaker]) -> None:
        self._breaker_of = breaker_of

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        breaker = self._breaker_of(request.url)
        try:
            breaker.admit()
        except BreakerOpenError as error:
            metrics.LEFT_ALONE.labels(breaker.upstream).inc()
            raise LeftAloneError(request.connection_key, error) from None
        try:
            response = await handler(request)
        except (aiohttp.ClientError, TimeoutError, OSError):
            breaker.failed()
            raise
        if response.status >= 500:
            breaker.failed()
        else:
            breaker.succeeded()
        return response


def guarded_by(breaker: Breaker) -> tuple[Guard, ...]:
    """`middlewares` of a session that talks to one upstream."""
    return (Guard(lambda _: breaker),)


class Strangers:
    """Breakers of addresses that callers give us (webhooks' endpoints, payees' servers); the longest unused goes.

    Args:
        kind: labels the metrics, which do not name strangers.
        patience: of each breaker.
    """

    def __init__(self, kind: str, patience: Patience) -> None:
        self._kind = kind
        self._patience = patience
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    def of(self, url: URL) -> Breaker:
        """The breaker of an address, whatever its query."""
        address = f"{url.origin()}{url.path}"
        found = self._breakers.get(address)
        if found is None:
            found = self._breakers[address] = Breaker(
                self._kind,
                failures=self._patience.failures,
                rest_seconds=self._patience.rest_seconds,
                is_published=False,
            )
            if len(self._breakers) > MOST_STRANGERS:
                self._breakers.popitem(last=False)
        self._breakers.move_to_end(address)
        return found

    def guard(self) -> tuple[Guard, ...]:
        """`middlewares` of a session that talks to them."""
        return (Guard(self.of),)
