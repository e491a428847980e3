"""Refunds in the database and in the API."""

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
from payments.text import ExternalId, Memo, Metadata, Note

Payee = Annotated[Note, StringConstraints(min_length=1, max_length=8192)]
_PAYEE = (
    "Where it goes: a payment request of the rail for exactly the refund's amount, or (Lightning) an LNURL or a "
    "Lightning address."
)


class RefundState(enum.StrEnum):
    """States of a refund; the table payments.transitions says which follow which."""

    AWAITING_PAYEE = "awaiting_payee"
    SENDING = "sending"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    NEWER = NEWER  # read_state


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund as it is stored; `amount` in minor units of `asset`. `tries`: payments begun for it."""

    id: UUID
    user_id: str
    environment: str
    rail: str
    asset: str
    amount: int
    suspense_id: UUID | None
    invoice_id: UUID | None
    payment_id: UUID | None
    tries: int
    memo: str
    metadata: Mapping[str, Any]
    external_id: str | None
    state: RefundState
    reason: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Refund:
        """The refund in a row of payments.refunds."""
        return cls(**{**{name: row[name] for name in cls.__slots__}, "state": read_state(RefundState, row["state"])})


class NewRefund(BaseModel):
    """A refund of an amount in suspense, or of an invoice that was settled."""

    model_config = ConfigDict(extra="forbid", strict=True)

    suspenseId: Annotated[UUID, Field(strict=False)] | None = Field(  # noqa: N815
        None, description="The amount in suspense that is given back. Either this or invoiceId."
    )
    invoiceId: Annotated[UUID, Field(strict=False)] | None = Field(  # noqa: N815
        None, description="The settled invoice that is given back, in whole or in part, out of its owner's balance."
    )
    amount: int | None = Field(
        None,
        ge=1,
        description="Minor units of the asset; all of it when absent. Of an amount in suspense only the fee cap may "
        "be kept back.",
    )
    payee: Payee | None = Field(None, description=_PAYEE + " It can be given later.")
    maxFee: int | None = Field(  # noqa: N815
        None, ge=0, description="Fee cap in minor units of the asset; the service's own when absent."
    )
    maxFeeMsat: int | None = Field(None, ge=0, description="The same, for BTC; send one of them.")  # noqa: N815
    memo: Memo = ""
    metadata: Metadata = Field(default_factory=dict)
    externalId: ExternalId | None = Field(None, description="Yours; unique among your refunds.")  # noqa: N815


class NewPayee(BaseModel):
    """Where a refund goes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    payee: Payee = Field(description=_PAYEE)
    maxFee: int | None = Field(  # noqa: N815
        None, ge=0, description="Fee cap in minor units of the asset; the service's own when absent."
    )
    maxFeeMsat: int | None = Field(None, ge=0, description="The same, for BTC; send one of them.")  # noqa: N815


class RefundView(BaseModel):
    """A refund."""

    id: UUID
    rail: str
    asset: str
    amount: int = Field(description="Minor units of the asset.")
    status: RefundState = Field(
        description="`awaiting_payee` waits for POST /v1/refunds/{id}/payee; a payment that failed leads back to it."
    )
    reason: str
    suspenseId: UUID | None  # noqa: N815
    invoiceId: UUID | None  # noqa: N815
    paymentId: UUID | None = Field(description="The payment that sends it.")  # noqa: N815
    memo: str
    metadata: dict[str, Any]
    externalId: str | None  # noqa: N815
    createdAt: str  # noqa: N815
    updatedAt: str  # noqa: N815
    finishedAt: str | None  # noqa: N815

    @classmethod
    def of(cls, refund: Refund) -> RefundView:
        """The view of a stored refund."""
        return cls(
            id=refund.id,
            rail=refund.rail,
            asset=refund.asset,
            amount=refund.amount,
            status=refund.state,
            reason=refund.reason,
            suspenseId=refund.suspense_id,
            invoiceId=refund.invoice_id,
            paymentId=refund.payment_id,
            memo=refund.memo,
            metadata=dict(refund.metadata),
            externalId=refund.external_id,
            createdAt=iso(refund.created_at),
            updatedAt=iso(refund.updated_at),
            finishedAt=iso(refund.finished_at) if refund.finished_at else None,
        )


class RefundList(BaseModel):
    """A page of refunds, newest first."""

    data: list[RefundView]
    nextCursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")  # noqa: N815
