"""A payee's LNURL or Lightning address gives an invoice for exactly the refund's amount, or a sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from payments.core import Core
from payments.errors import ApiError, InvalidInput
from payments.rails.lnd import bech32
from payments.refunds import lnurl
from payments.worker.following import credit
from tests.app.memory_rail import MemoryRail

TERMS = {"tag": "payRequest", "minSendable": 100, "maxSendable": 10_000, "metadata": "[]"}


class Payee:
    """A payee's server: `terms` and `invoice` are what it answers."""

    def __init__(self) -> None:
        self.terms: Any = dict(TERMS)
        self.invoice: Any = None
        self.asked: list[int] = []
        self.address = ""

    async def told(self, _: web.Request) -> web.Response:
        terms = {"callback": f"http://{self.address}/callback?k=1", **self.terms}
        return web.json_response({name: value for name, value in terms.items() if value is not None})

    async def called(self, request: web.Request) -> web.Response:
        assert request.query["k"] == "1"
        self.asked.append(int(request.query["amount"]))
        answer = self.invoice or {"pr": MemoryRail.request(77, self.asked[-1])}
        return web.json_response(answer)


@pytest.fixture
async def payee() -> AsyncIterator[Payee]:
    made = Payee()
    application = web.Application()
    application.router.add_get("/.well-known/lnurlp/carol", made.told)
    application.router.add_get("/callback", made.called)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def _lnurl(payee: Payee) -> str:
    return bech32.encode("lnurl", bech32.from_bytes(f"http://{payee.address}/.well-known/lnurlp/carol".encode()))


async def test_an_address_and_an_lnurl_lead_to_the_same_invoice(payee: Payee) -> None:
    for way in (f"carol@{payee.address}", _lnurl(payee), _lnurl(payee).upper(), f"lightning:{_lnurl(payee)}"):
        request = await lnurl.find(way, 700, allow_private=True)
        assert request.split(":")[2] == "700"
    assert payee.asked == [700] * 4
    assert await lnurl.find(" pay:x:1:2 ", 700) == "pay:x:1:2"


@pytest.mark.parametrize(
    ("terms", "invoice", "why"),
    [
        ({**TERMS, "maxSendable": 699}, None, "takes 100 to 699 msat"),
        ({**TERMS, "minSendable": "0"}, None, "takes"),
        ({**TERMS, "tag": "withdrawRequest"}, None, "LNURL-pay"),
        ({**TERMS, "callback": "file:///etc/passwd"}, None, "https URL"),
        ({"status": "ERROR", "reason": "no"}, None, "refuses"),
        (TERMS, {"pr": 5}, "gave no invoice"),
        (TERMS, {"status": "ERROR"}, "refuses"),
    ],
)
async def test_what_is_not_lud_06_is_refused(payee: Payee, terms: Any, invoice: Any, why: str) -> None:
    payee.terms, payee.invoice = terms, invoice
    with pytest.raises(InvalidInput, match=why):
        await lnurl.find(f"carol@{payee.address}", 700, allow_private=True)


async def test_nobody_is_sent_to_a_private_address(payee: Payee) -> None:
    for way in (f"carol@{payee.address}", _lnurl(payee), "carol@localhost", "carol@169.254.169.254"):
        with pytest.raises(ApiError):
            await lnurl.find(way, 700)
    assert payee.asked == []
    with pytest.raises(InvalidInput, match="cannot be read"):
        await lnurl.find("lnurl1broken", 700)


async def test_a_refund_goes_to_an_address_once(
    payee: Payee, client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    invoice = (await client.post("/v1/invoices", json={"amount": 1000})).json()
    await credit(core, "lnd", [await rail.arrive(invoice["paymentHash"], 700)])
    (found,) = (await client.get("/v1/suspense")).json()["data"]
    body = {"suspenseId": found["id"], "amount": 690, "maxFeeMsat": 10, "payee": f"carol@{payee.address}"}
    answers = [await client.post("/v1/refunds", json=body, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3, answers[0].text
    assert len({answer.content for answer in answers}) == 1
    assert payee.asked == [690], "a repeated request is answered without asking the payee again"
    # An invoice for another amount than the one that was asked for is not paid.
    payee.invoice = {"pr": MemoryRail.request(78, 9999)}
    await credit(core, "lnd", [await rail.arrive("other" + invoice["paymentHash"], 1)])
    await credit(core, "lnd", [await rail.arrive(invoice["paymentHash"], 600)])
    (other,) = (await client.get("/v1/suspense", params={"status": "open"})).json()["data"]
    wrong = {"suspenseId": other["id"], "payee": f"carol@{payee.address}"}
    answer = await client.post("/v1/refunds", json=wrong, headers={"Idempotency-Key": "w"})
    assert answer.status_code == 400
