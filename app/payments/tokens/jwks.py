"""An issuer's public keys, fetched from its configured address and kept for a while.

The address is in the settings. Nothing in a token leads anywhere: `jku` and `x5u` are not read, `kid` picks among the
keys that were fetched, and a `kid` nobody knows makes us look again, but at most once every `REFETCH_SECONDS`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from payments import metrics
from payments.errors import ServiceUnavailable
from payments.upstreams.breaker import Breaker, BreakerOpenError
from payments.upstreams.retrying import again
from payments.upstreams.session import new_session

REFETCH_SECONDS = 30.0
FETCH_TIMEOUT_SECONDS = 5.0
MAXIMUM_BYTES = 256 * 1024
MINIMUM_RSA_BITS = 2048
PublicKey = RSAKey | ECKey
_log = structlog.get_logger(__name__)


def public_keys(document: Any, algorithm: str) -> dict[str, list[PublicKey]]:
    """The keys of a JWK set that may verify signatures of `algorithm`, by their id ("" when a key has none).

    An id should name one key (RFC 7517, section 4.5); where it names several, each of them may have signed.
    """
    keys: dict[str, list[PublicKey]] = {}
    listed = document.get("keys") if isinstance(document, dict) else None
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
            continue
        # Only the public members are handed on, whatever the document holds.
        try:
            if algorithm == "RS256" and entry.get("kty") == "RSA":
                rsa = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
                if rsa.public_key.key_size >= MINIMUM_RSA_BITS:
                    keys.setdefault(str(entry.get("kid", "")), []).append(rsa)
            elif algorithm == "ES256" and entry.get("kty") == "EC" and entry.get("crv") == "P-256":
                curve = ECKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "y")})
                keys.setdefault(str(entry.get("kid", "")), []).append(curve)
        except (JoseError, KeyError, ValueError, TypeError):
            _log.warning("a key of an issuer cannot be read", kid=str(entry.get("kid", ""))[:64])
    return keys


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, however many pieces it comes in.

    Raises:
        ValueError: it is larger than `MAXIMUM_BYTES`.
    """
    raw = bytearray()
    async for piece in answer.content.iter_any():
        raw += piece
        if len(raw) > MAXIMUM_BYTES:
            raise ValueError(f"the answer is larger than {MAXIMUM_BYTES} bytes")
    return bytes(raw)


class KeySource:
    """The keys of one issuer.

    Args:
        url: of its JWK set.
        algorithm: RS256 or ES256.
        lifetime_seconds: how long a fetched set is believed. When the issuer does not answer afterwards, the old set
            serves for as long again, while the issuer is asked every `REFETCH_SECONDS`; then tokens of this issuer are
            refused with 503.
    """

    def __init__(
        self, url: str, algorithm: str, *, lifetime_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._algorithm = algorithm
        self._lifetime = lifetime_seconds
        self._now = now
        self._keys: dict[str, list[PublicKey]] = {}
        self._fetched_at: float | None = None
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()
        self._breaker = Breaker("jwks")

    async def find(self, kid: str) -> list[PublicKey]:
        """The keys named `kid`; without a `kid`, the only key there is. Empty: the issuer has no such key.

        Raises:
            ServiceUnavailable: its keys cannot be had.
        """
        is_rested = self._now() - self._asked_at > REFETCH_SECONDS
        if not self._is_believed() or (is_rested and self._is_old()):
            await self._refresh()
        found = self._pick(kid)
        if not found and self._now() - self._asked_at > REFETCH_SECONDS:
            await self._refresh()
            found = self._pick(kid)
        return found

    def _is_old(self) -> bool:
        return self._fetched_at is None or self._now() - self._fetched_at > self._lifetime

    def _is_believed(self) -> bool:
        return self._fetched_at is not None and self._now() - self._fetched_at <= 2 * self._lifetime

    def _pick(self, kid: str) -> list[PublicKey]:
        if not kid and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid, [])

    async def _refresh(self) -> None:
        begun = self._now()
        async with self._lock:
            # Somebody else may just have asked, and for nothing.
            if self._asked_at < begun:
                await self._ask()
        if not self._is_believed():
            raise ServiceUnavailable(
                "The issuer of this token does not answer: try again shortly.", headers={"Retry-After": "10"}
            )

    async def _ask(self) -> None:
        self._asked_at = self._now()
        try:
            # Reading changes nothing: a connection that broke is worth another try.
            self._keys = await again(
                self._fetch, retry_on=lambda error: isinstance(error, aiohttp.ClientConnectionError), retries=2
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, BreakerOpenError) as error:
            _log.warning("an issuer's keys cannot be fetched", url=self._url, error=repr(error))
            metrics.CACHE_REQUESTS.labels("jwks", "failed").inc()
        else:
            self._fetched_at = self._now()
            metrics.CACHE_REQUESTS.labels("jwks", "refreshed").inc()

    async def _fetch(self) -> dict[str, list[PublicKey]]:
        self._breaker.admit()
        try:
            async with (
                asyncio.timeout(FETCH_TIMEOUT_SECONDS),
                new_session() as session,
                session.get(self._url, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise ValueError(f"the answer has status {answer.status}")
                keys = public_keys(orjson.loads(await _read(answer)), self._algorithm)
                if not keys:
                    raise ValueError(f"the set has no {self._algorithm} key")
        except Exception:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return keys
