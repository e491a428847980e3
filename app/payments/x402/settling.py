"""The worker's half: sign, send and prove one settlement. Every step may be cut off anywhere and begun again.

- Nothing is sent before its signature is in the database; signing again gives the same signature.
- Success is read from the chain alone: no error, commitment confirmed, and payTo's token account gained enough.
- Failure is final only when nothing was ever signed, when the chain has finalized it as failed, or when its blockhash
  has expired and no provider has seen it (design section 4, rule 2). Until then it is looked at again, for ever.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import structlog

from payments import metrics
from payments.clock import Clock
from payments.database import Database
from payments.rails.protocol import RailUnavailableError
from payments.rails.solana import exact
from payments.rails.solana.arrivals import event_id
from payments.rails.solana.effects import TokenEffect, token_effect
from payments.rails.solana.exact import PaymentInvalidError
from payments.rails.solana.rail import SolanaRail
from payments.rails.solana.rpc import RpcAnswerError, SignatureStatus
from payments.signer.fee_payer import FeePayer
from payments.x402 import repository
from payments.x402.repository import FeeLimitReachedError
from payments.x402.schemas import Settlement, State

LEASE_SECONDS: Final = 10.0
HOLD_EVERY_SECONDS: Final = 3.0
LOOK_EVERY_SECONDS: Final = 0.4  # a slot
SEND_EVERY_SECONDS: Final = 2.0
# A settlement that is not over after this is given back, so that no single one keeps its place for ever.
TURN_SECONDS: Final = 60.0
DAILY_FEE_LIMIT_LAMPORTS: Final = 500_000_000

SIMULATION_FAILED: Final = "transaction_simulation_failed"
TRANSACTION_FAILED: Final = "transaction_failed"
EXPIRED: Final = "transaction_expired"
FEE_LIMIT: Final = "facilitator_fee_limit_reached"

_SEEN = frozenset({"confirmed", "finalized"})
_log = structlog.get_logger(__name__)


class _LeaseLostError(Exception):
    """Another worker holds the settlement now; nothing more may be written by this one."""


class Settler:
    """Brings settlements to their end.

    Args:
        signer: the fee payer's key.
        pause: waits between two looks; injected for tests.
    """

    def __init__(
        self,
        *,
        database: Database,
        rail: SolanaRail,
        signer: FeePayer,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._rail = rail
        self._rpc = rail.rpc
        self._signer = signer
        self._clock = clock
        self._pause = pause

    async def work_on(self, settlement: Settlement, token: UUID) -> None:
        """One turn with a settlement that `token` holds; afterwards it is final or given back."""
        again_seconds, message = 1.0, settlement.message
        try:
            if await self._while_held(settlement, token):
                return
        except _LeaseLostError:
            return
        except RailUnavailableError as error:
            metrics.RAIL_NETWORK_ERRORS.labels("solana").inc()
            again_seconds, message = error.retry_after_seconds or 1.0, error.sentence
        except RpcAnswerError as error:
            again_seconds, message = 2.0, f"The cluster answered: {error.message[:200]}."
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(settlement, token, 0.0, message))
            raise
        except Exception as error:
            _log.error("a settlement could not be worked on", settlement=str(settlement.id), exc_info=error)
            again_seconds, message = 10.0, "The worker met an error of its own."
        await self._give_back(settlement, token, again_seconds, message)

    async def _give_back(self, settlement: Settlement, token: UUID, seconds: float, message: str) -> None:
        await repository.postpone(self._database, settlement.id, token, seconds=seconds, message=message)

    async def _while_held(self, settlement: Settlement, token: UUID) -> bool:
        """Works on it as long as the lease is ours, and keeps the lease meanwhile, however long a call hangs."""
        work = asyncio.create_task(self._bring_on(settlement, token))
        try:
            while not (await asyncio.wait({work}, timeout=HOLD_EVERY_SECONDS))[0]:
                if not await repository.hold(self._database, settlement.id, token, LEASE_SECONDS):
                    raise _LeaseLostError
            return work.result()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _bring_on(self, settlement: Settlement, token: UUID) -> bool:
        """True once it is final."""
        if settlement.state is State.ACCEPTED and await self._is_hopeless(settlement, token):
            return True
        signature, complete = await self._sign(settlement, token)
        if not signature:
            return True
        return await self._watch(settlement, token, signature, complete)

    # ---- before anything is signed

    async def _is_hopeless(self, settlement: Settlement, token: UUID) -> bool:
        """Whether it is failed now. Our signature is missing, so nothing can happen to it: no proof is firmer."""
        never_signed = {"never_signed": True}
        if await self._rpc.block_height("finalized") > settlement.last_valid_height:
            await self._fail(settlement, token, EXPIRED, "The transaction expired before it was signed.", never_signed)
            return True
        simulation = await self._rpc.simulate(base64.b64decode(settlement.transaction))
        if simulation.error is not None:
            message = f"The transaction would fail: {str(simulation.error)[:200]}."
            await self._fail(settlement, token, SIMULATION_FAILED, message, never_signed)
            return True
        return False

    async def _sign(self, settlement: Settlement, token: UUID) -> tuple[str, bytes | None]:
        """The signature and the complete transaction; an empty signature when the settlement is failed now."""
        if settlement.signature is not None and settlement.fee_payer != self._signer.address:
            return settlement.signature, None  # signed with a key of before: it can be watched, not sent again
        try:
            signature, complete = self._signer.sign(settlement.transaction, settlement.order)
            held = await repository.submit(
                self._database,
                settlement.id,
                token,
                signature=signature,
                daily_fee_limit=DAILY_FEE_LIMIT_LAMPORTS,
                now=self._clock.now(),
            )
        except PaymentInvalidError as error:
            await self._fail(settlement, token, error.reason, error.sentence, {"never_signed": True})
            return "", None
        except FeeLimitReachedError as error:
            await self._fail(settlement, token, FEE_LIMIT, str(error), {"never_signed": True})
            return "", None
        if not held:
            raise _LeaseLostError
        return signature, complete

    # ---- signed: from here on only the chain decides

    async def _watch(self, settlement: Settlement, token: UUID, signature: str, complete: bytes | None) -> bool:
        loop = asyncio.get_running_loop()
        started = loop.time()
        sent_at = float("-inf")
        if settlement.state is State.ACCEPTED:
            await self._send(settlement, complete)
            sent_at = started
        while loop.time() - started < TURN_SECONDS:
            status = await self._rpc.status(signature, search_history=False)
            if status is not None and status.confirmation in _SEEN:
                if await self._judge(settlement, token, signature, status):
                    return True
            elif status is None and loop.time() - sent_at >= SEND_EVERY_SECONDS:
                if await self._is_dead(settlement, token, signature):
                    return True
                await self._send(settlement, complete)
                sent_at = loop.time()
            await self._pause(LOOK_EVERY_SECONDS)
        return False

    async def _send(self, settlement: Settlement, complete: bytes | None) -> None:
        """Hands it over. Whatever is answered proves nothing: the cluster has the transaction now, or has not."""
        if complete is None:
            return
        try:
            await self._rpc.send(complete, skip_preflight=False)
        except RpcAnswerError as error:
            _log.info("the cluster did not take a payment", settlement=str(settlement.id), answer=error.message[:200])
        except RailUnavailableError as error:
            _log.info("a payment's sending was not answered", settlement=str(settlement.id), answer=error.sentence)

    async def _judge(self, settlement: Settlement, token: UUID, signature: str, status: SignatureStatus) -> bool:
        """Reads the effect of a transaction that landed. True once the settlement is final."""
        finalized = status.confirmation == "finalized"
        if status.error is not None and not finalized:
            return False  # a fork may still drop it
        landed = await self._rpc.transaction(signature, "finalized" if finalized else "confirmed")
        if landed is None:
            return False
        effect = token_effect(landed, account=settlement.destination, mint=settlement.mint)
        proof = _proof(signature, settlement, effect, status)
        if effect.error is None and effect.delta >= settlement.wanted:
            await self._settle(settlement, token, signature, effect, proof)
            return True
        if not finalized:
            return False
        if effect.error is not None:
            message = f"The transaction failed on the chain: {str(effect.error)[:200]}."
            await self._fail(settlement, token, TRANSACTION_FAILED, message, proof, effect.fee_lamports)
        else:
            message = f"{effect.delta} arrived, and {settlement.wanted} is wanted."
            await self._fail(settlement, token, exact.TOO_LITTLE, message, proof, effect.fee_lamports)
        return True

    async def _is_dead(self, settlement: Settlement, token: UUID, signature: str) -> bool:
        """Whether the transaction can never land: expired at finality, and unknown to every provider's history."""
        if await self._rpc.block_height("finalized") <= settlement.last_valid_height:
            return False
        heights = []
        for provider in range(self._rpc.providers):
            heights.append(await self._rpc.block_height("finalized", provider=provider))
            found = await self._rpc.status(signature, search_history=True, provider=provider)
            if heights[-1] <= settlement.last_valid_height or found is not None:
                return False
        if self._rpc.providers < 2 and self._rail.config.network == "mainnet-beta":
            raise RailUnavailableError(
                "The transaction expired unseen, but one provider alone is no proof: name a second in SOLANA_RPC_URL.",
                rail=self._rail.name,
                retry_after_seconds=300,
            )
        proof = {
            "signature": signature,
            "last_valid_height": settlement.last_valid_height,
            "finalized_heights": heights,
            "found": None,
        }
        await self._fail(settlement, token, EXPIRED, "The transaction expired and never reached the chain.", proof)
        return True

    # ---- writing the end

    async def _settle(
        self, settlement: Settlement, token: UUID, signature: str, effect: TokenEffect, proof: dict[str, Any]
    ) -> None:
        now = self._clock.now()
        written = await repository.settle(
            self._database,
            settlement.id,
            token,
            event_id=event_id(signature, effect.account_index),
            received=effect.delta,
            fee_lamports=effect.fee_lamports,
            proof=proof,
            arrived_at=effect.landed_at or now,
            now=now,
        )
        if not written:
            raise _LeaseLostError
        metrics.PAYMENTS.labels("solana", "settled").inc()
        metrics.SETTLEMENT_SECONDS.labels("solana").observe((now - settlement.created_at).total_seconds())
        metrics.VOLUME.labels("solana", settlement.mint).inc(effect.delta)
        metrics.FEES_PAID.labels("solana", "SOL").inc(effect.fee_lamports)

    async def _fail(
        self,
        settlement: Settlement,
        token: UUID,
        reason: str,
        message: str,
        proof: dict[str, Any],
        fee_lamports: int = 0,
    ) -> None:
        written = await repository.fail(
            self._database,
            settlement.id,
            token,
            reason=reason,
            message=message,
            fee_lamports=fee_lamports,
            proof=proof,
            now=self._clock.now(),
        )
        if not written:
            raise _LeaseLostError
        metrics.PAYMENTS.labels("solana", "failed").inc()
        metrics.FAILED_TRANSACTIONS.labels(reason).inc()


def _proof(signature: str, settlement: Settlement, effect: TokenEffect, status: SignatureStatus) -> dict[str, Any]:
    return {
        "signature": signature,
        "slot": effect.slot,
        "commitment": status.confirmation,
        "error": None if effect.error is None else str(effect.error)[:200],
        "account": settlement.destination,
        "delta": effect.delta,
    }
