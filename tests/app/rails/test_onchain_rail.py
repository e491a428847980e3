"""The on-chain rail on a Bitcoin network: deposits through reorganisations, payouts, RBF, and proof of death."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import bdkpython as bdk
import pytest

from payments.payouts import sending
from payments.rails.onchain.rail import GENESIS
from payments.rails.onchain.tasks import bump_stuck
from payments.rails.onchain.wallet import descriptors_of
from payments.rails.protocol import Health, RailUnavailableError
from payments.reconciliation.tasks import compare_arrivals
from payments.settings import Settings
from sandbox.nodes.building import are_built, has_go
from tests.app.conftest import TestDatabase, balances, until
from tests.app.rails.onchain_world import PAYEE, OnchainWorld, address_of, onchain_settings, onchain_world
from tests.sandbox.processes import EsploraProgram, running
from tests.sandbox.real_bitcoin import real_bitcoin


@pytest.fixture(scope="module", params=["bundled", pytest.param("btcd", marks=pytest.mark.full)])
def network(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[EsploraProgram]:
    """The chain of the sandbox; with --full also a real btcd's."""
    folder = tmp_path_factory.mktemp("esplora")
    if request.param == "bundled":
        program = EsploraProgram(folder)
        with running(program):
            yield program
        return
    if not (are_built() or has_go()):
        pytest.skip("there is no Go to build btcd with")
    with real_bitcoin(folder) as real:
        yield real.esplora


@pytest.fixture
async def world(settings: Settings, database: TestDatabase, network: EsploraProgram) -> AsyncIterator[OnchainWorld]:
    network.ask("/sandbox/fees", {"sat_per_vbyte": 2})
    async with onchain_world(onchain_settings(settings, network.url), database, network) as made:
        yield made


# ---- deposits


async def test_a_deposit_is_credited_with_as_many_confirmations_as_its_sum_needs(world: OnchainWorld) -> None:
    small, large = await world.invoice(50_000), await world.invoice(500_000)
    assert small["paymentRequest"].endswith("?amount=0.00050000")
    for invoice, sats in ((small, 50_000), (large, 500_000)):
        world.network.pay(address_of(invoice), sats)
    world.network.mine(1)
    await world.settled(small)
    assert (await world.read("invoices", large["id"]))["status"] == "open"
    world.network.mine(2)
    await world.settled(large)
    assert (await balances(world.core))["assets:onchain"] == 550_000_000


async def test_each_invoice_has_an_address_of_its_own_and_a_retry_the_same(world: OnchainWorld) -> None:
    first, second = await world.invoice(1000), await world.invoice(1000)
    assert address_of(first) != address_of(second)
    body, key = {"rail": "onchain", "amount": 2_000_000}, {"Idempotency-Key": "the same"}
    answers = [(await world.client.post("/v1/invoices", json=body, headers=key)).content for _ in range(2)]
    assert answers[0] == answers[1]
    numbers = world.execute("SELECT array_agg(number ORDER BY number) FROM payments.onchain_addresses")
    assert numbers == [([0, 1, 2],)], numbers


async def test_a_deposit_that_a_reorganisation_delays_is_credited_once(world: OnchainWorld) -> None:
    invoice = await world.invoice(500_000)
    txid = world.network.pay(address_of(invoice), 500_000)
    world.network.mine(2)
    await world.seen(txid)
    world.network.reorganise(2, without=[txid])
    world.network.mine(1)  # confirms it again, in another block
    world.network.mine(2)
    settled = await world.settled(invoice)
    assert settled["received"] == 500_000_000
    assert (await balances(world.core))["assets:onchain"] == 500_000_000


async def test_a_deposit_that_a_double_spend_takes_away_is_never_credited(world: OnchainWorld) -> None:
    lost, kept = await world.invoice(500_000), await world.invoice(40_000)
    txid = world.network.pay(address_of(lost), 500_000)
    world.network.mine(2)
    await world.seen(txid)
    world.network.reorganise(2, double_spend=[txid])
    world.network.pay(address_of(kept), 40_000)
    world.network.mine(7)
    await world.settled(kept)
    assert (await world.read("invoices", lost["id"]))["status"] == "open"
    assert (await balances(world.core))["assets:onchain"] == 40_000_000


