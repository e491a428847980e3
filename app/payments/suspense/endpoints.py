"""HTTP of suspense."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

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
from payments.suspense import service
from payments.suspense.schemas import Acceptance, SuspenseList, SuspenseState, SuspenseView
from payments.web.answers import IdempotencyHeader, key_of, send
from payments.web.callers import Payer, Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["suspense"], route_class=StrictRoute)
_COMMON = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


@router.get("/v1/suspense", response_model=SuspenseList, responses=documented(*_COMMON))
async def list_suspense(
    request: Request,
    caller: Reader,
    status: SuspenseState | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> SuspenseList:
    """Under-, over-, late and second payments of the caller's invoices; administrators see everybody's and nobody's."""
    found = await service.page(core_of(request), caller, state=status, before=cursor, limit=limit + 1)
    shown = found[:limit]
    return SuspenseList(
        data=[SuspenseView.of(one) for one in shown], nextCursor=str(shown[-1].id) if len(found) > limit else None
    )


@router.post(
    "/v1/suspense/{suspense_id}/accept",
    response_model=SuspenseView,
    responses=documented(NotFound, Conflict, *_COMMON),
)
async def accept_suspense(
    request: Request, suspense_id: UUID, wish: Acceptance, caller: Payer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Take an amount in suspense: it is credited to the invoice's owner. To give it back, make a refund of it."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.accept(core_of(request), caller, suspense_id, wish, key))
