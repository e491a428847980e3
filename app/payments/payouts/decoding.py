"""Reading a payment request before paying it: what it asks, from whom, until when. Asks no network, changes nothing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from payments.clock import iso
from payments.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    documented,
)
from payments.idempotency.schemas import Answer
from payments.rails.protocol import InvalidRequestError, PayingRail
from payments.web.answers import IdempotencyHeader, key_of, send
from payments.web.callers import Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["payments"], route_class=StrictRoute)


class RequestToDecode(BaseModel):
    """A payment request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rail: str = Field("lnd", max_length=32)
    paymentRequest: Annotated[str, StringConstraints(min_length=1, max_length=8192)]  # noqa: N815


class DecodedView(BaseModel):
    """What a payment request says. That it can be read does not mean that it would be paid."""

    rail: str
    paymentHash: str = Field(description="The rail's identity of the payment; Lightning: the payment hash.")  # noqa: N815
    asset: str
    amount: int | None = Field(description="Minor units; null when the payer chooses.")
    amountMsat: int | None = Field(description="The amount again, for BTC.")  # noqa: N815
    payee: str
    memo: str
    network: str
    createdAt: str  # noqa: N815
    expiresAt: str  # noqa: N815
    timestamp: int = Field(description="createdAt in Unix seconds.")
    expiry: int = Field(description="Seconds from the timestamp on in which it can be paid.")
    expired: bool
    facts: dict[str, Any]


@router.post(
    "/v1/payment-requests/decode",
    response_model=DecodedView,
    responses=documented(InvalidInput, Unauthorized, Forbidden, NotFound, RateLimited, ServiceUnavailable),
)
async def decode_payment_request(
    request: Request, wanted: RequestToDecode, caller: Reader, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Decode a payment request (pk-invoice-decode-fields). It changes nothing: an Idempotency-Key is not needed."""
    core = core_of(request)
    await key_of(request, caller, idempotency_key)  # what no route takes as one is refused here, too
    rail = core.rail(wanted.rail, PayingRail)  # type: ignore[type-abstract]
    try:
        decoded = rail.decode(wanted.paymentRequest)
    except InvalidRequestError as error:
        raise InvalidInput(error.sentence, details={"field": "paymentRequest"}) from error
    view = DecodedView(
        rail=rail.name,
        paymentHash=decoded.rail_id,
        asset=decoded.asset,
        amount=decoded.amount,
        amountMsat=decoded.amount if decoded.asset == "BTC" else None,
        payee=decoded.payee,
        memo=decoded.memo,
        network=decoded.network,
        createdAt=iso(decoded.created_at),
        expiresAt=iso(decoded.expires_at),
        timestamp=int(decoded.created_at.timestamp()),
        expiry=int((decoded.expires_at - decoded.created_at).total_seconds()),
        expired=decoded.expires_at <= core.clock.now(),
        facts=dict(decoded.facts),
    )
    return send(request, Answer.of(200, view.model_dump(mode="json")))
