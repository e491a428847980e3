"""A rail in memory that implements the protocols of `payments.rails.protocol`, with faults a test can plan.

It stands for the network outside: it survives the death of whoever calls it, and it counts effects.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

from payments.rails.protocol import (
    Arrival,
    DecodedRequest,
    Health,
    InvalidRequestError,
    InvoiceOrder,
    Outcome,
    OutcomeState,
    PaymentOrder,
    PreparedPayment,
    RailHealth,
    RailInvoice,
)

Hook = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    await asyncio.sleep(0)  # a network call always suspends


class MemoryRail:
    """Implements Rail, ReceivingRail, PayingRail and ArrivalSource.

    `before` and `after` are awaited before and after an effect takes place: raise there, or wait, or cancel.
    """

    def __init__(self, name: str = "lnd", asset: str = "BTC") -> None:
        self._name = name
        self._asset = asset
        self.invoices: dict[str, RailInvoice] = {}
        self.payments: dict[str, Outcome] = {}
        self.created: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.looked_up: Counter[str] = Counter()
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self.next_outcome = Outcome(OutcomeState.SUCCEEDED, fee=7, proof={"preimage": "00" * 32})
        self.arrived: list[Arrival] = []
        self._news = asyncio.Condition()

    @property
    def name(self) -> str:
        return self._name

    @property
    def assets(self) -> frozenset[str]:
        return frozenset({self._asset})

    async def start(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def health(self) -> RailHealth:
        return RailHealth(Health.OK)

    def invoice_rail_id(self, seed: bytes) -> str:
        return hashlib.sha256(seed).hexdigest()

    async def create_invoice(self, order: InvoiceOrder) -> RailInvoice:
        await self.before()
        rail_id = self.invoice_rail_id(order.seed)
        if rail_id not in self.invoices:
            self.created[rail_id] += 1
            self.invoices[rail_id] = RailInvoice(rail_id, f"memory1{rail_id}", order.expires_at, {"add_index": 1})
        await self.after()
        return self.invoices[rail_id]

    async def look_up_invoice(self, order: InvoiceOrder) -> RailInvoice | None:
        rail_id = self.invoice_rail_id(order.seed)
        self.looked_up[rail_id] += 1
        return self.invoices.get(rail_id)

    @staticmethod
    def request(number: int, amount: int | None = 5000, *, seconds: int = 600) -> str:
        """A payment request to somebody else, as the payee would write it."""
        rail_id = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
        expires = int((datetime.now(UTC) + timedelta(seconds=seconds)).timestamp())
        return f"pay:{rail_id}:{amount or ''}:{expires}"

    def decode(self, payment_request: str) -> DecodedRequest:
        parts = payment_request.split(":")
        if len(parts) != 4 or parts[0] != "pay":
            raise InvalidRequestError("This is no payment request of the rail in memory.", rail=self._name)
        expires = datetime.fromtimestamp(int(parts[3]), UTC)
        return DecodedRequest(
            rail_id=parts[1],
            asset=self._asset,
            amount=int(parts[2]) if parts[2] else None,
            payee="somebody",
            memo="",
            network="regtest",
            created_at=expires - timedelta(hours=1),
            expires_at=expires,
        )

    async def prepare(self, order: PaymentOrder) -> PreparedPayment:
        return PreparedPayment(order, self.decode(order.payment_request).rail_id, {"fee_limit": order.max_fee})

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        await self.before()
        if prepared.rail_id not in self.payments:
            self.sent[prepared.rail_id] += 1
            self.payments[prepared.rail_id] = self.next_outcome
        await self.after()
        return self.payments[prepared.rail_id]

    async def look_up(self, prepared: PreparedPayment) -> Outcome:
        self.looked_up[prepared.rail_id] += 1
        known = self.payments.get(prepared.rail_id)
        return known or Outcome(OutcomeState.UNKNOWN, proof={"not_found": True}, reason="not known")

    async def arrive(self, rail_id: str, amount: int, *, at: datetime | None = None, event_id: str = "") -> Arrival:
        """Money arrives; whoever follows the rail sees it."""
        position = len(self.arrived) + 1
        arrival = Arrival(
            event_id=event_id or f"event-{position}",
            rail_id=rail_id,
            asset=self._asset,
            amount=amount,
            arrived_at=at or datetime.now(UTC),
            cursor=str(position),
            proof={"settle_index": position},
        )
        async with self._news:
            self.arrived.append(arrival)
            self._news.notify_all()
        return arrival

    async def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival]:
        position = int(cursor or 0)
        while True:
            async with self._news:
                while len(self.arrived) <= position:
                    await self._news.wait()
            while position < len(self.arrived):
                position += 1
                yield self.arrived[position - 1]
