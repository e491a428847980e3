"""What the core asks of a rail. A rail implements `Rail` and those of the smaller protocols that it can keep.

The core calls a rail only between two short transactions and holds no database connection meanwhile (design section 4,
rule 1). T1 writes the attempt with its deterministic `rail_id`, then the rail is called, then T2 writes the outcome. A
crash between them is mended by *looking up* `rail_id`; nothing is ever repeated blindly. So:

- every identity is known before the first effect (`invoice_rail_id`, `PreparedPayment.rail_id`);
- a call that may have had an effect and whose answer is lost raises `OutcomeUnknownError`, or returns `unknown`;
- `dead` is returned only with the proof that the table of rule 2 demands; a timeout is never a proof;
- all amounts are integers in minor units of an asset code; times are timezone-aware UTC.

Tests keep an in-process rail that implements these protocols; the service has no such branch.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable
from uuid import UUID


class RailError(Exception):
    """Anything a rail reports. The message is one sentence that names the rail and holds no secret."""

    def __init__(self, sentence: str, *, rail: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.rail = rail
        self.retry_after_seconds = retry_after_seconds


class RailUnavailableError(RailError):
    """The rail was not reached and nothing can have happened on it (refused, not resolved, breaker open)."""


class RailRefusedError(RailError):
    """The rail answered, finally, that it will not do this; nothing has happened on it."""


class InvalidRequestError(RailError):
    """A payment request that cannot be read or breaks a rule of the rail: the caller's mistake."""


class OutcomeUnknownError(RailError):
    """The call may or may not have had its effect (timeout, broken connection after sending): look it up."""


class Health(enum.StrEnum):
    """How a rail is: `degraded` still answers, but cannot do everything (no active channel, behind the chain)."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class RailHealth:
    """A rail's health with facts for /ready and the metrics (numbers, booleans, short words; no secret)."""

    health: Health
    reason: str = ""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvoiceOrder:
    """An invoice to be made, the same on every retry.

    Attributes:
        invoice_id: ours; also the external identity.
        seed: 32 secret bytes, HMAC-SHA256(INVOICE_SECRET, invoice id): Lightning's r_preimage, another rail's key seed.
        amount: minor units of `asset`; None lets the payer choose.
        memo: shown to the payer, at most 639 bytes of UTF-8.
        expires_at: the request cannot be paid after it.
        created_at: when T1 wrote it.
    """

    invoice_id: UUID
    seed: bytes = field(repr=False)
    asset: str
    amount: int | None
    memo: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RailInvoice:
    """An invoice as the rail has it. `facts` are kept with the attempt (add_index and the like; no secret)."""

    rail_id: str
    payment_request: str
    expires_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """What a payment request says: `amount` None when the payer chooses; `network` in the rail's own word.

    `max_fee` is the rail's own ceiling of the fee in minor units; None: the service's (MAX_FEE_MSAT) holds.
    """

    rail_id: str
    asset: str
    amount: int | None
    payee: str
    memo: str
    network: str
    created_at: datetime
    expires_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    max_fee: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """Money to be sent. `max_fee` is always set (minor units of `asset`) and the rail passes it on to every try."""

    payment_id: UUID
    payment_request: str
    asset: str
    amount: int
    max_fee: int


@dataclass(frozen=True, slots=True)
class PreparedPayment:
    """A payment ready to be submitted; stored whole by T1, so it must hold all that `submit` and `look_up` need.

    `payload` is JSON, never a key or a signature that could be replayed by a reader of the database.
    """

    order: PaymentOrder
    rail_id: str
    payload: Mapping[str, Any] = field(default_factory=dict)


