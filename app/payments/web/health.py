"""/health, /ready and /metrics, the same in both roles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import psycopg
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from payments import metrics
from payments.clock import iso
from payments.core import Core
from payments.errors import ApiError, NotFound, documented
from payments.migrations.window import SCHEMA_OK, schema_problem
from payments.payouts import repository as payouts
from payments.rails.protocol import Health
from payments.version import SERVICE, VERSION
from payments.web.callers import core_of

CHECK_SECONDS = 3.0
router = APIRouter(tags=["operations"])


class HealthView(BaseModel):
    """The process lives."""

    status: str
    service: str
    version: str
    release: str
    slot: str


class ReadyView(BaseModel):
    """Whether traffic should come here. `checks` also tells what is only degraded."""

    ready: bool
    checks: dict[str, str]
    lnd_connected: bool | None = Field(description="The node answers a ping; null when the rail is not used.")
    esplora_reachable: bool | None = Field(description="The height can be fetched; null when the rail is not used.")
    last_payment_success: str | None = Field(description="When a payment succeeded last; null when none did.")
    error_rate_1h: float | None = Field(
        description="Failed payments among those that ended in the last hour, 0 to 1; null without a database."
    )


async def _within(check: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:.0f} s"
    except Exception as error:
        return f"failed: {type(error).__name__}"


async def _database(core: Core) -> str:
    problem = await schema_problem(core.database)
    return problem or SCHEMA_OK


async def _redis(core: Core) -> str:
    return "ok" if await core.limiter.ping() else "down: limits hold per process, payouts are refused"


async def _rail(core: Core, name: str) -> str:
    told = await core.rails[name].health()
    metrics.RAIL_UP.labels(name).set({Health.OK: 1.0, Health.DEGRADED: 0.5}.get(told.health, 0.0))
    return told.health.value + (f": {told.reason}" if told.reason else "")


async def readiness(core: Core, more: Callable[[], dict[str, str]] = dict) -> ReadyView:
    """Ask everything at once. Only the database (and what `more` adds) decides: a rail or Redis that is down is the
    state of one feature, and taking every process out of service would not mend it (design section 4, rule 10)."""
    names = sorted(core.rails)
    figures = asyncio.ensure_future(_figures(core))
    answers = await asyncio.gather(
        _within(_database(core)), _within(_redis(core)), *(_within(_rail(core, name)) for name in names)
    )
    own = more()
    checks = {"database": answers[0], "redis": answers[1], **dict(zip(names, answers[2:], strict=True)), **own}
    core.database.measure_pool()
    last, rate = await figures
    return ReadyView(
        ready=answers[0] == SCHEMA_OK and all(value == "ok" for value in own.values()),
        checks=checks,
        lnd_connected=_answers(checks.get("lnd")),
        esplora_reachable=_answers(checks.get("onchain")),
        last_payment_success=iso(last) if last else None,
        error_rate_1h=rate,
    )


def _answers(check: str | None) -> bool | None:
    return None if check is None else check.startswith((Health.OK.value, Health.DEGRADED.value))


async def _figures(core: Core) -> tuple[datetime | None, float | None]:
    """When a payment succeeded last, and the error rate of an hour (pk-health-*); nothing without a database."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await payouts.health_figures(core.database, sorted(core.rails), core.clock.now())
    except (ApiError, TimeoutError, psycopg.Error):
        return None, None


@router.get("/health", response_model=HealthView)
async def health(request: Request) -> HealthView:
    """The process lives; asks nothing of anybody."""
    settings = core_of(request).settings
    return HealthView(status="ok", service=SERVICE, version=VERSION, release=settings.release, slot=settings.slot)


@router.get("/ready", response_model=ReadyView, responses={503: {"model": ReadyView}})
async def ready(request: Request, response: Response) -> ReadyView:
    """Whether this process should get traffic."""
    state = request.app.state
    # Anybody may ask, and asking costs a call to every rail: who asks meanwhile gets the same answer.
    if (asked := getattr(state, "readiness", None)) is None or asked.done():
        asked = state.readiness = asyncio.ensure_future(
            readiness(core_of(request), getattr(state, "more_checks", dict))
        )
    view: ReadyView = await asyncio.shield(asked)
    response.status_code = 200 if view.ready else 503
    return view


@router.get("/metrics", response_class=Response, responses=documented(NotFound))
async def prometheus(request: Request) -> Response:
    """Metrics for Prometheus; a scraper's network only."""
    core = core_of(request)
    if not core.settings.enable_metrics:
        raise NotFound("Metrics are turned off (ENABLE_METRICS).")
    core.database.measure_pool()
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
