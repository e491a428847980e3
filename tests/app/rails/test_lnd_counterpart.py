"""The Lightning rail against the sandbox's LND program: two parties, real invoices, kills and holds."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from payments.rails.lnd import bolt11
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import MacaroonFile, PinnedCertificate
from payments.rails.lnd.messages import to_base64, to_url_base64
from payments.rails.lnd.rail import LndConfig, LndRail
from payments.rails.protocol import (
    Health,
    InvoiceOrder,
    OutcomeState,
    PaymentOrder,
    RailInvoice,
    RailRefusedError,
    RailUnavailableError,
)
from tests.sandbox.processes import LndProgram, running

FEE_BASE_MSAT = 1000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LndProgram]:
    """Merchant, customer, and a routing node between them that takes a satoshi."""
    network = LndProgram(tmp_path_factory.mktemp("lnd"), "--routing-fee-base-msat", str(FEE_BASE_MSAT))
    with running(network):
        yield network


def macaroon_of(program: LndProgram, node: str, name: str) -> MacaroonFile:
    folder = program.data / node / "data" / "chain" / "bitcoin" / "regtest"
    return MacaroonFile(folder / f"{name}.macaroon", setting="LND_MACAROON_PATH")


def config_of(program: LndProgram, *, pays_with: str | None = "pay", invoices_with: str = "invoice") -> LndConfig:
    return LndConfig(
        url=f"https://127.0.0.1:{program.ports['merchant']}",
        tls_certificate=program.certificate("merchant"),
        invoice_macaroon=macaroon_of(program, "merchant", invoices_with),
        pay_macaroon=macaroon_of(program, "merchant", pays_with) if pays_with else None,
        network="regtest",
        max_payment_msat=1_000_000_000,
        max_fee_msat=50_000,
        submit_wait_seconds=2.0,
    )


MakeRail = Callable[..., Any]


@asynccontextmanager
async def started(rail: LndRail) -> AsyncIterator[LndRail]:
    await rail.start()
    try:
        yield rail
    finally:
        await rail.close()


@pytest.fixture
async def rail(program: LndProgram) -> AsyncIterator[LndRail]:
    async with started(LndRail(config_of(program))) as made:
        yield made


@pytest.fixture
async def customer(program: LndProgram) -> AsyncIterator[LndClient]:
    client = LndClient(
        f"https://127.0.0.1:{program.ports['customer']}",
        certificate=PinnedCertificate(program.certificate("customer")),
        macaroon=macaroon_of(program, "customer", "admin"),
    )
    await client.start()
    yield client
    await client.close()


def an_order(amount: int | None = 25_000, seed: bytes | None = None) -> InvoiceOrder:
    now = datetime.now(UTC)
    return InvoiceOrder(
        invoice_id=uuid4(),
        seed=seed or os.urandom(32),
        asset="BTC",
        amount=amount,
        memo="ナンセンス 1杯",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )


async def pay(customer: LndClient, payment_request: str, amount_msat: int | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "payment_request": payment_request,
        "timeout_seconds": 10,
        "fee_limit_msat": "5000",
        "no_inflight_updates": True,
    }
    if amount_msat is not None:
        body["amt_msat"] = str(amount_msat)
    async for update in customer.stream("POST", "/v2/router/send", None, body, idle_seconds=10):
        return update
    raise AssertionError("no update")


async def bill(customer: LndClient, amount_msat: int) -> str:
    made = await customer.post("/v1/invoices", {"value_msat": str(amount_msat), "memo": "bread"})
    return str(made["payment_request"])


def to_pay(payment_request: str, amount: int, max_fee: int = 20_000) -> PaymentOrder:
    return PaymentOrder(
        payment_id=uuid4(), payment_request=payment_request, asset="BTC", amount=amount, max_fee=max_fee
    )


class TestReceiving:
    async def test_an_invoice_is_made_once_for_its_preimage(self, rail: LndRail) -> None:
        order = an_order()
        first: RailInvoice = await rail.create_invoice(order)
        again = await rail.create_invoice(order)
        assert again == first
        assert first.rail_id == rail.invoice_rail_id(order.seed)
        assert await rail.look_up_invoice(order) == first
        assert await rail.look_up_invoice(an_order()) is None

    async def test_ten_at_once_make_one_invoice(self, rail: LndRail) -> None:
        order = an_order()
        made = await asyncio.gather(*(rail.create_invoice(order) for _ in range(10)))
        assert len({invoice.payment_request for invoice in made}) == 1

    async def test_its_text_says_what_was_ordered(self, rail: LndRail) -> None:
        order = an_order(123_456)
        invoice = bolt11.decode((await rail.create_invoice(order)).payment_request)
        assert (invoice.amount_msat, invoice.description, invoice.network) == (123_456, "ナンセンス 1杯", "regtest")
        assert abs(invoice.expires_at - order.expires_at.timestamp()) <= 2

    async def test_paid_invoices_arrive_in_order_and_after_the_cursor(self, rail: LndRail, customer: LndClient) -> None:
        orders = [an_order(25_000), an_order(None), an_order(7_000)]
        for order in orders:
            made = await rail.create_invoice(order)
            await pay(customer, made.payment_request, None if order.amount else 11_000)
        wanted = [rail.invoice_rail_id(order.seed) for order in orders]
        found: list[Any] = []
        async with asyncio.timeout(10):
            async for arrival in rail.arrivals(None):
                found.append(arrival)
                if arrival.rail_id == wanted[-1]:
                    break
        mine = [arrival for arrival in found if arrival.rail_id in wanted]
        assert [arrival.rail_id for arrival in mine] == wanted
        assert [arrival.amount for arrival in mine] == [25_000, 11_000, 7_000]
        assert hashlib.sha256(bytes.fromhex(mine[0].proof["preimage"])).hexdigest() == wanted[0]
        async with asyncio.timeout(10):
            async for arrival in rail.arrivals(mine[0].cursor):
                assert arrival.rail_id == wanted[1]
                break

    async def test_one_that_is_paid_while_we_listen_arrives(self, rail: LndRail, customer: LndClient) -> None:
        order = an_order(9_000)
        made = await rail.create_invoice(order)
        seen: list[Any] = []

        async def listen() -> None:
            async for arrival in rail.arrivals(None):
                seen.append(arrival)
                if arrival.rail_id == made.rail_id:
                    return

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0.3)
        await pay(customer, made.payment_request)
        await asyncio.wait_for(listening, 10)
        assert seen[-1].amount == 9_000


class TestPaying:
    async def test_an_invoice_is_paid_with_its_fee(self, rail: LndRail, customer: LndClient) -> None:
        prepared = await rail.prepare(to_pay(await bill(customer, 50_000), 50_000))
        outcome = await rail.submit(prepared)
        assert outcome.state is OutcomeState.SUCCEEDED
        assert outcome.fee == FEE_BASE_MSAT
        assert hashlib.sha256(bytes.fromhex(outcome.proof["preimage"])).hexdigest() == prepared.rail_id

    async def test_submitting_again_pays_nothing_again(self, rail: LndRail, customer: LndClient) -> None:
        prepared = await rail.prepare(to_pay(await bill(customer, 50_000), 50_000))
        before = await customer.get("/v1/balance/channels")
        first = await rail.submit(prepared)
        paid = await customer.get("/v1/balance/channels")
        assert await rail.submit(prepared) == first
        assert await rail.look_up(prepared) == first
        assert await customer.get("/v1/balance/channels") == paid != before

    async def test_a_fee_above_the_cap_is_never_paid(self, rail: LndRail, customer: LndClient) -> None:
        prepared = await rail.prepare(to_pay(await bill(customer, 50_000), 50_000, max_fee=FEE_BASE_MSAT - 1))
        outcome = await rail.submit(prepared)
        assert outcome.state is OutcomeState.DEAD
        assert outcome.proof["failure_reason"] == "FAILURE_REASON_NO_ROUTE"
        assert (await rail.look_up(prepared)).state is OutcomeState.DEAD

    async def test_a_held_payment_is_in_flight_until_it_is_decided(self, rail: LndRail, customer: LndClient) -> None:
        preimage = os.urandom(32)
        digest = hashlib.sha256(preimage).digest()
        held = await customer.post("/v2/invoices/hodl", {"hash": to_base64(digest), "value_msat": "40000"})
        prepared = await rail.prepare(to_pay(str(held["payment_request"]), 40_000))
        assert (await rail.submit(prepared)).state is OutcomeState.IN_FLIGHT
        assert (await rail.look_up(prepared)).state is OutcomeState.IN_FLIGHT
        await customer.post("/v2/invoices/settle", {"preimage": to_base64(preimage)})
        for _ in range(100):
            outcome = await rail.look_up(prepared)
            if outcome.state is not OutcomeState.IN_FLIGHT:
                break
            await asyncio.sleep(0.05)
        assert outcome.state is OutcomeState.SUCCEEDED
        assert outcome.proof["preimage"] == preimage.hex()

    async def test_a_cancelled_payment_is_dead(self, rail: LndRail, customer: LndClient) -> None:
        digest = hashlib.sha256(os.urandom(32)).digest()
        held = await customer.post("/v2/invoices/hodl", {"hash": to_base64(digest), "value_msat": "40000"})
        prepared = await rail.prepare(to_pay(str(held["payment_request"]), 40_000))
        assert (await rail.submit(prepared)).state is OutcomeState.IN_FLIGHT
        await customer.post("/v2/invoices/cancel", {"payment_hash": to_base64(digest)})
        for _ in range(100):
            outcome = await rail.look_up(prepared)
            if outcome.state is not OutcomeState.IN_FLIGHT:
                break
            await asyncio.sleep(0.05)
        assert outcome.state is OutcomeState.DEAD

    async def test_a_payment_never_sent_is_unknown_while_its_invoice_lives(
        self, rail: LndRail, customer: LndClient
    ) -> None:
        prepared = await rail.prepare(to_pay(await bill(customer, 50_000), 50_000))
        outcome = await rail.look_up(prepared)
        assert outcome.state is OutcomeState.UNKNOWN
        assert "same hash" in outcome.reason

    async def test_a_fee_is_estimated_without_paying(self, rail: LndRail, customer: LndClient) -> None:
        assert await rail.estimate_fee_msat(await bill(customer, 50_000), 50_000) == FEE_BASE_MSAT

    async def test_our_own_invoice_is_not_paid(self, rail: LndRail) -> None:
        made = await rail.create_invoice(an_order(5_000))
        with pytest.raises(RailRefusedError, match="own node"):
            await rail.prepare(to_pay(made.payment_request, 5_000))


class TestRights:
    async def test_the_web_roles_macaroon_cannot_pay(self, program: LndProgram, customer: LndClient) -> None:
        async with started(LndRail(config_of(program, pays_with="invoice"))) as rail:
            order = to_pay(await bill(customer, 5_000), 5_000)
            with pytest.raises(RailUnavailableError, match="macaroon"):
                await rail.prepare(order)
        async with started(LndRail(config_of(program, pays_with="readonly"))) as rail:
            prepared = await rail.prepare(order)
            with pytest.raises(RailUnavailableError, match="macaroon"):
                await rail.submit(prepared)

    async def test_health_needs_no_more_than_the_invoice_macaroon(self, program: LndProgram) -> None:
        async with (
            started(LndRail(config_of(program, pays_with=None))) as web,
            started(LndRail(config_of(program))) as worker,
        ):
            seen_by_web, seen_by_worker = await web.health(), await worker.health()
        assert seen_by_web.health is seen_by_worker.health is Health.OK
        assert "active_channels" not in seen_by_web.facts
        assert seen_by_worker.facts["active_channels"] == 1

    async def test_the_pay_macaroon_makes_no_invoice(self, program: LndProgram) -> None:
        async with started(LndRail(config_of(program, invoices_with="pay"))) as rail:
            with pytest.raises(RailUnavailableError, match="macaroon"):
                await rail.create_invoice(an_order())

    async def test_the_customers_certificate_is_not_the_merchants(self, program: LndProgram, tmp_path: Path) -> None:
        config = config_of(program)
        object.__setattr__(config, "tls_certificate", program.certificate("customer"))
        async with started(LndRail(config)) as rail:
            health = await rail.health()
        assert health.health is Health.DOWN
        assert "certificate" in health.reason


async def test_a_killed_node_costs_neither_an_invoice_nor_a_payment(tmp_path: Path) -> None:
    network = LndProgram(tmp_path)
    with running(network):
        customer = LndClient(
            f"https://127.0.0.1:{network.ports['customer']}",
            certificate=PinnedCertificate(network.certificate("customer")),
            macaroon=macaroon_of(network, "customer", "admin"),
        )
        await customer.start()
        async with started(LndRail(config_of(network))) as rail:
            order = an_order()
            made = await rail.create_invoice(order)
            await pay(customer, made.payment_request)
            digest = hashlib.sha256(os.urandom(32)).digest()
            held = await customer.post("/v2/invoices/hodl", {"hash": to_base64(digest), "value_msat": "40000"})
            prepared = await rail.prepare(to_pay(str(held["payment_request"]), 40_000))
            assert (await rail.submit(prepared)).state is OutcomeState.IN_FLIGHT
            network.kill()
            with pytest.raises(RailUnavailableError):
                await rail.look_up(prepared)
            with pytest.raises(RailUnavailableError):
                await rail.create_invoice(an_order())
            network.start()
            assert (await rail.look_up(prepared)).state is OutcomeState.IN_FLIGHT
            assert (await rail.create_invoice(order)).rail_id == made.rail_id
            async with asyncio.timeout(10):
                async for arrival in rail.arrivals(None):
                    assert arrival.rail_id == made.rail_id
                    break
        await customer.close()


def test_url_base64_is_what_lnd_reads_in_a_path() -> None:
    assert to_url_base64(b"\xfb\xff") == "-_8="
