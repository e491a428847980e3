"""HTTP of the queue; administrators only."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

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
from payments.human_queue import service
from payments.human_queue.schemas import Explanation, HumanQueue, Verdict, VerdictView
from payments.web.answers import IdempotencyHeader, key_of, send
from payments.web.callers import Admin, KeyMaker, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["human queue"], route_class=StrictRoute)
_COMMON = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


@router.get("/v1/human-queue", response_model=HumanQueue, responses=documented(*_COMMON))
async def list_queue(request: Request, caller: Admin) -> HumanQueue:
    """What waits for a person: outcomes that stay unknown, and what rails and books disagree about."""
    return await service.listed(core_of(request))


@router.post(
    "/v1/human-queue/attempts/{attempt_id}/resolve",
    status_code=202,
    response_model=VerdictView,
    responses=documented(NotFound, Conflict, *_COMMON),
)
async def resolve_attempt(
    request: Request, attempt_id: UUID, verdict: Verdict, caller: KeyMaker, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Say what became of a payment whose outcome stays unknown. The rail is asked once more first, and is believed."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.decide(core_of(request), caller, attempt_id, verdict, key))


@router.post(
    "/v1/human-queue/discrepancies/{discrepancy_id}/resolve", responses=documented(NotFound, Conflict, *_COMMON)
)
async def resolve_discrepancy(
    request: Request,
    discrepancy_id: UUID,
    wish: Explanation,
    caller: KeyMaker,
    idempotency_key: IdempotencyHeader = None,
) -> Response:
    """Close a discrepancy with its explanation; the drift no longer counts it."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.explain(core_of(request), caller, discrepancy_id, wish, key))
