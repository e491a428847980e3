"""HTTP of webhook endpoints and deliveries."""

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
from payments.web.answers import IdempotencyHeader, key_of, send
from payments.web.callers import Reader, Writer, core_of
from payments.web.strict_json import StrictRoute
from payments.webhooks import service
from payments.webhooks.schemas import (
    DeliveryList,
    DeliveryState,
    DeliveryView,
    EndpointList,
    EndpointView,
    EndpointWithSecret,
    NewEndpoint,
)

router = APIRouter(tags=["webhooks"], route_class=StrictRoute)
_COMMON = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)
_KEYED = documented(NotFound, Conflict, *_COMMON)


@router.post(
    "/v1/webhook-endpoints",
    status_code=201,
    response_model=EndpointWithSecret,
    responses=documented(Conflict, *_COMMON),
)
async def register_endpoint(
    request: Request, new: NewEndpoint, caller: Writer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Register an endpoint. Its secret verifies the deliveries' signatures (Standard Webhooks)."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.register(core_of(request), caller, new, key))


@router.get("/v1/webhook-endpoints", response_model=EndpointList, responses=documented(*_COMMON))
async def list_endpoints(request: Request, caller: Reader) -> EndpointList:
    """The caller's endpoints."""
    return EndpointList(data=await service.listed(core_of(request), caller))


@router.delete("/v1/webhook-endpoints/{endpoint_id}", status_code=204, responses=documented(NotFound, *_COMMON))
async def delete_endpoint(request: Request, endpoint_id: UUID, caller: Writer) -> Response:
    """Forget an endpoint; what was pending for it is not sent."""
    await service.delete(core_of(request), caller, endpoint_id)
    return Response(status_code=204)


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/rotate-secret",
    response_model=EndpointWithSecret,
    responses=_KEYED,
)
async def rotate_secret(
    request: Request, endpoint_id: UUID, caller: Writer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """A new secret; the one before signs as well for 24 hours."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.rotate(core_of(request), caller, endpoint_id, key))


@router.post("/v1/webhook-endpoints/{endpoint_id}/enable", response_model=EndpointView, responses=_KEYED)
async def enable_endpoint(
    request: Request, endpoint_id: UUID, caller: Writer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Turn an endpoint on, also one that was turned off because it answered 410."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.enable(core_of(request), caller, endpoint_id, key, enabled=True))


@router.post("/v1/webhook-endpoints/{endpoint_id}/disable", response_model=EndpointView, responses=_KEYED)
async def disable_endpoint(
    request: Request, endpoint_id: UUID, caller: Writer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Turn an endpoint off; what is pending waits."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.enable(core_of(request), caller, endpoint_id, key, enabled=False))


@router.post("/v1/webhook-endpoints/{endpoint_id}/test", status_code=202, responses=_KEYED)
async def send_test(
    request: Request, endpoint_id: UUID, caller: Writer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Send an event of type webhook.test."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.send_test(core_of(request), caller, endpoint_id, key))


@router.get("/v1/webhook-deliveries", response_model=DeliveryList, responses=documented(*_COMMON))
async def list_deliveries(
    request: Request,
    caller: Reader,
    endpoint: UUID | None = None,
    state: DeliveryState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveryList:
    """Deliveries with what the endpoint answered; `state=dead` are the dead letters."""
    return DeliveryList(
        data=await service.deliveries(core_of(request), caller, endpoint_id=endpoint, state=state, limit=limit)
    )


@router.post(
    "/v1/webhook-deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=DeliveryView,
    responses=_KEYED,
)
async def replay_delivery(
    request: Request, delivery_id: UUID, caller: Writer, idempotency_key: IdempotencyHeader = None
) -> Response:
    """Send a delivery again, with the same webhook-id."""
    key = await key_of(request, caller, idempotency_key)
    return send(request, await service.replay(core_of(request), caller, delivery_id, key))
