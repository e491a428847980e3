"""Statements in the API."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class Line(BaseModel):
    """An entry of an account."""

    model_config = ConfigDict(extra="ignore")

    journal: int
    kind: str = Field(description="arrival, reserve, payment, release, refund-funded and so on.")
    source: str = Field(description="What it was posted for.")
    memo: str
    amount: int = Field(description="Minor units: a debit is positive, a credit negative.")
    postedAt: str  # noqa: N815


class Statement(BaseModel):
    """An account's day, UTC: opening + every line = closing."""

    account: str
    asset: str
    day: date
    opening: int = Field(description="Minor units, debits minus credits: what we owe is negative.")
    closing: int
    isFinal: bool = Field(description="The day is over and nothing can be added to it.")  # noqa: N815
    lines: list[Line]
    nextCursor: int | None = Field(description="Send it as `after` for more lines; null on the last page.")  # noqa: N815
