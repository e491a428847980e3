"""kill -9 at any moment: what was answered is there afterwards, and nobody lost or gained a millisatoshi."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
from collections.abc import Coroutine
from typing import Any

import aiohttp
import pytest

from tests.sandbox.lnd_client import LndClient, b64, b64url
from tests.sandbox.processes import LndProgram

BROKEN = (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError, TimeoutError)


async def until_killed(*work: Coroutine[Any, Any, None]) -> None:
    """Run calls that end when their node dies under them."""
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, BROKEN):
            raise outcome


class TestWhatWasAnswered:
    async def test_invoices_under_load_are_all_there(self, own_lnd: LndProgram) -> None:
        own_lnd.start()
        answered: list[str] = []

        async def add(client: LndClient) -> None:
            while True:
                answered.append((await client.add_invoice(value="1"))["r_hash"])
                if len(answered) >= 200 and own_lnd.alive():
                    own_lnd.kill()

        async with LndClient(own_lnd, "merchant") as client:
            await until_killed(*(add(client) for _ in range(16)))
        own_lnd.start()
        async with LndClient(own_lnd, "merchant") as client:
            stored = await client.ok("/v1/invoices", num_max_invoices=10_000)
        hashes = [invoice["r_hash"] for invoice in stored["invoices"]]
        assert set(answered) <= set(hashes)
        assert [int(invoice["add_index"]) for invoice in stored["invoices"]] == list(range(1, len(hashes) + 1))

    @pytest.mark.parametrize("round_", range(2))
    async def test_payments_under_load_move_money_whole(self, own_lnd: LndProgram, round_: int) -> None:
        own_lnd.start()
        async with LndClient(own_lnd, "merchant") as merchant:
            requests = [(await merchant.add_invoice(value="7"))["payment_request"] for _ in range(60)]
            start = await merchant.local_msat()
        succeeded: list[str] = []

        async def pay(customer: LndClient, mine: list[str]) -> None:
            for request in mine:
                payment = await customer.pay(request)
                assert payment["status"] == "SUCCEEDED"
                succeeded.append(payment["payment_hash"])
                if len(succeeded) >= 20 + 7 * round_ and own_lnd.alive():
                    own_lnd.kill()

        async with LndClient(own_lnd, "customer") as customer:
            await until_killed(*(pay(customer, requests[lane::6]) for lane in range(6)))
        own_lnd.start()
        async with LndClient(own_lnd, "merchant") as merchant, LndClient(own_lnd, "customer") as customer:
            invoices = (await merchant.ok("/v1/invoices", num_max_invoices=1000))["invoices"]
            settled = {base64.b64decode(one["r_hash"]).hex() for one in invoices if one["state"] == "SETTLED"}
            payments = (await customer.ok("/v1/payments", include_incomplete="true"))["payments"]
            assert set(succeeded) <= settled
            assert {one["payment_hash"] for one in payments if one["status"] == "SUCCEEDED"} == settled
            assert {one["status"] for one in payments} == {"SUCCEEDED"}  # none is stuck on the way
            assert await merchant.local_msat() - start == 7000 * len(settled)
            channel = (await merchant.ok("/v1/channels"))["channels"][0]
            assert channel["unsettled_balance"] == "0"


class TestAfterTheNextStart:
    async def test_a_held_payment_is_still_held_and_can_be_settled(self, own_lnd: LndProgram) -> None:
        own_lnd.start()
        preimage = os.urandom(32)
        payment_hash = hashlib.sha256(preimage).digest()
        async with LndClient(own_lnd, "merchant") as merchant, LndClient(own_lnd, "customer") as customer:
            before = await merchant.local_msat()
            answer = await merchant.post("/v2/invoices/hodl", {"hash": b64(payment_hash), "value": "500"})
            body = {"payment_request": answer.body["payment_request"]}
            with contextlib.suppress(*BROKEN):
                async with (
                    customer.stream("POST", "/v2/router/send", json=body) as paying,
                    merchant.stream("GET", f"/v2/invoices/subscribe/{b64url(payment_hash)}") as states,
                ):
                    await anext(paying)
                    while (await anext(states))["result"]["state"] != "ACCEPTED":
                        pass
                    own_lnd.kill()
        own_lnd.start()
        async with LndClient(own_lnd, "merchant") as merchant, LndClient(own_lnd, "customer") as customer:
            async with customer.stream("GET", f"/v2/router/track/{b64url(payment_hash)}") as lines:
                assert (await anext(lines))["result"]["status"] == "IN_FLIGHT"
                await merchant.post("/v2/invoices/settle", {"preimage": b64(preimage)})
                assert (await anext(lines))["result"]["payment_preimage"] == preimage.hex()
            assert await merchant.local_msat() - before == 500_000

    async def test_identity_certificate_and_macaroons_are_the_same(self, own_lnd: LndProgram) -> None:
        own_lnd.start()

        async def look() -> tuple[Any, ...]:
            async with LndClient(own_lnd, "merchant") as client:
                baked = await client.post("/v1/macaroon", {"permissions": [{"entity": "info", "action": "read"}]})
                assert baked.status == 200
                key = (await client.ok("/v1/getinfo"))["identity_pubkey"]
            macaroons = [own_lnd.macaroon("merchant", name) for name in ("admin", "invoice", "readonly", "pay")]
            return key, own_lnd.certificate("merchant").read_bytes(), macaroons

        before = await look()
        own_lnd.kill()
        own_lnd.start()
        assert await look() == before

    async def test_a_macaroon_baked_with_a_new_root_key_still_opens(self, own_lnd: LndProgram) -> None:
        own_lnd.start()
        wanted = {"permissions": [{"entity": "info", "action": "read"}], "root_key_id": "3"}
        async with LndClient(own_lnd, "merchant") as client:
            baked = (await client.post("/v1/macaroon", wanted)).body["macaroon"]
        own_lnd.kill()
        own_lnd.start()
        async with LndClient(own_lnd, "merchant").using(baked) as client:
            assert (await client.get("/v1/getinfo")).status == 200


class TestSubscription:
    async def test_has_no_gap_and_no_double_across_kills(self, own_lnd: LndProgram) -> None:
        """A reader that keeps its two indices sees each add and each settle exactly once."""
        own_lnd.start()
        async with LndClient(own_lnd, "merchant") as merchant, LndClient(own_lnd, "customer") as customer:
            seed = await merchant.add_invoice(value="1")
            await customer.pay(seed["payment_request"])
        added, settled = 1, 1
        adds, settles = [1], [1]
        for _ in range(3):
            requests: list[str] = []
            async with LndClient(own_lnd, "merchant") as merchant, LndClient(own_lnd, "customer") as customer:

                async def work(
                    merchant: LndClient = merchant, customer: LndClient = customer, made: list[str] = requests
                ) -> None:
                    while True:
                        invoice = await merchant.add_invoice(value="1")
                        made.append(invoice["payment_request"])
                        await customer.pay(invoice["payment_request"])

                async def read(merchant: LndClient = merchant, made: list[str] = requests) -> None:
                    nonlocal added, settled
                    query = {"add_index": str(added), "settle_index": str(settled)}
                    async with merchant.stream("GET", "/v1/invoices/subscribe", params=query) as lines:
                        async for line in lines:
                            invoice = line["result"]
                            # An invoice's add always comes before its settle.
                            if int(invoice["add_index"]) == added + 1:
                                added += 1
                                adds.append(added)
                            else:
                                settled = int(invoice["settle_index"])
                                settles.append(settled)
                            if len(made) >= 25 and own_lnd.alive():
                                own_lnd.kill()

                await until_killed(work(), work(), work(), read())
            own_lnd.start()
        assert adds == list(range(1, len(adds) + 1))
        assert settles == list(range(1, len(settles) + 1))
        async with LndClient(own_lnd, "merchant") as merchant:
            stored = (await merchant.ok("/v1/invoices", num_max_invoices=10_000))["invoices"]
        # What came after the last thing that was read is the backlog of the next subscription, no more is missing.
        assert len(stored) - len(adds) <= 60
        assert len(adds) > 60
