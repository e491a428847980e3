"""Invoices and arrivals against a scripted node: what is sent, what is believed, what a lost answer means."""

import asyncio
import base64
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.rails.lnd.credentials import GivenMacaroon
from payments.rails.lnd.rail import LndConfig, LndRail
from payments.rails.protocol import (
    ArrivalSource,
    OutcomeUnknownError,
    PayingRail,
    RailRefusedError,
    RailUnavailableError,
    ReceivingRail,
)
from tests.app.rails.lnd_orders import (
    HASH,
    INVOICE_MACAROON,
    NODE_KEY,
    NOW,
    SEED,
    Clock,
    MakeRail,
    an_order,
    bill,
    lnd_invoice,
)


def test_it_is_a_rail_that_receives_pays_and_reports_arrivals(tmp_path: Path) -> None:
    rail = LndRail(
        LndConfig(
            url="https://127.0.0.1:1",
            tls_certificate=tmp_path / "tls.cert",
            invoice_macaroon=GivenMacaroon("00", setting="LND_MACAROON"),
            network="regtest",
            max_payment_msat=1,
            max_fee_msat=1,
        )
    )
    assert isinstance(rail, ReceivingRail)
    assert isinstance(rail, PayingRail)
    assert isinstance(rail, ArrivalSource)
    assert rail.invoice_rail_id(SEED) == HASH


