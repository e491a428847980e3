"""Invoices: made once for a preimage, found again after any doubt, and followed by settle_index without a gap."""

import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final

from payments.rails.lnd import bolt11
from payments.rails.lnd.client import REQUEST_TIMEOUT_SECONDS, LndClient
from payments.rails.lnd.errors import (
    RAIL,
    LndAnswerError,
    LndOutcomeUnknownError,
    LndUnreachableError,
)
from payments.rails.lnd.messages import NodeInvoice, to_base64
from payments.rails.protocol import Arrival, InvoiceOrder, RailInvoice, RailRefusedError, RailUnavailableError

ASSET: Final = "BTC"
PAGE: Final = 1000
# A look-up right after a lost answer keeps somebody waiting who has waited long already.
LOOK_UP_SECONDS: Final = 5.0
# An idle subscription is opened again after this: a half-open connection would otherwise stay silent for ever.
SUBSCRIPTION_IDLE_SECONDS: Final = 60.0
# Until the node's very first settlement LND can replay nothing, so the list is read again this often.
FIRST_SUBSCRIPTION_IDLE_SECONDS: Final = 10.0

_STATE_SETTLED = "SETTLED"


def payment_hash(preimage: bytes) -> str:
    """The hash that names an invoice, in hex."""
    return hashlib.sha256(preimage).hexdigest()


