"""Webhook endpoints and deliveries in the API."""

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
from payments.text import Memo

EventType = Annotated[str, StringConstraints(min_length=3, max_length=64, pattern=r"^[a-z_]+\.[a-z_]+$")]


class DeliveryState(enum.StrEnum):
    """States of a delivery; the table payments.transitions says which follow which."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    NEWER = NEWER  # read_state


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is to be sent now, held by our lease."""

    id: UUID
    endpoint_id: UUID
    url: str
    secret_version: int
    previous_secret_until: datetime | None
    attempts: int
    first_attempt_at: datetime
    event_id: int
    name: str
    payload: Mapping[str, Any]
    happened_at: datetime

    @classmethod
    def of(cls, row: Row) -> Due:
        """The delivery in a row of payments.take_deliveries."""
        return cls(**{name: row[name] for name in cls.__slots__})


class NewEndpoint(BaseModel):
    """An endpoint to be registered."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(
        min_length=8,
        max_length=2048,
        description="https (http on a local stack); answered with any 2xx within 15 s.",
        json_schema_extra={"format": "uri", "pattern": "^https?://"},
    )
    description: Memo = ""
    eventTypes: list[EventType] = Field(default=[], max_length=50, description="Empty: all.")  # noqa: N815


class EndpointView(BaseModel):
    """An endpoint."""

    id: UUID
    url: str
    description: str
    eventTypes: list[str]  # noqa: N815
    enabled: bool
    disabledReason: str  # noqa: N815
    createdAt: str  # noqa: N815

    @classmethod
    def of(cls, row: Row) -> EndpointView:
        """The view of a row of payments.webhook_endpoints."""
        return cls(
            id=row["id"],
            url=row["url"],
            description=row["description"],
            eventTypes=row["event_types"],
            enabled=row["enabled"],
            disabledReason=row["disabled_reason"],
            createdAt=iso(row["created_at"]),
        )


class EndpointWithSecret(EndpointView):
    """An endpoint with its secret: shown when it is made and when it is rotated."""

    secret: str = Field(description="whsec_...; verify deliveries with any library of Standard Webhooks.")


class EndpointList(BaseModel):
    """Endpoints, oldest first."""

    data: list[EndpointView]


class DeliveryView(BaseModel):
    """A delivery of an event to an endpoint."""

    id: UUID
    endpointId: UUID  # noqa: N815
    eventId: int  # noqa: N815
    eventType: str  # noqa: N815
    state: DeliveryState
    attempts: int
    lastStatus: int | None  # noqa: N815
    lastError: str  # noqa: N815
    nextAttemptAt: str | None  # noqa: N815
    createdAt: str  # noqa: N815

    @classmethod
    def of(cls, row: Row) -> DeliveryView:
        """The view of a delivery's row with its event's name."""
        return cls(
            id=row["id"],
            endpointId=row["endpoint_id"],
            eventId=row["event_id"],
            eventType=row["name"],
            state=read_state(DeliveryState, row["state"]),
            attempts=row["attempts"],
            lastStatus=row["last_status"],
            lastError=row["last_error"],
            nextAttemptAt=iso(row["next_attempt_at"]) if row["state"] == "pending" else None,
            createdAt=iso(row["created_at"]),
        )


class DeliveryList(BaseModel):
    """Deliveries, newest first."""

    data: list[DeliveryView]
