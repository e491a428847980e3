"""The Lightning rail against a scripted node: what is believed, what is sent, and what each failure means for money."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from payments.rails.lnd import bolt11
from payments.rails.lnd.credentials import GivenMacaroon, MacaroonFile
from payments.rails.lnd.errors import LndConfigError
from payments.rails.lnd.rail import LndConfig, LndRail
from payments.rails.protocol import (
    ArrivalSource,
    Health,
    InvalidRequestError,
    InvoiceOrder,
    OutcomeState,
    OutcomeUnknownError,
    PayingRail,
    PaymentOrder,
    RailRefusedError,
    RailUnavailableError,
    ReceivingRail,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NODE_KEY = b"\x11" * 32
PAYEE_KEY = b"\x22" * 32
SEED = b"\x33" * 32
HASH = hashlib.sha256(SEED).hexdigest()
NODE_PUBKEY = "03" + "aa" * 32
INVOICE_MACAROON = "0201036c6e64"
PAY_MACAROON = "0201036c6e65"
INFO = {
    "identity_pubkey": NODE_PUBKEY,
    "version": "0.20.0-beta commit=v0.20.0-beta",
    "block_height": 120,
    "num_active_channels": 1,
    "synced_to_chain": True,
    "synced_to_graph": True,
    "chains": [{"chain": "bitcoin", "network": "regtest"}],
}


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


MakeRail = Callable[..., Any]


@pytest.fixture
def make_rail(node: Any, clock: Clock) -> MakeRail:
    @asynccontextmanager
    async def make(**changes: Any) -> AsyncIterator[LndRail]:
        config = LndConfig(
            url=node.url,
            tls_certificate=node.certificate,
            invoice_macaroon=GivenMacaroon(INVOICE_MACAROON, setting="LND_MACAROON"),
            pay_macaroon=GivenMacaroon(PAY_MACAROON, setting="LND_PAY_MACAROON"),
            network="regtest",
            max_payment_msat=1_000_000_000,
            max_fee_msat=50_000,
            submit_wait_seconds=1.0,
        )
        rail = LndRail(replace(config, **changes), clock=clock)
        await rail.start()
        try:
            yield rail
        finally:
            await rail.close()

    return make


def an_order(**changes: Any) -> InvoiceOrder:
    plain = InvoiceOrder(
        invoice_id=UUID(int=1),
        seed=SEED,
        asset="BTC",
        amount=1_000_000,
        memo="tea",
        created_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    return replace(plain, **changes)


def bill(
    amount_msat: int | None = 1_000_000, network: str = "regtest", preimage: bytes = SEED, key: bytes = PAYEE_KEY
) -> str:
    invoice = bolt11.Bolt11Invoice(
        network=network,
        timestamp=int(NOW.timestamp()),
        payment_hash=hashlib.sha256(preimage).hexdigest(),
        payment_secret="cd" * 32,
        amount_msat=amount_msat,
        description="tea",
    )
    return bolt11.encode(invoice, key)


def lnd_invoice(state: str = "OPEN", settle_index: int = 0, preimage: bytes = SEED, paid: int = 0) -> dict[str, Any]:
    return {
        "r_hash": base64.b64encode(hashlib.sha256(preimage).digest()).decode(),
        "r_preimage": base64.b64encode(preimage).decode(),
        "payment_request": bill(preimage=preimage, key=NODE_KEY),
        "state": state,
        "add_index": "7",
        "settle_index": str(settle_index),
        "value_msat": "1000000",
        "amt_paid_msat": str(paid),
        "settle_date": str(int(NOW.timestamp())),
    }


def payment(status: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "payment_hash": HASH,
        "status": status,
        "payment_preimage": SEED.hex() if status == "SUCCEEDED" else "00" * 32,
        "value_msat": "1000000",
        "fee_msat": "1500",
        "failure_reason": "FAILURE_REASON_NO_ROUTE" if status == "FAILED" else "FAILURE_REASON_NONE",
        "payment_index": "4",
    }
    return {**plain, **changes}


def an_order_to_pay(**changes: Any) -> PaymentOrder:
    plain = PaymentOrder(payment_id=UUID(int=2), payment_request=bill(), asset="BTC", amount=1_000_000, max_fee=20_000)
    return replace(plain, **changes)


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


class TestReachingTheNode:
    @pytest.fixture(autouse=True)
    def _readable_invoices(self, node: Any, script: Any) -> None:
        node.on("GET", "/v1/invoices", script.says({"invoices": []}))

    async def test_a_node_that_is_down_is_unavailable_and_its_health_says_so(
        self, node: Any, make_rail: MakeRail
    ) -> None:
        await node.stop()
        async with make_rail() as rail:
            with pytest.raises(RailUnavailableError, match="not reached"):
                await rail.create_invoice(an_order())
            assert (await rail.health()).health is Health.DOWN

    async def test_another_certificate_than_the_pinned_one_is_refused_before_anything_is_sent(
        self, node: Any, script: Any, make_rail: MakeRail, tmp_path: Path
    ) -> None:
        script.write_certificate(tmp_path)
        async with make_rail(tls_certificate=tmp_path / "tls.cert") as rail:
            with pytest.raises(RailUnavailableError, match="another certificate"):
                await rail.create_invoice(an_order())
        assert node.calls == []

    async def test_a_rotated_certificate_is_read_without_a_restart(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        async with make_rail() as rail:
            assert (await rail.health()).health is Health.OK
            await node.stop()
            script.write_certificate(node.folder)
            await node.start()
            assert (await rail.health()).health is Health.OK

    async def test_a_rotated_macaroon_file_is_read_without_a_restart(
        self, node: Any, script: Any, make_rail: MakeRail, tmp_path: Path
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        path = tmp_path / "invoice.macaroon"
        path.write_bytes(b"one")
        async with make_rail(invoice_macaroon=MacaroonFile(path, setting="LND_MACAROON_PATH")) as rail:
            await rail.look_up_invoice(an_order())
            path.write_bytes(b"three")
            await rail.look_up_invoice(an_order())
        assert [call.macaroon for call in node.calls] == [b"one".hex(), b"three".hex()]

    @pytest.mark.parametrize(
        ("status", "code", "message"),
        [
            (500, 2, "verification failed: signature mismatch after caveat verification"),
            (403, 7, "permission denied"),
            (500, 2, "expected 1 macaroon, got 0"),
        ],
    )
    async def test_a_refused_macaroon_is_named(
        self, node: Any, script: Any, make_rail: MakeRail, status: int, code: int, message: str
    ) -> None:
        node.on("POST", "/v1/invoices", script.fails(status, code, message))
        async with make_rail() as rail:
            with pytest.raises(RailUnavailableError, match="LND_MACAROON") as caught:
                await rail.create_invoice(an_order())
        assert INVOICE_MACAROON not in str(caught.value)

    async def test_a_locked_wallet_is_unavailable(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        node.on("POST", "/v1/invoices", script.fails(500, 2, "wallet locked, unlock it to enable full RPC access"))
        async with make_rail() as rail:
            with pytest.raises(RailUnavailableError, match="not ready"):
                await rail.create_invoice(an_order())

    async def test_a_missing_certificate_or_macaroon_is_said_in_a_sentence(
        self, make_rail: MakeRail, tmp_path: Path
    ) -> None:
        async with make_rail(tls_certificate=tmp_path / "no.cert") as rail:
            with pytest.raises(LndConfigError, match="LND_TLS_CERT_PATH"):
                await rail.create_invoice(an_order())
        async with make_rail(invoice_macaroon=MacaroonFile(tmp_path / "no", setting="LND_MACAROON_PATH")) as rail:
            assert "LND_MACAROON_PATH" in (await rail.health()).reason
        with pytest.raises(LndConfigError, match="not hex"):
            GivenMacaroon("tea", setting="LND_MACAROON")

    async def test_plain_http_is_refused(self, make_rail: MakeRail) -> None:
        with pytest.raises(LndConfigError, match="https"):
            async with make_rail(url="http://127.0.0.1:8080"):
                pass

    async def test_at_most_ten_connections_to_the_node(self, node: Any, make_rail: MakeRail) -> None:
        from aiohttp import web

        open_now, most = 0, 0

        async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.01)
            open_now -= 1
            return web.json_response(INFO)

        node.on("GET", "/v1/getinfo", answer)
        async with make_rail() as rail:
            await asyncio.gather(*(rail.health() for _ in range(50)))
        assert most == 10


class TestHealth:
    @pytest.fixture(autouse=True)
    def _readable_invoices(self, node: Any, script: Any) -> None:
        node.on("GET", "/v1/invoices", script.says({"invoices": []}))

    @pytest.mark.parametrize(
        ("change", "health", "reason"),
        [
            ({}, Health.OK, ""),
            ({"synced_to_chain": False}, Health.DEGRADED, "chain"),
            ({"synced_to_graph": False}, Health.DEGRADED, "graph"),
            ({"num_active_channels": 0}, Health.DEGRADED, "active channel"),
            ({"chains": [{"network": "mainnet"}]}, Health.DOWN, "mainnet"),
        ],
    )
    async def test_ready_means_synced_with_a_channel_on_our_network(
        self, node: Any, script: Any, make_rail: MakeRail, change: dict[str, Any], health: Health, reason: str
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says({**INFO, **change}))
        async with make_rail() as rail:
            found = await rail.health()
        assert found.health is health
        assert reason in found.reason

    async def test_a_silent_node_is_down_within_three_seconds(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("GET", "/v1/getinfo", script.hangs())
        async with make_rail() as rail:
            start = time.monotonic()
            assert (await rail.health()).health is Health.DOWN
        assert time.monotonic() - start < 4


class TestPreparing:
    async def test_the_node_and_the_cap_are_noted(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        async with make_rail() as rail:
            prepared = await rail.prepare(an_order_to_pay())
        assert prepared.rail_id == HASH
        assert prepared.payload["node"] == NODE_PUBKEY
        assert prepared.payload["fee_limit_msat"] == 20_000

    @pytest.mark.parametrize(
        ("order", "error", "reason"),
        [
            (an_order_to_pay(payment_request=bill(network="mainnet")), InvalidRequestError, "mainnet"),
            (an_order_to_pay(payment_request="lnbcrt1tea"), InvalidRequestError, "invoice"),
            (an_order_to_pay(amount=2_000_000), InvalidRequestError, "asks 1000000 msat"),
            (an_order_to_pay(amount=0, payment_request=bill(None)), InvalidRequestError, "above 0"),
            (an_order_to_pay(asset="USDC"), InvalidRequestError, "BTC"),
            (an_order_to_pay(amount=10**10, payment_request=bill(None)), RailRefusedError, "MAX_PAYMENT_MSAT"),
            (an_order_to_pay(amount=10**10, payment_request=bill(10**10)), RailRefusedError, "MAX_PAYMENT_MSAT"),
        ],
    )
    async def test_a_bad_order_is_refused(
        self, node: Any, script: Any, make_rail: MakeRail, order: PaymentOrder, error: type[Exception], reason: str
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        async with make_rail() as rail:
            with pytest.raises(error, match=reason):
                await rail.prepare(order)

    async def test_an_expired_invoice_is_refused(self, make_rail: MakeRail, clock: Clock) -> None:
        clock.now = NOW + timedelta(hours=1)
        async with make_rail() as rail:
            with pytest.raises(InvalidRequestError, match="expired"):
                await rail.prepare(an_order_to_pay())

    async def test_a_process_without_the_pay_macaroon_cannot_pay(self, make_rail: MakeRail) -> None:
        async with make_rail(pay_macaroon=None) as rail:
            with pytest.raises(RailRefusedError, match="only the worker"):
                await rail.prepare(an_order_to_pay())

    async def test_an_invoice_in_a_wallet_link_is_read(self, make_rail: MakeRail) -> None:
        async with make_rail() as rail:
            assert rail.decode("lightning:" + bill().upper()).amount == 1_000_000


class TestPaying:
    @pytest.fixture(autouse=True)
    def _known_node(self, node: Any, script: Any) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))

    async def test_a_payment_succeeds_with_its_preimage_and_fee(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v2/router/send", script.streams(payment("IN_FLIGHT"), payment("SUCCEEDED")))
        async with make_rail() as rail:
            outcome = await rail.submit(await rail.prepare(an_order_to_pay()))
        assert outcome.state is OutcomeState.SUCCEEDED
        assert outcome.fee == 1500
        assert outcome.proof["preimage"] == SEED.hex()
        (call,) = node.seen("POST", "/v2/router/send")
        assert call.macaroon == PAY_MACAROON
        assert "amt_msat" not in call.body
        assert call.body["cancelable"] is False

    @pytest.mark.parametrize(("wanted", "sent"), [(20_000, "20000"), (90_000_000, "50000"), (0, "0")])
    async def test_the_fee_limit_is_always_sent_and_never_above_the_ceiling(
        self, node: Any, script: Any, make_rail: MakeRail, wanted: int, sent: str
    ) -> None:
        node.on("POST", "/v2/router/send", script.streams(payment("SUCCEEDED")))
        async with make_rail() as rail:
            await rail.submit(await rail.prepare(an_order_to_pay(max_fee=wanted)))
        assert node.seen("POST", "/v2/router/send")[0].body["fee_limit_msat"] == sent

    async def test_a_wallet_link_is_sent_as_the_bare_invoice(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        node.on("POST", "/v2/router/send", script.streams(payment("SUCCEEDED")))
        async with make_rail() as rail:
            await rail.submit(await rail.prepare(an_order_to_pay(payment_request=f"lightning:{bill()}")))
        assert node.seen("POST", "/v2/router/send")[0].body["payment_request"] == bill()

    async def test_an_invoice_without_an_amount_is_paid_with_the_orders(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v2/router/send", script.streams(payment("SUCCEEDED")))
        async with make_rail() as rail:
            await rail.submit(await rail.prepare(an_order_to_pay(payment_request=bill(None), amount=777)))
        assert node.seen("POST", "/v2/router/send")[0].body["amt_msat"] == "777"

    async def test_a_wrong_preimage_is_no_success(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        node.on("POST", "/v2/router/send", script.streams(payment("SUCCEEDED", payment_preimage="ee" * 32)))
        async with make_rail() as rail:
            assert (await rail.submit(await rail.prepare(an_order_to_pay()))).state is OutcomeState.UNKNOWN

    async def test_a_failed_payment_is_dead_with_its_reason(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        node.on("POST", "/v2/router/send", script.streams(payment("FAILED")))
        async with make_rail() as rail:
            outcome = await rail.submit(await rail.prepare(an_order_to_pay()))
        assert outcome.state is OutcomeState.DEAD
        assert outcome.proof["failure_reason"] == "FAILURE_REASON_NO_ROUTE"

    async def test_a_payment_that_hangs_is_in_flight_not_failed(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v2/router/send", script.streams(payment("IN_FLIGHT"), then_hang=True))
        async with make_rail() as rail:
            assert (await rail.submit(await rail.prepare(an_order_to_pay()))).state is OutcomeState.IN_FLIGHT

    @pytest.mark.parametrize("fault", ["hangs", "breaks"])
    @pytest.mark.parametrize(
        ("status", "state"),
        [("SUCCEEDED", OutcomeState.SUCCEEDED), ("IN_FLIGHT", OutcomeState.IN_FLIGHT), ("FAILED", OutcomeState.DEAD)],
    )
    async def test_after_a_lost_answer_tracking_decides(
        self, node: Any, script: Any, make_rail: MakeRail, fault: str, status: str, state: OutcomeState
    ) -> None:
        node.on("POST", "/v2/router/send", getattr(script, fault)())
        node.on("GET", "/v2/router/track/", script.streams(payment(status), then_hang=status == "IN_FLIGHT"))
        async with make_rail() as rail:
            assert (await rail.submit(await rail.prepare(an_order_to_pay()))).state is state
        (call,) = node.seen("GET", "/v2/router/track/")
        assert base64.urlsafe_b64decode(call.path.rsplit("/", 1)[1]) == bytes.fromhex(HASH)

    async def test_a_lost_answer_and_an_unknown_hash_is_unknown(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v2/router/send", script.breaks())
        node.on("GET", "/v2/router/track/", script.fails(404, 5, "payment isn't initiated"))
        async with make_rail() as rail:
            assert (await rail.submit(await rail.prepare(an_order_to_pay()))).state is OutcomeState.UNKNOWN

    async def test_a_lost_answer_with_no_way_to_track_raises_unknown(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v2/router/send", script.breaks())
        node.on("GET", "/v2/router/track/", script.fails(403, 7, "permission denied"))
        async with make_rail() as rail:
            with pytest.raises(OutcomeUnknownError):
                await rail.submit(await rail.prepare(an_order_to_pay()))

    @pytest.mark.parametrize(
        "message", ["invoice is already paid", "payment is in transition", "payment already exists"]
    )
    async def test_a_repeated_submit_finds_the_first_payment(
        self, node: Any, script: Any, make_rail: MakeRail, message: str
    ) -> None:
        node.on("POST", "/v2/router/send", script.fails(409, 6, message))
        node.on("GET", "/v2/router/track/", script.streams(payment("SUCCEEDED")))
        async with make_rail() as rail:
            assert (await rail.submit(await rail.prepare(an_order_to_pay()))).state is OutcomeState.SUCCEEDED

    async def test_a_plain_refusal_is_final_when_nothing_is_tracked(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("POST", "/v2/router/send", script.fails(500, 2, "self-payments not allowed"))
        node.on("GET", "/v2/router/track/", script.fails(404, 5, "payment isn't initiated"))
        async with make_rail() as rail:
            with pytest.raises(RailRefusedError, match="self-payments"):
                await rail.submit(await rail.prepare(an_order_to_pay()))

    async def test_a_node_that_is_down_was_sent_nothing(self, node: Any, make_rail: MakeRail) -> None:
        async with make_rail() as rail:
            prepared = await rail.prepare(an_order_to_pay())
            await node.stop()
            await rail.close()
            await rail.start()
            with pytest.raises(RailUnavailableError):
                await rail.submit(prepared)


class TestProofOfDeath:
    @pytest.fixture(autouse=True)
    def _unknown_payment(self, node: Any, script: Any) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        node.on("GET", "/v2/router/track/", script.fails(404, 5, "payment isn't initiated"))

    @pytest.mark.parametrize(
        ("after", "state"),
        [
            (timedelta(minutes=1), OutcomeState.UNKNOWN),
            (timedelta(minutes=61), OutcomeState.UNKNOWN),  # expired, but within the clocks' difference
            (timedelta(minutes=63), OutcomeState.DEAD),
        ],
    )
    async def test_not_found_is_a_proof_only_after_the_invoice_expired(
        self, make_rail: MakeRail, clock: Clock, after: timedelta, state: OutcomeState
    ) -> None:
        async with make_rail() as rail:
            prepared = await rail.prepare(an_order_to_pay())
            clock.now = NOW + after
            assert (await rail.look_up(prepared)).state is state

    async def test_another_nodes_ignorance_is_no_proof(
        self, node: Any, script: Any, make_rail: MakeRail, clock: Clock
    ) -> None:
        async with make_rail() as rail:
            prepared = await rail.prepare(an_order_to_pay())
            node.on("GET", "/v1/getinfo", script.says({**INFO, "identity_pubkey": "02" + "bb" * 32}))
            clock.now = NOW + timedelta(days=3)
            outcome = await rail.look_up(prepared)
        assert outcome.state is OutcomeState.UNKNOWN
        assert "never heard of it" in outcome.reason

    async def test_failed_is_a_proof(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        node.on("GET", "/v2/router/track/", script.streams(payment("FAILED")))
        async with make_rail() as rail:
            assert (await rail.look_up(await rail.prepare(an_order_to_pay()))).state is OutcomeState.DEAD

    @pytest.mark.parametrize("fault", ["breaks", "hangs"])
    async def test_no_answer_is_never_a_proof(
        self, node: Any, script: Any, make_rail: MakeRail, clock: Clock, fault: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.rails.lnd.paying.TRACK_WAIT_SECONDS", 0.3)
        node.on("GET", "/v2/router/track/", getattr(script, fault)())
        async with make_rail() as rail:
            prepared = await rail.prepare(an_order_to_pay())
            clock.now = NOW + timedelta(days=3)
            with pytest.raises(RailUnavailableError):
                await rail.look_up(prepared)


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