async def test_a_credited_deposit_that_a_reorganisation_takes_away_is_reversed_and_restored_when_it_is_back(
    world: OnchainWorld,
) -> None:
    invoice = await world.invoice(50_000)
    txid = world.network.pay(address_of(invoice), 50_000)
    world.network.mine(1)
    await world.settled(invoice)
    world.network.reorganise(1, without=[txid])
    reversed_ = await world.settled(invoice, "reversed")
    assert reversed_["received"] == 0
    world.network.mine(2)
    assert (await world.settled(invoice))["received"] == 50_000_000
    assert (await balances(world.core))["assets:onchain"] == 50_000_000


async def test_a_credited_deposit_that_is_double_spent_while_nobody_follows_is_reversed_at_the_next_start(
    settings: Settings, database: TestDatabase, network: EsploraProgram
) -> None:
    own = onchain_settings(settings, network.url)
    async with onchain_world(own, database, network) as before:
        lost, kept = await before.invoice(50_000), await before.invoice(40_000)
        txid = network.pay(address_of(lost), 50_000)
        network.mine(1)
        await before.settled(lost)
    network.reorganise(1, double_spend=[txid])
    network.mine(1)
    async with onchain_world(own, database, network) as after:
        await after.settled(lost, "reversed")
        network.pay(address_of(kept), 40_000)
        network.mine(7)
        await after.settled(kept)
        assert (await after.read("invoices", lost["id"]))["status"] == "reversed"
        assert (await balances(after.core))["assets:onchain"] == 40_000_000
        rows = after.execute("SELECT amount, from_user, lost, state FROM payments.reversals")
        assert rows == [(50_000_000, 50_000_000, 0, "reversed")], "once, however often it is seen"


async def test_what_arrived_while_the_worker_was_down_is_credited_once(
    settings: Settings, database: TestDatabase, network: EsploraProgram
) -> None:
    own = onchain_settings(settings, network.url)
    async with onchain_world(own, database, network) as before:
        invoices = [await before.invoice(10_000 + n) for n in range(3)]
        network.pay(address_of(invoices[0]), 10_000)
        network.mine(1)
        await before.settled(invoices[0])
    for number, invoice in enumerate(invoices[1:], 1):
        network.pay(address_of(invoice), 10_000 + number)
        network.mine(8)
    network.reorganise(1)
    async with onchain_world(own, database, network) as after:
        for invoice in invoices[1:]:
            await after.settled(invoice)
        assert (await balances(after.core))["assets:onchain"] == 30_003_000


async def test_under_and_second_payments_are_told_apart(world: OnchainWorld) -> None:
    under, twice = await world.invoice(30_000), await world.invoice(20_000)
    world.network.pay(address_of(under), 29_999)
    world.network.pay(address_of(twice), 20_000)
    world.network.mine(1)
    await world.settled(under, "underpaid")
    await world.settled(twice)
    world.network.pay(address_of(twice), 20_000)
    world.network.mine(1)
    await world.settled(twice, "paid_twice")


async def test_reconciliation_reads_the_blocks_again_and_finds_what_the_books_lack(world: OnchainWorld) -> None:
    first, second = await world.invoice(10_000), await world.invoice(20_000)
    world.network.pay(address_of(first), 10_000)
    world.network.pay(address_of(second), 20_000)
    world.network.mine(8)
    await world.settled(first)
    await world.settled(second)
    await world.followed_to_tip()
    assert await compare_arrivals(world.core, world.rail) == 2
    assert world.execute("SELECT count(*) FROM payments.discrepancies") == [(0,)]


# ---- payouts


async def test_a_payout_is_sent_confirmed_and_posted_with_its_fee(world: OnchainWorld) -> None:
    await world.load_wallet(300_000)
    paid = await world.pay(PAYEE, 100_000)
    assert paid["status"] == "sending"
    (waiting,) = world.network.ask(f"/address/{PAYEE}/txs/mempool")
    world.network.mine(1)
    await world.look_again()
    done = await world.read("payments", paid["id"])
    assert done["status"] == "succeeded"
    assert done["proof"]["txid"] == waiting["txid"]
    assert done["fee"] == waiting["fee"] * 1000
    books = (await balances(world.core))["assets:onchain"]
    assert books == (300_000 - 100_000 - waiting["fee"]) * 1000

    async def holds_what_the_books_say() -> bool:
        return await world.rail.held() == {"BTC": books}

    await until(holds_what_the_books_say, 30)  # the change is read with its block


