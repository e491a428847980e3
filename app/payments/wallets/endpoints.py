"""HTTP of hot wallets; administrators only."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from payments.clock import iso
from payments.errors import Forbidden, InvalidInput, RateLimited, ServiceUnavailable, Unauthorized, documented
from payments.wallets import repository
from payments.web.callers import Admin, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["hot wallets"], route_class=StrictRoute)
SHOWN = 200


class TransferView(BaseModel):
    """A request to move money between cold storage and a hot wallet."""

    id: UUID
    rail: str
    asset: str
    direction: Literal["top_up", "sweep"]
    amount: int = Field(description="Minor units to move, to the middle between floor and ceiling.")
    balance: int = Field(description="What the wallet held when it was opened.")
    state: Literal["open", "done"] = Field(description="Done by itself once the balance is within its bounds again.")
    openedAt: str  # noqa: N815
    closedAt: str | None  # noqa: N815


class TransferList(BaseModel):
    """Requests, newest first."""

    data: list[TransferView]


@router.get(
    "/v1/wallet-transfers",
    response_model=TransferList,
    responses=documented(InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable),
)
async def list_transfers(request: Request, caller: Admin) -> TransferList:
    """Requests to top up or sweep hot wallets. Each is also an event: wallet.top_up_requested,
    wallet.sweep_requested."""
    rows = await repository.transfers(core_of(request).database, SHOWN)
    return TransferList(
        data=[
            TransferView(
                id=row["id"],
                rail=row["rail"],
                asset=row["asset"],
                direction=row["direction"],
                amount=row["amount"],
                balance=row["balance"],
                state=row["state"],
                openedAt=iso(row["opened_at"]),
                closedAt=iso(row["closed_at"]) if row["closed_at"] else None,
            )
            for row in rows
        ]
    )
