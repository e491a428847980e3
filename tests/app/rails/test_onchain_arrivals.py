"""Arrivals that an own client would try: many at once, replaced ones, a miner's, and addresses long after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from payments.settings import Settings
from tests.app.conftest import TestDatabase, balances, until
from tests.app.rails.onchain_world import OnchainWorld, address_of, onchain_settings, onchain_world
from tests.sandbox.processes import EsploraProgram, running


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EsploraProgram]:
    program = EsploraProgram(tmp_path_factory.mktemp("esplora"))
    with running(program):
        yield program


@pytest.fixture
async def world(settings: Settings, database: TestDatabase, network: EsploraProgram) -> AsyncIterator[OnchainWorld]:
    async with onchain_world(onchain_settings(settings, network.url), database, network) as made:
        yield made


async def held(world: OnchainWorld, sats: int) -> None:
    async def reached() -> bool:
        return (await balances(world.core)).get("assets:onchain") == sats * 1000

    await until(reached, 30)


async def test_two_outputs_of_one_transaction_are_two_arrivals(world: OnchainWorld) -> None:
    invoice = await world.invoice(50_000)
    txid = world.network.pay(address_of(invoice), 50_000, times=2)
    world.network.mine(1)
    await held(world, 100_000)
    assert (await world.settled(invoice, "paid_twice"))["received"] == 100_000_000
    events = world.execute("SELECT event_id FROM payments.arrivals WHERE rail = 'onchain' ORDER BY event_id")
    assert len(events) == 2
    assert all(event.startswith(f"{txid}:") for (event,) in events)


async def test_more_payments_of_one_address_than_a_page_of_esplora_holds_are_all_credited(world: OnchainWorld) -> None:
    invoice = await world.invoice(1_000)
    for _ in range(3):
        world.network.pay(address_of(invoice), 1_000, times=20)
    world.network.mine(1)
    await held(world, 60_000)


async def test_a_payment_that_the_payer_takes_back_while_it_waits_is_never_credited(world: OnchainWorld) -> None:
    invoice = await world.invoice(50_000)
    taken_back = world.network.pay(address_of(invoice), 50_000)
    world.network.ask("/sandbox/replace", {"txid": taken_back})
    world.network.mine(7)
    await world.followed_to_tip()
    assert (await world.read("invoices", invoice["id"]))["status"] == "open"
    world.network.pay(address_of(invoice), 50_000)
    world.network.mine(1)
    await world.settled(invoice)
    await held(world, 50_000)


async def test_a_miners_payment_counts_once_it_can_be_spent(world: OnchainWorld) -> None:
    """A coinbase's output is worth nothing for 100 blocks; a reorganisation takes it away for ever."""
    invoice, ordinary = await world.invoice(None), await world.invoice(10_000)
    world.network.ask("/sandbox/mine", {"blocks": 1, "address": address_of(invoice)})
    world.network.pay(address_of(ordinary), 10_000)
    world.network.mine(99)
    await world.settled(ordinary)
    assert (await world.read("invoices", invoice["id"]))["status"] == "open"
    assert world.execute("SELECT sats FROM payments.onchain_coins") == [(10_000,)], "it cannot be spent yet"
    world.network.mine(1)
    subsidy = (await world.settled(invoice))["received"]
    assert subsidy >= 1_000_000_000
    assert len(world.execute("SELECT 1 FROM payments.onchain_coins")) == 2


async def test_the_fortieth_address_is_paid_after_a_restart_though_none_before_it_was(
    settings: Settings, database: TestDatabase, network: EsploraProgram
) -> None:
    """A wallet that searches by a gap of 20 would not see it; here an address is known because it was given out."""
    own = onchain_settings(settings, network.url)
    async with onchain_world(own, database, network) as before:
        invoices = [await before.invoice(1_000 + number) for number in range(40)]
    async with onchain_world(own, database, network) as after:
        network.pay(address_of(invoices[-1]), 1_039)
        network.mine(1)
        await after.settled(invoices[-1])
        fresh = await after.invoice(2_000)
        assert address_of(fresh) not in {address_of(one) for one in invoices}
