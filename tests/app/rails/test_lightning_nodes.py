"""The same tests of the Lightning rail on the sandbox's nodes and, with --full, on real lnd nodes on a real btcd."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from payments.object_stores import FolderStore
from payments.rails.lnd.backups import Drill
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import MacaroonFile, PinnedCertificate
from payments.rails.lnd.rail import LndRail
from payments.rails.protocol import (
    Arrival,
    Health,
    InvalidRequestError,
    InvoiceOrder,
    OutcomeState,
    PaymentOrder,
    RailUnavailableError,
)
from sandbox.nodes.building import are_built, has_go
from tests.app.conftest import until
from tests.app.rails.lightning_networks import Lightning, bundled, real

PATIENCE_SECONDS = 60


class Clock:
    """The time, which may be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module", params=["bundled", pytest.param("real", marks=pytest.mark.full)])
def lightning(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lightning]:
    if request.param == "real" and not (are_built() or has_go()):
        pytest.skip("there is no Go to build lnd with")
    network = bundled if request.param == "bundled" else real
    with network(tmp_path_factory.mktemp("lightning")) as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def rail(lightning: Lightning, clock: Clock) -> AsyncIterator[LndRail]:
    made = LndRail(lightning.config(), clock=clock)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def customer(lightning: Lightning) -> AsyncIterator[LndClient]:
    party = lightning.customer
    client = LndClient(
        party.url,
        certificate=PinnedCertificate(party.certificate),
        macaroon=MacaroonFile(party.macaroon("admin"), setting="LND_MACAROON_PATH"),
    )
    await client.start()
    yield client
    await client.close()


def an_order(amount_msat: int = 25_000_000) -> InvoiceOrder:
    now = datetime.now(UTC)
    return InvoiceOrder(
        invoice_id=uuid4(),
        seed=os.urandom(32),
        asset="BTC",
        amount=amount_msat,
        memo="tea",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )


async def pay(customer: LndClient, payment_request: str) -> dict[str, Any]:
    body = {"payment_request": payment_request, "timeout_seconds": 30, "fee_limit_msat": "50000"}
    last: dict[str, Any] = {}
    async for update in customer.stream("POST", "/v2/router/send", None, body, idle_seconds=PATIENCE_SECONDS):
        last = update
        if update.get("status") in ("SUCCEEDED", "FAILED"):
            break
    return last


async def bill(customer: LndClient, amount_msat: int, expiry_seconds: int = 3600) -> str:
    body = {"value_msat": str(amount_msat), "memo": "bread", "expiry": str(expiry_seconds)}
    return str((await customer.post("/v1/invoices", body))["payment_request"])


def to_pay(payment_request: str, amount_msat: int, max_fee_msat: int = 20_000) -> PaymentOrder:
    return PaymentOrder(uuid4(), payment_request, "BTC", amount_msat, max_fee_msat)


async def arrival_of(rail: LndRail, rail_id: str, cursor: str | None) -> Arrival:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for arrived in rail.arrivals(cursor):
            if isinstance(arrived, Arrival) and arrived.rail_id == rail_id:
                return arrived
    raise AssertionError("the stream ended")


async def test_receive(rail: LndRail, customer: LndClient) -> None:
    order = an_order()
    invoice = await rail.create_invoice(order)
    assert (await pay(customer, invoice.payment_request))["status"] == "SUCCEEDED"
    arrived = await arrival_of(rail, invoice.rail_id, None)
    assert arrived.amount == order.amount
    assert hashlib.sha256(bytes.fromhex(arrived.proof["preimage"])).hexdigest() == invoice.rail_id


async def test_pay_and_look_up(rail: LndRail, customer: LndClient, lightning: Lightning) -> None:
    prepared = await rail.prepare(to_pay(await bill(customer, 30_000_000), 30_000_000))
    paid = await rail.submit(prepared)
    assert paid.state is OutcomeState.SUCCEEDED, paid
    assert lightning.base_fee_msat <= paid.fee <= 20_000
    assert await rail.look_up(prepared) == paid
    assert await rail.submit(prepared) == paid, "sending the same hash again moves nothing"


async def test_the_fee_cap_holds_and_a_payment_without_a_route_is_dead(rail: LndRail, customer: LndClient) -> None:
    prepared = await rail.prepare(to_pay(await bill(customer, 30_000_000), 30_000_000, max_fee_msat=0))
    refused = await rail.submit(prepared)
    assert refused.state is OutcomeState.DEAD
    assert refused.proof["track_payment"] == "FAILED"
    assert (await rail.look_up(prepared)).state is OutcomeState.DEAD


async def test_an_expired_invoice_is_refused_and_one_never_sent_is_dead_only_then(
    rail: LndRail, customer: LndClient, clock: Clock
) -> None:
    request = await bill(customer, 10_000_000, expiry_seconds=600)
    prepared = await rail.prepare(to_pay(request, 10_000_000))
    early = await rail.look_up(prepared)
    assert (early.state, early.proof["not_found"]) == (OutcomeState.UNKNOWN, True)
    clock.ahead = timedelta(seconds=601)
    with pytest.raises(InvalidRequestError):
        await rail.prepare(to_pay(request, 10_000_000))
    assert (await rail.look_up(prepared)).state is OutcomeState.UNKNOWN, "clocks may differ by two minutes"
    clock.ahead = timedelta(seconds=800)
    late = await rail.look_up(prepared)
    assert (late.state, late.proof["track_payment"]) == (OutcomeState.DEAD, "NOT_FOUND")


