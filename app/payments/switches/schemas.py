"""Switches in the API."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from payments.clock import iso
from payments.database import Row
from payments.text import Moment, Note

MAINTENANCE = "maintenance"
SERVICE_SWITCHES = ("payouts", "invoices", "fallback", MAINTENANCE)
NAME_PATTERN = r"^(payouts|invoices|fallback|maintenance|(send|receive):[a-z0-9-]{1,32})$"


class NewSwitchState(BaseModel):
    """How a switch is to be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    on: bool = Field(description="Maintenance is in force when on; everything else is stopped when off.")
    reason: Note = Field(
        min_length=1, max_length=500, description="Why; shown to whoever is refused, and kept in the audit log."
    )
    until: Moment | None = Field(None, description="When it goes back by itself; never when absent.")


class SwitchView(BaseModel):
    """A switch. Without `setAt` nobody has touched it."""

    name: str
    on: bool
    stops: bool = Field(description="Whether it stops something now.")
    reason: str | None = None
    until: str | None = None
    setBy: str | None = None  # noqa: N815
    setAt: str | None = None  # noqa: N815

    @classmethod
    def of(cls, name: str, row: Row | None, now: datetime) -> SwitchView:
        """The view of a switch; `row` None when nobody has touched it."""
        if row is None:
            return cls(name=name, on=name != MAINTENANCE, stops=False)
        is_over = row["until"] is not None and row["until"] <= now
        is_on = name != MAINTENANCE if is_over else row["is_on"]
        return cls(
            name=name,
            on=is_on,
            stops=is_on == (name == MAINTENANCE),
            reason=row["reason"],
            until=iso(row["until"]) if row["until"] else None,
            setBy=row["set_by"],
            setAt=iso(row["set_at"]),
        )


class SwitchList(BaseModel):
    """Every switch."""

    data: list[SwitchView]
