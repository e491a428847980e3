"""Events in the API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from payments.clock import iso
from payments.database import Row


class EventView(BaseModel):
    """Something that happened to an object of the caller's."""

    id: str
    type: str = Field(description="invoice.settled, payment.succeeded and so on.")
    objectKind: str  # noqa: N815
    objectId: str  # noqa: N815
    data: dict[str, Any]
    happenedAt: str  # noqa: N815

    @classmethod
    def of(cls, row: Row) -> EventView:
        """The view of a row of payments.events."""
        return cls(
            id=f"evt_{row['id']}",
            type=row["name"],
            objectKind=row["subject_kind"],
            objectId=row["subject_id"],
            data=row["payload"],
            happenedAt=iso(row["happened_at"]),
        )


class EventList(BaseModel):
    """A page of events, oldest first."""

    data: list[EventView]
    nextCursor: int = Field(description="Send it as `after` for what comes next, now or later.")  # noqa: N815