class InvoiceDesk:
    """Makes and finds invoices on one node.

    Args:
        client: with a macaroon that may read and write invoices.
        network: that its invoices must be for.
        clock: the time now, in UTC.
        private_channels: put route hints into invoices, for a node without public channels.
    """

    def __init__(
        self, client: LndClient, *, network: str, clock: Callable[[], datetime], private_channels: bool = False
    ) -> None:
        self._client = client
        self._network = network
        self._clock = clock
        self._private_channels = private_channels

    async def create(self, order: InvoiceOrder) -> RailInvoice:
        """AddInvoice with the order's preimage; an invoice that is there already is returned instead.

        Raises:
            RailUnavailableError: nothing was made, try again.
            RailRefusedError: the order is not one that can be made (expired, another asset, a preimage used otherwise).
            OutcomeUnknownError: sent, and neither the answer nor a look-up came back.
        """
        remaining = int((order.expires_at - self._clock()).total_seconds())
        if order.asset != ASSET or remaining < 1:
            reason = "it has expired already" if order.asset == ASSET else f"LND knows no {order.asset}"
            raise RailRefusedError(f"The invoice cannot be made: {reason}.", rail=RAIL)
        body = {
            "r_preimage": to_base64(order.seed),
            "value_msat": str(order.amount or 0),
            "memo": order.memo,
            "expiry": str(remaining),
            "private": self._private_channels,
        }
        try:
            answer = await self._client.post("/v1/invoices", body)
        except LndAnswerError as refusal:
            existing = await self._find_after(refusal, order)
            if existing is None:
                raise
            return existing
        except LndOutcomeUnknownError as lost:
            existing = await self._find_after(lost, order)
            if existing is None:
                raise
            return existing
        return self._checked(order, str(answer.get("payment_request") or ""), int(answer.get("add_index") or 0))

    async def _find_after(self, error: Exception, order: InvoiceOrder) -> RailInvoice | None:
        try:
            return await self.find(order, timeout_seconds=LOOK_UP_SECONDS)
        except RailUnavailableError as unavailable:
            if isinstance(error, LndOutcomeUnknownError):
                raise error from unavailable
            raise

    async def find(
        self, order: InvoiceOrder, *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS
    ) -> RailInvoice | None:
        """The invoice with the order's preimage, None when the node has none.

        Raises:
            RailUnavailableError: no answer.
            RailRefusedError: the node has this hash with another amount.
        """
        try:
            answer = await self._client.get(f"/v1/invoice/{payment_hash(order.seed)}", timeout_seconds=timeout_seconds)
        except LndAnswerError as error:
            if error.code == LndAnswerError.NOT_FOUND or _says_not_found(error.message):
                return None
            raise
        invoice = NodeInvoice.from_json(answer)
        return self._checked(order, invoice.payment_request, invoice.add_index)

    def _checked(self, order: InvoiceOrder, payment_request: str, add_index: int) -> RailInvoice:
        """Believes the node only where the signed invoice says the same."""
        try:
            invoice = bolt11.decode(payment_request)
        except bolt11.Bolt11Error as error:
            raise LndOutcomeUnknownError(f"LND's invoice cannot be read: {error}") from error
        if invoice.network != self._network:
            raise RailRefusedError(
                f"LND makes invoices for {invoice.network}, and this service works on {self._network}.", rail=RAIL
            )
        if invoice.payment_hash != payment_hash(order.seed) or invoice.amount_msat != (order.amount or None):
            raise RailRefusedError("LND has another invoice for this preimage: its hash or amount differs.", rail=RAIL)
        return RailInvoice(
            rail_id=invoice.payment_hash,
            payment_request=payment_request,
            expires_at=datetime.fromtimestamp(invoice.expires_at, UTC),
            facts={"add_index": add_index, "payee": invoice.payee},
        )

    async def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival]:
        """Every settled invoice after `cursor` in order of settle_index, then new ones as they settle.

        Args:
            cursor: the last settle_index that was credited, as decimal digits; None from the node's first invoice.

        Raises:
            RailUnavailableError: the node is gone; begin again from the last saved cursor.
        """
        position = int(cursor or 0)
        while True:
            try:
                async for invoice in self._settled_after(position):
                    position = invoice.settle_index
                    yield _arrival(invoice)
            except TimeoutError:
                continue  # idle: subscribe again from where we are
            except LndAnswerError as error:
                raise LndUnreachableError(f"LND ended the invoice subscription: {error.message[:200]}.") from error
            raise LndUnreachableError("LND ended the invoice subscription.")

    async def _settled_after(self, position: int) -> AsyncIterator[NodeInvoice]:
        """One subscription. With settle_index 0 LND replays nothing, so the past is listed once it is open."""
        query = {"settle_index": str(position)}
        if position == 0:
            for invoice in await self._all_settled():
                position = invoice.settle_index
                yield invoice
            if position:
                query = {"settle_index": str(position)}
        idle_seconds = SUBSCRIPTION_IDLE_SECONDS if position else FIRST_SUBSCRIPTION_IDLE_SECONDS
        async for message in self._client.stream("GET", "/v1/invoices/subscribe", query, idle_seconds=idle_seconds):
            invoice = NodeInvoice.from_json(message)
            if invoice.state != _STATE_SETTLED or invoice.settle_index <= position:
                continue
            # The first one settled between listing and subscribing is not replayed: the numbers show the gap.
            news = await self._all_settled() if position == 0 and invoice.settle_index > 1 else [invoice]
            for settled in news:
                position = settled.settle_index
                yield settled

    async def _all_settled(self) -> list[NodeInvoice]:
        settled: list[NodeInvoice] = []
        offset = 0
        while True:
            answer = await self._client.get(
                "/v1/invoices", {"index_offset": str(offset), "num_max_invoices": str(PAGE), "reversed": "false"}
            )
            page = [NodeInvoice.from_json(entry) for entry in answer.get("invoices") or []]
            settled.extend(invoice for invoice in page if invoice.state == _STATE_SETTLED)
            last = int(answer.get("last_index_offset") or 0)
            if len(page) < PAGE or last <= offset:
                return sorted(settled, key=lambda invoice: invoice.settle_index)
            offset = last


def _says_not_found(message: str) -> bool:
    lowered = message.lower()
    return "unable to locate invoice" in lowered or "no existing invoices" in lowered


def _arrival(invoice: NodeInvoice) -> Arrival:
    return Arrival(
        event_id=f"{invoice.payment_hash}:{invoice.settle_index}",
        rail_id=invoice.payment_hash,
        asset=ASSET,
        amount=invoice.amount_paid_msat,
        arrived_at=datetime.fromtimestamp(invoice.settled_at, UTC),
        cursor=str(invoice.settle_index),
        proof={"preimage": invoice.preimage, "settle_index": invoice.settle_index},
    )
