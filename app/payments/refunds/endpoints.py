"""HTTP of refunds."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from payments.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PaymentFailed,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    documented,
)
from payments.refunds import service
from payments.refunds.schemas import NewPayee, NewRefund, RefundList, RefundState, RefundView
from payments.web.answers import IdempotencyHeader, RequiredIdempotencyHeader, key_of, send
from payments.web.callers import Payer, Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["refunds"], route_class=StrictRoute)
_COMMON = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)
_SENDING = documented(NotFound, Conflict, PaymentFailed, *_COMMON)


@router.post("/v1/refunds", status_code=201, response_model=RefundView, responses=_SENDING)
async def create_refund(
    request: Request, new: NewRefund, caller: Payer, idempotency_key: RequiredIdempotencyHeader = None
) -> Response:
    """Give money back. Over Lightning the payee has to say where to: until then the refund is `awaiting_payee`."""
    key = await key_of(request, caller, idempotency_key, required=True)
    return send(request, await service.create(core_of(request), caller, new, key))


@router.post("/v1/refunds/{refund_id}/payee", response_model=RefundView, responses=_SENDING)
async def give_payee(
    request: Request, refund_id: UUID, wish: NewPayee, caller: Payer, idempotency_key: RequiredIdempotencyHeader = None
) -> Response:
    """Say where a refund goes: it is sent as a payment."""
    key = await key_of(request, caller, idempotency_key, required=True)
    return send(request, await service.give_payee(core_of(request), caller, refund_id, wish, key))


@router.post(
    "/v1/refunds/{refund_id}/cancel", response_model=RefundView, responses=documented(NotFound, Conflict, *_COMMON)
)
async def cancel_refund(
    request: Request, refund_id: UUID, caller: Payer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Give up a refund that is not on its way."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.cancel(core_of(request), caller, refund_id, key))


@router.get("/v1/refunds", response_model=RefundList, responses=documented(*_COMMON))
async def list_refunds(
    request: Request,
    caller: Reader,
    status: Annotated[list[RefundState] | None, Query()] = None,
    external_id: Annotated[str | None, Query(alias="externalId", max_length=128)] = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RefundList:
    """Refunds of the caller's user, newest first."""
    found = await service.page(
        core_of(request), caller, states=status or (), external_id=external_id, before=cursor, limit=limit + 1
    )
    shown = found[:limit]
    return RefundList(
        data=[RefundView.of(refund) for refund in shown],
        nextCursor=str(shown[-1].id) if len(found) > limit else None,
    )


@router.get("/v1/refunds/{refund_id}", response_model=RefundView, responses=documented(NotFound, *_COMMON))
async def read_refund(request: Request, caller: Reader, refund_id: UUID) -> RefundView:
    """A refund."""
    return RefundView.of(await service.read(core_of(request), caller, refund_id))
