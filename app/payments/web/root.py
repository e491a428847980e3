"""GET /: says what this is (the Stellar guide's smoke test asks for it)."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from payments.errors import RateLimited, documented
from payments.version import SERVICE, VERSION
from payments.web.callers import Public

router = APIRouter(tags=["operations"])


class RootView(BaseModel):
    """What answers here."""

    service: str
    version: str
    documentation: str


@router.get("/", response_model=RootView, responses=documented(RateLimited), dependencies=[Public])
async def root() -> RootView:
    """What this service is and where it is documented."""
    return RootView(service=SERVICE, version=VERSION, documentation="/openapi.json")