async def test_change_can_be_spent_again_and_no_coin_twice(world: OnchainWorld) -> None:
    await world.load_wallet(300_000)
    first = await world.pay(PAYEE + "?message=one", 100_000)
    second = await world.client.post(
        "/v1/payments",
        json={"rail": "onchain", "paymentRequest": PAYEE + "?message=two", "amountMsat": 50_000_000},
        headers={"Idempotency-Key": "two"},
    )
    await sending.send(world.core, UUID(second.json()["id"]))
    refused = await world.read("payments", second.json()["id"])
    assert refused["status"] == "failed", "its only coin is held by the first"
    assert "0 sat free" in refused["reason"]
    world.network.mine(1)
    await world.look_again()
    assert (await world.read("payments", first["id"]))["status"] == "succeeded"
    world.network.mine(6)
    await world.followed_to_tip()
    third = await world.pay(PAYEE + "?message=three", 50_000)
    assert third["status"] == "sending", third


async def test_a_stuck_payout_is_replaced_and_only_one_version_confirms(
    settings: Settings, database: TestDatabase, network: EsploraProgram
) -> None:
    network.ask("/sandbox/fees", {"sat_per_vbyte": 1})
    own = onchain_settings(settings, network.url, onchain_bump_after_seconds=1e-6)
    async with onchain_world(own, database, network) as world:
        await world.load_wallet(300_000, 200_000)
        paid = await world.pay(PAYEE + "?message=stuck", 250_000)
        first = world.network.ask(f"/address/{PAYEE}/txs/mempool")[0]
        network.ask("/sandbox/fees", {"sat_per_vbyte": 12})
        await bump_stuck(world.core)
        (second,) = world.network.ask(f"/address/{PAYEE}/txs/mempool")
        assert second["txid"] != first["txid"]
        assert second["fee"] > first["fee"]
        spent = [{(one["txid"], one["vout"]) for one in version["vin"]} for version in (first, second)]
        assert spent[0] <= spent[1], "every version spends all inputs of those before"
        network.mine(3)
        await world.look_again()
        done = await world.read("payments", paid["id"])
        assert (done["status"], done["proof"]["txid"], done["proof"]["version"]) == ("succeeded", second["txid"], 2)
        assert done["fee"] == second["fee"] * 1000


async def test_a_bump_never_exceeds_the_cap_of_the_payment(
    settings: Settings, database: TestDatabase, network: EsploraProgram
) -> None:
    network.ask("/sandbox/fees", {"sat_per_vbyte": 1})
    own = onchain_settings(settings, network.url, onchain_bump_after_seconds=1e-6)
    async with onchain_world(own, database, network) as world:
        await world.load_wallet(300_000)
        await world.pay(PAYEE + "?message=capped", 100_000, maxFeeMsat=700_000)
        network.ask("/sandbox/fees", {"sat_per_vbyte": 150})
        for _ in range(4):
            await bump_stuck(world.core)
        (newest,) = world.network.ask(f"/address/{PAYEE}/txs/mempool")
        assert newest["fee"] <= 700
        network.mine(1)


async def test_a_payout_is_dead_only_when_a_conflict_has_six_confirmations(world: OnchainWorld) -> None:
    await world.load_wallet(300_000)
    paid = await world.pay(PAYEE + "?message=conflict", 100_000)
    version = world.network.ask(f"/address/{PAYEE}/txs/mempool")[0]
    conflict = spend_elsewhere(world, version)
    world.network.ask("/tx", conflict)
    world.network.mine(5)
    await world.look_again()
    assert (await world.read("payments", paid["id"]))["status"] == "unknown"
    assert "5 of 6" in (await world.read("payments", paid["id"]))["reason"]
    world.network.mine(1)
    await world.look_again()
    dead = await world.read("payments", paid["id"])
    assert dead["status"] == "failed"
    assert dead["proof"]["confirmations"] == 6
    assert dead["proof"]["input"] == f"{version['vin'][0]['txid']}:{version['vin'][0]['vout']}"


