"""The HTTP API of the account: Basic authentication with the key as the user's name, JSON, and signed webhooks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from sandbox.river.account import Account, RefusedError
from sandbox.river.store import Store

_FIRST_RETRY_SECONDS = 0.5
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(account: Account, api_key: str) -> web.Application:
    """The HTTP application; `/sandbox/...` moves the other side and asks for no key."""
    expected = "Basic " + base64.b64encode(f"{api_key}:".encode()).decode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if request.path.startswith("/v1/") and not hmac.compare_digest(given.encode(), expected.encode()):
            return _json({"error": "the API key is missing or wrong"}, 401)
        try:
            return await handler(request)
        except RefusedError as refusal:
            return _json({"error": str(refusal)}, refusal.status)

    async def create_invoice(request: web.Request) -> web.Response:
        body = await _body(request, external_id=str, memo=str, expiry_seconds=int)
        amount = body.get("amount_msat")
        return _json(account.create_invoice(body["external_id"], amount, body["memo"], body["expiry_seconds"]))

    async def invoice(request: web.Request) -> web.Response:
        return _json(account.invoice(request.match_info["name"]))

    async def settled(request: web.Request) -> web.Response:
        after, limit = request.query.get("after", "0"), request.query.get("limit", "100")
        if not (after.isdigit() and limit.isdigit()):
            raise RefusedError(400, "after and limit are numbers")
        return _json({"data": account.settled_after(int(after), min(int(limit), 1000))})

    async def pay(request: web.Request) -> web.Response:
        body = await _body(request, external_id=str, payment_request=str, amount_msat=int, max_fee_msat=int)
        return _json(
            account.pay(body["external_id"], body["payment_request"], body["amount_msat"], body["max_fee_msat"])
        )

    async def payment(request: web.Request) -> web.Response:
        return _json(account.payment(request.match_info["name"]))

    async def health(_request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def state(_request: web.Request) -> web.Response:
        return _json({"status": "ok", "balance_msat": account.balance_msat()})

    async def receive(request: web.Request) -> web.Response:
        body = await _body(request)
        name = body.get("payment_request") or body.get("external_id")
        if not isinstance(name, str):
            raise RefusedError(400, "name the invoice by payment_request or external_id")
        return _json(account.receive(name, body.get("amount_msat")))

    async def customer(request: web.Request) -> web.Response:
        body = await _body(request)
        return _json({"payment_request": account.bill_of_customer(body.get("amount_msat"), body.get("expiry", 3600))})

    async def webhooks(request: web.Request) -> web.Response:
        return _json({"waiting": account.unsent(request.match_info["name"])})

    app = web.Application(middlewares=[guard], client_max_size=64 << 10)
    app.router.add_routes(
        [
            web.post("/v1/invoices", create_invoice),
            web.get("/v1/invoices/settled", settled),
            web.get("/v1/invoices/{name}", invoice),
            web.post("/v1/payments", pay),
            web.get("/v1/payments/{name}", payment),
            web.get("/v1/account", state),
            web.get("/health", health),
            web.post("/sandbox/receive", receive),
            web.post("/sandbox/customer_invoice", customer),
            web.get("/sandbox/webhooks/{name}", webhooks),
        ]
    )
    return app


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


async def _body(request: web.Request, **kinds: type) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError:
        raise RefusedError(400, "the body is no JSON") from None
    if not isinstance(body, dict) or not all(isinstance(body.get(name), kind) for name, kind in kinds.items()):
        raise RefusedError(400, f"the body must be an object with {', '.join(kinds)}")
    return body


def signed(secret_hex: str, body: bytes, now: int) -> str:
    """River-Signature: HMAC-SHA256 with the hex-decoded secret over "<timestamp>.<raw body>"."""
    mark = hmac.new(bytes.fromhex(secret_hex), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={mark}"


async def deliver(store: Store, url: str, secret_hex: str) -> None:
    """Send webhooks until cancelled; each is tried again until it is taken, also after a restart."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        while True:
            for due in store.all("SELECT * FROM deliveries WHERE next <= ? ORDER BY rowid", time.time()):
                await _deliver_one(session, store, url, secret_hex, due)
            await asyncio.sleep(0.1)


async def _deliver_one(
    session: aiohttp.ClientSession, store: Store, url: str, secret_hex: str, due: dict[str, Any]
) -> None:
    body = str(due["body"]).encode()
    headers = {"River-Signature": signed(secret_hex, body, int(time.time())), "Content-Type": "application/json"}
    try:
        async with session.post(url, data=body, headers=headers) as answer:
            taken = answer.status < 300
    except (aiohttp.ClientError, TimeoutError, OSError):
        taken = False
    with store.transaction() as connection:
        if taken:
            connection.execute("DELETE FROM deliveries WHERE id = ?", (due["id"],))
        else:
            wait = min(60.0, _FIRST_RETRY_SECONDS * 2 ** due["tries"])
            connection.execute(
                "UPDATE deliveries SET tries = tries + 1, next = ? WHERE id = ?", (time.time() + wait, due["id"])
            )
