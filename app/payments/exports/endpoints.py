"""HTTP of exports and statements."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from payments.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    documented,
)
from payments.exports import service
from payments.exports.schemas import Statement
from payments.exports.service import Format, Kind
from payments.web.callers import Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["exports"], route_class=StrictRoute)
_COMMON = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)
_MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
_TEXT = {"schema": {"type": "string"}}


@router.get(
    "/v1/exports/{kind}",
    response_class=StreamingResponse,
    responses={
        **documented(*_COMMON),
        200: {
            "description": "A file, line by line; CSV has a header.",
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/jsonl": {"schema": {"type": "string"}},
            },
        },
    },
)
async def export(
    request: Request,
    caller: Reader,
    kind: Kind,
    format: Format = "csv",
    start: Annotated[datetime | None, Query(alias="from", description="From when on, ISO 8601.")] = None,
    end: Annotated[datetime | None, Query(alias="to", description="Until before when.")] = None,
) -> StreamingResponse:
    """The caller's invoices, payments and refunds, newest first, or its ledger entries in order."""
    lines = service.export(core_of(request), caller, kind, format, start, end)
    name = f'attachment; filename="{kind}.{format}"'
    return StreamingResponse(lines, media_type=_MEDIA[format], headers={"Content-Disposition": name})


@router.get("/v1/statements/{day}", response_model=Statement, responses=documented(NotFound, *_COMMON))
async def read_statement(
    request: Request,
    caller: Reader,
    day: date,
    account: Annotated[str | None, Query(max_length=250, description="The caller's balance when absent.")] = None,
    asset: Annotated[str, Query(max_length=16)] = "BTC",
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> Statement:
    """An account's day: opening balance, every entry, closing balance. A final one never changes."""
    return await service.statement(
        core_of(request), caller, day, account=account, asset=asset, after=after, limit=limit
    )
