"""Approvals in the API."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from payments.clock import iso
from payments.database import Row
from payments.text import Note


class NewApproval(BaseModel):
    """The second person's word."""

    model_config = ConfigDict(extra="forbid", strict=True)

    note: Note = Field("", max_length=500, description="Why it is right; kept in the audit log.")


class ApprovalView(BaseModel):
    """An approval that was given."""

    paymentId: UUID  # noqa: N815
    approvedBy: str  # noqa: N815
    note: str
    approvedAt: str  # noqa: N815

    @classmethod
    def of(cls, row: Row) -> ApprovalView:
        """The view of a row of payments.approvals."""
        return cls(
            paymentId=row["payment_id"],
            approvedBy=row["approved_by"],
            note=row["note"],
            approvedAt=iso(row["approved_at"]),
        )


class WaitingPayment(BaseModel):
    """A payment that waits for a second person."""

    paymentId: UUID  # noqa: N815
    userId: str  # noqa: N815
    rail: str
    asset: str
    amount: int = Field(description="Minor units of the asset.")
    memo: str
    createdAt: str  # noqa: N815


class WaitingList(BaseModel):
    """Payments that wait, oldest first."""

    data: list[WaitingPayment]