class TestCreateInvoice:
    async def test_the_order_becomes_an_invoice_with_our_preimage(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v1/invoices", script.says({"payment_request": bill(key=NODE_KEY), "add_index": "7"}))
        async with make_rail() as rail:
            made = await rail.create_invoice(an_order())
        assert made.rail_id == HASH
        assert made.expires_at == NOW + timedelta(hours=1)
        (call,) = node.seen("POST", "/v1/invoices")
        assert base64.b64decode(call.body["r_preimage"]) == SEED
        assert (call.body["value_msat"], call.body["memo"], call.body["expiry"]) == ("1000000", "tea", "3600")
        assert call.macaroon == INVOICE_MACAROON

    async def test_a_later_retry_keeps_the_first_expiry(
        self, node: Any, script: Any, make_rail: MakeRail, clock: Clock
    ) -> None:
        node.on("POST", "/v1/invoices", script.says({"payment_request": bill(key=NODE_KEY)}))
        clock.now = NOW + timedelta(minutes=50)
        async with make_rail() as rail:
            await rail.create_invoice(an_order())
        assert node.seen("POST", "/v1/invoices")[0].body["expiry"] == "600"

    async def test_an_invoice_that_is_there_already_is_returned(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v1/invoices", script.fails(500, 2, "invoice with payment hash already exists"))
        node.on("GET", f"/v1/invoice/{HASH}", script.says(lnd_invoice()))
        async with make_rail() as rail:
            assert (await rail.create_invoice(an_order())).rail_id == HASH

    async def test_an_existing_invoice_of_another_amount_is_not_taken_for_it(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v1/invoices", script.fails(500, 2, "invoice with payment hash already exists"))
        node.on("GET", f"/v1/invoice/{HASH}", script.says(lnd_invoice()))
        async with make_rail() as rail:
            with pytest.raises(RailRefusedError, match="another invoice"):
                await rail.create_invoice(an_order(amount=5000))

    @pytest.mark.parametrize("fault", ["breaks", "hangs"])
    async def test_a_lost_answer_is_looked_up(
        self, node: Any, script: Any, make_rail: MakeRail, fault: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.rails.lnd.client.LndClient.post.__kwdefaults__", {"timeout_seconds": 0.3})
        node.on("POST", "/v1/invoices", getattr(script, fault)())
        node.on("GET", f"/v1/invoice/{HASH}", script.says(lnd_invoice()))
        async with make_rail() as rail:
            assert (await rail.create_invoice(an_order())).rail_id == HASH

    async def test_a_lost_answer_that_cannot_be_looked_up_is_unknown(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v1/invoices", script.breaks())
        node.on("GET", "/v1/invoice/", script.breaks())
        async with make_rail() as rail:
            with pytest.raises(OutcomeUnknownError):
                await rail.create_invoice(an_order())

    async def test_a_lost_answer_and_no_such_invoice_stays_unknown_because_it_may_still_be_on_its_way(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v1/invoices", script.breaks())
        node.on("GET", "/v1/invoice/", script.fails(404, 5, "unable to locate invoice"))
        async with make_rail() as rail:
            with pytest.raises(OutcomeUnknownError):
                await rail.create_invoice(an_order())
            assert await rail.look_up_invoice(an_order()) is None

    async def test_a_gateway_that_lost_its_node_counts_as_a_lost_answer(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v1/invoices", script.fails(503, 14, "transport is closing"))
        node.on("GET", "/v1/invoice/", script.fails(503, 14, "transport is closing"))
        async with make_rail() as rail:
            with pytest.raises(OutcomeUnknownError):
                await rail.create_invoice(an_order())

    async def test_an_expired_order_is_refused_without_a_call(
        self, node: Any, make_rail: MakeRail, clock: Clock
    ) -> None:
        clock.now = NOW + timedelta(hours=2)
        async with make_rail() as rail:
            with pytest.raises(RailRefusedError, match="expired"):
                await rail.create_invoice(an_order())
        assert node.calls == []

    async def test_a_node_of_another_network_makes_no_invoice_for_us(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v1/invoices", script.says({"payment_request": bill(network="mainnet", key=NODE_KEY)}))
        async with make_rail() as rail:
            with pytest.raises(RailRefusedError, match="mainnet"):
                await rail.create_invoice(an_order())

    async def test_an_answer_with_a_foreign_hash_is_not_believed(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        foreign = bill(preimage=b"\x99" * 32, key=NODE_KEY)
        node.on("POST", "/v1/invoices", script.says({"payment_request": foreign}))
        async with make_rail() as rail:
            with pytest.raises(RailRefusedError, match="another invoice"):
                await rail.create_invoice(an_order())


class TestArrivals:
    async def take(self, rail: LndRail, cursor: str | None, count: int) -> list[Any]:
        found = []
        async with asyncio.timeout(5):
            async for arrival in rail.arrivals(cursor):
                found.append(arrival)
                if len(found) == count:
                    break
        return found

    async def test_settled_invoices_follow_the_cursor(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        settled = [lnd_invoice("SETTLED", index, bytes([index]) * 32, 1_000_000 + index) for index in (4, 5)]
        node.on("GET", "/v1/invoices/subscribe", script.streams(lnd_invoice(), *settled, then_hang=True))
        async with make_rail() as rail:
            first, second = await self.take(rail, "3", 2)
        assert (first.cursor, second.cursor) == ("4", "5")
        assert second.amount == 1_000_005
        assert second.rail_id == hashlib.sha256(b"\x05" * 32).hexdigest()
        assert first.event_id != second.event_id
        assert node.seen("GET", "/v1/invoices/subscribe")[0].query["settle_index"] == "3"

    async def test_from_the_beginning_the_past_is_listed_because_lnd_replays_nothing_for_zero(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        past = [lnd_invoice("SETTLED", 2, b"\x02" * 32, 7), lnd_invoice("SETTLED", 1, b"\x01" * 32, 5), lnd_invoice()]
        node.on("GET", "/v1/invoices", script.says({"invoices": past, "last_index_offset": "3"}))
        new = lnd_invoice("SETTLED", 3, b"\x03" * 32, 9)
        node.on("GET", "/v1/invoices/subscribe", script.streams(new, then_hang=True))
        async with make_rail() as rail:
            found = await self.take(rail, None, 3)
        assert [arrival.amount for arrival in found] == [5, 7, 9]
        assert node.seen("GET", "/v1/invoices/subscribe")[0].query["settle_index"] == "2"

    async def test_what_settles_between_listing_and_subscribing_is_not_missed(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        second = lnd_invoice("SETTLED", 2, b"\x02" * 32, 7)

        async def subscribe(request: Any, body: Any) -> Any:
            both = [lnd_invoice("SETTLED", 1, b"\x01" * 32, 5), second]
            node.on("GET", "/v1/invoices", script.says({"invoices": both, "last_index_offset": "2"}))
            return await script.streams(second, then_hang=True)(request, body)

        node.on("GET", "/v1/invoices", script.says({"invoices": [], "last_index_offset": "0"}))
        node.on("GET", "/v1/invoices/subscribe", subscribe)
        async with make_rail() as rail:
            found = await self.take(rail, None, 2)
        assert [arrival.amount for arrival in found] == [5, 7]

    async def test_an_idle_subscription_is_opened_again_at_the_last_position(
        self, node: Any, script: Any, make_rail: MakeRail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.rails.lnd.receiving.SUBSCRIPTION_IDLE_SECONDS", 0.2)
        fourth, fifth = (lnd_invoice("SETTLED", index, bytes([index]) * 32, index) for index in (4, 5))

        async def subscribe(request: Any, body: Any) -> Any:
            after = int(request.query["settle_index"])
            results = [fourth] if after == 3 else [fifth]
            return await script.streams(*results, then_hang=True)(request, body)

        node.on("GET", "/v1/invoices/subscribe", subscribe)
        async with make_rail() as rail:
            found = await self.take(rail, "3", 2)
        assert [arrival.cursor for arrival in found] == ["4", "5"]

    @pytest.mark.parametrize("ending", ["streams", "breaks"])
    async def test_a_broken_stream_is_unavailable(
        self, node: Any, script: Any, make_rail: MakeRail, ending: str
    ) -> None:
        node.on("GET", "/v1/invoices/subscribe", getattr(script, ending)())
        async with make_rail() as rail:
            with pytest.raises(RailUnavailableError):
                await self.take(rail, "3", 1)
