"""HTTP of approvals; administrators only."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from payments.approvals import service
from payments.approvals.schemas import ApprovalView, NewApproval, WaitingList
from payments.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    documented,
)
from payments.web.answers import IdempotencyHeader, key_of, send
from payments.web.callers import Admin, KeyMaker, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["approvals"], route_class=StrictRoute)
_COMMON = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


@router.get("/v1/approvals", response_model=WaitingList, responses=documented(*_COMMON))
async def list_waiting(request: Request, caller: Admin) -> WaitingList:
    """Payments above the threshold that wait for a second person."""
    return WaitingList(data=await service.waiting(core_of(request), caller))


@router.post(
    "/v1/payments/{payment_id}/approve",
    response_model=ApprovalView,
    responses=documented(NotFound, Conflict, *_COMMON),
)
async def approve_payment(
    request: Request, payment_id: UUID, new: NewApproval, caller: KeyMaker, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Let a payment leave. The approver is another user with another key than whoever asked for it."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.approve(core_of(request), caller, payment_id, new, key))
