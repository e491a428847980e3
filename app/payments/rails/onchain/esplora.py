"""Esplora's REST API (API.md of Blockstream/esplora) over aiohttp; sums in satoshis, fee rates in sat/vB."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from payments.rails.onchain.errors import (
    BroadcastUnknownError,
    EsploraRefusedError,
    EsploraUnreachableError,
    OnchainConfigError,
)
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience, guarded_by

REQUEST_TIMEOUT_SECONDS: Final = 30.0
CONNECT_TIMEOUT_SECONDS: Final = 5.0
CONNECTIONS_PER_HOST: Final = 10
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether and where a transaction is in a block."""

    is_confirmed: bool
    block_height: int = 0
    block_hash: str = ""


@dataclass(frozen=True, slots=True)
class Spend:
    """Which transaction spends an output."""

    txid: str
    confirmation: Confirmation


def _confirmation(status: dict[str, Any]) -> Confirmation:
    if not status.get("confirmed"):
        return Confirmation(False)
    try:
        return Confirmation(True, int(status["block_height"]), str(status["block_hash"]))
    except (KeyError, ValueError, TypeError) as error:
        raise EsploraUnreachableError("Esplora's status of a transaction names no block.") from error


def _bytes(body: bytes) -> bytes:
    try:
        return bytes.fromhex(body.decode().strip())
    except ValueError as error:
        raise EsploraUnreachableError("Esplora's answer is no hex: is ESPLORA_URL its API?") from error


class Esplora:
    """One provider.

    Args:
        url: base of the API, as https://blockstream.info/api.
        patience: of its circuit breaker.
        genesis: hash of the first block of the network that it must serve.
    """

    def __init__(self, url: str, patience: Patience = DEFAULT_PATIENCE, *, genesis: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OnchainConfigError("ESPLORA_URL must be an http(s) address such as https://blockstream.info/api.")
        self._url = url.rstrip("/")
        self._guard = guarded_by(patience.breaker("esplora"))
        self._genesis = genesis
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool; nobody is contacted."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS_PER_HOST, keepalive_timeout=30)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), middlewares=self._guard
            )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def _get(self, path: str, *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS) -> bytes | None:
        """The answer's body, None for 404. Raises RailUnavailableError."""
        assert self._session is not None, "start() first"
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        try:
            async with self._session.get(self._url + path, timeout=timeout, allow_redirects=False) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EsploraUnreachableError(f"Esplora does not answer ({type(error).__name__}).") from error
        if response.status == 404:
            return None
        if response.status != 200:
            raise EsploraUnreachableError(f"Esplora answers with status {response.status}.")
        return body

    async def _found(self, path: str, *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS) -> bytes:
        body = await self._get(path, timeout_seconds=timeout_seconds)
        if body is None:
            raise EsploraUnreachableError(f"Esplora has no {path.split('/')[1]} that it must have.")
        return body

    async def _object(self, path: str) -> dict[str, Any] | None:
        body = await self._get(path)
        if body is None:
            return None
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise EsploraUnreachableError("Esplora's answer is no JSON: is ESPLORA_URL its API?") from error
        return value if isinstance(value, dict) else {}

    async def tip_hash(self) -> str:
        """Hash of the newest block of the best chain."""
        return (await self._found("/blocks/tip/hash")).decode().strip()

    async def tip_height(self, *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS) -> int:
        """Its height."""
        text = (await self._found("/blocks/tip/height", timeout_seconds=timeout_seconds)).decode().strip()
        if not text.isdigit():
            raise EsploraUnreachableError("Esplora's height is no number: is ESPLORA_URL its API?")
        return int(text)

    async def block_hash_at(self, height: int, *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS) -> str | None:
        """Hash of the best chain's block of a height, None above the tip."""
        body = await self._get(f"/block-height/{height}", timeout_seconds=timeout_seconds)
        return body.decode().strip() if body is not None else None

    async def block(self, block_hash: str) -> bytes:
        """A block's bytes."""
        return await self._found(f"/block/{block_hash}/raw")

    async def header(self, block_hash: str) -> bytes:
        """A block's 80 bytes of header."""
        return _bytes(await self._found(f"/block/{block_hash}/header"))

    async def ensure_network(self) -> None:
        """Refuse another network's blocks: the same script is an address of ours on each.

        Raises:
            RailUnavailableError: it serves another, or does not answer.
        """
        if self._genesis and await self.block_hash_at(0) != self._genesis:
            raise EsploraUnreachableError(
                "Esplora serves another network than this service works on: mend ESPLORA_URL."
            )

    async def has_left(self, block_hash: str, height: int) -> bool:
        """Whether another block stands where this one stood in the best chain.

        Raises:
            RailUnavailableError: no block stands there: a provider that lags behind is no reorganisation.
        """
        now = await self.block_hash_at(height)
        if now is None:
            raise EsploraUnreachableError(f"Esplora is behind: it has no block {height}, which it had before.")
        return now != block_hash

    async def is_in_best_chain(self, block_hash: str) -> bool:
        """Whether a block is still in the best chain."""
        status = await self._object(f"/block/{block_hash}/status")
        return bool(status and status.get("in_best_chain"))

    async def confirmation(self, txid: str) -> Confirmation | None:
        """Where a transaction is; None when Esplora has never heard of it (which proves nothing)."""
        status = await self._object(f"/tx/{txid}/status")
        return None if status is None else _confirmation(status)

    async def transaction(self, txid: str) -> bytes | None:
        """A transaction's bytes."""
        body = await self._get(f"/tx/{txid}/hex")
        return None if body is None else _bytes(body)

    async def spend(self, txid: str, vout: int) -> Spend | None:
        """What spends an output, None when nothing does or the output is not known."""
        answer = await self._object(f"/tx/{txid}/outspend/{vout}")
        if not answer or not answer.get("spent"):
            return None
        return Spend(str(answer["txid"]), _confirmation(answer.get("status") or {}))

    async def fee_rate(self, target_blocks: int) -> float:
        """sat/vB for a confirmation within `target_blocks`; at least 1."""
        estimates = await self._object("/fee-estimates") or {}
        try:
            slower = [int(target) for target in estimates if int(target) >= target_blocks]
            rate = float(estimates[str(min(slower))]) if slower else 1.0
        except (ValueError, TypeError) as error:
            raise EsploraUnreachableError("Esplora's fee estimates are no numbers.") from error
        return max(1.0, rate) if math.isfinite(rate) else 1.0

    async def broadcast(self, raw: bytes) -> str:
        """Hand a transaction to the network; its id.

        Raises:
            RailUnavailableError: nothing was sent.
            EsploraRefusedError: it says no, in the node's words.
            BroadcastUnknownError: sent, and the answer is lost.
        """
        assert self._session is not None, "start() first"
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        try:
            async with self._session.post(
                self._url + "/tx", data=raw.hex(), timeout=timeout, allow_redirects=False
            ) as response:
                body = (await response.read()).decode(errors="replace").strip()
        except _NEVER_SENT as error:
            raise EsploraUnreachableError("Esplora is not reached.") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BroadcastUnknownError("Esplora's answer to a broadcast is lost.") from error
        if response.status == 400:
            raise EsploraRefusedError(body[:300])
        if response.status != 200:
            raise BroadcastUnknownError(f"Esplora answers a broadcast with status {response.status}.")
        return body
