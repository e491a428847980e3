"""HTTP of endpoint discovery."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from payments.discovery.schemas import PayeeEndpoints
from payments.discovery.service import Directory, Discovery
from payments.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    documented,
)
from payments.upstreams.guarding import Patience
from payments.web.callers import Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["discovery"], route_class=StrictRoute)


def _discovery(request: Request) -> Discovery:
    found: Discovery | None = getattr(request.app.state, "discovery", None)
    if found is None:
        settings = core_of(request).settings
        if not settings.payee_directory_url:
            raise NotFound("Endpoint discovery is not offered here: PAYEE_DIRECTORY_URL is not set.")
        directory = Directory(
            settings.payee_directory_url, Patience(settings.breaker_failures, settings.breaker_rest_seconds)
        )
        found = Discovery(directory.fetch, ttl_seconds=settings.endpoint_cache_seconds)
        request.app.state.discovery, request.app.state.directory = found, directory
    return found


@router.get(
    "/v1/payees/{public_key}/endpoints",
    response_model=PayeeEndpoints,
    responses=documented(InvalidInput, Unauthorized, Forbidden, NotFound, RateLimited, ServiceUnavailable),
)
async def payee_endpoints(
    request: Request, caller: Reader, public_key: Annotated[str, Path(pattern=r"^[A-Za-z0-9]{40,130}$")]
) -> PayeeEndpoints:
    """Where a payee wants to be paid, by what it publishes under its public key."""
    return await _discovery(request).find(core_of(request), public_key)
