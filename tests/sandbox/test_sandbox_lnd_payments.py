"""Two parties pay each other through the nodes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.lnd_client import LndClient, b64, b64url
from tests.sandbox.processes import LndProgram, running


def error_of(lines: list[Any]) -> dict[str, Any]:
    error: dict[str, Any] = lines[0]["error"]
    assert error["details"] == []
    return error


async def until_state(node: LndClient, payment_hash: bytes, wanted: str) -> None:
    path = f"/v2/invoices/subscribe/{b64url(payment_hash)}"
    async with asyncio.timeout(10), node.stream("GET", path) as lines:
        async for line in lines:
            if line["result"]["state"] == wanted:
                return
    raise AssertionError(f"the invoice ended without being {wanted}")


async def hold_invoice(merchant: LndClient, value: int = 1000, **fields: Any) -> tuple[bytes, str]:
    preimage = os.urandom(32)
    body = {"hash": b64(hashlib.sha256(preimage).digest()), "value": str(value), **fields}
    answer = await merchant.post("/v2/invoices/hodl", body)
    assert answer.status == 200, answer
    return preimage, answer.body["payment_request"]


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LndProgram]:
    fees = ("--routing-fee-base-msat", "1000", "--routing-fee-ppm", "1000")
    program = LndProgram(tmp_path_factory.mktemp("routed"), *fees)
    with running(program):
        yield program


class TestPaying:
    async def test_moves_the_amount_between_both_nodes(self, merchant: LndClient, customer: LndClient) -> None:
        before = await merchant.local_msat(), await customer.local_msat()
        invoice = await merchant.add_invoice(value_msat="1234567", memo="tea")
        payment = await customer.pay(invoice["payment_request"])
        assert payment["status"] == "SUCCEEDED"
        after = await merchant.local_msat(), await customer.local_msat()
        assert (after[0] - before[0], after[1] - before[1]) == (1_234_567, -1_234_567)

    async def test_gives_the_payer_the_preimage_of_the_hash(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await merchant.add_invoice(value="10")
        payment = await customer.pay(invoice["payment_request"])
        preimage = bytes.fromhex(payment["payment_preimage"])
        assert hashlib.sha256(preimage).hexdigest() == payment["payment_hash"]
        assert b64(hashlib.sha256(preimage).digest()) == invoice["r_hash"]

    async def test_works_the_other_way_round(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await customer.add_invoice(value="10")
        assert (await merchant.pay(invoice["payment_request"]))["status"] == "SUCCEEDED"

    async def test_lets_the_payer_choose_the_amount_of_an_open_invoice(
        self, merchant: LndClient, customer: LndClient
    ) -> None:
        invoice = await merchant.add_invoice(memo="any")
        status, lines = await customer.send(invoice["payment_request"])
        assert status == 500
        assert error_of(lines)["message"] == "amount must be specified when paying a zero amount invoice"
        assert (await customer.pay(invoice["payment_request"], amt="77"))["value_sat"] == "77"
        found = await merchant.ok("/v2/invoices/lookup", payment_addr=b64url_of(invoice["payment_addr"]))
        assert (found["state"], found["amt_paid_sat"], found["value"]) == ("SETTLED", "77", "0")

    async def test_refuses_an_amount_beside_the_invoices_own(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await merchant.add_invoice(value="10")
        _, lines = await customer.send(invoice["payment_request"], amt="11")
        assert error_of(lines)["message"] == "amount must not be specified when paying a non-zero amount invoice"

    async def test_twice_is_refused_as_already_paid(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await merchant.add_invoice(value="10")
        await customer.pay(invoice["payment_request"])
        before = await customer.local_msat()
        status, lines = await customer.send(invoice["payment_request"])
        assert (status, error_of(lines)["code"]) == (409, 6)
        assert error_of(lines)["message"] == "invoice is already paid"
        assert await customer.local_msat() == before

    async def test_many_at_once_pays_once(self, merchant: LndClient, customer: LndClient) -> None:
        before = await merchant.local_msat()
        invoice = await merchant.add_invoice(value="10")
        answers = await asyncio.gather(*(customer.send(invoice["payment_request"]) for _ in range(10)))
        assert sorted(status for status, _ in answers) == [200] + [409] * 9
        assert await merchant.local_msat() - before == 10_000

    async def test_more_than_the_balance_fails_with_the_reason(self, merchant: LndClient, customer: LndClient) -> None:
        before = await customer.local_msat()
        invoice = await merchant.add_invoice(value=str(before // 1000 - 1))  # below the balance, not above the reserve
        payment = await customer.pay(invoice["payment_request"])
        assert (payment["status"], payment["failure_reason"]) == ("FAILED", "FAILURE_REASON_INSUFFICIENT_BALANCE")
        assert await customer.local_msat() == before
        assert payment["payment_preimage"] == "00" * 32

    async def test_an_expired_invoice_is_refused_by_the_payer(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await merchant.add_invoice(value="10", expiry="1")
        payment_hash = hash_of(invoice)
        await until_state(merchant, payment_hash, "CANCELED")
        _, lines = await customer.send(invoice["payment_request"])
        assert error_of(lines)["message"].startswith("invoice expired. Valid until ")

    async def test_a_canceled_invoice_fails_and_may_be_tried_again(
        self, merchant: LndClient, customer: LndClient
    ) -> None:
        invoice = await merchant.add_invoice(value="10")
        await merchant.post("/v2/invoices/cancel", {"payment_hash": invoice["r_hash"]})
        first = await customer.pay(invoice["payment_request"])
        assert first["failure_reason"] == "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS"
        assert first["htlcs"][0]["failure"]["code"] == "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
        second = await customer.pay(invoice["payment_request"])
        assert int(second["payment_index"]) > int(first["payment_index"])

    async def test_oneself_is_refused(self, merchant: LndClient) -> None:
        invoice = await merchant.add_invoice(value="10")
        _, lines = await merchant.send(invoice["payment_request"])
        assert error_of(lines)["message"] == "self-payments not allowed"

    async def test_goes_on_when_the_payer_hangs_up(self, merchant: LndClient, customer: LndClient) -> None:
        preimage, request = await hold_invoice(merchant)
        async with customer.stream("POST", "/v2/router/send", json={"payment_request": request}) as lines:
            assert (await anext(lines))["result"]["status"] == "IN_FLIGHT"
        payment_hash = hashlib.sha256(preimage).digest()
        await until_state(merchant, payment_hash, "ACCEPTED")
        await merchant.post("/v2/invoices/settle", {"preimage": b64(preimage)})
        async with customer.stream("GET", f"/v2/router/track/{b64url(payment_hash)}") as lines:
            assert (await anext(lines))["result"]["status"] == "SUCCEEDED"


def hash_of(invoice: Any) -> bytes:
    return base64.b64decode(invoice["r_hash"])


def b64url_of(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")


class TestHolding:
    """A payment in flight, as a real network has them: a hold invoice keeps it there."""

    async def test_the_money_is_with_neither_while_held(self, merchant: LndClient, customer: LndClient) -> None:
        before = await merchant.local_msat(), await customer.local_msat()
        preimage, request = await hold_invoice(merchant, 5000)
        payment_hash = hashlib.sha256(preimage).digest()
        async with customer.stream("POST", "/v2/router/send", json={"payment_request": request}) as lines:
            await until_state(merchant, payment_hash, "ACCEPTED")
            balances = await merchant.ok("/v1/balance/channels"), await customer.ok("/v1/balance/channels")
            assert int(balances[0]["local_balance"]["msat"]) == before[0]
            assert int(balances[1]["local_balance"]["msat"]) == before[1] - 5_000_000
            assert balances[0]["unsettled_local_balance"]["msat"] == "5000000"
            assert balances[1]["unsettled_remote_balance"]["msat"] == "5000000"
            pending = (await customer.ok("/v1/channels"))["channels"][0]["pending_htlcs"]
            assert [(htlc["incoming"], htlc["amount"]) for htlc in pending] == [(False, "5000")]
            status, again = await customer.send(request)
            assert (status, error_of(again)["message"]) == (409, "payment is in transition")
            answer = await merchant.post("/v2/invoices/settle", {"preimage": b64(preimage)})
            assert (answer.status, answer.body) == (200, {})
            states = [line["result"]["status"] async for line in lines]
        assert states == ["IN_FLIGHT", "SUCCEEDED"]
        assert await merchant.local_msat() == before[0] + 5_000_000

    async def test_cancel_sends_it_back(self, merchant: LndClient, customer: LndClient) -> None:
        before = await customer.local_msat()
        preimage, request = await hold_invoice(merchant)
        payment_hash = hashlib.sha256(preimage).digest()
        paying = asyncio.create_task(customer.pay(request))
        await until_state(merchant, payment_hash, "ACCEPTED")
        await merchant.post("/v2/invoices/cancel", {"payment_hash": b64(payment_hash)})
        payment = await paying
        assert payment["failure_reason"] == "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS"
        assert await customer.local_msat() == before
        found = await merchant.ok(f"/v1/invoice/{payment_hash.hex()}")
        assert (found["state"], found["htlcs"][0]["state"]) == ("CANCELED", "CANCELED")

    async def test_settle_and_cancel_have_lnds_refusals(self, merchant: LndClient) -> None:
        preimage, _ = await hold_invoice(merchant)
        unknown = await merchant.post("/v2/invoices/settle", {"preimage": b64(os.urandom(32))})
        assert (unknown.status, unknown.body["message"]) == (500, "unable to locate invoice")
        early = await merchant.post("/v2/invoices/settle", {"preimage": b64(preimage)})
        assert early.body == {"code": 2, "message": "invoice still open", "details": []}
        short = await merchant.post("/v2/invoices/settle", {"preimage": b64(b"short")})
        assert short.body["message"] == "invalid preimage length of 5, want 32"
        payment_hash = b64(hashlib.sha256(preimage).digest())
        assert (await merchant.post("/v2/invoices/cancel", {"payment_hash": payment_hash})).status == 200
        assert (await merchant.post("/v2/invoices/cancel", {"payment_hash": payment_hash})).status == 200
        late = await merchant.post("/v2/invoices/settle", {"preimage": b64(preimage)})
        assert late.body["message"] == "invoice already canceled"

    async def test_a_settled_invoice_cannot_be_canceled(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await merchant.add_invoice(value="10")
        await customer.pay(invoice["payment_request"])
        answer = await merchant.post("/v2/invoices/cancel", {"payment_hash": invoice["r_hash"]})
        assert answer.body["message"] == "invoice already settled"


class TestTracking:
    async def test_an_unknown_payment_is_not_initiated(self, customer: LndClient) -> None:
        answer = await customer.get(f"/v2/router/track/{b64url(os.urandom(32))}")
        assert answer.status == 404
        assert answer.body == {"error": {"code": 5, "message": "payment isn't initiated", "details": []}}

    async def test_follows_a_payment_to_its_end(self, merchant: LndClient, customer: LndClient) -> None:
        preimage, request = await hold_invoice(merchant)
        payment_hash = hashlib.sha256(preimage).digest()
        paying = asyncio.create_task(customer.pay(request))
        await until_state(merchant, payment_hash, "ACCEPTED")
        async with customer.stream("GET", f"/v2/router/track/{b64url(payment_hash)}") as lines:
            assert (await anext(lines))["result"]["status"] == "IN_FLIGHT"
            await merchant.post("/v2/invoices/settle", {"preimage": b64(preimage)})
            assert (await anext(lines))["result"]["status"] == "SUCCEEDED"
            with pytest.raises(StopAsyncIteration):
                await anext(lines)
        assert (await paying)["status"] == "SUCCEEDED"

    async def test_leaves_out_what_is_in_flight_when_asked(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await merchant.add_invoice(value="10")
        _, lines = await customer.send(invoice["payment_request"], no_inflight_updates=True)
        assert [line["result"]["status"] for line in lines] == ["SUCCEEDED"]


class TestListing:
    async def test_shows_the_incomplete_only_when_asked(self, merchant: LndClient, customer: LndClient) -> None:
        good = await merchant.add_invoice(value="10")
        bad = await merchant.add_invoice(value="10")
        await merchant.post("/v2/invoices/cancel", {"payment_hash": bad["r_hash"]})
        for invoice in (good, bad):
            await customer.pay(invoice["payment_request"])
        newest = {"reversed": "true", "max_payments": "2", "count_total_payments": "true"}
        complete = await customer.ok("/v1/payments", **newest)
        assert {payment["status"] for payment in complete["payments"]} == {"SUCCEEDED"}
        everything = await customer.ok("/v1/payments", include_incomplete="true", **newest)
        assert [payment["status"] for payment in everything["payments"]] == ["SUCCEEDED", "FAILED"]
        assert int(everything["total_num_payments"]) >= 2
        offset = everything["first_index_offset"]
        after = await customer.ok("/v1/payments", include_incomplete="true", index_offset=offset)
        assert [payment["status"] for payment in after["payments"]] == ["FAILED"]


class TestFees:
    """With a routing node in between, which takes 1000 msat and a thousandth."""

    async def test_the_payer_pays_them_on_top(self, routed: LndProgram) -> None:
        async with LndClient(routed, "merchant") as merchant, LndClient(routed, "customer") as customer:
            before = await merchant.local_msat(), await customer.local_msat()
            invoice = await merchant.add_invoice(value="1000")
            payment = await customer.pay(invoice["payment_request"], fee_limit_sat="0", fee_limit_msat="2000")
            assert (payment["status"], payment["fee_msat"], payment["fee_sat"]) == ("SUCCEEDED", "2000", "2")
            hops = payment["htlcs"][0]["route"]["hops"]
            assert [(hop["amt_to_forward_msat"], hop["fee_msat"]) for hop in hops] == [
                ("1000000", "2000"),
                ("1000000", "0"),
            ]
            assert await merchant.local_msat() - before[0] == 1_000_000
            assert await customer.local_msat() - before[1] == -1_002_000

    @pytest.mark.parametrize("limit", [{"fee_limit_msat": "1999"}, {"fee_limit_sat": "1"}, {}])
    async def test_a_limit_below_them_finds_no_route(self, routed: LndProgram, limit: dict[str, str]) -> None:
        async with LndClient(routed, "merchant") as merchant, LndClient(routed, "customer") as customer:
            before = await customer.local_msat()
            invoice = await merchant.add_invoice(value="1000")
            payment = await customer.pay(invoice["payment_request"], **{"fee_limit_sat": "0", **limit})
            assert (payment["status"], payment["failure_reason"]) == ("FAILED", "FAILURE_REASON_NO_ROUTE")
            assert await customer.local_msat() == before

    async def test_two_limits_are_refused(self, routed: LndProgram) -> None:
        async with LndClient(routed, "merchant") as merchant, LndClient(routed, "customer") as customer:
            invoice = await merchant.add_invoice(value="1000")
            _, lines = await customer.send(invoice["payment_request"], fee_limit_sat="5", fee_limit_msat="5000")
            assert error_of(lines)["message"] == "sat and msat arguments are mutually exclusive"

    async def test_an_estimate_names_them(self, routed: LndProgram) -> None:
        async with LndClient(routed, "merchant") as merchant, LndClient(routed, "customer") as customer:
            invoice = await merchant.add_invoice(value="1000")
            by_invoice = await customer.post(
                "/v2/router/route/estimatefee", {"payment_request": invoice["payment_request"]}
            )
            assert (by_invoice.body["routing_fee_msat"], by_invoice.body["failure_reason"]) == (
                "2000",
                "FAILURE_REASON_NONE",
            )
            key = (await merchant.ok("/v1/getinfo"))["identity_pubkey"]
            by_node = await customer.post(
                "/v2/router/route/estimatefee", {"dest": b64(bytes.fromhex(key)), "amt_sat": "1000"}
            )
            assert by_node.body["routing_fee_msat"] == "2000"

    async def test_a_held_payment_is_on_both_channels(self, routed: LndProgram) -> None:
        async with LndClient(routed, "merchant") as merchant, LndClient(routed, "customer") as customer:
            before = await merchant.local_msat(), await customer.local_msat()
            preimage, request = await hold_invoice(merchant)
            paying = asyncio.create_task(customer.pay(request))
            await until_state(merchant, hashlib.sha256(preimage).digest(), "ACCEPTED")
            assert await customer.local_msat() - before[1] == -1_002_000
            await merchant.post("/v2/invoices/settle", {"preimage": b64(preimage)})
            assert (await paying)["fee_msat"] == "2000"
            assert await merchant.local_msat() - before[0] == 1_000_000
