"""Lightning by River, a custodian: invoices and payments under our own external ids, webhooks as hints to look."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from payments.rails.lnd import bolt11
from payments.rails.lnd.paying import decode_request, without_scheme
from payments.rails.protocol import (
    Arrival,
    DecodedRequest,
    Health,
    InvalidRequestError,
    InvoiceOrder,
    Outcome,
    OutcomeState,
    OutcomeUnknownError,
    PaymentOrder,
    PreparedPayment,
    Progress,
    RailHealth,
    RailInvoice,
    RailRefusedError,
    RailUnavailableError,
)
from payments.rails.river.client import RAIL, RiverAccess, RiverClient

ASSET: Final = "BTC"
PAGE: Final = 100
HEALTH_TIMEOUT_SECONDS: Final = 2.8
_SETTLED, _FAILED = "settled", "failed"


def external_id(seed: bytes) -> str:
    """The identity of the invoice made from `seed`, in hex: River is given it and finds the invoice by it."""
    return hashlib.sha256(b"river invoice" + seed).hexdigest()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class RiverRail:
    """Implements ReceivingRail, PayingRail, ArrivalSource, EventReceiver and TellsBalance.

    Args:
        access: the account.
        network: that invoices must be for.
        max_payment_msat, max_fee_msat: ceilings of one payment.
        can_pay: only the worker.
        polls: whether settled invoices can be listed (RIVER_PATHS.settled_invoices); without, webhooks tell alone.
        tells_balance: whether the account says what is in it (RIVER_PATHS.balance).
        poll_seconds: how often they are asked for.
        clock: the time now, in UTC.
    """

    def __init__(
        self,
        access: RiverAccess,
        *,
        network: str,
        max_payment_msat: int,
        max_fee_msat: int,
        can_pay: bool,
        polls: bool = True,
        tells_balance: bool = True,
        poll_seconds: float = 15.0,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._client = RiverClient(access)
        self._network = network
        self._max_payment_msat = max_payment_msat
        self._max_fee_msat = max_fee_msat
        self.can_pay = can_pay
        self._polls = polls
        self._tells_balance = tells_balance
        self._poll_seconds = poll_seconds
        self._clock = clock

    @property
    def name(self) -> str:
        """ "river"."""
        return RAIL

    @property
    def assets(self) -> frozenset[str]:
        """BTC, in millisatoshi."""
        return frozenset({ASSET})

    async def start(self) -> None:
        """Open the connection pool; nobody is contacted."""
        await self._client.start()

    async def close(self) -> None:
        """Close it."""
        await self._client.close()

    async def health(self) -> RailHealth:
        """Whether the account answers."""
        try:
            answer = await self._client.get("health", timeout_seconds=HEALTH_TIMEOUT_SECONDS)
        except RailUnavailableError as error:
            return RailHealth(Health.DOWN, error.sentence)
        return RailHealth(Health.OK) if answer is not None else RailHealth(Health.DOWN, "River has no such path.")

    async def held(self) -> dict[str, int]:
        """What the account holds, {} where it does not tell. Raises RailUnavailableError."""
        if not self._tells_balance:
            return {}
        answer = await self._client.get("balance") or {}
        try:
            return {ASSET: int(answer["balance_msat"])}
        except (KeyError, TypeError, ValueError) as error:
            raise RailUnavailableError(
                f"River's account has not the field that this adapter assumes ({error}): mend it, or switch the "
                'comparison off by {"balance": ""} in RIVER_PATHS.',
                rail=RAIL,
                retry_after_seconds=60,
            ) from error

    # ---- receiving

    def invoice_rail_id(self, seed: bytes) -> str:
        """The external id."""
        return external_id(seed)

    async def create_invoice(self, order: InvoiceOrder) -> RailInvoice:
        """Make the invoice under its external id, which River makes once. Raises as the protocol says."""
        remaining = int((order.expires_at - self._clock()).total_seconds())
        if order.asset != ASSET or remaining < 1:
            raise RailRefusedError("The invoice cannot be made: it has expired, or is not in BTC.", rail=RAIL)
        name = external_id(order.seed)
        known = await self.look_up_invoice(order)
        if known is not None:
            return known
        body = {
            "external_id": name,
            "amount_msat": order.amount,
            "memo": order.memo,
            "expiry_seconds": remaining,
        }
        return self._checked(order, await self._client.post("create_invoice", body, key=name))

    async def look_up_invoice(self, order: InvoiceOrder) -> RailInvoice | None:
        """The invoice of the external id, None when River has none."""
        answer = await self._client.get("invoice", external_id(order.seed))
        return self._checked(order, answer) if answer is not None else None

    def _checked(self, order: InvoiceOrder, answer: Mapping[str, Any]) -> RailInvoice:
        """Believes River only where the signed invoice says the same."""
        request = str(answer.get("payment_request") or "")
        try:
            invoice = bolt11.decode(request)
        except bolt11.Bolt11Error as error:
            raise OutcomeUnknownError(f"River's invoice cannot be read: {error}", rail=RAIL) from error
        if invoice.network != self._network or invoice.amount_msat != (order.amount or None):
            raise RailRefusedError("River's invoice has another network or amount than was ordered.", rail=RAIL)
        return RailInvoice(
            rail_id=external_id(order.seed),
            payment_request=request,
            expires_at=datetime.fromtimestamp(invoice.expires_at, UTC),
            facts={"payment_hash": invoice.payment_hash, "river_id": str(answer.get("id") or "")},
        )

    async def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival | Progress]:
        """Settled invoices in the order of settlement after `cursor`, asked for again and again until cancelled."""
        if not self._polls:
            await asyncio.Event().wait()
        position = cursor or "0"
        while True:
            query = {"after": position, "limit": str(PAGE)}
            answer = await self._client.get("settled_invoices", query=query) or {}
            page = [entry for entry in answer.get("data") or [] if isinstance(entry, dict)]
            for entry in page:
                position = str(entry.get("settle_number"))
                yield _arrival(entry, cursor=position)
            if len(page) < PAGE:
                await asyncio.sleep(self._poll_seconds)

    async def arrivals_of(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[Arrival]:
        """What an event says has arrived, fetched again: the event itself is only a hint."""
        data = payload.get("data")
        name = data.get("id") if isinstance(data, dict) else payload.get("invoice_id")
        if ("deposit" not in event_type and "invoice" not in event_type) or not isinstance(name, str):
            return []
        found = await self._client.get("invoice", name)
        return [_arrival(found, cursor="")] if found is not None and found.get("status") == _SETTLED else []

    # ---- paying

    def decode(self, payment_request: str) -> DecodedRequest:
        """Reads an invoice without the network. Raises InvalidRequestError."""
        return decode_request(payment_request, network=self._network)

    async def prepare(self, order: PaymentOrder) -> PreparedPayment:
        """Checks the order; the payment hash is its identity. Raises InvalidRequestError, RailRefusedError."""
        if not self.can_pay:
            raise RailRefusedError("This process cannot pay over River: only the worker does.", rail=RAIL)
        request = self.decode(order.payment_request)
        if request.expires_at <= self._clock():
            raise InvalidRequestError("The invoice has expired.", rail=RAIL)
        if order.asset != ASSET or (request.amount is not None and request.amount != order.amount):
            raise InvalidRequestError("The invoice asks for another amount than the order says.", rail=RAIL)
        if order.amount > self._max_payment_msat:
            raise RailRefusedError(f"The payment is above the ceiling of {self._max_payment_msat} msat.", rail=RAIL)
        return PreparedPayment(order, request.rail_id, {"fee_limit_msat": min(order.max_fee, self._max_fee_msat)})

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        """Send it under the payment hash as external id, which River pays once. Raises as the protocol says."""
        body = {
            "external_id": prepared.rail_id,
            "payment_request": without_scheme(prepared.order.payment_request),
            "amount_msat": prepared.order.amount,
            "max_fee_msat": min(int(prepared.payload["fee_limit_msat"]), self._max_fee_msat),
        }
        try:
            return _outcome(prepared, await self._client.post("pay", body, key=prepared.rail_id))
        except RailRefusedError as refusal:
            # Perhaps it refuses a repetition of what went through before: only what it knows can tell.
            try:
                known = await self._client.get("payment", prepared.rail_id)
            except RailUnavailableError as error:
                raise OutcomeUnknownError(refusal.sentence, rail=RAIL, retry_after_seconds=5) from error
            if known is None:
                raise
            return _outcome(prepared, known)

    async def look_up(self, prepared: PreparedPayment) -> Outcome:
        """What became of it: dead only by River's own final failure, never by a timeout or by being unknown."""
        found = await self._client.get("payment", prepared.rail_id)
        if found is None:
            return Outcome(
                OutcomeState.UNKNOWN,
                proof={"not_found": True},
                reason="River knows no such payment; it may be sent again under the same external id",
                retry_after_seconds=5,
            )
        return _outcome(prepared, found)


