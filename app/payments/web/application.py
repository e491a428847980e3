"""The web role's application: routers of the domains behind the gate."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute

from payments import cloudwatch
from payments.core import Core
from payments.errors import BodyTooLarge, InvalidInput, RequestTimeout, ServerError, documented
from payments.version import VERSION
from payments.web.callers import limit_public
from payments.web.direct import Switch
from payments.web.error_answers import install
from payments.web.gate import AsgiApplication, Gate
from payments.web.origins import Origins

# Modules with a `router`, in the order of the documentation. A domain is offered by being named here.
ROUTERS = (
    "payments.web.health",
    "payments.web.root",
    "payments.api_keys.endpoints",
    "payments.invoices.endpoints",
    "payments.payouts.endpoints",
    "payments.payouts.decoding",
    "payments.approvals.endpoints",
    "payments.switches.endpoints",
    "payments.suspicion.endpoints",
    "payments.wallets.endpoints",
    "payments.suspense.endpoints",
    "payments.refunds.endpoints",
    "payments.human_queue.endpoints",
    "payments.exports.endpoints",
    "payments.discovery.endpoints",
    "payments.inbound.endpoints",
    "payments.ledger.endpoints",
    "payments.events.endpoints",
    "payments.webhooks.endpoints",
    "payments.x402.endpoints",
)
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
_INVALID_INPUT = {"description": InvalidInput.__doc__, "content": _ERROR}
_OF_BODIES = {
    str(error.status): {"description": error.__doc__, "content": _ERROR} for error in (RequestTimeout, BodyTooLarge)
}
FLUSH_SECONDS = 15.0
DESCRIPTION = """Be paid on any rail, exactly once.

Amounts are integers in minor units unless a field says otherwise. Every POST takes an `Idempotency-Key`. Errors have
the form `{error, code, details?, requestId?}`; every answer has `X-Request-Id`
and `Api-Version`, a date: send the same header to stay with a version of the API.
"""


async def _keep_house(core: Core) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        with contextlib.suppress(Exception):
            assert core.key_ring is not None
            await core.key_ring.flush_uses()


def _openapi(generate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's document with our 400, 408 and 413 where it writes its own 422: that one is never answered."""
    document = generate()
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("400", _INVALID_INPUT)
            if "requestBody" in operation:
                operation["responses"].update(_OF_BODIES)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "header":
                    _document_header(parameter)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _document_header(parameter: dict[str, Any]) -> None:
    """A header is a string or it is not there: it is never null."""
    schema = parameter["schema"]
    if "anyOf" in schema:
        (kind,) = (one for one in schema.pop("anyOf") if one != {"type": "null"})
        schema.update(kind)
    parameter["required"] = schema.pop("x-required", parameter["required"])


def _routers() -> list[APIRouter]:
    return [cast(APIRouter, importlib.import_module(name).router) for name in ROUTERS]


def create_inner(core: Core) -> FastAPI:
    """The application without its gate; `openapi` documents this one."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await core.start()
        tasks = [
            asyncio.create_task(_keep_house(core)),
            asyncio.create_task(cloudwatch.publish_for(core, is_worker=False)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await core.close()

    application = FastAPI(
        title="Railyard payments",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Another spelling of a path is another path: no redirect, which would be written from the Host header.
        redirect_slashes=False,
        responses=documented(ServerError),
    )
    application.state.core = core
    for router in _routers():
        application.include_router(router)

    install(application, _routes())
    application.openapi = functools.partial(_openapi, application.openapi)  # type: ignore[method-assign]
    application.add_route("/openapi.json", _serve_document(application), include_in_schema=False)
    return application


def _serve_document(application: FastAPI) -> Callable[[Request], Awaitable[Response]]:
    """The document under the limit by address, and written once: it takes 6 ms to write."""

    @functools.cache
    def written() -> bytes:
        return orjson.dumps(application.openapi())

    async def serve(request: Request) -> Response:
        await limit_public(request)
        return Response(written(), media_type="application/json")

    return serve


def _routes() -> list[APIRoute]:
    return [route for router in _routers() for route in router.routes if isinstance(route, APIRoute)]


def create_application(core: Core) -> AsgiApplication:
    """The whole application as the server runs it."""
    application = create_inner(core)
    inner = Origins(Switch(application, _routes()), core.settings.allowed_origins)
    return Gate(inner, is_quiet=core.settings.log_level.lower() not in ("debug", "info"))
