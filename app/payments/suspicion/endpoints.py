"""HTTP of holds; administrators only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from payments.errors import Forbidden, InvalidInput, RateLimited, ServiceUnavailable, Unauthorized, documented
from payments.suspicion import service
from payments.text import Note
from payments.web.callers import Admin, core_of
from payments.web.strict_json import StrictRoute

router = APIRouter(tags=["suspicious activity"], route_class=StrictRoute)


class Review(BaseModel):
    """What a person found."""

    model_config = ConfigDict(extra="forbid", strict=True)

    note: Note = Field(min_length=1, max_length=500, description="What was found; kept in the audit log.")


class ReviewView(BaseModel):
    """A review."""

    userId: str  # noqa: N815
    reviewed: int = Field(description="Failures that count no longer.")


@router.put(
    "/v1/users/{user_id}/review",
    response_model=ReviewView,
    responses=documented(InvalidInput, Unauthorized, Forbidden, RateLimited, ServiceUnavailable),
)
async def review_user(
    request: Request,
    user_id: Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")],
    new: Review,
    caller: Admin,
) -> ReviewView:
    """Review a user's failures and lift the hold of its payouts. Doing it twice is the same as once."""
    return ReviewView(userId=user_id, reviewed=await service.review(core_of(request), caller, user_id, new.note))
