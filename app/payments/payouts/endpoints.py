"""HTTP of payments."""

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
from payments.payouts import service
from payments.payouts.schemas import NewPayment, PaymentList, PaymentState, PaymentView
from payments.web.answers import IdempotencyHeader, RequiredIdempotencyHeader, key_of, send
from payments.web.callers import Payer, Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["payments"], route_class=StrictRoute)
_COMMON = (Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


@router.post(
    "/v1/payments",
    status_code=202,
    response_model=PaymentView,
    responses=documented(InvalidInput, NotFound, Conflict, PaymentFailed, *_COMMON),
)
async def create_payment(
    request: Request,
    new: NewPayment,
    caller: Payer,
    idempotency_key: RequiredIdempotencyHeader = None,
) -> Response:
    """Send a payment. It is accepted here and sent by the worker: ask for it until its status is final."""
    core = core_of(request)
    key = await key_of(request, caller, idempotency_key, required=True)
    return send(request, await service.create(core, caller, new, key))


@router.get("/v1/payments", response_model=PaymentList, responses=documented(InvalidInput, *_COMMON))
async def list_payments(
    request: Request,
    caller: Reader,
    status: Annotated[list[PaymentState] | None, Query()] = None,
    external_id: Annotated[str | None, Query(alias="externalId", max_length=128)] = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> PaymentList:
    """Payments of the caller's user, newest first."""
    found = await service.page(
        core_of(request), caller, states=status or (), external_id=external_id, before=cursor, limit=limit + 1
    )
    shown = found[:limit]
    return PaymentList(
        data=[PaymentView.of(payment) for payment in shown],
        nextCursor=str(shown[-1].id) if len(found) > limit else None,
    )


@router.get(
    "/v1/payments/{payment_id}", response_model=PaymentView, responses=documented(InvalidInput, NotFound, *_COMMON)
)
async def read_payment(request: Request, caller: Reader, payment_id: UUID) -> PaymentView:
    """A payment."""
    return PaymentView.of(await service.read(core_of(request), caller, payment_id))


@router.post(
    "/v1/payments/{payment_id}/cancel",
    response_model=PaymentView,
    responses=documented(InvalidInput, NotFound, Conflict, *_COMMON),
)
async def cancel_payment(
    request: Request, caller: Payer, payment_id: UUID, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Cancel a payment that is not being sent yet. Doing it twice is the same as once."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.cancel(core_of(request), caller, payment_id, key))


@router.post(
    "/v1/payments/{payment_id}/retry",
    status_code=202,
    response_model=PaymentView,
    responses=documented(InvalidInput, NotFound, Conflict, PaymentFailed, *_COMMON),
)
async def retry_payment(
    request: Request, caller: Payer, payment_id: UUID, idempotency_key: RequiredIdempotencyHeader = None
) -> Response:
    """Try a payment again that provably failed, as a new payment whose `retryOf` it is. Each is tried again once."""
    key = await key_of(request, caller, idempotency_key, required=True)
    return send(request, await service.retry(core_of(request), caller, payment_id, key))
