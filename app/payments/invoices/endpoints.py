"""HTTP of invoices."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from payments.clock import iso
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
from payments.invoices import service
from payments.invoices.schemas import (
    MSAT_PER_SAT,
    Invoice,
    InvoiceList,
    InvoiceState,
    InvoiceView,
    LightningInvoiceView,
    NewInvoice,
    NewLightningInvoice,
)
from payments.web.answers import IdempotencyHeader, key_of, send
from payments.web.callers import InvoiceWriter, Reader, Writer, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["invoices"], route_class=StrictRoute)
_COMMON = (Unauthorized, Forbidden, RateLimited, ServiceUnavailable)
_MAKING = documented(InvalidInput, NotFound, Conflict, PaymentFailed, *_COMMON)


def _guide_view(invoice: Invoice) -> dict[str, str]:
    assert invoice.payment_request is not None
    return {
        "paymentRequest": invoice.payment_request,
        "paymentHash": invoice.rail_id,
        "expiresAt": iso(invoice.expires_at),
    }


@router.post("/api/lightning/create-invoice", response_model=LightningInvoiceView, responses=_MAKING)
async def create_lightning_invoice(
    request: Request, new: NewLightningInvoice, caller: InvoiceWriter, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Make a Lightning invoice (the MSTY guide's endpoint)."""
    core = core_of(request)
    key = await key_of(request, caller, idempotency_key)
    order = NewInvoice(rail="lnd", asset="BTC", amount=new.amount * MSAT_PER_SAT, memo=new.memo)
    return send(request, await service.create(core, caller, order, key, status=200, render=_guide_view))


@router.post("/v1/invoices", status_code=201, response_model=InvoiceView, responses=_MAKING)
async def create_invoice(
    request: Request, new: NewInvoice, caller: InvoiceWriter, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Make an invoice on a rail."""
    core = core_of(request)
    key = await key_of(request, caller, idempotency_key)
    answer = await service.create(
        core, caller, new, key, status=201, render=lambda invoice: InvoiceView.of(invoice).model_dump(mode="json")
    )
    return send(request, answer)


@router.get("/v1/invoices", response_model=InvoiceList, responses=documented(InvalidInput, *_COMMON))
async def list_invoices(
    request: Request,
    caller: Reader,
    status: Annotated[list[InvoiceState] | None, Query()] = None,
    external_id: Annotated[str | None, Query(alias="externalId", max_length=128)] = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> InvoiceList:
    """Invoices of the caller's user, newest first."""
    found = await service.page(
        core_of(request), caller, states=status or (), external_id=external_id, before=cursor, limit=limit + 1
    )
    shown = found[:limit]
    return InvoiceList(
        data=[InvoiceView.of(invoice) for invoice in shown],
        nextCursor=str(shown[-1].id) if len(found) > limit else None,
    )


@router.get(
    "/v1/invoices/{reference}", response_model=InvoiceView, responses=documented(InvalidInput, NotFound, *_COMMON)
)
async def read_invoice(
    request: Request, caller: Reader, reference: Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")]
) -> InvoiceView:
    """An invoice by its id or its payment hash."""
    return InvoiceView.of(await service.read(core_of(request), caller, reference))


@router.post(
    "/v1/invoices/{invoice_id}/cancel",
    response_model=InvoiceView,
    responses=documented(InvalidInput, NotFound, Conflict, *_COMMON),
)
async def cancel_invoice(
    request: Request, caller: Writer, invoice_id: UUID, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Cancel an open invoice. What is still paid for it goes into suspense as late. Twice is the same as once."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.cancel(core_of(request), caller, invoice_id, key))