def _arrival(entry: Mapping[str, Any], *, cursor: str) -> Arrival:
    """Raises RailUnavailableError: River's fields are not those that are assumed here; nothing is credited by guess."""
    try:
        identity, amount = str(entry["id"]), int(entry["received_msat"])
        settled_at = datetime.fromtimestamp(int(entry["settled_at"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RailUnavailableError(
            f"River's settled invoice has not the fields that this adapter assumes ({error}): mend it before going on.",
            rail=RAIL,
            retry_after_seconds=60,
        ) from error
    return Arrival(
        event_id=identity,
        rail_id=str(entry.get("external_id") or ""),
        asset=ASSET,
        amount=amount,
        arrived_at=settled_at,
        cursor=cursor,
        proof={"river_id": entry["id"], "payment_hash": entry.get("payment_hash"), "status": entry.get("status")},
    )


def _outcome(prepared: PreparedPayment, answer: Mapping[str, Any]) -> Outcome:
    status, identity = str(answer.get("status")), str(answer.get("id"))
    if status == _FAILED:
        reason = str(answer.get("failure") or "failed")[:200]
        return Outcome(
            OutcomeState.DEAD, proof={"river_id": identity, "status": status, "failure": reason}, reason=reason
        )
    if status != _SETTLED:
        return Outcome(OutcomeState.IN_FLIGHT, reason=f"River says {status[:40]}", retry_after_seconds=5)
    preimage = str(answer.get("preimage") or "")
    try:
        is_proof = hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == prepared.rail_id
    except ValueError:
        is_proof = False
    if not is_proof:
        return Outcome(OutcomeState.UNKNOWN, reason="River says settled with a preimage that does not match the hash")
    proof = {"river_id": identity, "preimage": preimage}
    return Outcome(OutcomeState.SUCCEEDED, fee=int(answer.get("fee_msat") or 0), proof=proof)