async def test_a_crash_between_creation_and_record_finds_the_same_invoice(rail: LndRail) -> None:
    order = an_order()
    assert await rail.look_up_invoice(order) is None
    made = await rail.create_invoice(order)
    assert await rail.look_up_invoice(order) == made
    assert await rail.create_invoice(order) == made


async def test_held_money_is_taken_or_goes_back(rail: LndRail, customer: LndClient) -> None:
    for take in (True, False):
        preimage = os.urandom(32)
        digest = hashlib.sha256(preimage).hexdigest()
        held = await rail.holds.create(
            digest,
            amount_msat=15_000_000,
            memo="deposit",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            cltv_expiry_blocks=80,
        )
        paying = asyncio.create_task(pay(customer, held.payment_request))

        async def has_arrived(digest: str = digest) -> bool:
            return (await rail.holds.state(digest)).state == "ACCEPTED"

        await until(has_arrived, PATIENCE_SECONDS)
        decided = await (rail.holds.settle(preimage) if take else rail.holds.cancel(digest))
        assert decided.state == ("SETTLED" if take else "CANCELED")
        assert (await paying)["status"] == ("SUCCEEDED" if take else "FAILED")


@pytest.mark.parametrize("lightning", [pytest.param("real", marks=pytest.mark.full)], indirect=True)
async def test_held_money_that_nobody_decides_on_goes_back_before_its_htlc_expires(
    rail: LndRail, customer: LndClient, lightning: Lightning
) -> None:
    """The bundled chain follows the clock; here it is mined."""
    assert lightning.mine is not None
    digest = hashlib.sha256(os.urandom(32)).hexdigest()
    held = await rail.holds.create(
        digest,
        amount_msat=15_000_000,
        memo="deposit",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        cltv_expiry_blocks=80,
    )
    paying = asyncio.create_task(pay(customer, held.payment_request))

    async def reached(state: str) -> bool:
        return (await rail.holds.state(digest)).state == state

    await until(lambda: reached("ACCEPTED"), PATIENCE_SECONDS)
    # LND lets go 12 blocks before the HTLC's end; the payer put at most three on top.
    for _ in range(15):
        await asyncio.to_thread(lightning.mine, 5)
        if await reached("CANCELED"):
            break
    await until(lambda: reached("CANCELED"), PATIENCE_SECONDS)
    assert (await paying)["status"] == "FAILED"
    assert (await rail.liquidity()).force_closing_channels == 0


async def test_liquidity_is_what_the_channels_hold(rail: LndRail) -> None:
    found = await rail.liquidity()
    assert found.sendable_msat > 0
    assert found.receivable_msat > 0
    assert (found.active_channels, found.force_closing_channels) == (1, 0)


async def test_the_node_goes_down_and_comes_back(
    rail: LndRail, customer: LndClient, lightning: Lightning, clock: Clock
) -> None:
    before, while_down = an_order(), an_order()
    first = await rail.create_invoice(before)
    await pay(customer, first.payment_request)
    cursor = (await arrival_of(rail, first.rail_id, None)).cursor
    second = await rail.create_invoice(an_order())
    await pay(customer, second.payment_request)
    prepared = await rail.prepare(to_pay(await bill(customer, 5_000_000), 5_000_000))
    await asyncio.to_thread(lightning.kill_merchant)
    with pytest.raises(RailUnavailableError):
        await rail.create_invoice(while_down)
    with pytest.raises(RailUnavailableError):
        await rail.submit(prepared)
    with pytest.raises(RailUnavailableError):
        await rail.look_up(prepared)
    assert (await rail.health()).health is Health.DOWN
    await asyncio.to_thread(lightning.start_merchant)
    assert (await arrival_of(rail, second.rail_id, cursor)).cursor != cursor, "nothing is missed over a restart"
    assert await rail.look_up_invoice(while_down) is None
    again = await rail.look_up(prepared)
    assert (again.state, again.proof["not_found"]) == (OutcomeState.UNKNOWN, True)
    assert (await rail.submit(prepared)).state is OutcomeState.SUCCEEDED


async def test_channel_backups_are_stored_on_change_and_tried(rail: LndRail, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "backups")
    assert (await rail.try_backup(store)).reason == "there is no backup of this node"
    assert await rail.keep_backup(store) is True
    assert await rail.keep_backup(store) is False, "the channels are the same, whatever the bytes"
    (name,) = await store.names("")
    assert await rail.try_backup(store) == Drill(True, "", name)
    file = tmp_path / "backups" / name
    whole = file.read_bytes()
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    file.write_bytes(damaged)
    assert (await rail.try_backup(store)).reason == "the newest backup is not what was stored"
    node, channels = name.split("/")[0], name.split("-")[1]

    def write(data: bytes, of: str, time: str) -> None:
        """A backup whose name has the right checksum."""
        checksum = hashlib.sha256(data).hexdigest()[:16]
        (tmp_path / "backups" / node / f"{time}T000000.000000Z-{of}-{checksum}.multi").write_bytes(data)

    write(damaged, channels, "20980101")
    assert (await rail.try_backup(store)).reason == "the node cannot read the newest backup"
    write(whole, "0" * 16, "20990101")
    assert "other channels" in (await rail.try_backup(store)).reason
    assert await rail.keep_backup(store) is True