class OutcomeState(enum.StrEnum):
    """What is known of an effect. Only `dead` lets another attempt begin; `unknown` is looked up until it is not."""

    SUCCEEDED = "succeeded"
    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of an effect on a rail.

    Attributes:
        fee: minor units the rail took on top of the amount; only for `succeeded`.
        proof: evidence a person can check: preimage, signature and slot, the failure the node reported. Required and
            not empty for `succeeded` and `dead`.
        reason: one sentence or the rail's own word for what happened.
        retry_after_seconds: the rail's wish for the next look-up.
    """

    state: OutcomeState
    fee: int = 0
    proof: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    retry_after_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.state in (OutcomeState.SUCCEEDED, OutcomeState.DEAD) and not self.proof:
            raise ValueError(f"An outcome {self.state} needs a proof.")


@dataclass(frozen=True, slots=True)
class Arrival:
    """Money that has arrived, finally, on the rail.

    Attributes:
        event_id: the rail's identity of this arrival, unique for ever within the rail (Lightning: the payment hash and
            settle_index; Solana: signature and account index). Credited once, whatever is delivered twice.
        rail_id: which invoice it pays ("" when the rail cannot tell).
        cursor: position after this arrival; saved in the crediting transaction.
    """

    event_id: str
    rail_id: str
    asset: str
    amount: int
    arrived_at: datetime
    cursor: str
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reversal:
    """An arrival that was handed on and is gone from the rail: a reorganisation took its block away.

    Handed on as soon as it is seen, and again after a restart: reversing twice is the same as once. Comes the arrival
    again, it is handed on again, under the same `event_id`, and restored.

    Attributes:
        event_id: the arrival's.
        proof: what shows that it is gone (the block that left the best chain).
    """

    event_id: str
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """Nothing arrived up to here: the cursor is saved, so that a restart does not read a long quiet time again."""

    cursor: str


@runtime_checkable
class Rail(Protocol):
    """What every rail has."""

    @property
    def name(self) -> str:
        """As in the API and the tables: "lnd", "solana"."""

    @property
    def assets(self) -> frozenset[str]:
        """Asset codes of the ledger with their minor unit: "BTC" in msat, "USDC" in millionths, "SOL" in lamports."""

    async def start(self) -> None:
        """Open sessions. Must not fail when the network is down: health tells."""

    async def close(self) -> None:
        """Close them; calls under way are given up."""

    async def health(self) -> RailHealth:
        """Ask the network, within 3 s. Never raises: an unreachable rail is `down` with the reason."""


@runtime_checkable
class ReceivingRail(Rail, Protocol):
    """A rail that makes payment requests."""

    def invoice_rail_id(self, seed: bytes) -> str:
        """The identity that an invoice made from `seed` will have (Lightning: sha256(seed) in hex). Pure."""

    async def create_invoice(self, order: InvoiceOrder) -> RailInvoice:
        """Make the invoice, or return the one that exists already for `order.seed`.

        Raises: RailUnavailableError, RailRefusedError, OutcomeUnknownError.
        """

    async def look_up_invoice(self, order: InvoiceOrder) -> RailInvoice | None:
        """The invoice of `order.seed`, None when the rail says that it has none.

        Raises: RailUnavailableError, OutcomeUnknownError.
        """


@runtime_checkable
class PayingRail(Rail, Protocol):
    """A rail that sends money. Only the worker role builds one that can; the web role's may raise RailRefusedError."""

    def decode(self, payment_request: str) -> DecodedRequest:
        """Read and check a payment request without the network. Raises InvalidRequestError."""

    async def prepare(self, order: PaymentOrder) -> PreparedPayment:
        """Fix the payment's identity. May read the network, has no effect on it.

        Raises: InvalidRequestError, RailRefusedError, RailUnavailableError.
        """

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        """Send it, once, with its fee cap, and wait a bounded time. Safe to repeat: the rail sees the same identity.

        Raises: RailUnavailableError (nothing sent), RailRefusedError (finally refused), OutcomeUnknownError.
        """

    async def look_up(self, prepared: PreparedPayment) -> Outcome:
        """What became of it; `dead` only with the proof of design section 4, rule 2.

        Raises: RailUnavailableError.
        """


@runtime_checkable
class ArrivalSource(Rail, Protocol):
    """A rail whose inbound money can be followed without a gap."""

    def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival | Progress | Reversal]:
        """Every arrival after `cursor` (None: from the beginning), then new ones as they come, until cancelled.

        A `Reversal` takes back one that came before it. A `Progress` may come between them; its cursor covers every
        arrival that came before it.

        Ends or raises RailUnavailableError when the stream breaks; the worker begins again from the saved cursor.
        """


@runtime_checkable
class TellsBalance(Rail, Protocol):
    """A rail whose own side says what we hold on it.

    A rail whose `held` has come to count more than at first says what it counts in `balance_scope`, a text; without one
    it is "". When that changes, the sum that comes with it is no drift.
    """

    async def held(self) -> Mapping[str, int]:
        """Minor units per asset of all that payments come out of and arrivals go into, as the rail has it: not from our
        ledger. Money on its way out still counts; an arrival counts once it would be handed on.

        Raises: RailUnavailableError.
        """


@runtime_checkable
class EventReceiver(Rail, Protocol):
    """A rail whose provider tells by webhook what has arrived."""

    async def arrivals_of(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[Arrival]:
        """What a verified event says has arrived, fetched again from the provider: the event itself is only a hint.

        Raises: RailUnavailableError.
        """
