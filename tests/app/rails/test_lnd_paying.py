"""Payouts against a scripted node: the fee cap, tracking after any doubt, and what proves a payment dead."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from payments.rails.protocol import (
    InvalidRequestError,
    OutcomeState,
    OutcomeUnknownError,
    PaymentOrder,
    RailRefusedError,
    RailUnavailableError,
)
from tests.app.rails.lnd_orders import (
    HASH,
    INFO,
    NODE_PUBKEY,
    NOW,
    PAY_MACAROON,
    SEED,
    Clock,
    MakeRail,
    an_order_to_pay,
    bill,
    payment,
)


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
