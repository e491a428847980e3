"""The facilitator's rules in the web role: verify, record, wait, and answer from the database alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payments import metrics
from payments.clock import Clock, iso
from payments.database import Database
from payments.errors import NotFound, ServiceUnavailable
from payments.rails.protocol import RailUnavailableError
from payments.rails.solana import exact
from payments.rails.solana.exact import ExactPayment, PaymentInvalidError
from payments.rails.solana.rail import ASSET, BLOCKHASH_LIFE_BLOCKS, SolanaRail
from payments.rails.solana.rpc import RpcAnswerError
from payments.x402 import asking, repository
from payments.x402.asking import Ask
from payments.x402.repository import NewSettlement
from payments.x402.schemas import (
    FacilitatorRequest,
    SettleAnswer,
    Settlement,
    SettlementView,
    State,
    Supported,
    SupportedKind,
    VerifyAnswer,
)
from payments.x402.waiting import SettlementWaiter

if TYPE_CHECKING:
    from uuid import UUID

    from payments.api_keys.schemas import Caller

SETTLE_WAIT_SECONDS: Final = 25.0
LAMPORTS_PER_SIGNATURE: Final = 5000
SIMULATION_FAILED: Final = "transaction_simulation_failed"
NOT_RECENT: Final = "invalid_exact_svm_payload_transaction_blockhash_not_recent"
DUPLICATE: Final = "duplicate_settlement"
PENDING: Final = "settlement_pending"


@dataclass(frozen=True, slots=True)
class Settled:
    """An answer of /settle. `replayed`: this success was answered before."""

    answer: SettleAnswer
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Checked:
    payment: ExactPayment
    last_valid_height: int


class Facilitator:
    """The web role's half. It signs nothing.

    Args:
        rail: the cluster.
        release: of this process, for the record.
        wait_seconds: how long /settle waits before it says "pending".
    """

    def __init__(
        self,
        *,
        database: Database,
        rail: SolanaRail,
        clock: Clock,
        release: str,
        wait_seconds: float = SETTLE_WAIT_SECONDS,
    ) -> None:
        self._database = database
        self._rail = rail
        self._clock = clock
        self._release = release
        self._wait_seconds = wait_seconds
        self._waiter = SettlementWaiter(database)

    def supported(self) -> Supported:
        """What can be settled here."""
        config = self._rail.config
        extra = {"feePayer": config.fee_payer}
        names = ((2, config.caip2), (1, config.v1_name))
        return Supported(
            kinds=[
                SupportedKind(x402Version=version, scheme="exact", network=name, extra=extra) for version, name in names
            ],
            extensions=[],
            signers={"solana:*": [config.fee_payer]},
        )

    async def verify(self, caller: Caller, request: FacilitatorRequest) -> VerifyAnswer:
        """Whether the payment could be settled now; nothing is written.

        Raises:
            ServiceUnavailable: the chain cannot be asked.
        """
        try:
            ask = self._read(caller, request)
            payment = exact.check(ask.transaction, ask.wanted)
            known = await repository.by_message(self._database, bytes.fromhex(payment.message_hash))
            if known is not None:
                _check_known(known, ask)
            else:
                await self._check_on_chain(payment)
        except PaymentInvalidError as error:
            metrics.VERIFICATIONS.labels("invalid").inc()
            return VerifyAnswer(
                isValid=False, invalidReason=error.reason, invalidMessage=error.sentence, payer=error.payer
            )
        metrics.VERIFICATIONS.labels("valid").inc()
        return VerifyAnswer(isValid=True, payer=payment.payer)

    async def settle(self, caller: Caller, request: FacilitatorRequest, retry_key: str | None) -> Settled:
        """Have the payment settled, once for its signed message, and say what became of it.

        Args:
            caller: who asks.
            request: payload and requirements.
            retry_key: the Idempotency-Key, if one was sent: with it, only a request with the same key is a retry.

        Raises:
            ServiceUnavailable: nothing was begun because the chain or the database cannot be asked.
        """
        network = request.paymentRequirements.network
        try:
            ask = self._read(caller, request)
            payment = exact.check(ask.transaction, ask.wanted)
            settlement = await self._find_or_accept(caller, ask, payment, retry_key)
        except PaymentInvalidError as error:
            return Settled(_refusal(error, network))
        if settlement.binding != ask.binding or settlement.retry_key != retry_key:
            told = "This signed transaction belongs to another payment."
            return Settled(_refusal(PaymentInvalidError(DUPLICATE, told, settlement.payer), network))
        if settlement.state not in (State.SETTLED, State.FAILED):
            finished = await self._waiter.wait(settlement.id, seconds=self._wait_seconds)
            settlement = finished or await self._read_again(settlement)
        first = settlement.state is State.SETTLED and await repository.tell(
            self._database, settlement.id, now=self._clock.now()
        )
        return Settled(answer_of(settlement), replayed=settlement.state is State.SETTLED and not first)

    async def show(self, caller: Caller, settlement_id: UUID) -> SettlementView:
        """A settlement of the caller's.

        Raises:
            NotFound: no such settlement, or another user's.
        """
        found = await repository.by_id(self._database, settlement_id)
        if found is None or (found.user_id, found.environment) != (caller.user_id, caller.environment):
            raise NotFound("There is no such settlement.")
        return SettlementView(
            id=found.id,
            state=found.state,
            payer=found.payer,
            payTo=found.pay_to,
            asset=found.mint,
            amount=str(found.wanted),
            received=None if found.received is None else str(found.received),
            transaction=found.signature or "",
            network=found.network,
            errorReason=found.reason or None,
            errorMessage=found.message or None,
            createdAt=iso(found.created_at),
            finishedAt=iso(found.finished_at) if found.finished_at else None,
        )

    def _read(self, caller: Caller, request: FacilitatorRequest) -> Ask:
        return asking.read(request, self._rail.config, user_id=caller.user_id, environment=caller.environment)

    async def _find_or_accept(
        self, caller: Caller, ask: Ask, payment: ExactPayment, retry_key: str | None
    ) -> Settlement:
        message_hash = bytes.fromhex(payment.message_hash)
        known = await repository.by_message(self._database, message_hash)
        if known is not None:
            return known
        checked = await self._check_on_chain(payment)
        new = NewSettlement(
            id=self._clock.new_id(),
            message_hash=message_hash,
            binding=ask.binding,
            retry_key=retry_key,
            user_id=caller.user_id,
            environment=caller.environment,
            api_key_id=caller.key_id,
            x402_version=ask.version,
            network=ask.network,
            payer=payment.payer,
            pay_to=ask.wanted.pay_to,
            destination=payment.destination,
            mint=ask.wanted.mint,
            asset=ASSET,
            wanted=ask.wanted.amount,
            fee_payer=ask.wanted.fee_payer,
            memo=ask.wanted.memo,
            ours=ask.wanted.pay_to == self._rail.config.pay_to,
            transaction=ask.transaction,
            max_fee_lamports=2 * LAMPORTS_PER_SIGNATURE + payment.priority_fee_lamports,
            last_valid_height=checked.last_valid_height,
        )
        _, settlement_id = await repository.accept(
            self._database,
            new,
            release=self._release,
            now=self._clock.now(),
            actor=caller.actor,
            cause="POST /settle",
        )
        written = await repository.by_id(self._database, settlement_id)
        assert written is not None
        return written

    async def _read_again(self, settlement: Settlement) -> Settlement:
        return await repository.by_id(self._database, settlement.id) or settlement

    async def _check_on_chain(self, payment: ExactPayment) -> _Checked:
        """Recent blockhash, and a simulation that succeeds. The height bounds how long the transaction can land.

        Raises:
            PaymentInvalidError, ServiceUnavailable.
        """
        rpc = self._rail.rpc
        try:
            height, recent, simulation = await asyncio.gather(
                rpc.block_height("processed"),
                rpc.is_blockhash_valid(payment.blockhash, "processed"),
                rpc.simulate(bytes(payment.transaction)),
            )
        except RailUnavailableError as error:
            metrics.RAIL_NETWORK_ERRORS.labels("solana").inc()
            raise ServiceUnavailable(error.sentence, headers={"Retry-After": "2"}) from error
        except RpcAnswerError as error:
            raise PaymentInvalidError(
                SIMULATION_FAILED, f"The cluster cannot simulate it: {error.message[:200]}.", payment.payer
            ) from error
        if not recent:
            raise PaymentInvalidError(NOT_RECENT, "The transaction's blockhash is unknown or too old.", payment.payer)
        if simulation.error is not None:
            raise PaymentInvalidError(
                SIMULATION_FAILED, f"The transaction would fail: {str(simulation.error)[:200]}.", payment.payer
            )
        return _Checked(payment, height + BLOCKHASH_LIFE_BLOCKS)


def _check_known(known: Settlement, ask: Ask) -> None:
    """A payment that is under way, or whose success nobody was told yet, is still good for its own resource server."""
    if known.binding != ask.binding or known.told_at is not None:
        raise PaymentInvalidError(DUPLICATE, "This signed transaction was settled already.", known.payer)
    if known.state is State.FAILED:
        raise PaymentInvalidError(known.reason, known.message, known.payer)


def _refusal(error: PaymentInvalidError, network: str) -> SettleAnswer:
    return SettleAnswer(
        success=False, errorReason=error.reason, errorMessage=error.sentence, payer=error.payer, network=network
    )


def answer_of(settlement: Settlement) -> SettleAnswer:
    """What the settlement's row says, in x402's words."""
    plain = SettleAnswer(
        success=False, payer=settlement.payer, transaction=settlement.signature or "", network=settlement.network
    )
    if settlement.state is State.SETTLED:
        return plain.model_copy(update={"success": True, "amount": str(settlement.received)})
    if settlement.state is State.FAILED:
        return plain.model_copy(update={"errorReason": settlement.reason, "errorMessage": settlement.message})
    waiting = "signed and sent, not yet confirmed" if settlement.signature else "accepted, not yet signed"
    return plain.model_copy(
        update={
            "errorReason": PENDING,
            "errorMessage": f"Not yet known: the payment is {waiting}. {settlement.message}".strip(),
            "extra": {
                "settlementId": str(settlement.id),
                "poll": f"/v1/x402/settlements/{settlement.id}",
                "retryAfterSeconds": 2,
            },
        }
    )
