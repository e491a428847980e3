"""The queue in the API."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from payments.text import Note

Evidence = Annotated[Note, StringConstraints(min_length=10, max_length=2000)]


class WaitingAttempt(BaseModel):
    """An effect on a rail whose outcome is still not known."""

    id: UUID
    kind: str
    rail: str
    railId: str  # noqa: N815
    subjectKind: str  # noqa: N815
    subjectId: UUID  # noqa: N815
    refundId: UUID | None = Field(description="The refund that the payment sends; a verdict ends it, too.")  # noqa: N815
    state: str
    reason: str
    lookUps: int  # noqa: N815
    createdAt: str  # noqa: N815
    waitsSince: str  # noqa: N815


class WaitingDiscrepancy(BaseModel):
    """Something that a rail and our books do not agree about."""

    id: UUID
    rail: str
    kind: str
    subject: str
    asset: str
    difference: int = Field(description="Rail minus books, in minor units.")
    detail: dict[str, Any]
    foundAt: str  # noqa: N815


class HumanQueue(BaseModel):
    """What waits for a person, oldest first. Amounts in suspense are listed by GET /v1/suspense."""

    attempts: list[WaitingAttempt]
    discrepancies: list[WaitingDiscrepancy]
    suspense: int = Field(description="How many amounts are in suspense.")


class Verdict(BaseModel):
    """What a person found out about a payment."""

    model_config = ConfigDict(extra="forbid", strict=True)

    outcome: Literal["succeeded", "dead"]
    fee: int = Field(0, ge=0, description="Minor units the rail took, for `succeeded`.")
    evidence: Evidence = Field(description="How it is known: kept as the attempt's proof and in the audit log.")


class Explanation(BaseModel):
    """Why a discrepancy is none, or what was done about it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    resolution: Evidence


class VerdictView(BaseModel):
    """A verdict that was taken down; the worker asks the rail once more before it counts."""

    attemptId: UUID  # noqa: N815
    outcome: Literal["succeeded", "dead"]
