"""HTTP of webhooks in."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from payments import metrics
from payments.errors import ApiError, InvalidInput, NotFound, RateLimited, ServiceUnavailable, Unauthorized, documented
from payments.inbound import repository
from payments.inbound.sources import SOURCES
from payments.web.callers import Public, core_of

router = APIRouter(tags=["webhooks in"])
_log = structlog.get_logger(__name__)


class TakenView(BaseModel):
    """What became of an event."""

    id: str
    isNew: bool  # noqa: N815


@router.post(
    "/v1/inbound/{source}",
    response_model=TakenView,
    dependencies=[Public],
    responses=documented(InvalidInput, Unauthorized, NotFound, RateLimited, ServiceUnavailable),
)
async def take_webhook(
    request: Request, source: Annotated[str, Path(max_length=32, pattern=r"^[a-z0-9-]+$")]
) -> TakenView:
    """A provider's webhook. It is signed over the raw body with a timestamp, and taken once by its event id."""
    core = core_of(request)
    known = SOURCES.get(source)
    secret = known.secret(core.settings) if known is not None else None
    if known is None or secret is None:
        raise NotFound("No webhooks of this source are taken here.")
    raw = await request.body()
    try:
        event = known.verify(secret, request.headers, raw, core.clock.now(), core.settings.inbound_tolerance_seconds)
    except ApiError as error:
        metrics.INBOUND.labels(source, "refused").inc()
        _log.warning("a webhook was refused", tag="security", source=source, why=error.sentence)
        raise
    is_new = await repository.take(core.database, source, event, core.settings.release)
    metrics.INBOUND.labels(source, "taken" if is_new else "known").inc()
    return TakenView(id=event.event_id, isNew=is_new)
