"""HTTP of events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from payments.errors import Forbidden, InvalidInput, RateLimited, ServiceUnavailable, Unauthorized, documented
from payments.events import repository
from payments.events.schemas import EventList, EventView
from payments.web.callers import Reader, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["events"], route_class=StrictRoute)


@router.get(
    "/v1/events",
    response_model=EventList,
    responses=documented(InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable),
)
async def list_events(
    request: Request,
    caller: Reader,
    after: Annotated[int, Query(ge=0, le=2**62, description="The cursor of the page before; 0 for the first.")] = 0,
    type: Annotated[list[Annotated[str, Query(pattern=r"^[^\x00]*$")]] | None, Query(max_length=50)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> EventList:
    """What happened to the caller's objects, in order, without a gap: poll with the last cursor."""
    rows = await repository.after(
        core_of(request).database,
        user_id=caller.user_id,
        environment=caller.environment,
        position=after,
        names=type or (),
        limit=limit,
    )
    return EventList(data=[EventView.of(row) for row in rows], nextCursor=rows[-1]["position"] if rows else after)
