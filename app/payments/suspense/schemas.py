"""Amounts in suspense, in the database and in the API."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from payments.clock import iso
from payments.database import Row
from payments.states import NEWER, read_state
from payments.text import ExternalId, Note


class SuspenseState(enum.StrEnum):
    """States of an amount in suspense; the table payments.transitions says which follow which."""

    OPEN = "open"
    REFUNDING = "refunding"
    ACCEPTED = "accepted"
    REFUNDED = "refunded"
    REVERSED = "reversed"
    NEWER = NEWER  # read_state


@dataclass(frozen=True, slots=True)
class Suspended:
    """An amount in suspense, in minor units of `asset`. `user_id` "": nobody's; an administrator decides."""

    id: UUID
    rail: str
    event_id: str
    invoice_id: UUID | None
    user_id: str
    environment: str
    asset: str
    amount: int
    disposition: str
    late_seconds: float
    state: SuspenseState
    decided_by: str
    reason: str
    created_at: datetime

    @classmethod
    def of(cls, row: Row) -> Suspended:
        """The amount in a row of payments.suspense."""
        return cls(**{**{name: row[name] for name in cls.__slots__}, "state": read_state(SuspenseState, row["state"])})


class Acceptance(BaseModel):
    """Why an amount is taken, and by whom if it is nobody's."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[Note, StringConstraints(min_length=1, max_length=500)] = "accepted by its owner"
    userId: ExternalId | None = Field(  # noqa: N815
        None, description="Whom an unmatched arrival is credited to; administrators only."
    )


class SuspenseView(BaseModel):
    """Money that arrived and is not credited to anybody yet, or what was decided about it."""

    id: UUID
    rail: str
    invoiceId: UUID | None  # noqa: N815
    asset: str
    amount: int = Field(description="Minor units of the asset: for an overpayment what is above the invoice's amount.")
    disposition: str = Field(description="overpaid, underpaid, paid_late, paid_twice or unmatched.")
    status: SuspenseState
    reason: str
    createdAt: str  # noqa: N815

    @classmethod
    def of(cls, found: Suspended) -> SuspenseView:
        """The view of a stored amount."""
        return cls(
            id=found.id,
            rail=found.rail,
            invoiceId=found.invoice_id,
            asset=found.asset,
            amount=found.amount,
            disposition=found.disposition,
            status=found.state,
            reason=found.reason,
            createdAt=iso(found.created_at),
        )


class SuspenseList(BaseModel):
    """A page of amounts in suspense, newest first."""

    data: list[SuspenseView]
    nextCursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")  # noqa: N815
