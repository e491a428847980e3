"""Invoices in the database and in the API."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from payments.clock import iso
from payments.database import Row
from payments.states import NEWER, read_state
from payments.text import ExternalId, Memo, Metadata

MSAT_PER_SAT = 1000


class InvoiceState(enum.StrEnum):
    """States of an invoice; the table payments.transitions says which follow which."""

    CREATING = "creating"
    OPEN = "open"
    SETTLED = "settled"
    OVERPAID = "overpaid"
    UNDERPAID = "underpaid"
    PAID_LATE = "paid_late"
    PAID_TWICE = "paid_twice"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REVERSED = "reversed"
    NEWER = NEWER  # read_state


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as it is stored. `amount` in minor units of `asset`; None lets the payer choose."""

    id: UUID
    user_id: str
    environment: str
    rail: str
    rail_id: str
    asset: str
    amount: int | None
    received: int
    memo: str
    metadata: Mapping[str, Any]
    external_id: str | None
    state: InvoiceState
    payment_request: str | None
    reason: str
    expires_at: datetime
    settled_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Row) -> Invoice:
        """The invoice in a row of payments.invoices."""
        values = {name: row[name] for name in cls.__slots__}
        return cls(**{**values, "state": read_state(InvoiceState, row["state"])})

    def with_rail(self, payment_request: str, expires_at: datetime) -> Invoice:
        """The invoice as the rail has it: open, unless it is further already."""
        state = InvoiceState.OPEN if self.state is InvoiceState.CREATING else self.state
        return dataclasses.replace(self, payment_request=payment_request, expires_at=expires_at, state=state)


class NewLightningInvoice(BaseModel):
    """The MSTY guide's request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    amount: int = Field(ge=1, description="Satoshis.")
    memo: Memo = Field("", description="Shown to the payer, at most 639 bytes.")


class LightningInvoiceView(BaseModel):
    """The MSTY guide's answer."""

    paymentRequest: str = Field(description="BOLT11 invoice.")  # noqa: N815
    paymentHash: str = Field(description="32 bytes in hex.")  # noqa: N815
    expiresAt: str  # noqa: N815


class NewInvoice(BaseModel):
    """An invoice on any rail."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rail: str = Field("lnd", max_length=32)
    asset: str = Field("BTC", max_length=16)
    amount: int | None = Field(
        None, ge=1, description="Minor units of the asset (BTC: msat); the payer's choice if absent."
    )
    memo: Memo = ""
    metadata: Metadata = Field(default_factory=dict)
    externalId: ExternalId | None = Field(None, description="Yours; unique among your invoices.")  # noqa: N815
    expirySeconds: Annotated[int, Field(ge=60, le=31_536_000)] | None = None  # noqa: N815


class InvoiceView(BaseModel):
    """An invoice."""

    id: UUID
    rail: str
    paymentHash: str = Field(description="The rail's identity of the invoice; Lightning: the payment hash.")  # noqa: N815
    asset: str
    amount: int | None = Field(description="Minor units of the asset.")
    amountMsat: int | None = Field(description="The amount again, for BTC.")  # noqa: N815
    received: int = Field(description="Minor units that have arrived, whatever was credited of them.")
    status: InvoiceState
    memo: str
    metadata: dict[str, Any]
    externalId: str | None  # noqa: N815
    paymentRequest: str | None  # noqa: N815
    expiresAt: str  # noqa: N815
    settledAt: str | None  # noqa: N815
    createdAt: str  # noqa: N815

    @classmethod
    def of(cls, invoice: Invoice) -> InvoiceView:
        """The view of a stored invoice."""
        return cls(
            id=invoice.id,
            rail=invoice.rail,
            paymentHash=invoice.rail_id,
            asset=invoice.asset,
            amount=invoice.amount,
            amountMsat=invoice.amount if invoice.asset == "BTC" else None,
            received=invoice.received,
            status=invoice.state,
            memo=invoice.memo,
            metadata=dict(invoice.metadata),
            externalId=invoice.external_id,
            paymentRequest=invoice.payment_request,
            expiresAt=iso(invoice.expires_at),
            settledAt=iso(invoice.settled_at) if invoice.settled_at else None,
            createdAt=iso(invoice.created_at),
        )


class InvoiceList(BaseModel):
    """A page of invoices, newest first."""

    data: list[InvoiceView]
    nextCursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")  # noqa: N815
