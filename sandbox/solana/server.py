"""JSON-RPC 2.0 over HTTP: single calls and batches."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from sandbox.solana import methods_accounts, methods_chain, methods_transactions
from sandbox.solana.cluster import Cluster
from sandbox.solana.errors import INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RpcError
from sandbox.solana.params import Params

_LOGGER = logging.getLogger("sandbox.solana")
MAX_BODY_BYTES = 50 * 1024
"""Agave's limit for a request body."""
MAX_BATCH = 100

METHODS: dict[str, Callable[[Cluster, Params], Awaitable[Any]]] = {
    **methods_chain.METHODS,
    **methods_accounts.METHODS,
    **methods_transactions.METHODS,
}


def application(cluster: Cluster) -> web.Application:
    """The HTTP application: POST / for calls, GET /health for load balancers."""

    async def handle(request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            return _json(_failure(None, RpcError(PARSE_ERROR, "Parse error")))
        if not isinstance(body, list):
            answer = await call(cluster, body)
            return web.Response(status=200) if answer is None else _json(answer)
        if not body or len(body) > MAX_BATCH:
            return _json(_failure(None, RpcError(INVALID_REQUEST, "Invalid Request")))
        answers = [answer for one in body if (answer := await call(cluster, one)) is not None]
        return _json(answers)

    async def health(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/", handle)
    app.router.add_get("/health", health)
    return app


async def call(cluster: Cluster, body: Any) -> dict[str, Any] | None:
    """Run one call; None for a notification, which has no id and gets no answer."""
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0" or not isinstance(body.get("method"), str):
        return _failure(
            body.get("id") if isinstance(body, dict) else None, RpcError(INVALID_REQUEST, "Invalid Request")
        )
    identity = body.get("id")
    method = METHODS.get(body["method"])
    try:
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        result = await method(cluster, Params(body.get("params")))
    except RpcError as refusal:
        return _failure(identity, refusal) if "id" in body else None
    except Exception:
        _LOGGER.exception("a call failed", extra={"fields": {"method": body["method"]}})
        return _failure(identity, RpcError(INTERNAL_ERROR, "Internal error"))
    return {"jsonrpc": "2.0", "result": result, "id": identity} if "id" in body else None


def _failure(identity: Any, refusal: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": refusal.body(), "id": identity}


def _json(body: Any) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")
