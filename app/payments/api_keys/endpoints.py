"""HTTP of API keys."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from payments.api_keys import service
from payments.api_keys.schemas import ApiKeyList, ApiKeyView, CreatedApiKey, NewApiKey
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
from payments.web.answers import IdempotencyHeader, key_of
from payments.web.callers import Admin, KeyMaker, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["api keys"], route_class=StrictRoute)
_COMMON = (Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


@router.post(
    "/api-keys",
    status_code=201,
    response_model=CreatedApiKey,
    responses=documented(InvalidInput, Conflict, *_COMMON),
    response_model_exclude_none=True,
)
async def create_api_key(
    request: Request, new: NewApiKey, caller: KeyMaker, idempotency_key: IdempotencyHeader = None
) -> CreatedApiKey:
    """Make an API key, with the bootstrap credential or an admin key. Its secret is shown this once."""
    core = core_of(request)
    key = await key_of(request, caller, idempotency_key)
    return await service.create(core, caller, new, key)


@router.get("/api-keys", response_model=ApiKeyList, responses=documented(*_COMMON))
async def list_api_keys(request: Request, caller: Admin) -> ApiKeyList:
    """API keys of the caller's user, newest first, without their secrets."""
    return ApiKeyList(data=await service.listed(core_of(request), caller))


@router.delete("/api-keys/{key_id}", response_model=ApiKeyView, responses=documented(InvalidInput, NotFound, *_COMMON))
async def revoke_api_key(request: Request, key_id: UUID, caller: Admin) -> ApiKeyView:
    """Revoke an API key for good. It stops working everywhere within two seconds."""
    return await service.revoke(core_of(request), caller, key_id)
