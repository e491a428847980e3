"""GET /supported, POST /verify, POST /settle, and where a pending settlement is asked after."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from payments.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    documented,
)
from payments.rails.solana.rail import SolanaRail
from payments.web.callers import Public, Reader, Settler, Verifier, core_of
from payments.web.strict_json import StrictRoute
from payments.x402.schemas import FacilitatorRequest, SettleAnswer, SettlementView, Supported, VerifyAnswer
from payments.x402.service import Facilitator

router = APIRouter(tags=["x402"], route_class=StrictRoute)
_CALLER_ERRORS = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


def facilitator_of(request: Request) -> Facilitator:
    """The process' facilitator.

    Raises:
        NotFound: Solana is not configured here.
    """
    facilitator: Facilitator | None = getattr(request.app.state, "facilitator", None)
    if facilitator is None:
        core = core_of(request)
        rail = core.rails.get("solana")
        if not isinstance(rail, SolanaRail) or not rail.config.fee_payer:
            raise NotFound("x402 is not offered here: SOLANA_RPC_URL or SOLANA_FEE_PAYER_ADDRESS is not set.")
        facilitator = Facilitator(database=core.database, rail=rail, clock=core.clock, release=core.settings.release)
        request.app.state.facilitator = facilitator
    return facilitator


Serving = Annotated[Facilitator, Depends(facilitator_of)]


@router.get("/supported", dependencies=[Public], responses=documented(NotFound, RateLimited))
async def supported(facilitator: Serving) -> Supported:
    """What this facilitator verifies and settles."""
    return facilitator.supported()


@router.post("/verify", response_model_exclude_none=True, responses=documented(*_CALLER_ERRORS, NotFound))
async def verify(body: FacilitatorRequest, caller: Verifier, facilitator: Serving) -> VerifyAnswer:
    """Whether a payment could be settled now. An invalid one is answered with 200 and its reason, as x402 wants it."""
    return await facilitator.verify(caller, body)


@router.post("/settle", response_model_exclude_none=True, responses=documented(*_CALLER_ERRORS, NotFound))
async def settle(
    body: FacilitatorRequest,
    caller: Settler,
    facilitator: Serving,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> SettleAnswer:
    """Settle a payment and say what became of it: settled, failed for good, or honestly pending.

    One signed message is settled once. A retry of the same payment gets the same answer; when that answer is success
    and was given before, the header Idempotent-Replayed is true. Send an Idempotency-Key to have only requests with
    the same key count as retries; any other is answered duplicate_settlement.
    """
    settled = await facilitator.settle(caller, body, idempotency_key)
    if settled.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return settled.answer


@router.get("/v1/x402/settlements/{settlement_id}", responses=documented(*_CALLER_ERRORS, NotFound))
async def show(settlement_id: UUID, caller: Reader, facilitator: Serving) -> SettlementView:
    """A settlement of the caller's."""
    return await facilitator.show(caller, settlement_id)