def spend_elsewhere(world: OnchainWorld, version: dict[str, Any]) -> str:
    """Somebody with the wallet's key spends the payout's input, with a higher fee: a signed transaction in hex."""
    settings = world.core.settings
    assert settings.onchain_signing_descriptor is not None
    branches = descriptors_of(settings.onchain_signing_descriptor.get_secret_value(), bdk.Network.REGTEST, setting="")
    wallet = bdk.Wallet(branches[0], branches[1], bdk.Network.REGTEST, bdk.Persister.new_in_memory())
    wallet.reveal_addresses_to(bdk.KeychainKind.EXTERNAL, 20)
    spent = version["vin"][0]
    raw = bytes.fromhex(str(world.network.ask(f"/tx/{spent['txid']}/hex")))
    wallet.apply_unconfirmed_txs([bdk.UnconfirmedTx(tx=bdk.Transaction(raw), last_seen=1)])
    psbt = (
        bdk.TxBuilder()
        .add_utxo(bdk.OutPoint(txid=bdk.Txid.from_string(spent["txid"]), vout=spent["vout"]))
        .manually_selected_only()
        .drain_to(wallet.peek_address(bdk.KeychainKind.EXTERNAL, 19).address.script_pubkey())
        .fee_rate(bdk.FeeRate.from_sat_per_vb(40))
        .finish(wallet)
    )
    assert wallet.sign(psbt)
    return bytes(psbt.extract_tx().serialize()).hex()


async def test_absence_from_every_mempool_is_no_death_and_it_is_broadcast_again(world: OnchainWorld) -> None:
    await world.load_wallet(300_000)
    made = await world.client.post(
        "/v1/payments",
        json={"rail": "onchain", "paymentRequest": PAYEE + "?message=lost", "amountMsat": 50_000_000},
        headers={"Idempotency-Key": "lost"},
    )

    class Deaf:
        """Takes the transaction and forgets it."""

        async def broadcast(self, raw: bytes) -> str:
            raise RailUnavailableError("gone", rail="onchain")

    real = world.rail.payouts._esplora.broadcast
    world.rail.payouts._esplora.broadcast = Deaf().broadcast  # type: ignore[method-assign]
    await sending.send(world.core, UUID(made.json()["id"]))
    assert (await world.read("payments", made.json()["id"]))["status"] == "unknown"
    await world.look_again()
    assert (await world.read("payments", made.json()["id"]))["status"] == "unknown"
    world.rail.payouts._esplora.broadcast = real  # type: ignore[method-assign]
    await world.look_again()
    assert (await world.read("payments", made.json()["id"]))["status"] == "sending"
    world.network.mine(1)
    await world.look_again()
    assert (await world.read("payments", made.json()["id"]))["status"] == "succeeded"


async def test_bad_requests_are_refused_in_one_sentence(world: OnchainWorld) -> None:
    for request, sentence in (
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "no Bitcoin address of this network"),
        (PAYEE + "?amount=0.5x", "no sum of bitcoins"),
        (PAYEE + "?amount=\u0661", "no sum of bitcoins"),  # an Arabic one, which int() reads
        (PAYEE + "?amount=0.1&amount=0.2", "something twice"),
        (PAYEE + "?req-lock=1", "which is not known here"),
        (PAYEE + "?amount=0.00002000", "asks for 2000000 msat"),
        ("nonsense", "no Bitcoin address of this network"),
    ):
        body = {"rail": "onchain", "paymentRequest": request, "amountMsat": 1_000_000}
        answer = await world.client.post("/v1/payments", json=body, headers={"Idempotency-Key": "bad"})
        assert answer.status_code == 400, request
        assert sentence in json.dumps(answer.json()), request


async def test_health_tells_another_network(world: OnchainWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await world.rail.health()).health is Health.OK
    monkeypatch.setitem(GENESIS, "regtest", "00" * 32)
    wrong = await world.rail.health()
    assert (wrong.health, "another network" in wrong.reason) == (Health.DOWN, True)
