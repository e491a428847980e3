"""Payments in the database and in the API."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from payments.clock import iso
from payments.database import Row
from payments.states import NEWER, read_state
from payments.text import ExternalId, Memo, Metadata


class PaymentState(enum.StrEnum):
    """States of a payment; the table payments.transitions says which follow which."""

    CREATED = "created"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NEWER = NEWER  # read_state


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as it is stored; amounts in minor units of `asset`."""

    id: UUID
    user_id: str
    environment: str
    rail: str
    rail_id: str
    payment_request: str
    asset: str
    amount: int
    max_fee: int
    fee: int | None
    memo: str
    metadata: Mapping[str, Any]
    external_id: str | None
    retry_of: UUID | None
    refund_id: UUID | None
    state: PaymentState
    reason: str
    proof: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Payment:
        """The payment in a row of payments.payments."""
        values = {name: row[name] for name in cls.__slots__}
        return cls(**{**values, "state": read_state(PaymentState, row["state"])})


class NewFallback(BaseModel):
    """Where a payment goes on when its rail provably did not make it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rail: str = Field("onchain", max_length=32)
    paymentRequest: Annotated[str, StringConstraints(min_length=1, max_length=8192)] = Field(  # noqa: N815
        description="Address or BIP 21 URI."
    )
    maxFeeMsat: int | None = Field(None, ge=0, description="Fee cap there; the rail's own ceiling when absent.")  # noqa: N815


class NewPayment(BaseModel):
    """A payment to be sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rail: str = Field("lnd", max_length=32)
    paymentRequest: Annotated[str, StringConstraints(min_length=1, max_length=8192)]  # noqa: N815
    amount: int | None = Field(
        None,
        ge=1,
        description="Minor units of the asset. Required when the payment request leaves the amount open, else it must "
        "agree with it.",
    )
    amountMsat: int | None = Field(None, ge=1, description="The same, for BTC; send one of them.")  # noqa: N815
    maxFee: int | None = Field(  # noqa: N815
        None, ge=0, description="Fee cap in minor units of the asset; the service's own ceiling when absent."
    )
    maxFeeMsat: int | None = Field(None, ge=0, description="The same, for BTC; send one of them.")  # noqa: N815
    fallback: NewFallback | None = Field(
        None, description="Used once, and only when nothing can have been paid on the first rail; never from `unknown`."
    )
    memo: Memo = ""
    metadata: Metadata = Field(default_factory=dict)
    externalId: ExternalId | None = Field(None, description="Yours; unique among your payments.")  # noqa: N815


class PaymentView(BaseModel):
    """A payment."""

    id: UUID
    rail: str
    paymentHash: str = Field(description="The rail's identity of the payment; Lightning: the payment hash.")  # noqa: N815
    asset: str
    amount: int = Field(description="Minor units of the asset.")
    amountMsat: int | None  # noqa: N815
    maxFee: int  # noqa: N815
    fee: int | None = Field(description="What the rail took; known when it succeeded.")
    status: PaymentState = Field(
        description="`unknown` means that the rail's answer is missing. It is looked up until it is known; never send "
        "the payment a second time because of it."
    )
    reason: str
    memo: str
    metadata: dict[str, Any]
    externalId: str | None  # noqa: N815
    retryOf: UUID | None = Field(description="The failed payment that this one tries again.")  # noqa: N815
    refundId: UUID | None = Field(description="The refund that this payment sends.")  # noqa: N815
    proof: dict[str, Any] | None = Field(description="The rail's own evidence: the preimage, or why it is dead.")
    createdAt: str  # noqa: N815
    updatedAt: str  # noqa: N815
    finishedAt: str | None  # noqa: N815

    @classmethod
    def of(cls, payment: Payment) -> PaymentView:
        """The view of a stored payment."""
        return cls(
            id=payment.id,
            rail=payment.rail,
            paymentHash=payment.rail_id,
            asset=payment.asset,
            amount=payment.amount,
            amountMsat=payment.amount if payment.asset == "BTC" else None,
            maxFee=payment.max_fee,
            fee=payment.fee,
            status=payment.state,
            reason=payment.reason,
            memo=payment.memo,
            metadata=dict(payment.metadata),
            externalId=payment.external_id,
            retryOf=payment.retry_of,
            refundId=payment.refund_id,
            proof=dict(payment.proof) if payment.proof is not None else None,
            createdAt=iso(payment.created_at),
            updatedAt=iso(payment.updated_at),
            finishedAt=iso(payment.finished_at) if payment.finished_at else None,
        )


class PaymentList(BaseModel):
    """A page of payments, newest first."""

    data: list[PaymentView]
    nextCursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")  # noqa: N815
