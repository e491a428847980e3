"""Arrivals of tokens on the merchant's token account, by signature, finalized, oldest first and without a gap."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from payments.rails.protocol import Arrival
from payments.rails.solana.effects import token_effect
from payments.rails.solana.rpc import RpcAnswerError, RpcUnavailableError, SolanaRpc

PAGE: Final = 1000
POLL_SECONDS: Final = 5.0


class ArrivalWatcher:
    """Follows one token account.

    Args:
        rpc: the cluster.
        account: token account, base58.
        mint: of it.
        asset: the ledger's code of that mint.
        clock: the time now, for the rare block without one.
        pause: waits between two looks; injected for tests.
    """

    def __init__(
        self,
        rpc: SolanaRpc,
        *,
        account: str,
        mint: str,
        asset: str,
        clock: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rpc = rpc
        self._account = account
        self._mint = mint
        self._asset = asset
        self._clock = clock
        self._pause = pause

    async def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival]:
        """Every arrival after the transaction `cursor` (its signature), then new ones, until cancelled.

        Raises:
            RailUnavailableError: the provider is gone; begin again from the last saved cursor.
        """
        position = cursor or None
        while True:
            for entry in await self._after(position):
                signature = str(entry["signature"])
                arrival = await self._read(signature) if entry.get("err") is None else None
                position = signature
                if arrival is not None:
                    yield arrival
            await self._pause(POLL_SECONDS)

    async def _after(self, position: str | None) -> list[Mapping[str, Any]]:
        """Transactions after `position`, oldest first: the pages run backwards, so all are read before the first."""
        found: list[Mapping[str, Any]] = []
        before: str | None = None
        while True:
            try:
                page = await self._rpc.signatures(self._account, before=before, until=position, limit=PAGE)
            except RpcAnswerError as error:
                raise RpcUnavailableError(f"Solana's history cannot be read: {error.message[:100]}.") from error
            found.extend(page)
            if len(page) < PAGE:
                return found[::-1]
            before = str(page[-1]["signature"])

    async def _read(self, signature: str) -> Arrival | None:
        try:
            transaction = await self._rpc.transaction(signature, "finalized")
        except RpcAnswerError as error:
            raise RpcUnavailableError(f"A transaction cannot be read: {error.message[:100]}.") from error
        if transaction is None:
            # It is listed as finalized: this provider is behind. Going on would leave a gap.
            raise RpcUnavailableError("Solana's RPC provider lists a transaction that it does not have.")
        effect = token_effect(transaction, account=self._account, mint=self._mint)
        if effect.delta <= 0:
            return None
        return Arrival(
            event_id=event_id(signature, effect.account_index),
            rail_id="",
            asset=self._asset,
            amount=effect.delta,
            arrived_at=effect.landed_at or self._clock(),
            cursor=signature,
            proof={"signature": signature, "slot": effect.slot},
        )


def event_id(signature: str, account_index: int) -> str:
    """The identity of one arrival; x402 settlements are credited under the same one, so nothing counts twice."""
    return f"{signature}:{account_index}"
