"""HTTP of switches; administrators only, and never stopped by a switch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from payments.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    documented,
)
from payments.switches import service
from payments.switches.schemas import NAME_PATTERN, NewSwitchState, SwitchList, SwitchView
from payments.web.callers import Admin, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["switches"], route_class=StrictRoute)
_COMMON = (InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


@router.get("/v1/switches", response_model=SwitchList, responses=documented(*_COMMON))
async def list_switches(request: Request, caller: Admin) -> SwitchList:
    """Every switch: payouts, invoices, fallback, maintenance, and each rail's sending and receiving."""
    return SwitchList(data=await service.listed(core_of(request)))


@router.put("/v1/switches/{name}", response_model=SwitchView, responses=documented(NotFound, *_COMMON))
async def set_switch(
    request: Request, name: Annotated[str, Path(pattern=NAME_PATTERN)], new: NewSwitchState, caller: Admin
) -> SwitchView:
    """Set a switch; doing it twice is the same as once. What is on its way already is followed to its end."""
    return await service.put(core_of(request), caller, name, new)
