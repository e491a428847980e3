"""HTTP of the ledger."""

from __future__ import annotations

from fastapi import APIRouter, Request

from payments.errors import Forbidden, RateLimited, ServiceUnavailable, Unauthorized, documented
from payments.ledger import service
from payments.ledger.schemas import LedgerView
from payments.web.callers import Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["ledger"], route_class=StrictRoute)


@router.get(
    "/v1/ledger",
    response_model=LedgerView,
    responses=documented(Unauthorized, Forbidden, RateLimited, ServiceUnavailable),
)
async def read_ledger(request: Request, caller: Reader) -> LedgerView:
    """Balances of every account the caller may see, and whether the books balance."""
    return await service.view(core_of(request), caller)
