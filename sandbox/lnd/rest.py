"""LND's REST proxy for one node: authentication, errors, streams, and the unary calls."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from sandbox.lnd import macaroons, permissions
from sandbox.lnd.errors import Code, RpcError
from sandbox.lnd.network import Network
from sandbox.lnd.protojson import Fields, parse_body, parse_query

_LOGGER = logging.getLogger("sandbox.lnd")
_HEADER = "Grpc-Metadata-Macaroon"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""gRPC's default limit for a message."""


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request: which node, and the message's fields."""

    network: Network
    node: str
    fields: Mapping[str, Any]


Unary = Callable[[Call], Awaitable[dict[str, Any]]]
Stream = Callable[[Call], AsyncIterator[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of LND's REST annotations (lightning.yaml, router.yaml, invoices.yaml)."""

    verb: str
    path: str
    method: str
    fields: Fields
    unary: Unary | None = None
    stream: Stream | None = None


def application(network: Network, node: str, routes: list[Route]) -> web.Application:
    """The node's HTTP application."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors])
    for route in routes:
        app.router.add_route(route.verb, route.path, _handler(network, node, route))
    # LND lets anybody ask for its state (rpcperms' whitelist).
    app.router.add_get("/v1/state", _state)
    return app


async def _state(_request: web.Request) -> web.Response:
    return _json({"state": "SERVER_ACTIVE"})


def _handler(network: Network, node: str, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        # The proxy reads the message before the node sees the call, so a malformed one is refused first.
        fields = await _fields(request, route)
        if route.stream is None:
            authorize(network, node, route.method, request)
            assert route.unary is not None
            return _json(await route.unary(Call(network, node, fields)))
        return await _serve_stream(request, network, node, route, fields)

    return handle


async def _fields(request: web.Request, route: Route) -> dict[str, Any]:
    if route.verb == "POST":
        return parse_body(await request.read(), route.fields)
    return parse_query({**request.query, **request.match_info}, route.fields)


def authorize(network: Network, node: str, method: str, request: web.Request) -> None:
    """Check the macaroon of a request against the method's permission.

    Raises:
        RpcError: UNKNOWN, as LND's interceptor returns plain errors.
    """
    given = request.headers.getall(_HEADER, [])
    if len(given) != 1:
        raise RpcError(f"expected 1 macaroon, got {len(given)}")
    try:
        data = bytes.fromhex(given[0])
    except ValueError as refusal:
        raise RpcError("encoding/hex: invalid macaroon header") from refusal
    macaroon = macaroons.read(data)
    root_key = network.root_key(node, macaroon.root_key_id)
    macaroons.verify(macaroon, root_key, now=network.sources.clock(), client_ip=request.remote or "")
    if not macaroons.allows(macaroon, permissions.REQUIRED[method], method):
        raise RpcError("permission denied")


async def _serve_stream(
    request: web.Request, network: Network, node: str, route: Route, fields: dict[str, Any]
) -> web.StreamResponse:
    """Send each message as a line {"result": ...}; an error before the first one sets the status.

    As with LND, not even the headers come before the first message: a quiet subscription looks like a slow answer.
    """
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        authorize(network, node, route.method, request)
        assert route.stream is not None
        async with contextlib.aclosing(route.stream(Call(network, node, fields))) as messages:  # type: ignore[type-var]
            async for message in messages:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(b'{"result":' + orjson.dumps(message) + b"}\n")
    except RpcError as refusal:
        body = orjson.dumps({"error": refusal.body()})
        if not response.prepared:
            return web.Response(status=refusal.http_status, body=body, content_type="application/json")
        await response.write(body + b"\n")
    except (ConnectionResetError, asyncio.CancelledError):
        return response
    if not response.prepared:
        await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):
        await response.write_eof()
    return response


def _json(body: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except RpcError as refusal:
        return _json(refusal.body(), refusal.http_status)
    except web.HTTPNotFound:
        return _json(RpcError("Not Found", Code.NOT_FOUND).body(), 404)
    except web.HTTPMethodNotAllowed:
        return _json(RpcError("Method Not Allowed", Code.UNIMPLEMENTED).body(), 501)
    except web.HTTPRequestEntityTooLarge:
        return _json(RpcError("grpc: received message larger than max", Code.RESOURCE_EXHAUSTED).body(), 429)
    except asyncio.CancelledError:
        raise
    except Exception:
        _LOGGER.exception("a call failed", extra={"fields": {"path": request.path}})
        return _json(RpcError("internal error of the sandbox; its log says more", Code.INTERNAL).body(), 500)
